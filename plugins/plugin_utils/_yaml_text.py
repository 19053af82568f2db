# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML as text: a key is set or removed where it stands, every other byte, comments too, stays.

Where things stand comes from PyYAML, which ansible-core brings along (see `_yaml_tree`); what a plain scalar
means is YAML 1.2's core schema, as Go's and C++'s readers of today have it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._brackets import with_item, without_item
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import (
    TextDocument,
    insert_line,
    quoted,
    remove_lines,
    spliced,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._yaml_tree import Member, Tree, parse_yaml

__all__ = ["YamlText"]

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
# What some reader takes for another type than a text (YAML 1.1 and 1.2).
_RESERVED = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null"])
_STEP = "  "


class YamlText(TextDocument):
    """A mapping in a single YAML document."""

    def raw(self, path: Sequence[str]) -> Any:
        """The text of the value, from behind the colon of its key."""
        if not path:
            return None if self._root is None else self.text[self._root.start : self._root.end]
        member = self._member(path)
        return None if member is None else self.text[member.colon : member.value.end]

    def _parse(self) -> dict[str, Any]:
        self._root = parse_yaml(self.text)
        if self._root is None:
            return {}
        if not isinstance(self._root.value, dict):
            raise MergeError("it is not a YAML mapping")
        return self._root.value

    def _member(self, path: Sequence[str]) -> Member | None:
        place, found = self._root, None
        for name in path:
            found = place.member(name) if place is not None else None
            place = found.value if found else None
        return found

    def _with(self, path: Sequence[str], value: Any) -> str:
        place = self._root
        for depth, name in enumerate(path):
            member = place.member(name) if place is not None else None
            if member is None:
                for outer in reversed(path[depth + 1 :]):
                    value = {outer: value}
                return self._insert(place, name, value)
            place = member.value
        member = self._member(path)
        if member is None:
            raise MergeError("a key has no place")
        return spliced(self.text, (member.colon, member.value.end, self._in_place(member, value)))

    def _in_place(self, member: Member, value: Any) -> str:
        """The new text behind a key's colon, in the style of the old one."""
        old = member.value
        head = self.text[member.colon : old.start]
        if old.block:
            comment = head.split("\n", 1)[0].rstrip("\r")
            if value and isinstance(value, (list, dict)):
                return comment + _block(value, " " * old.column)
            # A comment behind the colon ends the line, so that the value goes to the next.
            return (
                f"{comment}\n{' ' * member.column}{_STEP}{_flow(value)}"
                if comment.strip()
                else f" {_flow(value)}"
            )
        return f"{head or ' '}{_flow(value)}"

    def _insert(self, place: Tree | None, name: str, value: Any) -> str:
        if place is None:
            return insert_line(self.text, len(self.text), _line("", name, value))
        if not place.block:
            rendered = f"{_flow(name)}: {_flow(value)}"
            if not place.members:
                return spliced(self.text, (place.start, place.end, f"{{{rendered}}}"))
            spans = [(member.start, member.value.end) for member in place.members]
            return with_item(self.text, spans, rendered)
        position = self._line_behind(place.members[-1].value.end)
        return insert_line(self.text, position, _line(" " * place.column, name, value))

    def _line_behind(self, position: int) -> int:
        return self.text.find("\n", position) + 1 or len(self.text)

    def _without(self, path: Sequence[str]) -> str:
        member = self._member(path)
        parent = self._root if len(path) == 1 else None
        if len(path) > 1:
            above = self._member(path[:-1])
            parent = above.value if above else None
        if member is None or parent is None:
            raise MergeError(f"{'.'.join(path)}: it comes from elsewhere in the file; remove it by hand")
        if not parent.block and len(parent.members) > 1:
            spans = [(item.start, item.value.end) for item in parent.members]
            return without_item(self.text, spans, parent.members.index(member))
        if len(parent.members) == 1 and len(path) > 1:
            above = self._member(path[:-1])
            end = parent.end
            return self.text if above is None else spliced(self.text, (above.colon, end, " {}"))
        if not parent.block:
            return spliced(self.text, (parent.start, parent.end, "{}"))
        start = self.text.rfind("\n", 0, member.start) + 1
        return remove_lines(self.text, start, self._line_behind(member.value.end))

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        if not path and self._root is not None:
            return spliced(self.text, (self._root.start, self._root.end, str(raw)))
        member = self._member(path)
        if member is None:
            raise MergeError(f"{'.'.join(path)}: it has no place of its own")
        return spliced(self.text, (member.colon, member.value.end, str(raw)))

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        array = self._array(path)
        if not array.block:
            return with_item(self.text, [(item.start, item.end) for item in array.items], _flow(element))
        position = self._line_behind(array.items[-1].end)
        return insert_line(self.text, position, f"{' ' * array.column}- {_flow(element)}")

    def _without_element(self, path: Sequence[str], index: int) -> str:
        array = self._array(path)
        item = array.items[index]
        if not array.block:
            return without_item(self.text, [(item.start, item.end) for item in array.items], index)
        start = self.text.rfind("\n", 0, item.start) + 1
        return remove_lines(self.text, start, self._line_behind(item.end))

    def _array(self, path: Sequence[str]) -> Tree:
        member = self._member(path)
        if member is None or not member.value.items:
            raise MergeError(
                f"{'.'.join(path)}: the list comes from elsewhere in the file; change it by hand"
            )
        return member.value


def _line(indent: str, name: str, value: Any) -> str:
    if value and isinstance(value, (list, dict)):
        return f"{indent}{_flow(name)}:{_block(value, indent + _STEP)}"
    return f"{indent}{_flow(name)}: {_flow(value)}"


def _block(value: Any, indent: str) -> str:
    """A list or mapping on lines of its own, each begun by a line break."""
    if isinstance(value, list):
        return "".join(f"\n{indent}- {_flow(item)}" for item in value)
    return "".join("\n" + _line(indent, str(name), item) for name, item in value.items())


def _flow(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
        return value if plain else quoted(value)
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(str(name))}: {_flow(item)}" for name, item in value.items()) + "}"
    raise MergeError(f"YAML has no way to write {type(value).__name__}")
