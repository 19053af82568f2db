# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyfiles as systemd reads them, and files that are sets of lines: what stands in them, and where.

``[Section]``, ``Key=Value``, comments after ``#`` or ``;``, a backslash at the end of a line continues it, a
key may stand repeatedly (systemd.syntax(7)). Unit drop-ins, NetworkManager's keyfiles and most INI files are
of this form. A file that is a set of lines (/etc/audit/rules.d) has one element a line, comments after ``#``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "LINES_KEY",
    "Assignment",
    "Keyfile",
    "KeyfileError",
    "Line",
    "Section",
    "line_values",
    "parse_lines",
]

LINES_KEY = "lines"  # the one key of a file that is a set of lines


class KeyfileError(BulkheadError):
    """The text is no keyfile; says where, and quotes nothing of it."""


@dataclass(frozen=True)
class Assignment:
    """``text[start:end]`` are its lines, ``text[value_start:value_end]`` its value as it is written."""

    section: str | None
    name: str
    value: str
    start: int
    end: int
    value_start: int
    value_end: int


@dataclass(frozen=True)
class Section:
    """``text[start:end]`` is the line of its heading."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Line:
    """A line that counts, without white space around it; ``text[start:end]`` with its line break."""

    value: str
    start: int
    end: int


@dataclass
class Keyfile:
    """A parsed keyfile: headings and assignments in their order."""

    sections: list[Section] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Keyfile:
        """Read a text.

        :raises KeyfileError: a line is neither empty, nor a comment, a heading or an assignment; or a key
            before the first heading has a section's name
        """
        found = cls()
        for number, start, end, line in _logical_lines(text):
            stripped = line.strip()
            if not stripped or stripped[0] in "#;":
                continue
            if stripped[0] == "[":
                found.sections.append(_section(stripped, number, start, end))
            else:
                section = found.sections[-1].name if found.sections else None
                found.assignments.append(_assignment(text, section, number, start, end))
        clash = {item.name for item in found.assignments if item.section is None} & {
            section.name for section in found.sections
        }
        if clash:
            raise KeyfileError(f"{min(clash)} is both a key before the first section and a section")
        return found

    @property
    def value(self) -> dict[str, Any]:
        """``{section: {key: text, or the list of texts of a repeated key}}``, and keys before any section."""
        value: dict[str, Any] = {section.name: {} for section in self.sections}
        for item in self.assignments:
            place = value if item.section is None else value[item.section]
            if item.name not in place:
                place[item.name] = item.value
            elif isinstance(place[item.name], list):
                place[item.name].append(item.value)
            else:
                place[item.name] = [place[item.name], item.value]
        return value


def _physical_lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, end
        start = end


def _logical_lines(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Number, start, end and first line of every line with its continuations."""
    open_at: tuple[int, int, str] | None = None
    for number, (start, end) in enumerate(_physical_lines(text), start=1):
        line = text[start:end].rstrip("\r\n")
        comment = line.lstrip()[:1] in ("#", ";")
        if open_at is not None and comment:
            continue
        first = open_at or (number, start, line)
        if line.endswith("\\") and not comment:
            open_at = first
            continue
        open_at = None
        yield first[0], first[1], end, first[2]
    if open_at is not None:
        yield open_at[0], open_at[1], len(text), open_at[2]


def _section(line: str, number: int, start: int, end: int) -> Section:
    name = line[1:-1]
    if not line.endswith("]") or not name or "[" in name or "]" in name:
        raise KeyfileError(f"line {number}: a heading has to be a name in square brackets")
    return Section(name, start, end)


def _assignment(text: str, section: str | None, number: int, start: int, end: int) -> Assignment:
    lines = text[start:end]
    name, equals, raw = lines.partition("=")
    if not equals or not name.strip() or "\n" in name:
        raise KeyfileError(f"line {number}: accepted are key=value, a [section] and comments")
    value_start = start + len(name) + 1 + len(raw) - len(raw.lstrip(" \t"))
    value_end = max(value_start, start + len(lines.rstrip()))
    return Assignment(
        section, name.strip(), _joined(text[value_start:value_end]), start, end, value_start, value_end
    )


def _joined(raw: str) -> str:
    """The value that is written over several lines: each backslash at a line's end becomes a space."""
    first, *further = raw.split("\n")
    lines = [first, *(line for line in further if line.lstrip()[:1] not in ("#", ";"))]
    stripped = [line.rstrip("\r") for line in lines]
    return "".join(f"{line[:-1]} " if line.endswith("\\") else line for line in stripped).strip()


def parse_lines(text: str) -> list[Line]:
    """The lines of a file that is a set of lines, without empty ones and comments."""
    found = [Line(text[start:end].strip(), start, end) for start, end in _physical_lines(text)]
    return [line for line in found if line.value and not line.value.startswith("#")]


def line_values(text: str) -> dict[str, Any]:
    """``{"lines": [...]}``; empty when no line counts."""
    values = [line.value for line in parse_lines(text)]
    return {LINES_KEY: values} if values else {}
