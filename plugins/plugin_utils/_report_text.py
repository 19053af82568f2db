# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strings of hosts, containers and users, made safe to look at.

A container may be called anything: an escape sequence that rewrites the operator's terminal, a direction
override that turns ``gpj.exe`` round, five thousand letters. Markup is not this module's subject (the HTML
templates escape it); what a reader cannot see, or what moves other text about, is.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["NAME_LIMIT", "columns", "fit", "moment", "shown", "visible"]

NAME_LIMIT = 160
VALUE_LIMIT = 800

# Controls, formats (direction overrides, zero-width), surrogates, private use, unassigned, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: object, limit: int = NAME_LIMIT) -> str:
    """Return ``text`` with every unseen character written out (``\\u202e``) and at most ``limit`` characters.

    What is cut is said: ``aaaa… (5000 characters)``.
    """
    whole = str(text)
    written = "".join(_written(character) for character in whole[:limit])
    if len(whole) <= limit:
        return written
    return f"{written}… ({len(whole)} characters)"


def _written(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shown(value: object, limit: int = VALUE_LIMIT) -> str:
    """Return a posture value as one line: JSON, ``none`` for null, the reason where there is no value."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return visible(value, limit) if value else '""'
    if isinstance(value, Mapping):
        for key, words in (("unreadable", "could not be read"), ("not_applicable", "not applicable")):
            if set(value) == {key}:
                return visible(f"{words}: {value[key]}", limit)
    return visible(json.dumps(value, ensure_ascii=False, default=str), limit)


def moment(stamp: Any) -> str:
    """Return an RFC 3339 time as ``23 November 2026, 15:20 UTC``; anything else as it is."""
    try:
        time = datetime.strptime(str(stamp), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return visible(stamp)
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M} UTC"


# Not strftime's %B: the report is in English whatever the controller's locale is.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return sum(_column(character) for character in text)


def _column(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: object, width: int) -> str:
    """Return ``text``, made visible, cut or padded to exactly ``width`` columns."""
    line = (
        visible(text, limit=width)
        if len(str(text)) <= width
        else visible(str(text)[:width], limit=width) + "…"
    )
    if columns(line) > width:
        line = _cut(line, width - 1) + "…"
    return line + " " * (width - columns(line))


def _cut(line: str, width: int) -> str:
    kept: list[str] = []
    taken = 0
    for character in line:
        taken += _column(character)
        if taken > width:
            break
        kept.append(character)
    return "".join(kept)
