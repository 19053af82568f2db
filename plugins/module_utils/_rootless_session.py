# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one account has that a rootless engine needs: linger, a running manager, its bus, controllers, ids.

Read-only, and from the kernel and root's files where they say it: linger is a file of logind's
(``src/login/logind-dbus.c``), a running manager is a populated cgroup (the kernel's cgroup-v2.rst). The bus
socket and the runtime directory are the user's own, and their word.
"""

from __future__ import annotations

import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    octal_mode,
    printable,
    rfc3339,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_collisions import find_collisions
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    LAST_ID,
    Range,
    SubidError,
    SubidFile,
    parse_directory,
    parse_subids,
    subid_source,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import CGROUPS, UserSession

__all__ = [
    "LINGER_DIRECTORY",
    "SessionFacts",
    "SubidFiles",
    "SubordinateIds",
    "read_subid_files",
    "session_facts",
]

LINGER_DIRECTORY = "/var/lib/systemd/linger"
_NSSWITCH = "/etc/nsswitch.conf"
_SUBID_LIMIT = 64 * 1024 * 1024
_GETSUBIDS_SECONDS = 30.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class SubidFiles:
    """The host's subordinate ids, read once for all accounts.

    :ivar source: `files`, or the directory that nsswitch.conf names; then `files` is empty
    :ivar real: by kind, who has which real id on the host itself
    """

    source: str
    files: Mapping[str, SubidFile]
    real: Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class SubordinateIds:
    """What one account has of one kind.

    :ivar collisions: what the ranges overlap with, in words; empty also where a directory gives them
    """

    ranges: tuple[Range, ...]
    collisions: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many ids, each counted once."""
        ids, last = 0, -1
        for item in sorted(self.ranges):
            ids += max(item.last - max(item.start - 1, last), 0)
            last = max(last, item.last)
        return ids

    def as_facts(self) -> dict[str, Any]:
        """For a result: `{count, ranges, collisions}`."""
        return {
            "count": self.count,
            "ranges": [{"start": item.start, "count": item.count} for item in self.ranges],
            "collisions": list(self.collisions),
        }


@dataclass(frozen=True)
class SessionFacts:
    """One account's session. A fact that could not be read is ``None``, and its reason stands in `unread`.

    :ivar linger: whether the account's manager is started at boot and stays after logout
    :ivar runtime_directory: owner and mode of /run/user/UID, `("1000", "0700")`; "" for both: there is none
    :ivar manager: whether user@UID.service runs
    :ivar manager_since: when its process began, in seconds since the epoch; ``None`` also while none runs
    :ivar bus: why the session bus is not to be asked; "": it can be
    :ivar controllers: the cgroup controllers in the running manager's cgroup; ``None`` also while none runs.
        systemd 252 adds to them at a daemon-reload, and a manager that was started before hands down only
        what it had then (tried on Debian 12; 257 does not): see `manager_since`
    :ivar subids: by `uid` and `gid`
    :ivar subid_source: `files`, or the directory that gives subordinate ids
    """

    name: str
    uid: int
    home: str
    linger: Optional[bool]
    runtime_directory: Optional[tuple[str, str]]
    manager: Optional[bool]
    manager_since: Optional[float]
    bus: Optional[str]
    controllers: Optional[tuple[str, ...]]
    subid_source: Optional[str]
    subids: Optional[Mapping[str, SubordinateIds]]
    unread: Mapping[str, str] = field(default_factory=dict)

    def missing_controllers(self, wanted: Sequence[str]) -> list[str]:
        """Which of these the running manager does not have; empty while none runs."""
        return [name for name in wanted if self.controllers is not None and name not in self.controllers]

    def as_facts(self) -> dict[str, Any]:
        """For a module's result and the posture; `{unreadable: reason}` where a fact could not be read."""
        owner, mode = self.runtime_directory or ("", "")
        facts: dict[str, Any] = {
            "linger": self.linger,
            "runtime_directory": {
                "path": f"/run/user/{self.uid}",
                "exists": bool(owner),
                "owner": owner or None,
                "mode": mode or None,
            },
            "manager": self.manager,
            "manager_since": None if self.manager_since is None else rfc3339(self.manager_since),
            "bus": {"usable": self.bus == "", "reason": self.bus or None},
            "controllers": None if self.controllers is None else list(self.controllers),
            "subids": None
            if self.subids is None
            else {
                "source": self.subid_source,
                **{kind: self.subids[kind].as_facts() for kind in KINDS},
            },
        }
        facts.update({name: unreadable(reason) for name, reason in self.unread.items()})
        return {"name": printable(self.name), "uid": self.uid, "home": printable(self.home), **facts}


def session_facts(
    system: System, account: pwd.struct_passwd, subid_files: Optional[SubidFiles] = None
) -> SessionFacts:
    """Look at one account.

    :param subid_files: from `read_subid_files`, where several accounts are looked at
    """
    unread: dict[str, str] = {}

    def read(name: str, look: Callable[[], _T]) -> Optional[_T]:
        try:
            return look()
        except (PortError, SubidError) as error:
            unread[name] = str(error)
            return None

    session = UserSession(system, account)
    cgroup = f"{CGROUPS}{session.cgroup}"
    manager = read("manager", lambda: _is_populated(system, cgroup))
    subids = read("subids", lambda: _subids_of(system, account, subid_files or read_subid_files(system)))
    return SessionFacts(
        name=account.pw_name,
        uid=account.pw_uid,
        home=account.pw_dir,
        linger=read("linger", lambda: system.exists(f"{LINGER_DIRECTORY}/{account.pw_name}")),
        runtime_directory=read("runtime_directory", lambda: _owner_and_mode(system, session)),
        manager=manager,
        manager_since=read("manager_since", lambda: _since(system, cgroup)) if manager else None,
        bus=session.without_socket("bus", "no session bus of this user runs") or "",
        controllers=read("controllers", lambda: _controllers(system, cgroup)) if manager else None,
        subid_source=subids[0] if subids else None,
        subids=subids[1] if subids else None,
        unread=unread,
    )


def read_subid_files(system: System) -> SubidFiles:
    """The host's subordinate ids and the real ids on it; raises `PortError`."""
    source = subid_source(_text(system, _NSSWITCH))
    if source != "files":
        return SubidFiles(source, {}, {})
    files = {kind: parse_subids(path, _text(system, path)) for kind, path in FILES.items()}
    users = _records(_text(system, "/etc/passwd"), 7)
    groups = _records(_text(system, "/etc/group"), 4)
    real = {
        "uid": {int(row[2]): f"user {printable(row[0])}" for row in reversed(users)},
        "gid": {int(row[2]): f"group {printable(row[0])}" for row in reversed(groups)},
    }
    return SubidFiles(source, files, real)


def _subids_of(
    system: System, account: pwd.struct_passwd, found: SubidFiles
) -> tuple[str, dict[str, SubordinateIds]]:
    owners = (account.pw_name, str(account.pw_uid))
    if found.source != "files":
        return found.source, {kind: _from_directory(system, kind, account.pw_name) for kind in KINDS}
    names = {str(uid): text.partition(" ")[2] for uid, text in found.real["uid"].items()}
    subids = {}
    for kind in KINDS:
        file = found.files[kind]
        collisions = find_collisions(
            file, real=found.real[kind], reserved=(), owner_of=lambda owner: names.get(owner, owner)
        )
        subids[kind] = SubordinateIds(
            tuple(entry.ids for entry in file.entries if entry.owner in owners),
            tuple(
                collision.text()
                for collision in collisions
                if any(entry.owner in owners for entry in collision.entries)
            ),
        )
    return found.source, subids


def _from_directory(system: System, kind: str, name: str) -> SubordinateIds:
    """What getsubids(1) says; a user without ranges and a directory that is away look alike there."""
    option = ["-g"] if kind == "gid" else []
    completed = system.run(["getsubids", *option, name], timeout=_GETSUBIDS_SECONDS)
    outputs = [completed.stdout] if completed.returncode == 0 else []
    return SubordinateIds(tuple(entry.ids for entry in parse_directory(kind, outputs).entries))


def _is_populated(system: System, cgroup: str) -> bool:
    """Whether a process is in the cgroup or below it."""
    if not system.exists(f"{CGROUPS}/cgroup.controllers"):
        raise PortError("this host has no unified cgroup hierarchy")
    try:
        words = system.read_text(f"{cgroup}/cgroup.events", limit=4096).split()
    except NotThere:
        return False
    return words[words.index("populated") + 1 :][:1] == ["1"] if "populated" in words else False


def _since(system: System, cgroup: str) -> Optional[float]:
    """The manager is the first process of its own scope (systemd: ``src/core/cgroup.c``)."""
    try:
        pids = system.read_text(f"{cgroup}/init.scope/cgroup.procs", limit=4096).split()
        with system.process(min(int(pid) for pid in pids)) as process:
            return system.started_at(process.start_ticks)
    except (NotThere, ValueError):  # it ends just now
        return None


def _controllers(system: System, cgroup: str) -> Optional[tuple[str, ...]]:
    try:
        return tuple(system.read_text(f"{cgroup}/cgroup.controllers", limit=4096).split())
    except NotThere:  # the manager ended just now
        return None


def _owner_and_mode(system: System, session: UserSession) -> tuple[str, str]:
    try:
        facts = system.stat(session.runtime_directory, follow=False)
    except NotThere:
        return "", ""
    return printable(system.account_name(facts.uid)), octal_mode(facts.mode)


def _text(system: System, path: str) -> str:
    try:
        return system.read_text(path, limit=_SUBID_LIMIT)
    except NotThere:
        return ""


def _records(text: str, fields: int) -> list[list[str]]:
    rows = [line.split(":") for line in text.split("\n")]
    return [
        row
        for row in rows
        if len(row) == fields
        and row[2].isascii()
        and row[2].isdigit()
        and len(row[2]) <= len(str(LAST_ID))
        and int(row[2]) <= LAST_ID
    ]
