# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role wants of a file: exact values, and floors that give way to a stronger value that is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError

__all__ = ["ABSENT", "LIST_MODES", "Absent", "Floor", "KeyPath", "WantedKeys", "leaves"]

KeyPath = tuple[str, ...]

# additive: the elements are added to those of others; authoritative: they are the whole list
LIST_MODES = ("additive", "authoritative")

_SIZE = re.compile(r"(?i)\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?\s*")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class Absent:
    """The type of `ABSENT`: the key is not in the file."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


def _size(value: Any) -> float | None:
    """``10m`` -> bytes; ``None`` for what is no size (``-1``: unlimited), so that it never is the smaller."""
    match = _SIZE.fullmatch(str(value)) if not isinstance(value, bool) else None
    return None if match is None else float(match[1]) * 1024 ** _UNITS[match[2].lower()]


def _number(value: Any) -> float | None:
    text = str(value).strip()
    return float(text) if not isinstance(value, bool) and re.fullmatch(r"\d+", text) else None


# name of the order -> how a value is measured; the smaller is the stronger
_ORDERS: dict[str, Callable[[Any], float | None]] = {"smaller_size": _size, "smaller_number": _number}


@dataclass(frozen=True)
class Floor:
    """A value that is set unless the file holds a stronger one.

    :ivar key: path of the key
    :ivar value: what to set
    :ivar stronger: ``smaller_size`` or ``smaller_number``: a smaller value in the file stays
    :ivar weak: with this list only a value of the list is replaced; an absent key stays absent
    """

    key: KeyPath
    value: Any
    stronger: str | None = None
    weak: tuple[Any, ...] | None = None

    @classmethod
    def from_mapping(cls, item: Mapping[str, Any]) -> Floor:
        """Read one element of the option ``at_least``."""
        stronger, weak = item.get("stronger"), item.get("weak")
        if (stronger is None) == (weak is None) or (stronger is not None and stronger not in _ORDERS):
            raise MergeError(f"at_least: give one of stronger ({', '.join(_ORDERS)}) and weak (a list)")
        return cls(
            key=tuple(item["key"]),
            value=item["value"],
            stronger=stronger,
            weak=None if weak is None else tuple(weak),
        )

    def gives_way_to(self, value: Any) -> bool:
        """Whether this value of somebody else (or its absence) stays."""
        if self.weak is not None:
            return not any(same(value, weak) for weak in self.weak)
        if isinstance(value, Absent):
            return False
        measure = _ORDERS[str(self.stronger)]
        found, ours = measure(value), measure(self.value)
        return found is not None and ours is not None and found < ours


@dataclass(frozen=True)
class WantedKeys:
    """Exact values by path, floors, and elements that are wanted in lists beside those of others.

    A floor that touches an exact value's path is not there any more.
    """

    exact: dict[KeyPath, Any]
    floors: tuple[Floor, ...] = ()
    additive: dict[KeyPath, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def from_options(
        cls,
        keys: Mapping[str, Any],
        at_least: Sequence[Mapping[str, Any]],
        lists: Sequence[Mapping[str, Any]] = (),
    ) -> WantedKeys:
        """Read the options ``keys``, ``at_least`` and ``lists`` of a file.

        :raises MergeError: an option is not understood, or two of them name the same key
        """
        exact = leaves(keys)
        additive: dict[KeyPath, tuple[Any, ...]] = {}
        for item in lists:
            key, mode = tuple(item["key"]), item.get("mode", "additive")
            if mode not in LIST_MODES:
                raise MergeError(f"lists: mode: found {mode!r}, accepted are: {', '.join(LIST_MODES)}")
            if not key or _touches(key, exact) or _touches(key, additive):
                raise MergeError(f"lists: {'.'.join(key)}: it is named twice, or keys holds it too")
            if mode == "authoritative":
                exact[key] = list(item["elements"])
            else:
                additive[key] = tuple(item["elements"])
        floors = tuple(Floor.from_mapping(item) for item in at_least)
        for floor in floors:
            if _touches(floor.key, additive):
                raise MergeError(f"at_least: {'.'.join(floor.key)}: lists names it too")
        return cls(exact, tuple(floor for floor in floors if not _touches(floor.key, exact)), additive)


def leaves(document: Mapping[str, Any], prefix: KeyPath = ()) -> dict[KeyPath, Any]:
    """Every value that is no object (or an empty one), by the path that leads to it."""
    found: dict[KeyPath, Any] = {}
    for name, value in document.items():
        path = (*prefix, str(name))
        if isinstance(value, Mapping) and value:
            found.update(leaves(value, path))
        else:
            found[path] = value
    return found


def _touches(key: KeyPath, others: Mapping[KeyPath, Any]) -> bool:
    """Whether the key is one of the others, above one or below one."""
    return any(key[: len(other)] == other[: len(key)] for other in others)
