# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out the steps of a plan for users of rootless engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import (
    sysctl_path,
    write_kernel_value,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_look import read_units
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    RESTART_UNIT,
    RootlessError,
    Step,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import account_environment

__all__ = ["STEPS", "apply"]

_SECONDS = 60.0
# A container whose first process ignores SIGTERM is killed after DefaultTimeoutStopSec, 90 s (tried).
_RESTART_SECONDS = 400.0
_REMOVE = "/sys/kernel/security/apparmor/.remove"


def apply(system: System, wanted: Wanted, steps: Sequence[Step]) -> None:
    """Carry out all steps, also those of other users behind one that failed.

    :raises RootlessError: which steps failed, and why
    """
    failed = []
    for step in steps:
        try:
            STEPS[step.kind](system, wanted, step)
        except BulkheadError as error:
            failed.append(f"{step.line()}: {error}")
    if failed:
        raise RootlessError(f"Not all could be done; the next run tries it again. {'; '.join(failed)}")


def _run(
    system: System,
    *argv: str,
    timeout: float = _SECONDS,
    user: str = "",
) -> None:
    if user:
        account = system.account_named(user)
        completed = system.run(
            argv,
            timeout=timeout,
            environment=account_environment(account),
            uid=account.pw_uid,
            gid=account.pw_gid,
        )
    else:
        completed = system.run(argv, timeout=timeout)
    if completed.returncode != 0:
        said = printable(completed.stderr.strip() or completed.stdout.strip(), limit=500)
        raise PortError(f"{' '.join(argv)}: exit status {completed.returncode}: {said}")


def _daemon_reload(system: System, _wanted: Wanted, _step: Step) -> None:
    _run(system, "systemctl", "daemon-reload")


def _sysctl(system: System, _wanted: Wanted, step: Step) -> None:
    write_kernel_value(system, sysctl_path(step.subject), step.value)


def _load_profile(system: System, _wanted: Wanted, step: Step) -> None:
    _run(system, "apparmor_parser", "--replace", step.subject)


def _unload_profile(system: System, _wanted: Wanted, step: Step) -> None:
    """By its name, because its file is gone (apparmorfs: the name, without a line feed)."""
    try:
        descriptor = os.open(system.socket_path(_REMOVE), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, step.subject.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PortError(f"{_REMOVE}: {os.strerror(error.errno or 0)}") from error


def _enable_linger(system: System, _wanted: Wanted, step: Step) -> None:
    _run(system, "loginctl", "enable-linger", step.subject)


def _start(system: System, _wanted: Wanted, step: Step) -> None:
    _run(system, "systemctl", "start", f"user@{step.value}.service", timeout=_RESTART_SECONDS)


def _restart(system: System, wanted: Wanted, step: Step) -> None:
    """Not where the start would bring nothing: containers would end for it."""
    unit = read_units(system, [int(step.value)])[int(step.value)]
    missing = [name for name in wanted.delegate if name not in unit.delegate]
    if missing:
        raise PortError(
            f"user@{step.value}.service would not delegate {', '.join(missing)} (drop-ins: "
            f"{', '.join(unit.drop_ins) or 'none'}), and was not restarted"
        )
    _run(system, "systemctl", "restart", f"user@{step.value}.service", timeout=_RESTART_SECONDS)


def _enable_containers_at_boot(system: System, _wanted: Wanted, step: Step) -> None:
    _run(system, "systemctl", "--user", "enable", RESTART_UNIT, user=step.subject)


STEPS: Mapping[str, Callable[[System, Wanted, Step], None]] = {
    "daemon_reload": _daemon_reload,
    "sysctl": _sysctl,
    "load_profile": _load_profile,
    "unload_profile": _unload_profile,
    "enable_linger": _enable_linger,
    "start": _start,
    "restart": _restart,
    "enable_containers_at_boot": _enable_containers_at_boot,
}
