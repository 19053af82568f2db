# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an unprivileged user can use user namespaces: tried by a child process, not guessed from settings.

No setting tells it all: user.max_user_namespaces, Debian's kernel.unprivileged_userns_clone, Ubuntu's
AppArmor restriction and seccomp filters each can forbid it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from typing import Any, NamedTuple

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, time_limit

__all__ = ["UserNamespaceTrial", "try_user_namespace"]

NOBODY = 65534
TRIAL_SECONDS = 5.0
_CLONE_NEWUTS = 0x04000000  # unshare(2)
_CLONE_NEWUSER = 0x10000000
_DROP_FAILED, _NO_NAMESPACE, _NO_CAPABILITY = 1, 2, 3


class UserNamespaceTrial(NamedTuple):
    """What the child met: `step` 0 is success, otherwise the step that failed with `code` (an errno)."""

    uid: int
    step: int
    code: int

    def as_fact(self) -> dict[str, Any]:
        """The posture's `kernel.user_namespaces`; raises `PortError` when the trial itself failed."""
        reason = f"{errno.errorcode.get(self.code, str(self.code))} ({os.strerror(self.code)})"
        attempted = f"unshare(CLONE_NEWUSER) as uid {self.uid}"
        if self.step == _DROP_FAILED:
            raise PortError(f"user namespaces: the child could not become uid {self.uid}: {reason}")
        details = {
            0: f"{attempted} succeeded",
            _NO_NAMESPACE: f"{attempted} failed: {reason}",
            _NO_CAPABILITY: f"{attempted} succeeded, but without its capabilities: {reason}",
        }
        return {"unprivileged": self.step == 0, "witness_detail": details[self.step]}


def try_user_namespace() -> UserNamespaceTrial:
    """Fork a child that becomes nobody (when this process is root), makes a user namespace and ends.

    The child then makes a UTS namespace too, because Ubuntu's AppArmor lets a user namespace be made and
    takes its capabilities away. It writes nothing, and everything is gone with it.
    """
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(writer, uid)
    os.close(writer)
    try:
        with time_limit(TRIAL_SECONDS, "user namespaces"):
            answer = os.read(reader, 2)
            os.waitpid(child, 0)
            child = 0
    finally:
        os.close(reader)
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if len(answer) != 2:
        raise PortError("user namespaces: the child ended without an answer")
    return UserNamespaceTrial(uid, answer[0], answer[1])


def _child(writer: int, uid: int) -> None:
    """In the child: write the failed step and its errno, and never return."""
    step, code = _DROP_FAILED, 0
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        step = _NO_NAMESPACE
        _unshare(_CLONE_NEWUSER)
        step = _NO_CAPABILITY
        _unshare(_CLONE_NEWUTS)
        step = 0
    except OSError as error:
        code = error.errno or 0
    finally:
        os.write(writer, bytes([step, code % 256]))
        os._exit(0)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
