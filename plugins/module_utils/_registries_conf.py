# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads registries.conf without a TOML library: the forms that such files use, and nothing guessed.

What is read: comments, tables and arrays of tables with bare names, keys, strings without escapes, booleans,
integers and arrays of strings over one or several lines (containers-registries.conf(5)). Everything else
raises `PortError`, so that a fact is either read right or unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError

__all__ = ["Registries", "merge_registries"]

Value = Union[str, bool, int, "list[str]"]

_STRING = r"\"[^\"\\]*\"|'[^']*'"
_COMMENT = re.compile(rf"((?:[^\"'#]|{_STRING})*)(?:#.*)?")
_TABLE = re.compile(r"\[\s*([A-Za-z0-9_.-]+)\s*\]|\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_KEY = re.compile(rf"([A-Za-z0-9_-]+|{_STRING})\s*=\s*(.+)")
_ARRAY = re.compile(rf"\[\s*(?:(?:{_STRING})\s*,\s*)*(?:{_STRING})?\s*\]")


@dataclass(frozen=True)
class Registries:
    """What the files in effect say together; sorted where order has no meaning."""

    unqualified_search: list[str]
    insecure: list[str]


def merge_registries(files: Iterable[tuple[str, str]]) -> Registries:
    """Merge `(path, text)` in the order in which Podman reads them: a later file's value replaces.

    A `[[registry]]` of a later file replaces the one with the same prefix. Raises `PortError`.
    """
    search: list[str] = []
    insecure: dict[str, list[str]] = {}
    for path, text in files:
        for table in _tables(path, text):
            values = dict(table.values)
            if table.name in ("", "registries.search"):
                key = "unqualified-search-registries" if table.name == "" else "registries"
                search = _strings(path, values[key]) if key in values else search
            elif table.name == "registries.insecure":
                insecure.update({name: [name] for name in _strings(path, values.get("registries", []))})
            elif table.name == "registry":
                insecure[table.prefix] = [table.location] if values.get("insecure") is True else []
            elif table.name == "registry.mirror" and values.get("insecure") is True:
                insecure.setdefault(table.prefix, []).append(table.location)
    return Registries(search, sorted({place for places in insecure.values() for place in places}))


@dataclass
class _Table:
    name: str
    values: dict[str, Value]
    registry: dict[str, Value]  # of the [[registry]] that it is or belongs to

    @property
    def location(self) -> str:
        return str(self.values.get("location", self.values.get("prefix", "")))

    @property
    def prefix(self) -> str:
        return str(self.registry.get("prefix", self.registry.get("location", "")))


def _tables(path: str, text: str) -> list[_Table]:
    tables = [_Table("", {}, {})]
    for number, line in _logical_lines(path, text):
        header, entry = _TABLE.fullmatch(line), _KEY.fullmatch(line)
        if header:
            name = header[1] or header[2]
            values: dict[str, Value] = {}
            tables.append(_Table(name, values, tables[-1].registry if name == "registry.mirror" else values))
        elif entry:
            key = entry[1].strip("\"'")
            if key in tables[-1].values:
                raise PortError(f"{path}: line {number}: {key} is there twice")
            tables[-1].values[key] = _value(path, number, entry[2].strip())
        else:
            raise PortError(f"{path}: line {number} is not understood")
    return tables


def _logical_lines(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments and blanks; an array that goes over several lines comes as one."""
    pending = ""
    number = 0
    for number, line in enumerate(text.splitlines(), 1):
        code = _COMMENT.fullmatch(line)
        if code is None:
            raise PortError(f"{path}: line {number} is not understood")
        pending = f"{pending} {code[1].strip()}".strip()
        is_open = not pending.startswith("[") and pending.partition("=")[2].lstrip().startswith("[")
        if pending and not (is_open and not pending.endswith("]")):
            yield number, pending
            pending = ""
    if pending:
        raise PortError(f"{path}: line {number}: an array has no end")


def _value(path: str, number: int, text: str) -> Value:
    if re.fullmatch(_STRING, text):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if _ARRAY.fullmatch(text):
        return [match[1:-1] for match in re.findall(_STRING, text)]
    raise PortError(f"{path}: line {number}: the value is not understood")


def _strings(path: str, value: Value) -> list[str]:
    if not isinstance(value, list):
        raise PortError(f"{path}: a list of registries is not a list")
    return value
