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

from ansible_collections.bulkhead.hardening.plugins.module_utils._brackets import (
    Span,
    indent_before,
    with_item,
    without_item,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import TextDocument, spliced

__all__ = ["JsonText"]

_DEPTH_LIMIT = 64
_STRING = JSONDecoder().raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null")
_INDENT = "  "


@dataclass
class _Node:
    """A value and where it stands: ``text[start:end]``. Members and items are kept in their order."""

    value: Any
    start: int
    end: int
    members: list[_Member] = field(default_factory=list)
    items: list[_Node] = field(default_factory=list)

    def member(self, name: str) -> _Member | None:
        return next((member for member in self.members if member.name == name), None)


@dataclass
class _Member:
    name: str
    start: int
    node: _Node


class JsonText(TextDocument):
    """A JSON object in a file.

    Withstands a file that another wrote: duplicate members, a byte order mark, another top level than an
    object, and nesting deeper than 64 end in `MergeError`, never in a guess.
    """

    @classmethod
    def new(cls) -> JsonText:
        """The document of a file that does not exist yet."""
        return cls("{}\n")

    def raw(self, path: Sequence[str]) -> str:
        """The text of the value."""
        node = self._node(path)
        return self.text[node.start : node.end]

    def _parse(self) -> dict[str, Any]:
        self._root = _parse(self.text)
        value: dict[str, Any] = self._root.value
        return value

    def _with(self, path: Sequence[str], value: Any) -> str:
        node = self._root
        for depth, name in enumerate(path):
            member = node.member(name)
            if member is None:
                return self._insert(node, name, _wrapped(path[depth + 1 :], value), depth)
            node = member.node
        rendered = self._rendered(value, self._member_indent(path))
        return spliced(self.text, (node.start, node.end, rendered))

    def _without(self, path: Sequence[str]) -> str:
        parent = self._node(path[:-1])
        if len(parent.members) == 1:
            return spliced(self.text, (parent.start, parent.end, "{}"))
        index = [member.name for member in parent.members].index(path[-1])
        return without_item(self.text, _spans(parent), index)

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        node = self._node(path)
        return spliced(self.text, (node.start, node.end, str(raw)))

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        array = self._node(path)
        indent = indent_before(self.text, array.items[-1].start)
        return with_item(self.text, _spans(array), self._rendered(element, indent))

    def _without_element(self, path: Sequence[str], index: int) -> str:
        return without_item(self.text, _spans(self._node(path)), index)

    def _node(self, path: Sequence[str]) -> _Node:
        node = self._root
        for name in path:
            member = node.member(name)
            if member is None:
                raise KeyError(name)
            node = member.node
        return node

    def _insert(self, parent: _Node, name: str, value: Any, depth: int) -> str:
        if parent.members:
            indent = indent_before(self.text, parent.members[-1].start)
            rendered = f"{json.dumps(name)}: {self._rendered(value, indent)}"
            return with_item(self.text, _spans(parent), rendered)
        indent = "\n" + self._unit() * (depth + 1)
        rendered = f"{json.dumps(name)}: {self._rendered(value, indent)}"
        whole = f"{{{indent}{rendered}\n{self._unit() * depth}}}"
        return spliced(self.text, (parent.start, parent.end, whole))

    def _member_indent(self, path: Sequence[str]) -> str | None:
        member = self._node(path[:-1]).member(path[-1])
        return None if member is None else indent_before(self.text, member.start)

    def _unit(self) -> str:
        """One level of indentation, as the document's first member has it."""
        if not self._root.members:
            return _INDENT
        indent = indent_before(self.text, self._root.members[0].start)
        return indent.lstrip("\r\n") if indent and indent.strip("\r\n") else _INDENT

    def _rendered(self, value: Any, indent: str | None) -> str:
        if indent is None or not isinstance(value, (dict, list)) or not value:
            return json.dumps(value, ensure_ascii=False)
        text = json.dumps(value, ensure_ascii=False, indent=self._unit() or _INDENT)
        return text.replace("\n", indent)


def _spans(node: _Node) -> list[Span]:
    if node.members:
        return [(member.start, member.node.end) for member in node.members]
    return [(item.start, item.end) for item in node.items]


def _wrapped(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _parse(text: str) -> _Node:
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
    node = _Node([], start, start)
    position = _skip(text, start + 1)
    while text[position : position + 1] != "]" or node.items:
        child = _value(text, position, depth + 1)
        node.items.append(child)
        node.value.append(child.value)
        position = _skip(text, child.end)
        if text[position : position + 1] == "]":
            break
        position = _comma(text, position)
    node.end = position + 1
    return node


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
