# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `rootless`: the users of rootless engines, and what the host has for them.

Looked at is every account with subordinate ids, linger, a session or a running container, and every one that
is named. An account without a sign of an engine costs a short process or two and is not looked at further.
"""

from __future__ import annotations

import pwd
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import parse_mountinfo
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman_settings import (
    ConfigurationFiles,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_host import (
    collect_rootless_host,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_podman import HostPodman
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_user import (
    Surroundings,
    account_for,
    collect_user,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import (
    LINGER_DIRECTORY,
    SubidFiles,
    read_subid_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import SubidError

__all__ = ["ROOTLESS_WITNESSES", "USERS_MOST", "collect_rootless"]

ROOTLESS_WITNESSES = {
    "rootless": "the file system",
    "rootless.sysctls": "/proc/sys, and the files of sysctl.d in boot order",
    "rootless.changed_at_boot": "/proc/sys, and the files of sysctl.d in boot order",
    "rootless.delegation": "user@.service and its drop-ins",
    "rootless.subids": "/etc/subuid, /etc/subgid, /etc/passwd and /etc/group",
    "rootless.users": "files of the user's own, read as that user",
    "rootless.users[].linger": "/var/lib/systemd/linger",
    "rootless.users[].manager": "cgroup.events of user@UID.service",
    "rootless.users[].controllers": "cgroup.controllers of user@UID.service",
    "rootless.users[].subids": "/etc/subuid and /etc/subgid, or getsubids",
    "rootless.users[].home_file_system": "/proc/1/mountinfo",
    "rootless.users[].drives_root_engine": "members of the group docker",
    "rootless.users[].podman.socket": "stat(2) as the user, and /proc/net/unix",
    "rootless.users[].docker.info": "GET /info of the user's daemon, asked as the user",
}
USERS_MOST = 200
SECONDS = 60.0
_RUNTIME = "/run/user"
_POLICY = "/etc/containers/policy.json"
_TABLE_LIMIT = 4 * 1024 * 1024


def collect_rootless(
    system: System,
    *,
    users: Sequence[str] = (),
    most: int = USERS_MOST,
    running: Iterable[int] = (),
    podman_version: Any = None,
    root: str = "",
) -> dict[str, Any]:
    """The posture's `rootless`.

    :param users: accounts that are looked at in any case
    :param most: of how many others at most
    :param running: uids with a running container
    :param podman_version: of the host's Podman; None: there is none
    :param root: the directory that stands for `/` where users' own places are looked at
    """
    subid_files = attempt(lambda: _subid_files(system))
    facts = collect_rootless_host(system, subid_files)
    found = attempt(lambda: _accounts(system, users, subid_files, set(running)))
    if is_unreadable(found):
        return {**facts, "users": found, "unknown_users": found, "all_looked_at": found}
    accounts, unknown = found
    around = _surroundings(system, subid_files, podman_version, root)
    looked_at, left_out = _look_at_each(
        accounts,
        lambda account, reasons: collect_user(system, account, reasons, around),
        most,
    )
    return {
        **facts,
        "users": looked_at,
        "unknown_users": unknown,
        "all_looked_at": _all_looked_at(left_out, most, named=bool(users), subid_files=subid_files),
    }


def _all_looked_at(left_out: Sequence[str], most: int, *, named: bool, subid_files: Any) -> Any:
    if left_out:
        return unreadable(_left_out(left_out, most))
    if isinstance(subid_files, SubidFiles) and subid_files.source != "files" and not named:
        return unreadable(
            f"subordinate ids come from {subid_files.source}, which does not list who has them: name the "
            "accounts"
        )
    return True


def _left_out(names: Sequence[str], most: int) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"not looked at, after {most} users or {SECONDS:g} s: {shown}. Name the accounts that matter, or "
        "raise the limit"
    )


_Accounts = list[tuple[pwd.struct_passwd, set[str]]]


def _look_at_each(
    accounts: _Accounts, look: Callable[[pwd.struct_passwd, set[str]], dict[str, Any]], most: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The facts of as many as the limits allow, the likeliest users of engines first, and the others."""
    ends_at = time.monotonic() + SECONDS
    facts: list[dict[str, Any]] = []
    left_out: list[str] = []
    others = 0
    for account, reasons in sorted(accounts, key=lambda item: (_rank(item[1]), item[0].pw_uid)):
        named = "named" in reasons
        others += not named
        if (others > most and not named) or time.monotonic() > ends_at:
            left_out.append(printable(account.pw_name))
        else:
            facts.append(look(account, reasons))
    return sorted(facts, key=lambda entry: entry["uid"]), left_out


def _rank(reasons: set[str]) -> int:
    order = ("named", "containers", "linger", "session", "subids")
    return min(order.index(reason) for reason in reasons)


def _accounts(
    system: System, users: Sequence[str], subid_files: Any, running: set[int]
) -> tuple[_Accounts, list[str]]:
    """Each account with the reasons to look at it, and which of the named ones do not exist; without root."""
    reasons = _reasons(system, users, subid_files, running)
    found: dict[int, tuple[pwd.struct_passwd, set[str]]] = {}
    unknown = []
    for owner, why in reasons.items():
        account = account_for(system, owner)
        if account is None:
            unknown += [printable(owner)] if "named" in why else []
        elif account.pw_uid != 0:
            found.setdefault(account.pw_uid, (account, set()))[1].update(why)
    return list(found.values()), sorted(unknown)


def _reasons(
    system: System, users: Sequence[str], subid_files: Any, running: set[int]
) -> dict[str, set[str]]:
    """Name or uid of an account -> why it is looked at."""
    reasons: dict[str, set[str]] = defaultdict(set)
    for name in users:
        reasons[name].add("named")
    for uid in running:
        reasons[str(uid)].add("containers")
    for name in system.names_in(LINGER_DIRECTORY):
        reasons[name].add("linger")
    for name in system.names_in(_RUNTIME):
        if name.isdigit():
            reasons[name].add("session")
    if isinstance(subid_files, SubidFiles):
        for file in subid_files.files.values():
            for entry in file.entries:
                reasons[entry.owner].add("subids")
    return reasons


def _surroundings(system: System, subid_files: Any, podman_version: Any, root: str) -> Surroundings:
    return Surroundings(
        podman=HostPodman(
            version=podman_version,
            containers=ConfigurationFiles(system, "containers"),
            registries=ConfigurationFiles(system, "registries"),
            policy=attempt(lambda: _text(system, _POLICY)),
        ),
        subid_files=subid_files if isinstance(subid_files, SubidFiles) else None,
        mounts=attempt(lambda: _mounts(system)),
        listening=attempt(lambda: _listening(system)),
        docker_group=attempt(lambda: _docker_group(system)),
        root=root,
    )


def _subid_files(system: System) -> SubidFiles:
    try:
        return read_subid_files(system)
    except SubidError as error:
        raise PortError(str(error)) from error


def _mounts(system: System) -> Any:
    return parse_mountinfo(system.read_text("/proc/1/mountinfo", limit=_TABLE_LIMIT))


def _listening(system: System) -> set[str]:
    """Paths of sockets that something listens on (proc_pid_net(5): flag 00010000, __SO_ACCEPTCON)."""
    text = system.read_text("/proc/1/net/unix", limit=_TABLE_LIMIT)
    rows = (re.split(r" +", line.strip(), maxsplit=7) for line in text.splitlines()[1:])
    return {row[7] for row in rows if len(row) == 8 and row[3] == "00010000"}


def _docker_group(system: System) -> tuple[int, set[str]]:
    """The group whose members drive the engine that runs as root: its id and the accounts listed in it."""
    try:
        group = system.group("docker")
    except NotThere:
        return -1, set()
    return group.gr_gid, set(group.gr_mem)


def _text(system: System, path: str) -> Any:
    try:
        return system.read_text(path)
    except NotThere:
        return None
