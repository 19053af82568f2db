# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host and its users for what rootless engines need. Nothing is changed.

What lies below a user's home is looked at by a process that is the user.
"""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._home_storage import home_obstacle
from ansible_collections.bulkhead.hardening.plugins.module_utils._id_programs import ID_PROGRAMS, rights_of
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import (
    Mount,
    mount_of,
    parse_mountinfo,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import named_accounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor_look import (
    kernel_value,
    look_at_apparmor,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    PING_GROUP_RANGE,
    RESTART_UNIT,
    UNCHANGED,
    UNPRIVILEGED_PORT,
    USER_NAMESPACES,
    USERNS_CLONE,
    HostFacts,
    RootlessError,
    Running,
    UnitFacts,
    UserFacts,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_running import running_in
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import (
    SessionFacts,
    SubidFiles,
    read_subid_files,
    session_facts,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_port import read_sysctl_files
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import (
    parse_properties,
    split_words,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError, look_as
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import (
    CGROUPS,
    UserSession,
    account_environment,
)

__all__ = ["look", "read_units"]

_SYSCTLS = (USER_NAMESPACES, USERNS_CLONE, PING_GROUP_RANGE, UNPRIVILEGED_PORT)
_USER_UNITS = ("/etc/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user")
_MOUNTINFO_LIMIT = 4 * 1024 * 1024
_SHOW_SECONDS = 60.0
_PROBE_SECONDS = 60.0
_STORAGE = ".local/share/containers/storage"


def look(system: System, wanted: Wanted) -> tuple[HostFacts, list[UserFacts]]:
    """The host and the users, in their order.

    :raises AccountError: a user cannot be meant
    :raises RootlessError: systemd does not run this host
    """
    accounts = named_accounts(system, wanted.users, "rootless_users_names")
    if not system.exists("/run/systemd/system"):  # sd_booted(3)
        raise RootlessError(
            f"this host is not run by systemd, which rootless engines need for cgroups. {UNCHANGED}"
        )
    mounts = parse_mountinfo(system.read_text("/proc/self/mountinfo", limit=_MOUNTINFO_LIMIT))
    host = HostFacts(
        controllers=_controllers(system),
        id_programs=_id_programs(system, mounts),
        bus_unit=any(system.exists(f"{place}/dbus.socket") for place in _USER_UNITS),
        sysctl_files=read_sysctl_files(system),
        sysctls={name: kernel_value(system, f"/proc/sys/{name.replace('.', '/')}") for name in _SYSCTLS},
        apparmor=look_at_apparmor(system, wanted),
    )
    if not accounts:
        return host, []
    units = read_units(system, [account.pw_uid for account in accounts])
    subids = read_subid_files(system)
    at_boot = _offers_restart_unit(system)
    return host, [
        _user(system, account, units[account.pw_uid], mounts, subids, wanted, at_boot=at_boot)
        for account in accounts
    ]


def _user(
    system: System,
    account: pwd.struct_passwd,
    unit: UnitFacts,
    mounts: Sequence[Mount],
    subids: SubidFiles,
    wanted: Wanted,
    *,
    at_boot: Optional[bool],
) -> UserFacts:
    session = _with_what_is_handed_down(system, account, session_facts(system, account, subids))
    running: tuple[Running, ...] = ()
    unknown = ""
    if session.missing_controllers(wanted.delegate):
        try:
            running = running_in(system, account)
        except PortError as error:
            unknown = printable(str(error))
    obstacle = ""
    if at_boot is False:
        at_boot, obstacle = _enabled_by_user(system, account)
    return UserFacts(
        session=session,
        unit=unit,
        running=running,
        running_unknown=unknown,
        home_obstacle=home_obstacle(system, account, mounts, _STORAGE),
        at_boot=at_boot,
        at_boot_obstacle=obstacle,
    )


def _with_what_is_handed_down(
    system: System, account: pwd.struct_passwd, session: SessionFacts
) -> SessionFacts:
    """The facts with the controllers that a delegated unit of the manager's really gets.

    Only a manager that began before our drop-in came can have more in its own cgroup than it hands down.
    """
    if session.controllers is None or session.manager_since is None or session.bus:
        return session
    try:
        written = system.stat(DROP_IN).modified_at
    except NotThere:
        return session
    if session.manager_since > written:
        return session
    completed = system.run(
        _probe(UserSession(system, account).cgroup),
        timeout=_PROBE_SECONDS,
        environment=account_environment(account),
        uid=account.pw_uid,
        gid=account.pw_gid,
    )
    if completed.returncode != 0:
        said = printable(completed.stderr.strip(), limit=200)
        return replace(session, bus=f"the user's manager starts no unit (systemd-run --user): {said}")
    handed_down = completed.stdout.split()
    return replace(session, controllers=tuple(name for name in session.controllers if name in handed_down))


def _probe(cgroup: str) -> list[str]:
    """Prints the controllers of a unit that delegates what it has, as an engine's containers get them."""
    unit = f"bulkhead-look-{secrets.token_hex(4)}.service"
    return [
        *("systemd-run", "--user", "--pipe", "--wait", "--collect", "--quiet"),
        *(f"--unit={unit}", "--slice=app.slice", "--property=Delegate=yes", "--"),
        *("cat", f"{CGROUPS}{cgroup}/app.slice/{unit}/cgroup.controllers"),
    ]


def read_units(system: System, uids: Sequence[int]) -> dict[int, UnitFacts]:
    """user@UID.service of each user as systemd has it loaded, or would load it now."""
    names = [f"user@{uid}.service" for uid in uids]
    properties = "Id,DelegateControllers,DropInPaths,NeedDaemonReload"
    completed = system.run(["systemctl", "show", *names, "--property", properties], timeout=_SHOW_SECONDS)
    if completed.returncode != 0:
        raise PortError(f"systemctl show: exit status {completed.returncode}")
    units = {}
    for block in completed.stdout.split("\n\n"):
        found = parse_properties(block)
        drop_ins = tuple(split_words(found.get("DropInPaths", "")))
        units[found.get("Id", "")] = UnitFacts(
            delegate=tuple(found.get("DelegateControllers", "").split()),
            drop_ins=drop_ins,
            needs_reload=found.get("NeedDaemonReload") == "yes"
            or any(not system.exists(path) for path in drop_ins),
        )
    return {uid: units.get(name, UnitFacts()) for uid, name in zip(uids, names)}


def _controllers(system: System) -> Optional[tuple[str, ...]]:
    try:
        return tuple(system.read_text(f"{CGROUPS}/cgroup.controllers", limit=4096).split())
    except NotThere:
        return None


def _id_programs(system: System, mounts: Sequence[Mount]) -> dict[str, str]:
    found = {}
    for name in ID_PROGRAMS:
        path = system.find_program(name)
        if path is not None:
            found[name] = _lacks_rights(system, name, path, mounts)
    return found


def _lacks_rights(system: System, name: str, path: str, mounts: Sequence[Mount]) -> str:
    """Why the program maps no ids, or ""; newuidmap(1) works setuid, or by one file capability."""
    mount = mount_of(mounts, path)
    if mount is not None and "nosuid" in mount.options:
        return f"{path} lies on {mount.mountpoint}, which is mounted nosuid, so that it has no rights"
    if rights_of(system, name, path, system.stat(path)) != "none":
        return ""
    right = ID_PROGRAMS[name][0]
    return (
        f"{path} is neither setuid root nor has it {right}, so that it maps no ids. Reinstall its package, "
        f"or setcap {right}=ep {path}"
    )


def _offers_restart_unit(system: System) -> Optional[bool]:
    """``True``: on for all users, ``False``: to be asked of each, ``None``: this host has none."""
    if system.find_program("podman") is None:
        return None
    if not any(system.exists(f"{place}/{RESTART_UNIT}") for place in _USER_UNITS):
        return None
    return any(RESTART_UNIT in system.names_in(f"{place}/default.target.wants") for place in _USER_UNITS)


def _enabled_by_user(system: System, account: pwd.struct_passwd) -> tuple[bool, str]:
    """Whether the user has enabled the unit, or why it cannot be."""
    units = system.socket_path(f"{account.pw_dir}/.config/systemd/user")
    try:
        answer = look_as(account.pw_uid, account.pw_gid, units, _restart_unit_in, 16)
    except UserFileError as error:
        return False, printable(str(error)).replace(f" {UNCHANGED}", "")
    if answer == b"masked":
        return False, f"{account.pw_name} has masked {RESTART_UNIT} (systemctl --user unmask takes it back)"
    return answer == b"enabled", ""


def _restart_unit_in(directory: int) -> bytes:
    try:
        if os.readlink(RESTART_UNIT, dir_fd=directory) == "/dev/null":
            return b"masked"
    except OSError:
        pass  # it is not there, or a file of the user's
    try:
        os.stat(f"default.target.wants/{RESTART_UNIT}", dir_fd=directory, follow_symlinks=False)
    except OSError:
        return b""
    return b"enabled"
