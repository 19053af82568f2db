# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked for, what was found and what is planned, where subordinate ids are allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_collisions import Collision, Reserved
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    LAST_ID,
    UNCHANGED,
    Limits,
    Range,
    SubidError,
    SubidFile,
    Unusable,
    with_lines,
)

__all__ = ["LEAST_COUNT", "Account", "Addition", "Host", "Storage", "SubidPlan", "Wanted", "wanted_of"]

LEAST_COUNT = 65536


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `migrate`: `podman system migrate` is allowed, which stops containers."""

    users: tuple[str, ...]
    count: int = LEAST_COUNT
    reserved: tuple[Reserved, ...] = ()
    migrate: bool = False


@dataclass(frozen=True)
class Account:
    """A user's record in passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Storage:
    """What a user's rootless engines keep.

    :ivar podman: whether there is storage of Podman's, `docker`: of a rootless Docker daemon
    :ivar earlier: by kind, why the files may belong to a range from before; only looked for where it matters
    :ivar doubt: why it is not known whether there is storage; then it counts as if there were
    """

    podman: bool = False
    docker: bool = False
    earlier: Mapping[str, str] = field(default_factory=dict)
    doubt: Optional[str] = None

    def exists(self) -> bool:
        """Whether there is storage, or may be."""
        return self.podman or self.docker or self.doubt is not None


@dataclass(frozen=True)
class Host:
    """What was found. `real`: by kind, who has which real id, `{"uid": {0: "user root"}}`.

    :ivar source: `files`, or the directory that subordinate ids come from; then nothing is allocated
    :ivar storage: of the users whom `users_in_question` names
    :ivar held_maps: by user and kind, the subordinate ids that the pause process of their Podman maps, in
    order"""

    files: Mapping[str, SubidFile]
    limits: Mapping[str, Limits]
    accounts: Mapping[str, Account]
    real: Mapping[str, Mapping[int, str]]
    source: str = "files"
    storage: Mapping[str, Storage] = field(default_factory=dict)
    held_maps: Mapping[str, Mapping[str, Sequence[Range]]] = field(default_factory=dict)

    def owner_of(self, owner: str) -> str:
        """The account's name for an entry's owner, which may be a uid."""
        if not owner.isascii() or not owner.isdigit() or len(owner) > len(str(LAST_ID)):
            return owner
        return self.real["uid"].get(int(owner), f"user {owner}").partition(" ")[2]

    def owners(self, user: str) -> tuple[str, str]:
        """What an account is called in the files: its name and its uid (subuid(5))."""
        return user, str(self.accounts[user].uid)

    def own(self, kind: str, user: str) -> list[Range]:
        """The ranges that a user has, in the file's order."""
        return [entry.ids for entry in self.files[kind].entries if entry.owner in self.owners(user)]


@dataclass(frozen=True)
class Addition:
    """A range that a user gets."""

    kind: str
    user: str
    ids: Range

    def line(self) -> str:
        """As it stands in the file."""
        return f"{self.user}:{self.ids.start}:{self.ids.count}"


@dataclass
class SubidPlan:
    """What a run does, and what it leaves.

    :ivar migrate: users for whom `podman system migrate` runs
    :ivar pending: by user, what was not done, why, and what would have to happen
    """

    additions: list[Addition] = field(default_factory=list)
    migrate: list[str] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)
    unusable: list[tuple[str, Unusable]] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def text(self, kind: str, found: str) -> str:
        """The whole text of a file afterwards: what was there, and the new lines behind it."""
        return with_lines(found, [item.line() for item in self.additions if item.kind == kind])

    def ranges(self, host: Host, kind: str, user: str) -> list[Range]:
        """The ranges that a user has afterwards."""
        added = [item.ids for item in self.additions if (item.kind, item.user) == (kind, user)]
        return host.own(kind, user) + added

    def lines(self) -> list[str]:
        """Every change, a line each."""
        lines = [f"{FILES[item.kind]}: {item.line()}" for item in self.additions]
        return lines + [f"{user}: podman system migrate" for user in self.migrate]


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """The module's options, checked.

    :raises SubidError: one of them is not as it has to be
    """
    for place, name in enumerate(params["users"]):
        _check_name(f"users[{place}]", name)
    if not LEAST_COUNT <= params["count"] <= LAST_ID:
        raise SubidError(
            f"count: found {params['count']}, accepted is a number from {LEAST_COUNT} to {LAST_ID}. "
            f"{UNCHANGED}"
        )
    reserved = []
    for place, item in enumerate(params["reserved"]):
        ids = Range(item["start"], item["count"])
        if ids.start < 0 or ids.count < 1 or ids.last > LAST_ID:
            raise SubidError(
                f"reserved[{place}]: found start {ids.start} and count {ids.count}; accepted are a start "
                f"from 0 and a count from 1 that do not go beyond {LAST_ID}. {UNCHANGED}"
            )
        reserved.append(Reserved(ids, item["reason"], item["owner"] or ""))
    return Wanted(tuple(dict.fromkeys(params["users"])), params["count"], tuple(reserved), params["migrate"])


def _check_name(option: str, name: str) -> None:
    wrong = not name or name != name.strip() or name[0] in "#+-" or ":" in name or not name.isprintable()
    if wrong or name.isdigit():
        raise SubidError(
            f"{option}: found {name!r}, accepted is an account's name that can stand in {FILES['uid']}: not "
            f"a number, no colon or control character in it, none of # + - before it. {UNCHANGED}"
        )
