# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON as text: a member is set or removed where it stands, every other byte stays as its author wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError, JSONDecoder
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

__all__ = ["JsonText"]

_DEPTH_LIMIT = 64
_STRING = JSONDecoder().raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null")
_INDENT = "  "


@dataclass
class _Node:
    """A value and where it stands: ``text[start:end]``. Members of an object are kept in their order."""

    value: Any
    start: int
    end: int
    members: list[_Member] = field(default_factory=list)

    def member(self, name: str) -> _Member | None:
        return next((member for member in self.members if member.name == name), None)


@dataclass
class _Member:
    name: str
    start: int
    node: _Node


class JsonText:
    """A JSON object in a file. Paths are sequences of member names from the top.

    Withstands a file that another wrote: duplicate members, a byte order mark, another top level than an
    object, and nesting deeper than 64 end in `MergeError`, never in a guess.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = _parse(text)

    @classmethod
    def new(cls) -> JsonText:
        """The document of a file that does not exist yet."""
        return cls("{}\n")

    @property
    def value(self) -> dict[str, Any]:
        """The whole document, parsed."""
        value: dict[str, Any] = self._root.value
        return value

    def set(self, path: Sequence[str], value: Any) -> None:
        """Set the member, and make the objects on the way to it where they are missing."""
        node = self._root
        for depth, name in enumerate(path):
            member = node.member(name)
            if member is None:
                self._insert(node, name, _wrapped(path[depth + 1 :], value), depth)
                return
            node = member.node
        self._splice(node.start, node.end, self._rendered(value, self._member_indent(path), len(path)))

    def remove(self, path: Sequence[str]) -> None:
        """Remove the member; it has to be there."""
        parent = self._node(path[:-1])
        index = [member.name for member in parent.members].index(path[-1])
        if len(parent.members) == 1:
            self._splice(parent.start, parent.end, "{}")
        elif index == len(parent.members) - 1:
            self._splice(parent.members[index - 1].node.end, parent.members[index].node.end, "")
        else:
            self._splice(parent.members[index].start, parent.members[index + 1].start, "")

    def _node(self, path: Sequence[str]) -> _Node:
        node = self._root
        for name in path:
            member = node.member(name)
            if member is None:
                raise KeyError(name)
            node = member.node
        return node

    def _splice(self, start: int, end: int, replacement: str) -> None:
        self.text = self.text[:start] + replacement + self.text[end:]
        self._root = _parse(self.text)

    def _insert(self, parent: _Node, name: str, value: Any, depth: int) -> None:
        if parent.members:
            last = parent.members[-1]
            indent = self._indent_before(last.start)
            rendered = f"{json.dumps(name)}: {self._rendered(value, indent, depth + 1)}"
            self._splice(last.node.end, last.node.end, f",{' ' if indent is None else indent}{rendered}")
            return
        indent = "\n" + self._unit() * (depth + 1)
        rendered = f"{json.dumps(name)}: {self._rendered(value, indent, depth + 1)}"
        self._splice(parent.start, parent.end, f"{{{indent}{rendered}\n{self._unit() * depth}}}")

    def _indent_before(self, position: int) -> str | None:
        """Line break and indentation before a position; ``None`` when other text precedes it on its line."""
        before = re.search(r"\n[ \t]*$", self.text[:position])
        return before.group() if before else None

    def _member_indent(self, path: Sequence[str]) -> str | None:
        member = self._node(path[:-1]).member(path[-1])
        return None if member is None else self._indent_before(member.start)

    def _unit(self) -> str:
        """One level of indentation, as the document's first member has it."""
        if not self._root.members:
            return _INDENT
        indent = self._indent_before(self._root.members[0].start)
        return indent.lstrip("\n") if indent and indent != "\n" else _INDENT

    def _rendered(self, value: Any, indent: str | None, depth: int) -> str:
        if indent is None or not isinstance(value, (dict, list)) or not value:
            return json.dumps(value, ensure_ascii=False)
        text = json.dumps(value, ensure_ascii=False, indent=self._unit() or _INDENT)
        return text.replace("\n", indent)


def _wrapped(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _parse(text: str) -> _Node:
    if text.startswith("\ufeff"):
        raise MergeError("it begins with a byte order mark; save it as UTF-8 without one")
    if not text.strip():
        raise MergeError("it is empty; write {} into it, or remove it")
    try:
        node = _value(text, _skip(text, 0), 0)
    except JSONDecodeError as error:
        # The parser's own sentence quotes nothing of the file, which may hold secrets.
        raise MergeError(f"it is not JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    end = _skip(text, node.end)
    if end != len(text):
        raise MergeError(f"it is not JSON: text behind the document, {_position(text, end)}")
    if not isinstance(node.value, dict):
        raise MergeError("it is not a JSON object")
    return node


def _value(text: str, start: int, depth: int) -> _Node:
    if depth > _DEPTH_LIMIT:
        raise MergeError(f"it is nested deeper than {_DEPTH_LIMIT} levels")
    first = text[start : start + 1]
    if first == "{":
        return _object(text, start, depth)
    if first == "[":
        return _array(text, start, depth)
    if first == '"':
        string, end = _STRING(text, start)
        return _Node(string, start, end)
    match = _SCALAR.match(text, start)
    if match is None:
        raise JSONDecodeError("Expecting value", text, start)
    return _Node(json.loads(match.group()), start, match.end())


def _object(text: str, start: int, depth: int) -> _Node:
    node = _Node({}, start, start)
    position = _skip(text, start + 1)
    while text[position : position + 1] != "}" or node.members:
        if text[position : position + 1] != '"':
            raise JSONDecodeError("Expecting property name enclosed in double quotes", text, position)
        name, end = _STRING(text, position)
        if name in node.value:
            raise MergeError(f"the key {name!r} stands in it twice, {_position(text, position)}")
        colon = _skip(text, end)
        if text[colon : colon + 1] != ":":
            raise JSONDecodeError("Expecting ':' delimiter", text, colon)
        child = _value(text, _skip(text, colon + 1), depth + 1)
        node.members.append(_Member(name, position, child))
        node.value[name] = child.value
        position = _skip(text, child.end)
        if text[position : position + 1] == "}":
            break
        position = _comma(text, position)
    node.end = position + 1
    return node


def _array(text: str, start: int, depth: int) -> _Node:
    items: list[Any] = []
    position = _skip(text, start + 1)
    while text[position : position + 1] != "]" or items:
        child = _value(text, position, depth + 1)
        items.append(child.value)
        position = _skip(text, child.end)
        if text[position : position + 1] == "]":
            break
        position = _comma(text, position)
    return _Node(items, start, position + 1)


def _comma(text: str, position: int) -> int:
    if text[position : position + 1] != ",":
        raise JSONDecodeError("Expecting ',' delimiter", text, position)
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _position(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line} column {offset - text.rfind(chr(10), 0, offset)}"
