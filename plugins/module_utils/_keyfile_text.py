# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyfiles and sets of lines as text: single lines come, change and go, every other byte stays."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
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
    line_break,
    remove_lines,
    spliced,
    with_section,
    without_heading,
)

__all__ = ["KeyfileText", "LinesText"]

_DELIMITER = re.compile(r"[ \t]*=[ \t]*")

# start and end of an occurrence's lines, start and end of its value
_Occurrence = tuple[int, int, int, int]


class _LineDocument(TextDocument):
    """A text that is changed by whole lines; a last line without a line break stays one."""

    def _parse(self) -> dict[str, Any]:
        self._open = bool(self.text) and not self.text.endswith("\n")
        self._full = self.text + (line_break(self.text) if self._open else "")
        return self._parse_lines()

    @abstractmethod
    def _parse_lines(self) -> dict[str, Any]: ...
    @abstractmethod
    def _occurrences(self, path: Sequence[str]) -> list[_Occurrence]: ...

    def _adopt(self, text: str, path: Sequence[str], expected: dict[str, Any]) -> None:
        ending = line_break(text)
        # An empty last line without its break would not be there.
        cut = self._open and text.endswith(ending) and text != ending and not text.endswith(f"\n{ending}")
        super()._adopt(text[: -len(ending)] if cut else text, path, expected)

    def raw(self, path: Sequence[str]) -> Any:
        """For every occurrence what stands between it and the one before, and its line."""
        raw: list[list[str]] = []
        previous = 0
        for start, end, _value_start, _value_end in self._occurrences(path) if path else []:
            between = self._full[previous:start] if raw else ""
            raw.append([between, self.text[start:end]])
            previous = end
        return raw or None

    def _with_raw(self, path: Sequence[str], raw: Any) -> str:
        occurrences, text = self._occurrences(path), self._full
        places = [(start, end) for start, end, _value_start, _value_end in occurrences]
        kept = 1
        while (
            kept < min(len(places), len(raw)) and text[places[kept - 1][1] : places[kept][0]] == raw[kept][0]
        ):
            kept += 1
        for start, end in reversed(places[kept:]):
            text = remove_lines(text, start, end)
        position = places[kept - 1][1]
        for between, line in raw[kept:]:
            position += len(between) if text.startswith(between, position) else 0
            text = insert_line(text, position, line.rstrip("\r\n"))
            position = text.find("\n", position + len(line.rstrip("\r\n"))) + 1
        if position == len(text) and not raw[-1][1].endswith("\n"):
            self._open = True
        lines = ((start, end, line) for (start, end), (_between, line) in zip(places[:kept], raw))
        return spliced(
            text,
            *(
                (start, start + len(text[start:end].rstrip("\r\n")), line.rstrip("\r\n"))
                for start, end, line in lines
            ),
        )

    def _without_element(self, path: Sequence[str], index: int) -> str:
        start, end, _value_start, _value_end = self._occurrences(path)[index]
        return remove_lines(self._full, start, end)


class KeyfileText(_LineDocument):
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

    @classmethod
    def normalised_element(cls, key: Sequence[str], element: Any) -> Any:
        """An element is a text."""
        return cls.normalised(key, element)

    @staticmethod
    def elements(value: Any) -> list[Any] | None:
        """A key that stands once is a list of one."""
        return None if isinstance(value, dict) else value if isinstance(value, list) else [value]

    def _parse_lines(self) -> dict[str, Any]:
        try:
            self._file = Keyfile.parse(self._full)
        except KeyfileError as error:
            raise MergeError(f"it is not a keyfile: {error}") from None
        return self._file.value

    def _occurrences(self, path: Sequence[str]) -> list[_Occurrence]:
        return [(item.start, item.end, item.value_start, item.value_end) for item in self._found(path)]

    def _found(self, path: Sequence[str]) -> list[Assignment]:
        section = path[0] if len(path) == 2 else None
        return [item for item in self._file.assignments if (item.section, item.name) == (section, path[-1])]

    def _line(self, name: str, value: str) -> str:
        first = self._file.assignments[:1]
        written = self._full[first[0].start : first[0].value_start] if first else "="
        delimiter = _DELIMITER.search(written)
        return f"{name}{delimiter.group() if delimiter else '='}{value}"

    def _with(self, path: Sequence[str], value: Any) -> str:
        values = value if isinstance(value, list) else [value]
        written = [
            self._full[item.value_start : item.value_end] if item.value == value else value
            for item, value in zip(self._found(path), values)
        ]
        return self._with_values(path, [*written, *values[len(written) :]])

    def _with_values(self, path: Sequence[str], values: Sequence[str]) -> str:
        occurrences = self._occurrences(path)
        if occurrences:
            return _with_occurrences(
                self._full, occurrences, values, lambda value: self._line(path[-1], value)
            )
        lines = "\n".join(self._line(path[-1], value) for value in values)
        if len(path) == 1:
            return insert_line(self._full, self._end_of_top(), lines)
        headings = [section for section in self._file.sections if section.name == path[0]]
        if not headings:
            return with_section(self._full, f"[{path[0]}]", lines)
        return insert_line(self._full, self._end_of(headings[-1]), lines)

    def _end_of_top(self) -> int:
        ends = [item.end for item in self._file.assignments if item.section is None]
        if ends or not self._file.sections:
            return ends[-1] if ends else len(self._full)
        return 0

    def _end_of(self, heading: Section) -> int:
        """The place behind the last assignment under a heading."""
        following = [section.start for section in self._file.sections if section.start > heading.start]
        limit = following[0] if following else len(self._full)
        ends = [item.end for item in self._file.assignments if heading.start < item.start < limit]
        return ends[-1] if ends else heading.end

    def _without(self, path: Sequence[str]) -> str:
        if isinstance(self.at(path), dict):
            text = self._full
            for section in reversed(self._file.sections):
                if section.name == path[0]:
                    text = without_heading(text, section.start, section.end)
            return text
        text = self._full
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
        expected = deepcopy(self.value)
        place = expected
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = rest[0] if len(rest) == 1 else rest
        self._adopt(self._without_element(path, index), path, expected)

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        return self._with_values(path, [*_values(self.value, path), element])


class LinesText(_LineDocument):
    """A file that is a set of lines; its one key is ``lines``. Empty lines and comments are foreign."""

    @staticmethod
    def normalised(key: Sequence[str], value: Any) -> Any:
        """Only ``lines``, a list of texts without line breaks."""
        dotted = ".".join(key)
        if tuple(key) != (LINES_KEY,) or not isinstance(value, list):
            raise MergeError(f"{dotted}: accepted in a file of lines is one key, {LINES_KEY}, with a list")
        texts = [_text(dotted, item) for item in value]
        if not texts:
            raise MergeError(f"{dotted}: there is no way to write that no line is wanted; leave the key out")
        if not all(text and not text.startswith("#") for text in texts) or len(set(texts)) != len(texts):
            raise MergeError(f"{dotted}: a line must not be empty, a comment, or there twice")
        return texts

    def _parse_lines(self) -> dict[str, Any]:
        return line_values(self._full)

    def _occurrences(self, path: Sequence[str]) -> list[_Occurrence]:
        del path
        return [_occurrence(self._full, line) for line in parse_lines(self._full)]

    def _with(self, path: Sequence[str], value: Any) -> str:
        occurrences = self._occurrences(path)
        if occurrences:
            return _with_occurrences(self._full, occurrences, value, str)
        return insert_line(self._full, len(self._full), "\n".join(value)) if value else self._full

    def _without(self, path: Sequence[str]) -> str:
        return self._with(path, [])

    def add_element(self, path: Sequence[str], element: Any) -> None:
        """A line more at the end."""
        self.set(path, [*_values(self.value, path), element])

    def remove_element(self, path: Sequence[str], index: int) -> None:
        """A line less."""
        found = _values(self.value, path)
        rest = found[:index] + found[index + 1 :]
        self._adopt(self._without_element(path, index), path, {path[-1]: rest} if rest else {})

    def _with_element(self, path: Sequence[str], element: Any) -> str:
        return self._with(path, [*_values(self.value, path), element])


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
    return spliced(text, *((place[2], place[3], value) for place, value in zip(occurrences[:common], values)))
