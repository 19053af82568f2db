# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the posture writes down facts: unreadable ones with their reason, times, modes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError

__all__ = ["attempt", "is_unreadable", "not_applicable", "octal_mode", "printable", "rfc3339", "unreadable"]

TEXT_LENGTH = 4096
_SURROGATE = re.compile("[\ud800-\udfff]")


def unreadable(reason: object) -> dict[str, str]:
    """What stands in the place of a fact that exists but could not be read."""
    return {"unreadable": printable(str(reason))}


def not_applicable(reason: str) -> dict[str, str]:
    """What stands in the place of a fact that has no meaning here (a sandbox hides it)."""
    return {"not_applicable": printable(reason)}


def is_unreadable(fact: object) -> bool:
    """Whether a fact is such an `unreadable` object."""
    return isinstance(fact, dict) and set(fact) == {"unreadable"}


def attempt(read: Callable[[], Any]) -> Any:
    """What `read` returns, or the `unreadable` object when it raises `PortError`."""
    try:
        return read()
    except PortError as error:
        return unreadable(error)


def printable(text: str, *, limit: int = TEXT_LENGTH) -> str:
    """The text as valid Unicode of at most `limit` characters.

    Names and paths come from containers and users: bytes that are no UTF-8 arrive as surrogates, which no
    JSON reader has to accept, and become U+FFFD here.
    """
    clean = _SURROGATE.sub("\ufffd", text)
    return clean if len(clean) <= limit else clean[:limit] + "…"


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as `2026-11-23T15:20:00Z`."""
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def octal_mode(mode: int) -> str:
    """The permission bits as four octal digits, `0644`."""
    return f"{mode & 0o7777:04o}"
