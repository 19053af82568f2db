# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads registries.conf without a TOML library: the forms that such files use, and nothing guessed.

What is read: comments, tables and arrays of tables with bare names, keys, strings without escapes, booleans,
integers, arrays over one or several lines and inline tables (containers-registries.conf(5)). Everything else
raises `PortError`, so that a fact is either read right or unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError

__all__ = ["Registries", "Value", "merge_registries", "read_tables"]

Value = Union[str, bool, int, "list[Value]", "dict[str, Value]"]

_STRING = r"\"[^\"\\]*\"|'[^']*'"
_COMMENT = re.compile(rf"((?:[^\"'#]|{_STRING})*)(?:#.*)?")
_TABLE = re.compile(r"\[\s*([A-Za-z0-9_.-]+)\s*\]|\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_KEY = re.compile(rf"([A-Za-z0-9_-]+|{_STRING})\s*=\s*(.+)")
_TOKEN = re.compile(rf"\s*({_STRING}|[A-Za-z0-9_-]+|[][{{}},=])\s*")
_DEEPEST = 8


@dataclass(frozen=True)
class Registries:
    """What the files in effect say together; sorted where order has no meaning.

    :ivar short_name_mode: `permissive` is what no file says (containers-registries.conf(5))
    """

    unqualified_search: list[str]
    insecure: list[str]
    short_name_mode: str = "permissive"


def merge_registries(files: Iterable[tuple[str, str]]) -> Registries:
    """Merge `(path, text)` in the order in which Podman reads them: a later file's value replaces.

    A `[[registry]]` of a later file replaces the one with the same prefix. Raises `PortError`.
    """
    search: list[str] = []
    short_names = "permissive"
    insecure: dict[str, list[str]] = {}
    for path, text in files:
        for table in _tables(path, text):
            values = dict(table.values)
            if table.name == "" and isinstance(values.get("short-name-mode"), str):
                short_names = str(values["short-name-mode"]).lower()
            if table.name in ("", "registries.search"):
                key = "unqualified-search-registries" if table.name == "" else "registries"
                search = _strings(path, values[key]) if key in values else search
            elif table.name == "registries.insecure":
                insecure.update({name: [name] for name in _strings(path, values.get("registries", []))})
            elif table.name == "registry":
                insecure[table.prefix] = [table.location] if values.get("insecure") is True else []
            elif table.name == "registry.mirror" and values.get("insecure") is True:
                insecure.setdefault(table.prefix, []).append(table.location)
    places = sorted({place for places in insecure.values() for place in places})
    return Registries(search, places, short_names)


def read_tables(path: str, text: str) -> list[tuple[str, dict[str, Value]]]:
    """The tables of a TOML file of these forms, each with its name and values; the first has no name.

    Raises `PortError`.
    """
    return [(table.name, table.values) for table in _tables(path, text)]


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
    return [*tables, *_inline(path, tables[0].values.get("registry", []))]


def _inline(path: str, registries: Value) -> Iterator[_Table]:
    """The tables of `registry = [{…}]`, each followed by those of its mirrors."""
    for registry in _dictionaries(path, registries):
        yield _Table("registry", registry, registry)
        for mirror in _dictionaries(path, registry.get("mirror", [])):
            yield _Table("registry.mirror", mirror, registry)


def _dictionaries(path: str, value: Value) -> list[dict[str, Value]]:
    found = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else None
    if found is None or found != value:
        raise PortError(f"{path}: registry is not a list of tables")
    return found


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
    tokens: list[str] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _not_understood(path, number)
        tokens.append(match[1])
        place = match.end()
    try:
        value = _parsed(tokens, 0)
    except (IndexError, ValueError) as error:
        raise _not_understood(path, number) from error
    if tokens:
        raise _not_understood(path, number)
    return value


def _not_understood(path: str, number: int) -> PortError:
    return PortError(f"{path}: line {number}: the value is not understood")


def _parsed(tokens: list[str], depth: int) -> Value:
    """Take one value off the front of the tokens; raises ValueError or IndexError."""
    token = tokens.pop(0)
    if depth > _DEEPEST:
        raise ValueError(token)
    if token == "[":
        return [_parsed(tokens, depth + 1) for _item in _items(tokens, "]")]
    if token == "{":
        table: dict[str, Value] = {}
        for _item in _items(tokens, "}"):
            key, equals = tokens.pop(0).strip("\"'"), tokens.pop(0)
            if equals != "=" or key in table or key in "[]{},=":
                raise ValueError(key)
            table[key] = _parsed(tokens, depth + 1)
        return table
    if re.fullmatch(_STRING, token):
        return token[1:-1]
    return token == "true" if token in ("true", "false") else int(token)


def _items(tokens: list[str], end: str) -> Iterator[None]:
    """Once for each item up to the end, which it takes off; a comma stands between two."""
    while tokens[0] != end:
        yield
        if tokens[0] == ",":
            tokens.pop(0)
        elif tokens[0] != end:
            raise ValueError(tokens[0])
    tokens.pop(0)


def _strings(path: str, value: Value) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PortError(f"{path}: a list of registries is not a list of texts")
    return [str(item) for item in value]
