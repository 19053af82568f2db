# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The locks that useradd, usermod and userdel take, so that they wait for us and we for them.

Source: shadow ``lib/commonio.c`` (``commonio_lock``, ``do_lock_file``) and ``strace usermod --add-subuids``
of 4.13: first lckpwdf(3), a write lock by fcntl(2) on /etc/.pwd.lock, on which all of them wait up to 15 s;
then for each file one that holds a pid: ``/etc/subuid.PID`` is written and linked to ``/etc/subuid.lock``,
and the link counts when the file has two names. A lock whose process is gone is taken away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import (
    TimeLimitExceeded,
    time_limit,
)

__all__ = ["ShadowLockError", "shadow_locks"]

UNCHANGED = "Nothing was changed."
PASSWORD_LOCK = "/etc/.pwd.lock"
_POLL_SECONDS = 0.1
_LEAST_SECONDS = 0.01  # a timer of 0 would never end
_LOCK_LENGTH = 31  # bytes that shadow reads of a lock


class ShadowLockError(BulkheadError):
    """A lock is held by somebody else, or cannot be taken."""


@contextlib.contextmanager
def shadow_locks(files: Sequence[str], *, seconds: float, root: str = "") -> Iterator[None]:
    """Hold the locks of some files of shadow's (`/etc/subuid`) for a block, in the order of shadow.

    Waits by SIGALRM, so in the main thread only.

    :param seconds: how long to wait, for all of them together
    :param root: the directory that stands for `/`
    :raises ShadowLockError: they are held beyond that; the text names the holder
    """
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as locks:
        locks.enter_context(_password_lock(root, deadline, seconds))
        for path in files:
            locks.enter_context(_pid_lock(root, path, deadline, seconds))
        yield


@contextlib.contextmanager
def _password_lock(root: str, deadline: float, seconds: float) -> Iterator[None]:
    path = f"{root}{PASSWORD_LOCK}"
    with _lock_errors(PASSWORD_LOCK):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with _lock_errors(PASSWORD_LOCK):
            _lock_descriptor(descriptor, deadline, seconds)
        yield
    finally:
        os.close(descriptor)


def _lock_descriptor(descriptor: int, deadline: float, seconds: float) -> None:
    try:
        with time_limit(max(deadline - time.monotonic(), _LEAST_SECONDS), PASSWORD_LOCK):
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
    except TimeLimitExceeded:
        raise _held(PASSWORD_LOCK, _holder_of(descriptor), seconds) from None


def _holder_of(descriptor: int) -> str:
    """Who locks an open file, in words; proc_locks(5)."""
    inode = os.fstat(descriptor).st_ino
    row = re.compile(rf"\d+: POSIX +\S+ +WRITE +(\d+) +[0-9a-f]+:[0-9a-f]+:{inode} .*")
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as lines:
        for line in lines:
            found = row.match(line)
            if found is not None:
                return _process(int(found[1]))
    return "another process"


def _process(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as stream:
            comm = stream.read(64).decode("utf-8", "replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({printable(comm)})"


@contextlib.contextmanager
def _pid_lock(root: str, path: str, deadline: float, seconds: float) -> Iterator[None]:
    lock = f"{path}.lock"
    while True:
        with _lock_errors(lock):
            holder = _take(f"{root}{path}")
        if holder is None:
            break
        if time.monotonic() >= deadline:
            raise _held(lock, holder, seconds)
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{root}{lock}")


def _take(path: str) -> Optional[str]:
    """Take a file's pid lock; None: taken. Otherwise who holds it, in words."""
    own, lock = f"{path}.{os.getpid()}", f"{path}.lock"
    # One that a process of the same pid left may be another name of the lock: never written into.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(own)
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(b"%d\0" % os.getpid())
            stream.flush()
            os.fsync(stream.fileno())
        if _link(own, lock):
            return None
        holder = _holder_in(lock)
        if holder is None and _link(own, lock):
            return None
        return holder or "another process"
    finally:
        os.unlink(own)


def _link(own: str, lock: str) -> bool:
    try:
        os.link(own, lock)
    except FileExistsError:
        return False
    return os.stat(own).st_nlink == 2


def _holder_in(lock: str) -> Optional[str]:
    """Who holds a lock, in words; None: nobody any more, and the lock was taken away."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        content = os.read(descriptor, _LOCK_LENGTH)
    finally:
        os.close(descriptor)
    found = re.match(rb"[1-9][0-9]{0,9}(?=\0|\Z|\s)", content)
    if found is None:
        return "a file that names no process; remove it when no useradd, usermod or userdel runs"
    pid = int(found[0])
    if _is_alive(pid):
        return _process(pid)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lock)
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        # No process has a number that does not fit.
        return error.errno not in (errno.ESRCH, errno.EINVAL)
    except OverflowError:
        return False
    return True


def _held(lock: str, holder: str, seconds: float) -> ShadowLockError:
    return ShadowLockError(
        f"{lock}: still held after {seconds:g} s, by {holder}. {UNCHANGED} Wait for it, or raise "
        "lock_timeout."
    )


@contextlib.contextmanager
def _lock_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShadowLockError(f"{path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
