# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Subordinate ids that belong to somebody else too: another range, a real id, what is reserved."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    Entry,
    Range,
    SubidFile,
)

__all__ = ["Collision", "Reserved", "find_collisions"]

_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Reserved:
    """Ids that a variable keeps free.

    :ivar owner: whose own entries may lie in it (`kubelet`); empty: nobody's
    """

    ids: Range
    reason: str
    owner: str = ""


@dataclass(frozen=True)
class Collision:
    """Entries of a file that overlap with each other, or one that holds ids of somebody else.

    :ivar kind: `ranges`, `same_owner`, `account` or `reserved`
    :ivar others: in words, what the first entry overlaps with, where that is no entry
    """

    path: str
    kind: str
    entries: tuple[Entry, ...]
    others: str = ""

    def text(self) -> str:
        """For a message."""
        parts = [f"{printable(entry.owner)} {entry.ids} (line {entry.line})" for entry in self.entries]
        return f"{self.path}: {' overlaps with '.join([*_shortened(parts), *filter(None, [self.others])])}"

    def facts(self) -> dict[str, Any]:
        """For the module's result."""
        return {
            "path": self.path,
            "kind": self.kind,
            "lines": [entry.line for entry in self.entries],
            "owners": sorted({printable(entry.owner) for entry in self.entries}),
            "text": self.text(),
        }


def _shortened(parts: Sequence[str]) -> list[str]:
    more = len(parts) - _NAMES_SHOWN
    return [*parts[:_NAMES_SHOWN], f"{more} more"] if more > 0 else list(parts)


def find_collisions(
    file: SubidFile,
    *,
    real: Mapping[int, str],
    reserved: Sequence[Reserved],
    owner_of: Callable[[str], str],
) -> list[Collision]:
    """All collisions in a file.

    :param real: who has a real id, `{1000: "user alice"}`
    :param owner_of: one name for a name and a uid of the same account
    """
    found = [_among_entries(file.path, group, owner_of) for group in _overlapping(file.entries)]
    ids = sorted(real)
    for entry in file.entries:
        inside = ids[bisect_left(ids, entry.ids.start) : bisect_left(ids, entry.ids.last + 1)]
        if inside:
            names = ", ".join(_shortened([f"the id {number} of {real[number]}" for number in inside]))
            found.append(Collision(file.path, "account", (entry,), names))
        for keep in reserved:
            if keep.ids.overlaps(entry.ids) and owner_of(entry.owner) != keep.owner:
                text = f"what is reserved, {keep.ids} ({keep.reason})"
                found.append(Collision(file.path, "reserved", (entry,), text))
    return found


def _among_entries(path: str, group: Sequence[Entry], owner_of: Callable[[str], str]) -> Collision:
    owners = {owner_of(entry.owner) for entry in group}
    ordered = sorted(group, key=lambda entry: entry.line)
    return Collision(path, "ranges" if len(owners) > 1 else "same_owner", tuple(ordered))


def _overlapping(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries that overlap, in groups within which each is tied to another."""
    group: list[Entry] = []
    last = -1
    for entry in sorted(entries, key=lambda entry: entry.ids):
        if entry.ids.start > last:
            if len(group) > 1:
                yield group
            group = []
        group.append(entry)
        last = max(last, entry.ids.last)
    if len(group) > 1:
        yield group
