# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which ids are taken, and where the first free range of a length is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import Range

__all__ = ["IdSpace"]


class IdSpace:
    """A set of taken ids, kept as ascending ranges that do not touch."""

    def __init__(self, taken: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._lasts: list[int] = []
        for ids in sorted(ids for ids in taken if ids.count > 0):
            if self._lasts and ids.start <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], ids.last)
            else:
                self._starts.append(ids.start)
                self._lasts.append(ids.last)

    def take(self, ids: Range) -> None:
        """Count a range as taken, whether some of it was already or not."""
        if ids.count <= 0:
            return
        first = bisect_left(self._lasts, ids.start - 1)
        behind = bisect_left(self._starts, ids.last + 2)
        start, last = ids.start, ids.last
        if first < behind:
            start, last = min(start, self._starts[first]), max(last, self._lasts[behind - 1])
        self._starts[first:behind] = [start]
        self._lasts[first:behind] = [last]

    def size(self) -> int:
        """How many ids are taken."""
        return sum(last - start + 1 for start, last in zip(self._starts, self._lasts))

    def holds(self, ids: Range) -> bool:
        """Whether every id of a range is taken."""
        place = bisect_left(self._lasts, ids.last)
        return place < len(self._starts) and self._starts[place] <= ids.start

    def is_free(self, ids: Range) -> bool:
        """Whether no id of a range is taken."""
        place = bisect_left(self._lasts, ids.start)
        return place == len(self._starts) or self._starts[place] > ids.last

    def first_free(self, count: int, low: int, high: int) -> Optional[int]:
        """The lowest start of `count` free ids in `low`…`high`; None: there is no such place."""
        return next((hole.start for hole in self._holes(low, high) if hole.count >= count), None)

    def largest_hole(self, low: int, high: int) -> int:
        """How many ids the largest free range in `low`…`high` has."""
        return max((hole.count for hole in self._holes(low, high)), default=0)

    def _holes(self, low: int, high: int) -> Iterator[Range]:
        for place in range(bisect_left(self._lasts, low), len(self._starts)):
            if self._starts[place] > high:
                break
            if self._starts[place] > low:
                yield Range(low, self._starts[place] - low)
            low = self._lasts[place] + 1
        if low <= high:
            yield Range(low, high - low + 1)
