# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A configuration file edited as text: what each format has to offer, and what is watched for all of them.

A format finds the places of its keys and splices texts there. Whatever it does is read back before it counts:
a change that would alter any other key, or that the format cannot express, is an error.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

__all__ = [
    "TextDocument",
    "insert_line",
    "line_break",
    "quoted",
    "remove_lines",
    "spliced",
    "with_section",
    "without_heading",
]

Splice = tuple[int, int, str]


class TextDocument(ABC):
    """A text of some format whose keys can be set and removed without touching the rest of it.

    Paths are sequences of names from the top. The constructor raises `MergeError` for a text that is not of
    the format; every change raises it, and leaves the document as it was, when it cannot be made.
    """

    def __init__(self, text: str) -> None:
        if text.startswith("\ufeff"):
            raise MergeError("it begins with a byte order mark; save it as UTF-8 without one")
        self.text = text
        self.value: dict[str, Any] = self._parse()

    @classmethod
    def new(cls) -> TextDocument:
        """The document of a file that does not exist yet."""
        return cls("")

    @staticmethod
    def normalised(key: Sequence[str], value: Any) -> Any:
        """A wanted value as a file of this format gives it back; raises `MergeError` if it cannot."""
        del key
        return value

    @classmethod
    def normalised_element(cls, key: Sequence[str], element: Any) -> Any:
        """An element that is wanted in a list, as a file of this format gives it back."""
        return cls.normalised(key, [element])[0]

    @staticmethod
    def elements(value: Any) -> list[Any] | None:
        """The elements of a value as a list; None when it is no list."""
        return value if isinstance(value, list) else None

    def set(self, path: Sequence[str], value: Any) -> None:
        """Set the key, and make what is missing on the way to it."""
        expected = deepcopy(self.value)
        place = expected
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
        self._adopt(self._with(path, value), path, expected)

    def remove(self, path: Sequence[str]) -> None:
        """Remove the key; it has to be there."""
        expected = deepcopy(self.value)
        place = expected
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]
        self._adopt(self._without(path), path, expected)

    def restore(self, path: Sequence[str], raw: Any, value: Any) -> None:
        """Write the value of a key that is there as `raw` says; as `value` says if that does not do."""
        try:
            expected = deepcopy(self.value)
            if path:
                place = expected
                for name in path[:-1]:
                    place = place[name]
                place[path[-1]] = value
            else:
                expected = value
            self._adopt(self._with_raw(path, raw), path, expected)
        except MergeError:
            if path:
                self.set(path, value)

    def add_element(self, path: Sequence[str], element: Any) -> None:
        """Add an element at the end of the list at the path."""
        elements: Any = self.value
        for name in path:
            elements = elements.get(name) if isinstance(elements, dict) else None
        if not isinstance(elements, list) or not elements:
            self.set(path, [element])
            return
        expected = deepcopy(self.value)
        _at(expected, path).append(element)
        self._adopt(self._with_element(path, element), path, expected)

    def remove_element(self, path: Sequence[str], index: int) -> None:
        """Remove an element of the list at the path."""
        if len(self.at(path)) == 1:
            self.set(path, [])
            return
        expected = deepcopy(self.value)
        del _at(expected, path)[index]
        self._adopt(self._without_element(path, index), path, expected)

    def at(self, path: Sequence[str]) -> Any:
        """The value at a path that is there."""
        return _at(self.value, path)

    def raw(self, path: Sequence[str]) -> Any:
        """How the value at the path is written, for `restore`; None where it has no place of its own."""
        return None

    @abstractmethod
    def _parse(self) -> dict[str, Any]: ...
    @abstractmethod
    def _with(self, path: Sequence[str], value: Any) -> str: ...
    @abstractmethod
    def _without(self, path: Sequence[str]) -> str: ...
    @abstractmethod
    def _with_raw(self, path: Sequence[str], raw: Any) -> str: ...
    @abstractmethod
    def _with_element(self, path: Sequence[str], element: Any) -> str: ...
    @abstractmethod
    def _without_element(self, path: Sequence[str], index: int) -> str: ...

    def _adopt(self, text: str, path: Sequence[str], expected: dict[str, Any]) -> None:
        """Take over a text that says what is expected of it, and nothing else."""
        try:
            text.encode("utf-8")
            fresh = type(self)(text)
        except (MergeError, UnicodeEncodeError) as error:
            raise _cannot(path) from error
        if _comparable(fresh.value, path) != _comparable(expected, path):
            raise _cannot(path)
        vars(self).update(vars(fresh))


def _cannot(path: Sequence[str]) -> MergeError:
    return MergeError(
        f"{'.'.join(path) or 'the top'}: the way in which it is written lets it not be changed without "
        "touching other keys; change it by hand"
    )


def _at(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        document = document[name]
    return document


def _comparable(document: dict[str, Any], path: Sequence[str]) -> str:
    """A text that is equal for equal documents, empty objects on the way to the path left out.

    (A format may have no way to write an empty object, or may need one as the place of a key.)
    """
    document = deepcopy(document)
    for depth in range(len(path), 0, -1):
        place: Any = document
        for name in path[: depth - 1]:
            place = place.get(name) if isinstance(place, dict) else None
        if isinstance(place, dict) and place.get(path[depth - 1]) == {}:
            del place[path[depth - 1]]
    return json.dumps(document, sort_keys=True)


def spliced(text: str, *splices: Splice) -> str:
    """The text with every span replaced; spans do not overlap."""
    for start, end, replacement in sorted(splices, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def line_break(text: str) -> str:
    """The line break that a text uses."""
    return "\r\n" if "\r\n" in text else "\n"


def insert_line(text: str, position: int, line: str) -> str:
    """The text with a line more; a last line without a line break stays one. `remove_lines` undoes it."""
    line = line.replace("\n", line_break(text))
    if position == len(text) and text and not text.endswith("\n"):
        return f"{text}{line_break(text)}{line}"
    return f"{text[:position]}{line}{line_break(text)}{text[position:]}"


def remove_lines(text: str, start: int, end: int) -> str:
    """The text without whole lines."""
    if end >= len(text) and not text.endswith("\n") and start:
        start -= 2 if text[:start].endswith("\r\n") else 1
    return text[:start] + text[end:]


def with_section(text: str, heading: str, line: str) -> str:
    """The text with a section more at its end, behind an empty line. `without_heading` undoes the heading."""
    blank = "\n" if text else ""
    return insert_line(text, len(text), f"{blank}{heading}\n{line}")


def without_heading(text: str, start: int, end: int) -> str:
    """The text without the line of a heading, and without one empty line before it."""
    before = text[:start]
    for blank in ("\r\n", "\n"):
        if before in (blank,) or before.endswith(f"\n{blank}"):
            return remove_lines(text, start - len(blank), end)
    return remove_lines(text, start, end)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(value: str) -> str:
    """A string in double quotes as TOML and YAML both read it."""
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xD800 <= code < 0xE000:
        raise MergeError("a value holds half a surrogate pair, which no file can hold")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
