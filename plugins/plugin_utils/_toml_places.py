# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the keys of a TOML document stand. The document has been accepted by a parser before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import tomllib
from ansible_collections.bulkhead.hardening.plugins.module_utils._brackets import Span
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

__all__ = ["Heading", "Pair", "Place", "TomlPlaces"]

Names = tuple[str, ...]

_DEPTH_LIMIT = 64
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[ \t]*(#[^\n]*)?(\r?\n|$)")
_NAME = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{1,2})?'
    r"|'''.*?'''(?:'{1,2})?"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\s,\]}#]+(?: [0-9][0-9:.+Zz-]*)?")


@dataclass
class Place:
    """A value, ``text[start:end]``; the items of an array or an inline table with their whole spans."""

    start: int
    end: int
    items: list[_Item] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        return [(item.start, item.value.end) for item in self.items]


@dataclass
class _Item:
    """An element (no name), or ``name = value`` in an inline table."""

    name: Names
    start: int
    value: Place


@dataclass
class Pair:
    """``name = value`` on lines of its own, below a heading (or none)."""

    heading: Names
    name: Names
    start: int
    value: Place
    line_start: int
    line_end: int


@dataclass
class Heading:
    """``[name]``; `arrayed` when it, or one that it is below, is an array of tables."""

    name: Names
    start: int
    end: int
    arrayed: bool
    pairs: list[Pair] = field(default_factory=list)


@dataclass
class TomlPlaces:
    """The pairs before the first heading, and the headings with theirs."""

    top: list[Pair] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> TomlPlaces:
        """Find every key."""
        found, arrays = cls(), set[Names]()
        position = _skip(text, 0)
        while position < len(text):
            line_start = text.rfind("\n", 0, position) + 1
            if text[position] == "[":
                position = found._add_heading(text, position, line_start, arrays)
            else:
                position = found._add_pair(text, position, line_start)
            position = _skip(text, position)
        return found

    def _add_heading(self, text: str, position: int, line_start: int, arrays: set[Names]) -> int:
        array = text.startswith("[[", position)
        name, end = _names(text, position + (2 if array else 1))
        end = _line_end(text, end + (2 if array else 1))
        if array:
            arrays.add(name)
        arrayed = any(name[:depth] in arrays for depth in range(1, len(name) + 1))
        self.headings.append(Heading(name, line_start, end, arrayed))
        return end

    def _add_pair(self, text: str, position: int, line_start: int) -> int:
        name, end = _names(text, position)
        value = _value(text, _BLANK.match(text, end + 1).end(), 0)  # type: ignore[union-attr]
        line_end = _line_end(text, value.end)
        heading = self.headings[-1] if self.headings else None
        pair = Pair(heading.name if heading else (), name, position, value, line_start, line_end)
        (heading.pairs if heading else self.top).append(pair)
        return line_end

    def _pairs(self) -> list[Pair]:
        return self.top + [pair for heading in self.headings if not heading.arrayed for pair in heading.pairs]

    def pair(self, path: Sequence[str]) -> Pair | None:
        """The pair whose whole name is the path."""
        wanted = tuple(path)
        return next((pair for pair in self._pairs() if pair.heading + pair.name == wanted), None)

    def find(self, path: Sequence[str]) -> Place | None:
        """The value at a path: of a pair, or within inline tables; None for a table under a heading."""
        for depth in range(len(path), 0, -1):
            pair = self.pair(path[:depth])
            if pair is not None:
                return _within(pair.value, tuple(path[depth:]))
        return None

    def heading(self, name: Sequence[str]) -> Heading | None:
        """The heading of a table that is no element of an array."""
        wanted = tuple(name)
        return next((item for item in self.headings if item.name == wanted and not item.arrayed), None)

    def dotted(self, prefix: Sequence[str]) -> Pair | None:
        """The last pair whose dotted name makes the table `prefix`, which no heading may open again."""
        wanted = tuple(prefix)
        found = [
            pair
            for pair in self._pairs()
            if len(pair.heading) < len(wanted) < len(pair.heading + pair.name)
            and (pair.heading + pair.name)[: len(wanted)] == wanted
        ]
        return found[-1] if found else None

    def is_late(self, heading: Heading) -> bool:
        """Whether a table below it comes before it: as it is where we made it, and rarely anywhere else."""
        return any(
            other.start < heading.start
            and len(other.name) > len(heading.name)
            and other.name[: len(heading.name)] == heading.name
            for other in self.headings
        )

    def top_start(self, text: str) -> int:
        """Where a pair before the first heading goes when there is none yet."""
        return 0 if self.headings else len(text)


def _within(place: Place, names: Names) -> Place | None:
    if not names:
        return place
    for item in place.items:
        if item.name and names[: len(item.name)] == item.name:
            return _within(item.value, names[len(item.name) :])
    return None


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _line_end(text: str, position: int) -> int:
    match = _REST_OF_LINE.match(text, position)
    if match is None:
        raise MergeError("it is TOML of a kind that is not understood here")
    return match.end()


def _names(text: str, position: int) -> tuple[Names, int]:
    """A dotted name, and the place of what follows it."""
    names: list[str] = []
    while True:
        match = _NAME.match(text, _blank_end(text, position))
        if match is None:
            raise MergeError("it is TOML of a kind that is not understood here")
        names.append(_decoded(match.group()))
        position = _blank_end(text, match.end())
        if text[position : position + 1] != ".":
            return tuple(names), position
        position += 1


def _blank_end(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _decoded(name: str) -> str:
    if name[0] not in "\"'":
        return name
    return str(tomllib.loads(f"name = {name}")["name"])


def _value(text: str, start: int, depth: int) -> Place:
    if depth > _DEPTH_LIMIT:
        raise MergeError(f"it is nested deeper than {_DEPTH_LIMIT} levels")
    opening = text[start : start + 1]
    if opening in ("[", "{"):
        return _bracketed(text, start, depth, "]" if opening == "[" else "}")
    match = (_STRING if opening in ('"', "'") else _SCALAR).match(text, start)
    if match is None:
        raise MergeError("it is TOML of a kind that is not understood here")
    return Place(start, match.end())


def _bracketed(text: str, start: int, depth: int, closing: str) -> Place:
    place = Place(start, start)
    position = _skip(text, start + 1)
    while text[position : position + 1] != closing:
        begun = position
        name: Names = ()
        if closing == "}":
            name, position = _names(text, position)
            position = _skip(text, position + 1)
        value = _value(text, position, depth + 1)
        place.items.append(_Item(name, begun, value))
        position = _skip(text, value.end)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
    place.end = position + 1
    return place
