# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where new subordinate ids go: beside all that is taken, uids and gids at the same start where possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import Host, Wanted
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_space import IdSpace
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    UNCHANGED,
    Range,
    SubidError,
)

__all__ = ["SubidSpaces"]

_SYSTEM_IDS = Range(0, 65536)  # 16-bit ids: accounts of the system, nobody, what systemd gives by itself


class SubidSpaces:
    """What is taken of each kind, and of both together."""

    def __init__(self, wanted: Wanted, host: Host) -> None:
        taken = {kind: _taken(wanted, host, kind) for kind in KINDS}
        self._spaces = {kind: IdSpace(taken[kind]) for kind in KINDS}
        self._both = IdSpace([ids for kind in KINDS for ids in taken[kind]])
        self._limits = host.limits

    def choose(
        self, user: str, kinds: Sequence[str], count: int, low: int, near: Optional[int]
    ) -> dict[str, Range]:
        """A free range for each of the kinds, with the same start where there is such a place.

        :param low: no id below it
        :param near: the start to take where it is free: where the user has a range of the other kind
        """
        start = self._common_start(kinds, count, low, near)
        chosen = {}
        for kind in kinds:
            limits = self._limits[kind]
            size = max(count, limits.count)
            least = max(low, limits.minimum)
            place = start if start is not None else self._spaces[kind].first_free(size, least, limits.maximum)
            if place is None:
                raise self._exhausted(user, kind, size, least)
            chosen[kind] = Range(place, size)
        for kind, ids in chosen.items():
            self._spaces[kind].take(ids)
            self._both.take(ids)
        return chosen

    def _common_start(self, kinds: Sequence[str], count: int, low: int, near: Optional[int]) -> Optional[int]:
        least = max([low, *(self._limits[kind].minimum for kind in kinds)])
        most = min(self._limits[kind].maximum for kind in kinds)
        size = max([count, *(self._limits[kind].count for kind in kinds)])
        if near is not None:
            ids = Range(near, size)
            inside = least <= ids.start and ids.last <= most
            if inside and all(self._spaces[kind].is_free(ids) for kind in kinds):
                return near
        return self._both.first_free(size, least, most) if len(kinds) > 1 else None

    def _exhausted(self, user: str, kind: str, size: int, least: int) -> SubidError:
        limits, name = self._limits[kind], kind.upper()
        largest = self._spaces[kind].largest_hole(least, limits.maximum)
        return SubidError(
            f"{FILES[kind]}: no room for {size} ids for {user} from {least} to {limits.maximum} "
            f"(SUB_{name}_MIN and SUB_{name}_MAX of /etc/login.defs): found at most {largest} in one piece. "
            f"Taken are the file's ranges, what reserved names, real ids and {name}_MIN to {name}_MAX. "
            f"Accepted are other limits or less in reserved. {UNCHANGED}"
        )


def _taken(wanted: Wanted, host: Host, kind: str) -> list[Range]:
    file = host.files[kind]
    return [
        _SYSTEM_IDS,
        host.limits[kind].accounts,
        *(entry.ids for entry in file.entries),
        *file.held,
        *(Range(number, 1) for number in host.real[kind]),
        *(keep.ids for keep in wanted.reserved),
    ]
