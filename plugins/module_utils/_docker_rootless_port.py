# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks at users' own Docker daemons, and starts, restarts and stops them in the users' own managers."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import fetch_docker_records
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_reload import await_reload
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import (
    LEAST_IDS,
    UNCHANGED,
    UNIT,
    DockerRootlessError,
    RunningDaemon,
    UserDaemon,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_records import container_name
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._home_storage import home_obstacle
from ansible_collections.bulkhead.hardening.plugins.module_utils._id_programs import ID_PROGRAMS
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import Mount, read_mounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import named_accounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    NotThere,
    PortError,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import (
    SessionFacts,
    SubidFiles,
    read_subid_files,
    session_facts,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import (
    parse_properties,
    start_time,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError, look_as
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import (
    CGROUPS,
    UserSession,
    account_environment,
    legacy_cgroups,
)

__all__ = ["Host", "act", "look_at_host", "look_at_users"]

# Debian ships what starts it beside its documentation.
_CONTRIB = "/usr/share/docker.io/contrib"
_SCRIPT = "dockerd-rootless.sh"
_NETWORKS = ("slirp4netns", "pasta", "vpnkit", "gvisor-tap-vsock")
_PACKAGES = "on Debian: docker.io, rootlesskit, uidmap and slirp4netns"
_VERSION = re.compile(r"Docker version (\d+(?:\.\d+)+)")
_DATA = ".local/share/docker"
_SHOW_SECONDS = 60.0
# dockerd tells systemd when it is ready; the first start makes its directories.
_START_SECONDS = 300.0
_STOP_SECONDS = 300.0
_RELOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Host:
    """What every user's daemon is started with.

    :ivar dockerd: path of the engine's program, "" where it is missing
    :ivar script: path of what starts it in a user namespace, "" where it is missing
    :ivar missing: names of programs without which no daemon starts
    """

    dockerd: str
    script: str
    version: str
    missing: tuple[str, ...]

    def refuse_missing(self) -> None:
        """Raise `DockerRootlessError` where no daemon can start on this host."""
        if self.missing:
            raise DockerRootlessError(
                f"docker_rootless_users: found no {', '.join(self.missing)} on this host, without which no "
                f"user's daemon starts; accepted is a host that has them ({_PACKAGES}). {UNCHANGED}"
            )


def look_at_host(system: System) -> Host:
    """The programs in the system's own directories, and the engine's version."""
    dockerd = system.find_program("dockerd") or ""
    script = system.find_program(_SCRIPT) or ""
    if not script and system.exists(f"{_CONTRIB}/{_SCRIPT}"):
        script = f"{_CONTRIB}/{_SCRIPT}"
    wanted = {name: bool(system.find_program(name)) for name in ("rootlesskit", *ID_PROGRAMS)}
    there = {"dockerd": bool(dockerd), _SCRIPT: bool(script), **wanted}
    missing = [name for name, found in there.items() if not found]
    if not any(system.find_program(name) for name in _NETWORKS):
        missing.append(_NETWORKS[0])
    version = ""
    if dockerd:
        match = _VERSION.match(system.run([dockerd, "--version"], timeout=_SHOW_SECONDS).stdout)
        version = match[1] if match else ""
    return Host(dockerd, script, version, tuple(missing))


def look_at_users(system: System, names: Sequence[str]) -> list[UserDaemon]:
    """Each user's daemon; raises `AccountError` for a name that cannot be meant."""
    accounts = named_accounts(system, names, "docker_rootless_users")
    if not accounts:
        return []
    subids = read_subid_files(system)
    with system.process(1) as first:
        mounts = read_mounts(first).mounts
    return [_look(system, account, subids, mounts) for account in accounts]


def _look(
    system: System, account: pwd.struct_passwd, subids: SubidFiles, mounts: Sequence[Mount]
) -> UserDaemon:
    session = UserSession(system, account)
    facts = session_facts(system, account, subids)
    unreachable = session.unavailable() or ""
    obstacle = (
        legacy_cgroups(system)
        or home_obstacle(system, account, mounts, _DATA)
        or unreachable
        or _lack_of_ids(facts)
    )
    unit: dict[str, str] = {}
    if not unreachable:
        properties = "UnitFileState,NeedDaemonReload,ExecReload"
        shown = _systemctl(system, account, "show", UNIT, "--property", properties, seconds=_SHOW_SECONDS)
        unit = parse_properties(shown.stdout)
        if shown.returncode != 0 and not obstacle:
            obstacle = f"the user's manager does not answer: {printable(shown.stderr.strip(), limit=200)}"
    return UserDaemon(
        name=account.pw_name,
        uid=account.pw_uid,
        home=account.pw_dir,
        obstacle=obstacle,
        unreachable=unreachable,
        lingers=facts.linger is not False,
        enabled=_is_linked(account) if unreachable else unit.get("UnitFileState") == "enabled",
        needs_reload=unit.get("NeedDaemonReload") == "yes",
        daemon=_daemon(system, session, reloaded_at=start_time(unit.get("ExecReload", ""))),
        data=_has_data(account),
    )


def _lack_of_ids(facts: SessionFacts) -> str:
    if facts.subids is None:
        return facts.unread.get("subids", "its subordinate ids could not be read")
    few = [kind for kind, ids in facts.subids.items() if ids.count < LEAST_IDS]
    if few:
        return (
            f"it has fewer than {LEAST_IDS} subordinate {' and '.join(f'{kind}s' for kind in few)}; the role "
            "rootless_users gives them"
        )
    return ""


def _daemon(system: System, session: UserSession, *, reloaded_at: Optional[float]) -> Optional[RunningDaemon]:
    """By the processes in the unit's cgroup, which the kernel knows of, and not by what was said."""
    cgroup = f"{CGROUPS}{session.cgroup}/app.slice/{UNIT}"
    try:
        pids = [int(pid) for pid in system.read_text(f"{cgroup}/cgroup.procs", limit=65536).split()]
    except NotThere:
        return None
    started = []
    for pid in pids:
        try:
            with system.process(pid) as process:
                started.append(system.started_at(process.start_ticks))
        except NotThere:
            continue
    if not started:
        return None
    account = session.account
    socket = f"{session.runtime_directory}/docker.sock"
    try:
        records = fetch_docker_records(system, path=socket, uid=account.pw_uid)
    except PortError as error:
        return RunningDaemon(min(started), silence=printable(str(error), limit=200))
    if not isinstance(records.listed, list) or "Version" not in records.version:
        return RunningDaemon(min(started), silence=f"{socket}: its answer is not understood")
    names = (container_name(record) or identifier[:12] for identifier, record in records.inspected.items())
    return RunningDaemon(
        min(started),
        version=printable(str(records.version["Version"]), limit=64),
        containers=tuple(sorted(printable(name) for name in names)),
        reloaded_at=reloaded_at,
    )


def _has_data(account: pwd.struct_passwd) -> bool:
    path = f"{account.pw_dir}/{_DATA}"
    try:
        return look_as(account.pw_uid, account.pw_gid, path, lambda _directory: b"", 0) is not None
    except UserFileError:
        return False


def _is_linked(account: pwd.struct_passwd) -> bool:
    """Whether the user's manager would start the unit, as its files have it."""

    def look(descriptor: int) -> bytes:
        try:
            os.stat(UNIT, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return b""
        return b"1"

    directory = f"{account.pw_dir}/.config/systemd/user/default.target.wants"
    try:
        return bool(look_as(account.pw_uid, account.pw_gid, directory, look, 1))
    except UserFileError:
        return False


def act(system: System, steps: Sequence[tuple[str, str]]) -> None:
    """Carry out all steps, also those of other users behind one that failed.

    :raises DockerRootlessError: which failed, and why
    """
    failed = []
    for what, name in steps:
        try:
            _step(system, system.account_named(name), what)
        except PortError as error:
            failed.append(f"{what.replace('_', ' ')} {name}: {error}")
    if failed:
        raise DockerRootlessError(
            f"Not all could be done; the next run tries it again. {'; '.join(failed)}. A daemon's own reason "
            f"is in: journalctl _SYSTEMD_USER_UNIT={UNIT}"
        )


def _step(system: System, account: pwd.struct_passwd, what: str) -> None:
    units = () if what == "daemon_reload" else (UNIT,)
    asked_at = system.now()
    if what in ("start", "restart"):  # also one that systemd has given up on
        _systemctl(system, account, "reset-failed", UNIT, seconds=_SHOW_SECONDS)
    seconds = _STOP_SECONDS if what == "stop" else _START_SECONDS
    completed = _systemctl(system, account, what.replace("_", "-"), *units, seconds=seconds)
    if completed.returncode != 0:
        said = printable(completed.stderr.strip() or completed.stdout.strip(), limit=500)
        raise PortError(f"exit status {completed.returncode}: {said}")
    if what == "reload":
        socket = f"{UserSession(system, account).runtime_directory}/docker.sock"
        if not await_reload(system, socket, uid=account.pw_uid, since=asked_at, seconds=_RELOAD_SECONDS):
            raise PortError(f"the daemon did not take its file over within {_RELOAD_SECONDS:g} s")


def _systemctl(
    system: System, account: pwd.struct_passwd, verb: str, *words: str, seconds: float
) -> Completed:
    """Asks the user's own manager, as the user."""
    return system.run(
        ["systemctl", "--user", verb, *words],
        timeout=seconds,
        environment={**account_environment(account), "TZ": "UTC"},
        uid=account.pw_uid,
        gid=account.pw_gid,
    )
