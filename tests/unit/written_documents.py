# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random configuration files as people write them: comments, odd spacing, every style that a format has."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

__all__ = ["NAMES", "WANTED", "WRITERS", "written"]

NAMES = st.sampled_from(["icc", "log-opts", "max-size", "labels", "x", "a b"])
TEXTS = st.text("abz#:-\"'\\ \n\té{}[],=&*!|>%@`~0", max_size=6) | st.sampled_from(
    ["yes", "null", "1", "0x1f", ""]
)
SCALARS = st.booleans() | st.integers(-3, 300) | TEXTS | st.sampled_from([0.5, 1e22])
LISTS = st.lists(SCALARS, max_size=3)
WORDS = st.text("abz:-\"'/.,=&*!|>%@`~0$ ", min_size=1, max_size=6).map(str.strip).filter(bool)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, values, max_size=4)


OBJECTS = _objects(st.recursive(SCALARS | LISTS, _objects, max_leaves=8))
KEYFILES = st.dictionaries(
    st.sampled_from(["Service", "Unit", "a b"]),
    st.dictionaries(NAMES, WORDS | st.lists(WORDS, min_size=2, max_size=3), max_size=3),
    max_size=3,
)
LINES = st.lists(WORDS, max_size=4, unique=True).map(lambda lines: {"lines": lines} if lines else {})

WANTED = {"json": OBJECTS, "toml": OBJECTS, "yaml": OBJECTS, "keyfile": KEYFILES, "lines": LINES}


class Pen:
    """Writes a document, and makes its choices of style by a seed (drawing each takes ten times as long)."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.comments = 0

    def choose(self, *options: Any) -> Any:
        return self.random.choice(options)

    def comment(self, mark: str = "#") -> str:
        self.comments += 1
        return f"{mark} comment {self.comments}: [x] = {{"

    def between(self) -> str:
        """What may stand between two lines."""
        return str(self.choose("", "", "", "\n", f"{self.comment()}\n", f"\n {self.comment()}\n"))

    def behind(self) -> str:
        """What may stand behind a value on its line."""
        return str(self.choose("", "", "", "  ", f" {self.comment()}"))


def written(format_name: str) -> st.SearchStrategy[tuple[dict[str, Any], str]]:
    """Documents with one of their texts."""

    @st.composite
    def build(draw: Draw) -> tuple[dict[str, Any], str]:
        document = draw(WANTED[format_name])
        pen = Pen(draw(st.integers(0, 99999)))
        text = WRITERS[format_name](pen, document)
        if (
            text.endswith("\n")
            and text.strip()
            and draw(st.integers(0, 4)) == 0
            and not text.endswith("\n\n")
        ):
            text = text[:-1]
        return document, text

    return build()


def _json(pen: Pen, document: dict[str, Any]) -> str:
    return _json_value(pen, document, "") + str(pen.choose("", "\n", " \n"))


def _json_value(pen: Pen, value: Any, indent: str) -> str:
    if not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=bool(pen.choose(True, False)))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if not value:
        return f"{opening}{pen.choose('', ' ', chr(10))}{closing}"
    inner = str(pen.choose("", indent + "  ", indent + "\t"))
    line = f"\n{inner}" if inner else str(pen.choose("", " "))
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    parts = [
        ("" if name is None else f"{json.dumps(name)}{pen.choose('', ' ')}:{pen.choose('', ' ')}")
        + _json_value(pen, item, inner)
        for name, item in items
    ]
    comma = f"{pen.choose('', ' ')},{line}"
    return f"{opening}{line}{comma.join(parts)}{pen.choose('', chr(10) + indent)}{closing}"


def _toml_key(pen: Pen, name: str) -> str:
    return json.dumps(name) if " " in name or pen.choose(False, False, True) else name


def _toml_value(pen: Pen, value: Any, *, inline: bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        styles = [json.dumps(value)]
        if "'" not in value and "\n" not in value:
            styles.append(f"'{value}'")
        if not inline and "\\" not in value and '"' not in value:
            styles.append(f'"""\n{value}"""')
        return str(pen.choose(*styles))
    if isinstance(value, int):
        return str(pen.choose(str(value), f"0x{value:x}" if value >= 0 else str(value)))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        items = (
            f"{_toml_key(pen, name)} = {_toml_value(pen, item, inline=True)}" for name, item in value.items()
        )
        return "{" + pen.choose("", " ") + ", ".join(items) + pen.choose("", " ") + "}"
    return _toml_array(pen, value, inline=inline)


def _toml_array(pen: Pen, value: list[Any], *, inline: bool) -> str:
    items = [_toml_value(pen, item, inline=True) for item in value]
    if inline or pen.choose(True, False):
        comma = pen.choose("", ",") if items else ""
        return f"[{pen.choose('', ' ')}{', '.join(items)}{comma}{pen.choose('', ' ')}]"
    lines = [
        f"{pen.between()}  {item}{pen.choose(',', ' ,') if index < len(items) - 1 else pen.choose('', ',')}"
        f"{pen.behind()}\n"
        for index, item in enumerate(items)
    ]
    return f"[{pen.behind()}\n{''.join(lines)}{pen.between()}]"


def _toml(pen: Pen, document: dict[str, Any], heading: tuple[str, ...] = ()) -> str:
    tables = {
        name: value
        for name, value in document.items()
        if isinstance(value, dict) and pen.choose(True, True, False)
    }
    text = ""
    for name, value in document.items():
        if name not in tables:
            text += f"{pen.between()}{pen.choose('', ' ')}{_toml_pair(pen, name, value)}{pen.behind()}\n"
    for name, value in tables.items():
        path = (*heading, name)
        dotted = ".".join(_toml_key(pen, part) for part in path)
        body = _toml(pen, value, path)
        only_tables = (
            value and all(isinstance(item, dict) for item in value.values()) and body.startswith("[")
        )
        text += (
            body
            if only_tables and pen.choose(True, False)
            else f"{pen.between()}[{dotted}]{pen.behind()}\n{body}"
        )
    return text + pen.between()


def _toml_pair(pen: Pen, name: str, value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and pen.choose(True, False):
        [(below, item)] = value.items()
        return f"{_toml_key(pen, name)}.{_toml_pair(pen, below, item)}"
    return f"{_toml_key(pen, name)}{pen.choose('=', ' = ')}{_toml_value(pen, value, inline=False)}"


def _yaml(pen: Pen, document: dict[str, Any]) -> str:
    start = pen.choose("", "", "---\n", f"{pen.comment()}\n---\n")
    if not document:
        return f"{start}{pen.between()}{pen.choose('{}', '{ }')}\n" if pen.choose(True, False) else start
    if pen.choose(True, True, True, False):
        return f"{start}{_yaml_block(pen, document, '')}{pen.between()}"
    return f"{start}{_yaml_flow(pen, document)}\n"


def _yaml_flow(pen: Pen, value: Any) -> str:
    if isinstance(value, dict):
        comma = f",{pen.choose(' ', chr(10) + ' ')}"
        return (
            "{"
            + comma.join(f"{_yaml_key(pen, name)}: {_yaml_flow(pen, item)}" for name, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_yaml_flow(pen, item) for item in value) + pen.choose("", " ") + "]"
    if isinstance(value, str):
        single = "'" + value.replace("'", "''") + "'"
        return json.dumps(value) if "\n" in value or pen.choose(True, False) else single
    return json.dumps(value)


def _yaml_key(pen: Pen, name: str) -> str:
    return str(pen.choose(name, name, json.dumps(name)))


def _yaml_block(pen: Pen, document: dict[str, Any], indent: str) -> str:
    text = ""
    for name, value in document.items():
        key = f"{pen.between()}{indent}{_yaml_key(pen, name)}{pen.choose('', ' ')}:"
        deeper = indent + str(pen.choose("  ", "   "))
        if isinstance(value, dict) and value and pen.choose(True, False):
            text += f"{key}{pen.behind()}\n{_yaml_block(pen, value, deeper)}"
        elif isinstance(value, list) and value and pen.choose(True, False):
            dashes = str(pen.choose(indent, deeper))
            items = "".join(
                f"{pen.between()}{dashes}-{pen.choose(' ', '   ')}{_yaml_flow(pen, item)}{pen.behind()}\n"
                for item in value
            )
            text += f"{key}{pen.behind()}\n{items}"
        elif isinstance(value, str) and value.isalnum() and pen.choose(True, False):
            text += f"{key} |-{pen.behind()}\n{deeper}{value}\n"
        else:
            text += f"{key}{pen.choose(' ', '  ')}{_yaml_flow(pen, value)}{pen.behind()}\n"
    return text


def _keyfile(pen: Pen, document: dict[str, Any]) -> str:
    text = ""
    for section, keys in document.items():
        text += f"{pen.between()}{pen.choose('', ' ')}[{section}]{pen.choose('', ' ')}\n"
        for name, value in keys.items():
            text += pen.between()
            for item in value if isinstance(value, list) else [value]:
                text += f"{name}{pen.choose('=', ' = ')}{item}{pen.choose('', '  ')}\n"
    return text + pen.between()


def _lines(pen: Pen, document: dict[str, Any]) -> str:
    lines = (
        f"{pen.between()}{pen.choose('', ' ')}{line}{pen.choose('', '  ')}\n"
        for line in document.get("lines", [])
    )
    return "".join(lines) + pen.between()


WRITERS: dict[str, Callable[[Pen, dict[str, Any]], str]] = {
    "json": _json,
    "toml": _toml,
    "yaml": _yaml,
    "keyfile": _keyfile,
    "lines": _lines,
}
