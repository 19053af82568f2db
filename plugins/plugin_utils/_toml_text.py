# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TOML as text (toml.io, 1.0): a key is set or removed where it stands, every other byte stays.

The values come from Python's own `tomllib`, which every controller has (ansible-core 2.19 needs Python 3.11);
where they stand comes from `_toml_places`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import tomllib
from ansible_collections.bulkhead.hardening.plugins.module_utils._brackets import (
    indent_before,
    with_item,
    without_item,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import (
    TextDocument,
    insert_line,
    quoted,
    remove_lines,
    spliced,
    with_section,
    without_heading,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._toml_places import (
    Pair,
    Place,
    TomlPlaces,
)

__all__ = ["TomlText"]

_DEPTH_LIMIT = 64
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class TomlText(TextDocument):
    """A TOML document. Dates and times are texts; arrays of tables (``[[x]]``) are read and left alone."""

    @staticmethod
    def normalised(key: Sequence[str], value: Any) -> Any:
        """The value, when TOML has a way to write it."""
        _rendered(value, ".".join(key))
        return value

    def raw(self, path: Sequence[str]) -> Any:
        """The text of the value, where it stands in one piece."""
        place = self._places.find(path)
        return None if place is None else self.text[place.start : place.end]

    def _parse(self) -> dict[str, Any]:
        try:
            document = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            # tomllib's sentence may quote a name or a character of the file, but its end is the place.
            where = re.search(r"\(at [^()]*\)$", str(error))
            raise MergeError(f"it is not TOML {where.group() if where else ''}".strip()) from None
        except RecursionError:
            raise MergeError("it is nested too deeply") from None
        self._places = TomlPlaces.parse(self.text)
        value: dict[str, Any] = _plain(document, 0)
        return value

    def _with(self, path: Sequence[str], value: Any) -> str:
        place = self._places.find(path)
        if place is not None:
            return spliced(self.text, (place.start, place.end, self._like(place, value)))
        if self._is_table(path):
            raise MergeError(f"{'.'.join(path)}: a table stands here, whose place a value cannot take")
        for depth in range(len(path) - 1, 0, -1):
            table = self._places.find(path[:depth])
            if table is not None:
                return self._into_inline_table(table, path[depth:], value)
        return self._new_pair(tuple(path), value)

    def _is_table(self, path: Sequence[str]) -> bool:
        value: Any = self.value
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value is not None

    def _into_inline_table(self, table: Place, names: Sequence[str], value: Any) -> str:
        rendered = f"{_key(names)} = {_rendered(value)}"
        if not table.items:
            return spliced(self.text, (table.start, table.end, f"{{ {rendered} }}"))
        return with_item(self.text, table.spans, rendered)

    def _like(self, place: Place, value: Any) -> str:
        """The value as text; an array that had a line for each element has one again."""
        indent = indent_before(self.text, place.items[0].start) if place.items else None
        if indent is None or not isinstance(value, list) or not value:
            return _rendered(value)
        lines = "".join(f"{indent}{_rendered(item)}," for item in value)
        return f"[{lines}{indent_before(self.text, place.end - 1) or ''}]"

    def _new_pair(self, path: tuple[str, ...], value: Any) -> str:
        for depth in range(len(path) - 1, 0, -1):
            heading = self._places.heading(path[:depth])
            if heading is not None and depth == len(path) - 1:
                return self._insert(heading.pairs, heading.end, path[depth:], value)
            dotted = self._places.dotted(path[:depth])
            if dotted is not None:
                names = path[len(dotted.heading) :]
                return insert_line(self.text, dotted.line_end, f"{_key(names)} = {_rendered(value)}")
        if len(path) == 1:
            return self._insert(self._places.top, self._places.top_start(self.text), path, value)
        return with_section(self.text, f"[{_key(path[:-1])}]", f"{_key(path[-1:])} = {_rendered(value)}")

    def _insert(self, pairs: Sequence[Pair], otherwise: int, names: Sequence[str], value: Any) -> str:
        position = pairs[-1].line_end if pairs else otherwise
        indent = "" if not pairs else (indent_before("\n" + self.text, pairs[-1].start + 1) or "\n")[1:]
        return insert_line(self.text, position, f"{indent}{_key(names)} = {_rendered(value)}")

    def _without(self, path: Sequence[str]) -> str:
        pair = self._places.pair(path)
        if pair is not None:
            text = remove_lines(self.text, pair.line_start, pair.line_end)
            heading = self._places.heading(pair.heading)
            if heading is not None and heading.pairs == [pair] and self._places.is_late(heading):
                text = without_heading(text, heading.start, heading.end)
            return text
        heading = self._places.heading(tuple(path))
        if heading is not None and not heading.pairs:
            return without_heading(self.text, heading.start, heading.end)
        for depth in range(len(path) - 1, 0, -1):
            table = self._places.find(path[:depth])
            if table is not None:
                return self._out_of_inline_table(table, tuple(path[depth:]))
        raise MergeError(f"{'.'.join(path)}: it is a table of several parts; remove it by hand")

    def _out_of_inline_table(self, table: Place, names: tuple[str, ...]) -> str:
        if len(table.items) == 1:
            return spliced(self.text, (table.start, table.end, "{}"))
        index = next((index for index, item in enumerate(table.items) if item.name == names), None)
        if index is None:
            raise MergeError(f"{'.'.join(names)}: it is a table of several parts; remove it by hand")
        return without_item(self.text, table.spans, index)

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        place = self._array_or_value(path)
        return spliced(self.text, (place.start, place.end, str(raw)))

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        return with_item(self.text, self._array_or_value(path).spans, _rendered(element))

    def _without_element(self, path: Sequence[str], index: int) -> str:
        return without_item(self.text, self._array_or_value(path).spans, index)

    def _array_or_value(self, path: Sequence[str]) -> Place:
        place = self._places.find(path)
        if place is None:
            raise MergeError(f"{'.'.join(path)}: it is written as [[tables]], whose elements are left alone")
        return place


def _plain(value: Any, depth: int) -> Any:
    """The value as JSON has it: dates and times become texts."""
    if depth > _DEPTH_LIMIT:
        raise MergeError(f"it is nested deeper than {_DEPTH_LIMIT} levels")
    if isinstance(value, dict):
        return {name: _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value


def _key(names: Sequence[str]) -> str:
    return ".".join(name if _BARE.fullmatch(name) else quoted(name) for name in names)


def _rendered(value: Any, dotted: str = "the value") -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(_rendered(item, dotted) for item in value) + "]"
    if isinstance(value, dict):
        items = ", ".join(f"{_key([str(name)])} = {_rendered(item, dotted)}" for name, item in value.items())
        return f"{{ {items} }}" if items else "{}"
    raise MergeError(
        f"{dotted}: TOML has no way to write {'null' if value is None else type(value).__name__}"
    )
