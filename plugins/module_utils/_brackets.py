# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Items between brackets, separated by commas: JSON, TOML's arrays and inline tables, YAML's flow style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import Splice, spliced

__all__ = ["Span", "indent_before", "with_item", "without_item"]

Span = tuple[int, int]

_COMMA = re.compile(r"(?:\s|#[^\n]*\n)*,")
_REST_OF_LINE = re.compile(r"[ \t]*(#[^\n]*)?(?=\r?\n)")


@dataclass(frozen=True)
class _Item:
    """An item, the place behind its comma (if it has one), and the end of what its line says of it."""

    start: int
    end: int
    comma_end: int | None
    line_end: int | None


def indent_before(text: str, position: int) -> str | None:
    """Line break and indentation before a position; ``None`` when other text precedes it on its line."""
    before = re.search(r"\r?\n[ \t]*$", text[:position])
    return before.group() if before else None


def with_item(text: str, items: Sequence[Span], rendered: str) -> str:
    """The text with an item more behind the last; there has to be one. `without_item` undoes it."""
    last = _item(text, items[-1])
    indent = indent_before(text, last.start)
    if indent is None or last.line_end is None:
        separator = " " if indent is None else indent
        return spliced(text, (last.end, last.end, f",{separator}{rendered}"))
    if last.comma_end is not None:
        return spliced(text, (last.line_end, last.line_end, f"{indent}{rendered},"))
    if last.line_end == last.end:
        return spliced(text, (last.end, last.end, f",{indent}{rendered}"))
    return spliced(text, (last.end, last.end, ","), (last.line_end, last.line_end, f"{indent}{rendered}"))


def without_item(text: str, items: Sequence[Span], index: int) -> str:
    """The text without an item; there have to be others."""
    item = _item(text, items[index])
    indent = indent_before(text, item.start)
    if indent is not None and item.line_end is not None and index:
        return spliced(text, *_own_line(text, items, index, item, len(indent)))
    if index < len(items) - 1:
        return spliced(text, (item.start, items[index + 1][0], ""))
    return spliced(text, (items[index - 1][1], item.end, ""))


def _own_line(text: str, items: Sequence[Span], index: int, item: _Item, indent: int) -> list[Splice]:
    """The splices that take an item off that has a line of its own, and is not the first."""
    behind = item.comma_end or item.end
    keeps_comment = text[behind : item.line_end].strip()
    taken: Splice = (item.start if keeps_comment else item.start - indent, behind, "")
    if item.comma_end is not None:
        return [taken]
    previous = _item(text, items[index - 1])
    comma = previous.comma_end or previous.end
    return [(comma - 1, comma, ""), taken]


def _item(text: str, span: Span) -> _Item:
    start, end = span
    comma = _COMMA.match(text, end)
    behind = comma.end() if comma else end
    on_its_line = "\n" not in text[end:behind]
    rest = _REST_OF_LINE.match(text, behind) if on_its_line else None
    return _Item(start, end, comma.end() if comma else None, rest.end() if rest else None)
