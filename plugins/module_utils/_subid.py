# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Subordinate ids, decided: who gets which range, what collides, and what is left with the reason.

A range that is there is never changed or taken away. A user whose engine has storage gets ids only behind the
last one that they have: containers/storage (``pkg/idtools``, ``createIDMap``) sorts a user's ranges by their
first id and maps them one behind the other, so that a lower one would give every file another owner.
Running containers see new ranges after ``podman system migrate``, which stops them (its man page).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_collisions import (
    Collision,
    find_collisions,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import (
    Addition,
    Host,
    Storage,
    SubidPlan,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_places import SubidSpaces
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_space import IdSpace
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    Entry,
    Range,
    SubidError,
)

__all__ = ["decide", "users_in_question"]

_RANGES_SHOWN = 5


def users_in_question(wanted: Wanted, host: Host) -> dict[str, bool]:
    """The users whose storage matters, and whether a range from before does too: they have none of a kind."""
    colliding = _colliding_users(_collisions(wanted, host))
    return {
        user: any(not host.own(kind, user) for kind in KINDS)
        for user in wanted.users
        if colliding.intersection(host.owners(user)) or _short_kinds(wanted, host, user)
    }


def decide(wanted: Wanted, host: Host) -> SubidPlan:
    """The plan.

    :raises SubidError: there is no room for a range
    """
    plan = SubidPlan(collisions=_collisions(wanted, host))
    plan.unusable = [(host.files[kind].path, line) for kind in KINDS for line in host.files[kind].unusable]
    spaces = SubidSpaces(wanted, host)
    for user in wanted.users:
        _decide_user(wanted, host, user, spaces, plan)
        _look_at_collisions(host, user, plan)
    return plan


def _decide_user(wanted: Wanted, host: Host, user: str, spaces: SubidSpaces, plan: SubidPlan) -> None:
    moved = [kind for kind in KINDS if not _keeps_places(host, kind, user)]
    if moved:
        used = ", ".join(str(ids) for ids in host.held_maps[user][moved[0]][:_RANGES_SHOWN])
        plan.pending[user] = (
            f"{' and '.join(host.files[kind].path for kind in moved)}: the ranges were changed while Podman "
            f"ran, which uses {used}. When it starts anew, its files get other owners. Put these ranges in "
            "their place again, and others behind the last id of them"
        )
        return
    short = _short_kinds(wanted, host, user)
    obstacle = _obstacle(wanted, host, user, short) if short else None
    if obstacle is not None:
        plan.pending[user] = obstacle
    elif short:
        _allocate(wanted, host, user, short, spaces, plan)
    _decide_migration(wanted, host, user, plan)


def _keeps_places(host: Host, kind: str, user: str) -> bool:
    """Whether a new user namespace maps every id that the pause process's one maps to the same place."""
    mapped = host.held_maps.get(user, {}).get(kind, ())
    ranges = sorted(host.own(kind, user))[: len(mapped)]
    return [ids.start for ids in ranges] == [ids.start for ids in mapped] and all(
        after.count == before.count or (place == len(mapped) and after.count > before.count)
        for place, (after, before) in enumerate(zip(ranges, mapped), 1)
    )


def _collisions(wanted: Wanted, host: Host) -> list[Collision]:
    return [
        collision
        for kind in KINDS
        for collision in find_collisions(
            host.files[kind], real=host.real[kind], reserved=wanted.reserved, owner_of=host.owner_of
        )
    ]


def _colliding_users(collisions: Sequence[Collision]) -> set[str]:
    return {entry.owner for collision in collisions for entry in collision.entries}


def _short_kinds(wanted: Wanted, host: Host, user: str) -> list[str]:
    return [kind for kind in KINDS if IdSpace(host.own(kind, user)).size() < wanted.count]


def _obstacle(wanted: Wanted, host: Host, user: str, short: Sequence[str]) -> Optional[str]:
    """Why a user who has too few ids gets none; None: nothing is in the way."""
    if host.source != "files":
        return (
            f"has fewer than {wanted.count} ids in {' and '.join(host.files[kind].path for kind in short)}, "
            f"which come from {printable(host.source)} (nsswitch.conf: subid); give a range in that directory"
        )
    storage = host.storage.get(user, Storage())
    for kind in short:
        reason = _storage_obstacle(wanted, host, user, kind, storage)
        if reason is not None:
            return reason
    return None


def _storage_obstacle(wanted: Wanted, host: Host, user: str, kind: str, storage: Storage) -> Optional[str]:
    path = FILES[kind]
    if storage.doubt is not None:
        return (
            f"{path}: too few ids, and it is not known whether there is storage: {storage.doubt}. Make that "
            f"readable to {user}, or add a range by usermod"
        )
    if host.own(kind, user):
        ids_before = True
    elif storage.docker:
        return _range_lost(path, user, "a rootless Docker daemon has storage, and none works without a range")
    elif kind in storage.earlier:
        return _range_lost(path, user, f"Podman has storage, and {storage.earlier[kind]}")
    else:
        ids_before = False
    if not storage.podman or wanted.migrate:
        return None
    return (
        f"{path}: {'too few ids' if ids_before else 'no range'}, and Podman has storage. New ids come into "
        f"force by podman system migrate, which stops the containers of {user}: allow it with migrate"
    )


def _range_lost(path: str, user: str, reason: str) -> str:
    return (
        f"{path}: no range, but {reason}. Another range would give its files another owner. Put the line "
        f"from before back (a backup of {path}, or the owners that ls -n shows), or remove the storage as "
        f"{user}"
    )


def _allocate(
    wanted: Wanted, host: Host, user: str, short: Sequence[str], spaces: SubidSpaces, plan: SubidPlan
) -> None:
    storage = host.storage.get(user, Storage())
    own = {kind: host.own(kind, user) for kind in KINDS}
    behind = 0
    if storage.exists():
        behind = max([ids.last + 1 for kind in short for ids in own[kind]], default=0)
    others = [ids.start for kind in KINDS if kind not in short for ids in own[kind]]
    near = others[0] if len(others) == 1 else None
    try:
        chosen = spaces.choose(user, short, wanted.count, behind, near)
    except SubidError:
        if not behind:
            raise
        plan.pending[user] = (
            f"{FILES[short[0]]}: too few ids, and there is storage, to which only ids from {behind} on can "
            f"be added; no {wanted.count} of them are free in one piece. Free some, or raise the "
            "maximum in /etc/login.defs"
        )
        return
    plan.additions += [Addition(kind, user, ids) for kind, ids in chosen.items()]
    if storage.podman:
        plan.migrate.append(user)
    if storage.docker:
        plan.notices.append(
            f"{user}: the new ids come into force when the rootless Docker daemon starts anew."
        )


def _look_at_collisions(host: Host, user: str, plan: SubidPlan) -> None:
    names = host.owners(user)
    found = [item for item in plan.collisions if any(entry.owner in names for entry in item.entries)]
    if not found:
        return
    texts = "; ".join(collision.text() for collision in found)
    entries = [(item.path, entry) for item in found for entry in item.entries if entry.owner in names]
    way = _way_out(host, user, entries)
    before = f"{plan.pending[user]}. " if user in plan.pending else ""
    plan.pending[user] = f"{before}{texts}. No range that is there is changed. {way}"


def _way_out(host: Host, user: str, entries: Sequence[tuple[str, Entry]]) -> str:
    storage = host.storage.get(user, Storage())
    if host.source != "files":
        return "Mend it in the directory that the ranges come from"
    named = [
        f"--del-sub{'gid' if path == FILES['gid'] else 'uid'}s {entry.ids}"
        for path, entry in dict.fromkeys(entries)
        if entry.owner == user
    ]
    # usermod(8) finds the lines of the name alone.
    ways = [f"usermod {' '.join(named)} {user}"] if named else []
    ways += [f"line {entry.line} of {path}" for path, entry in dict.fromkeys(entries) if entry.owner != user]
    again = f"take the range away ({', '.join(ways)}) while nothing of {user} runs, and run this again"
    if not storage.exists():
        return f"To give {user} another range: {again}; or do so for the other side"
    return (
        f"{user} has storage, whose files belong to these ids. To give {user} another range: save what is "
        f"needed (podman save, podman volume export), remove the storage as {user}, then {again}; or move "
        "the other side"
    )


def _decide_migration(wanted: Wanted, host: Host, user: str, plan: SubidPlan) -> None:
    """Whether Podman's pause process still holds a user namespace from before the ranges were added."""
    maps = host.held_maps.get(user)
    if maps is None or user in plan.migrate or any(item.user == user for item in plan.additions):
        return
    missing = [kind for kind in KINDS if not _covers(maps[kind], plan.ranges(host, kind, user))]
    if not missing:
        return
    if wanted.migrate:
        plan.migrate.append(user)
    else:
        plan.pending.setdefault(
            user,
            f"running containers do not have all of the {' and '.join(missing)} ranges yet. podman system "
            f"migrate brings them into force and stops the containers of {user}: allow it with migrate",
        )


def _covers(maps: Sequence[Range], ranges: Sequence[Range]) -> bool:
    space = IdSpace(maps)
    return all(space.holds(ids) for ids in ranges)
