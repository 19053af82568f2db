# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A YAML document as a tree that knows where everything stands.

Withstands a file that another wrote: several documents, keys that are there twice or are no scalars, aliases
that multiply without end, and nesting deeper than 64 end in `MergeError`, never in a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import yaml
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.module_utils._yaml_scalars import plain_scalar

__all__ = ["Member", "Tree", "parse_yaml"]

# PyYAML's own types leave open whether an event of a parsed text has marks; it has.
_Event = Any
_Mark = Any

_DEPTH_LIMIT = 64
_VALUE_LIMIT = 100_000
_COLON = re.compile(r"\s*:")
_STR = "tag:yaml.org,2002:str"


@dataclass(eq=False)
class Tree:
    """A value, ``text[start:end]``. `block`: a mapping or list without brackets, its lines at `column`."""

    value: Any
    start: int
    end: int
    column: int = 0
    block: bool = False
    members: list[Member] = field(default_factory=list)
    items: list[Tree] = field(default_factory=list)

    def member(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)


@dataclass(eq=False)
class Member:
    """A key at `start`, `column` of its line; `colon` is the place behind its colon."""

    name: str
    start: int
    column: int
    colon: int
    value: Tree


def parse_yaml(text: str) -> Tree | None:
    """The tree of the one document in a text; None when there is nothing in it."""
    try:
        events = list(_not_too_deep(yaml.parse(text, Loader=yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f": line {mark.line + 1} column {mark.column + 1}"
        # The parser's own sentence may quote the file, which may hold secrets.
        raise MergeError(f"it is not YAML{where}") from None
    except yaml.YAMLError:
        raise MergeError("it is not YAML: it holds a character that is not allowed") from None
    if sum(isinstance(event, yaml.DocumentStartEvent) for event in events) > 1:
        raise MergeError("it holds several documents; accepted is one")
    nodes = [event for event in events if isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent))]
    if not nodes or (len(nodes) == 1 and _is_empty(nodes[0])):
        return None
    return _Builder(text, iter(nodes)).tree()


def _not_too_deep(events: Iterator[_Event]) -> Iterator[_Event]:
    """The events as they come: the time PyYAML takes grows with the square of the depth, and here it ends."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_LIMIT:
            raise MergeError(f"it is nested deeper than {_DEPTH_LIMIT} levels")
        yield event


def _index(mark: _Mark) -> int:
    return int(mark.index)


def _column(mark: _Mark) -> int:
    return int(mark.column)


def _is_empty(event: _Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and _index(event.start_mark) == _index(event.end_mark)


class _Builder:
    """Turns events into trees; aliases count as often as they are used."""

    def __init__(self, text: str, events: Iterator[_Event]) -> None:
        self.text = text
        self.events = events
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.values = 0

    def tree(self, event: _Event | None = None) -> Tree:
        event = next(self.events) if event is None else event
        begun = self.values
        self._count(1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            found = Tree(_scalar(event), _index(event.start_mark), self._scalar_end(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._sequence(event)
        else:
            found = self._mapping(event)
        if event.anchor:
            self.anchors[event.anchor] = (found.value, self.values - begun)
        return found

    def _count(self, values: int) -> None:
        self.values += values
        if self.values > _VALUE_LIMIT:
            raise MergeError(f"it holds more than {_VALUE_LIMIT} values")

    def _alias(self, event: _Event) -> Tree:
        if event.anchor not in self.anchors:
            raise MergeError("an alias in it refers to nothing before it")
        value, size = self.anchors[event.anchor]
        self._count(size)
        # A value of its own: what is changed in one place of it must not seem to change in the other.
        return Tree(deepcopy(value), _index(event.start_mark), _index(event.end_mark))

    def _scalar_end(self, event: _Event) -> int:
        end = _index(event.end_mark)
        if event.style in ("|", ">"):
            end -= 1 if self.text[:end].endswith("\n") else 0
            end -= 1 if self.text[:end].endswith("\r") else 0
        return end

    def _sequence(self, event: _Event) -> Tree:
        found = Tree([], _index(event.start_mark), 0, _column(event.start_mark), block=not event.flow_style)
        while not isinstance(following := next(self.events), yaml.SequenceEndEvent):
            found.items.append(self.tree(following))
            found.value.append(found.items[-1].value)
        found.end = _index(following.end_mark) if event.flow_style else found.items[-1].end
        return found

    def _mapping(self, event: _Event) -> Tree:
        found = Tree({}, _index(event.start_mark), 0, _column(event.start_mark), block=not event.flow_style)
        while not isinstance(following := next(self.events), yaml.MappingEndEvent):
            member = self._member(following)
            if member.name in found.value:
                line = following.start_mark.line + 1
                raise MergeError(f"the key {member.name!r} stands in it twice, line {line}")
            found.members.append(member)
            found.value[member.name] = member.value.value
        if found.block and found.members:
            found.column = found.members[0].column
        found.end = _index(following.end_mark) if event.flow_style else found.members[-1].value.end
        return found

    def _member(self, event: _Event) -> Member:
        if not isinstance(event, yaml.ScalarEvent):
            raise MergeError(f"line {event.start_mark.line + 1}: accepted as a key is a single value")
        key = self.tree(event)
        colon = _COLON.match(self.text, key.end)
        behind = colon.end() if colon else key.end
        value = self.tree()
        if value.start == value.end:
            value.start = value.end = behind
        return Member(event.value, key.start, _column(event.start_mark), behind, value)


def _scalar(event: _Event) -> Any:
    """The value of a scalar; one with a tag of its own is its text."""
    return plain_scalar(event.value) if event.implicit[0] else event.value
