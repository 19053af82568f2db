# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyfiles and sets of lines as text: single lines come, change and go, every other byte stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile import (
    LINES_KEY,
    Assignment,
    Keyfile,
    KeyfileError,
    Line,
    Section,
    line_values,
    parse_lines,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import (
    TextDocument,
    insert_line,
    remove_lines,
    spliced,
    with_section,
    without_heading,
)

__all__ = ["KeyfileText", "LinesText"]

_DELIMITER = re.compile(r"[ \t]*=[ \t]*")

# start and end of an occurrence's lines, start and end of its value
_Occurrence = tuple[int, int, int, int]


class KeyfileText(TextDocument):
    """Sections with ``key=value``; a path is ``(section, key)``, or ``(key,)`` before the first section.

    Values are texts; a list of texts is a key that stands repeatedly.
    """

    @staticmethod
    def normalised(key: Sequence[str], value: Any) -> Any:
        """A number becomes its text, and a list of one its element."""
        dotted = ".".join(key)
        names = {"a section": key[0] if len(key) == 2 else "x", "a key": key[-1]}
        if len(key) > 2 or isinstance(value, dict):
            raise MergeError(f"{dotted}: accepted in a keyfile are keys in sections, and no deeper")
        for what, name in names.items():
            if name != name.strip() or not name or set(name) & set("\r\n[]=") or name[0] in "#;":
                raise MergeError(f"{dotted}: a keyfile cannot hold {name!r} as the name of {what}")
        texts = [_text(dotted, item) for item in (value if isinstance(value, list) else [value])]
        if not texts:
            raise MergeError(f"{dotted}: a keyfile has no way to write an empty list; leave the key out")
        return texts[0] if len(texts) == 1 else texts

    def raw(self, path: Sequence[str]) -> Any:
        """The texts of all values of the key."""
        found = [self.text[item.value_start : item.value_end] for item in self._found(path)]
        return found or None

    def _parse(self) -> dict[str, Any]:
        try:
            self._file = Keyfile.parse(self.text)
        except KeyfileError as error:
            raise MergeError(f"it is not a keyfile: {error}") from None
        return self._file.value

    def _found(self, path: Sequence[str]) -> list[Assignment]:
        section = path[0] if len(path) == 2 else None
        return [item for item in self._file.assignments if (item.section, item.name) == (section, path[-1])]

    def _line(self, name: str, value: str) -> str:
        first = self._file.assignments[:1]
        written = self.text[first[0].start : first[0].value_start] if first else "="
        delimiter = _DELIMITER.search(written)
        return f"{name}{delimiter.group() if delimiter else '='}{value}"

    def _with(self, path: Sequence[str], value: Any) -> str:
        values = value if isinstance(value, list) else [value]
        written = [
            self.text[item.value_start : item.value_end] if item.value == value else value
            for item, value in zip(self._found(path), values)
        ]
        return self._with_values(path, [*written, *values[len(written) :]])

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        return self._with_values(path, list(raw))

    def _with_values(self, path: Sequence[str], values: Sequence[str]) -> str:
        occurrences = [(item.start, item.end, item.value_start, item.value_end) for item in self._found(path)]
        if occurrences:
            return _with_occurrences(
                self.text, occurrences, values, lambda value: self._line(path[-1], value)
            )
        lines = "\n".join(self._line(path[-1], value) for value in values)
        if len(path) == 1:
            return insert_line(self.text, self._end_of_top(), lines)
        headings = [section for section in self._file.sections if section.name == path[0]]
        if not headings:
            return with_section(self.text, f"[{path[0]}]", lines)
        return insert_line(self.text, self._end_of(headings[-1]), lines)

    def _end_of_top(self) -> int:
        ends = [item.end for item in self._file.assignments if item.section is None]
        if ends or not self._file.sections:
            return ends[-1] if ends else len(self.text)
        return 0

    def _end_of(self, heading: Section) -> int:
        """The place behind the last assignment under a heading."""
        following = [section.start for section in self._file.sections if section.start > heading.start]
        limit = following[0] if following else len(self.text)
        ends = [item.end for item in self._file.assignments if heading.start < item.start < limit]
        return ends[-1] if ends else heading.end

    def _without(self, path: Sequence[str]) -> str:
        if isinstance(self.at(path), dict):
            text = self.text
            for section in reversed(self._file.sections):
                if section.name == path[0]:
                    text = without_heading(text, section.start, section.end)
            return text
        text = self.text
        for item in reversed(self._found(path)):
            text = remove_lines(text, item.start, item.end)
        return text

    def add_element(self, path: Sequence[str], element: Any) -> None:
        """A repeated key more; a key that stands once becomes one that stands twice."""
        found = _values(self.value, path)
        self.set(path, [*found, element] if found else element)

    def remove_element(self, path: Sequence[str], index: int) -> None:
        """One occurrence of a repeated key less; with the last the key goes."""
        found = _values(self.value, path)
        rest = found[:index] + found[index + 1 :]
        if not rest:
            self.remove(path)
            return
        fresh = type(self)(self._without_element(path, index))
        expected = rest[0] if len(rest) == 1 else rest
        if fresh.at(path) != expected:
            raise MergeError(f"{'.'.join(path)}: an element of it cannot be removed; change it by hand")
        vars(self).update(vars(fresh))

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        return self._with_values(path, [*_values(self.value, path), element])

    def _without_element(self, path: Sequence[str], index: int) -> str:
        item = self._found(path)[index]
        return remove_lines(self.text, item.start, item.end)


class LinesText(TextDocument):
    """A file that is a set of lines; its one key is ``lines``. Empty lines and comments are foreign."""

    @staticmethod
    def normalised(key: Sequence[str], value: Any) -> Any:
        """Only ``lines``, a list of texts without line breaks."""
        dotted = ".".join(key)
        if tuple(key) != (LINES_KEY,) or not isinstance(value, list):
            raise MergeError(f"{dotted}: accepted in a file of lines is one key, {LINES_KEY}, with a list")
        texts = [_text(dotted, item) for item in value]
        if not all(text and not text.startswith("#") for text in texts) or len(set(texts)) != len(texts):
            raise MergeError(f"{dotted}: a line must not be empty, a comment, or there twice")
        return texts

    def raw(self, path: Sequence[str]) -> Any:
        """The lines."""
        del path
        return [line.value for line in parse_lines(self.text)] or None

    def _parse(self) -> dict[str, Any]:
        return line_values(self.text)

    def _with(self, path: Sequence[str], value: Any) -> str:
        del path
        occurrences = [_occurrence(self.text, line) for line in parse_lines(self.text)]
        if occurrences:
            return _with_occurrences(self.text, occurrences, value, str)
        return insert_line(self.text, len(self.text), "\n".join(value)) if value else self.text

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        return self._with(path, raw)

    def _without(self, path: Sequence[str]) -> str:
        return self._with(path, [])

    def add_element(self, path: Sequence[str], element: Any) -> None:
        """A line more at the end."""
        self.set(path, [*_values(self.value, path), element])

    def remove_element(self, path: Sequence[str], index: int) -> None:
        """A line less."""
        found = _values(self.value, path)
        rest = found[:index] + found[index + 1 :]
        fresh = type(self)(self._without_element(path, index))
        if _values(fresh.value, path) != rest:
            raise MergeError("a line of it cannot be removed; change it by hand")
        vars(self).update(vars(fresh))

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        return self._with(path, [*_values(self.value, path), element])

    def _without_element(self, path: Sequence[str], index: int) -> str:
        del path
        line = parse_lines(self.text)[index]
        return remove_lines(self.text, line.start, line.end)


def _occurrence(text: str, line: Line) -> _Occurrence:
    start = text.index(line.value, line.start)
    return (line.start, line.end, start, start + len(line.value))


def _text(dotted: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise MergeError(
            f"{dotted}: accepted is a text (true and false in quotes), found {type(value).__name__}"
        )
    if value != value.strip() or set(value) & set("\r\n") or value.endswith("\\"):
        raise MergeError(
            f"{dotted}: a value must not hold a line break, white space at its ends, or a \\ at its end"
        )
    return value


def _values(document: dict[str, Any], path: Sequence[str]) -> list[Any]:
    value: Any = document
    for name in path:
        value = value.get(name, {})
    if isinstance(value, list):
        return value
    return [] if value == {} else [value]


def _with_occurrences(
    text: str, occurrences: Sequence[_Occurrence], values: Sequence[str], line: Callable[[str], str]
) -> str:
    """The text with the values in the places of the old ones; what is too much goes, what is more follows."""
    common = min(len(occurrences), len(values))
    if len(values) > common:
        text = insert_line(text, occurrences[-1][1], "\n".join(line(value) for value in values[common:]))
    for start, end, _value_start, _value_end in reversed(occurrences[common:]):
        text = remove_lines(text, start, end)
    places = zip(occurrences[:common], values)
    return spliced(
        text, *((value_start, value_end, value) for (_, _, value_start, value_end), value in places)
    )
