# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of one account: a user's run within the user's own systemd manager, where delegation is real.

A child that becomes the user alone stays in the cgroup of root's login, where that user's engine can set no
limits. So the child asks the user's manager to start the command. The bus that it asks belongs to the user:
what comes back is the user's word.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    CLEAN_ENVIRONMENT,
    Completed,
    NotThere,
    PortError,
    System,
)

__all__ = ["CGROUPS", "UserSession", "account_environment", "legacy_cgroups", "sealed_input"]

CGROUPS = "/sys/fs/cgroup"
_OUTPUT_LIMIT = 1024 * 1024
_STOP_SECONDS = 5
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def account_environment(account: pwd.struct_passwd) -> dict[str, str]:
    """What an account's own login would say of it; a user's with the way to their systemd manager."""
    identity = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    if account.pw_uid == 0:
        return identity
    runtime = _runtime_directory(account)
    return {**identity, "XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}


def _runtime_directory(account: pwd.struct_passwd) -> str:
    return f"/run/user/{account.pw_uid}"


def legacy_cgroups(system: System) -> Optional[str]:
    """Why no user's engine can set limits on this host; None: it has the unified hierarchy."""
    if system.exists(f"{CGROUPS}/cgroup.controllers"):
        return None
    return "this host has no unified cgroup hierarchy, and cgroup v1 cannot be delegated safely"


class UserSession:
    """Runs commands as one account.

    :param account: root's commands run as they are; a user's through ``systemd-run --user``
    """

    def __init__(self, system: System, account: pwd.struct_passwd) -> None:
        self._system = system
        self.account = account

    @property
    def runtime_directory(self) -> str:
        """`/run/user/UID`."""
        return _runtime_directory(self.account)

    @property
    def cgroup(self) -> str:
        """The cgroup of the user's systemd manager, as /proc/PID/cgroup names it."""
        uid = self.account.pw_uid
        return f"/user.slice/user-{uid}.slice/user@{uid}.service"

    def unavailable(self) -> Optional[str]:
        """Why no command can be run within the user's systemd manager; None: one can."""
        if self.account.pw_uid == 0:
            return None
        if self._system.find_program("systemd-run") is None:
            return "systemd-run is not installed"
        remedy = f"loginctl enable-linger {self.account.pw_name} starts it, with dbus-user-session installed"
        return self.without_socket("bus", f"no systemd manager of this user runs; {remedy}")

    def without_socket(self, name: str, absent: str) -> Optional[str]:
        """Why a socket in the runtime directory is not to be asked; None: it is the user's own.

        :param absent: what it means when there is none
        """
        path = f"{self.runtime_directory}/{name}"
        try:
            facts = self._system.stat(path, follow=False)
        except NotThere:
            return f"{path} is not there: {absent}"
        except PortError as error:
            return str(error)
        if facts.type != "socket" or facts.uid != self.account.pw_uid:
            return f"{path} is no socket of this user's (found: a {facts.type} of user {facts.uid})"
        return None

    def missing_controllers(self, wanted: Sequence[str]) -> Optional[str]:
        """Which cgroup controllers the user's manager was not given, as a reason; None: it has them all."""
        if self.account.pw_uid == 0 or not wanted:
            return None
        try:
            legacy = legacy_cgroups(self._system)
            if legacy is not None:
                return legacy
            found = self._system.read_text(f"{CGROUPS}{self.cgroup}/cgroup.controllers", limit=4096).split()
        except PortError as error:
            return str(error)
        missing = [name for name in wanted if name not in found]
        if not missing:
            return None
        return (
            f"not delegated to user@{self.account.pw_uid}.service: {', '.join(missing)} "
            f"(found: {', '.join(found) or 'none'}); Delegate= in a drop-in of user@.service does it, "
            "from the next start of that service on"
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        environment: Optional[Mapping[str, str]] = None,
        stdin: Optional[int] = None,
        output_limit: int = _OUTPUT_LIMIT,
    ) -> Completed:
        """Run a command as the account; see `run_command` for the errors.

        A user's command that outlives `timeout` is ended by the user's manager.
        """
        account = self.account
        identity = account_environment(account)
        if account.pw_uid == 0:
            return self._system.run(
                argv,
                timeout=timeout,
                environment={**identity, **(environment or {})},
                stdin=stdin,
                output_limit=output_limit,
            )
        return self._system.run(
            [*self._within_the_manager(timeout, environment or {}), *argv],
            timeout=timeout + 2 * _STOP_SECONDS,
            environment=identity,
            uid=account.pw_uid,
            gid=account.pw_gid,
            stdin=stdin,
            output_limit=output_limit,
        )

    def _within_the_manager(self, timeout: float, environment: Mapping[str, str]) -> list[str]:
        """Podman 5.4 keeps conmon in the command's unit, and the unit alive with it, when it sees
        INVOCATION_ID, by which it takes itself for a service of its own (tried); so that goes away.
        """
        wanted = {**CLEAN_ENVIRONMENT, **environment}
        return [
            *("systemd-run", "--user", "--pipe", "--wait", "--collect", "--quiet"),
            f"--property=RuntimeMaxSec={timeout:g}",
            f"--property=TimeoutStopSec={_STOP_SECONDS}",
            "--property=UnsetEnvironment=INVOCATION_ID",
            *(f"--setenv={name}={value}" for name, value in wanted.items()),
            "--",
        ]


@contextlib.contextmanager
def sealed_input(content: bytes) -> Iterator[int]:
    """A read-only descriptor on a memory file that nobody can change, to be a command's standard input."""
    made = os.memfd_create("bulkhead", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(made, "wb", closefd=False) as stream:
            stream.write(content)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
        reader = os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(made)
    try:
        yield reader
    finally:
        os.close(reader)
