# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain Python values out of what Ansible hands to a filter."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["NotJson", "plain"]

_DEEPEST = 60
_PLAIN = frozenset({type(None), bool, int, float, str})


class NotJson(BulkheadError):
    """A value that JSON has no type for, or that is nested too deeply."""


def plain(value: Any, *, depth: int = 0) -> Any:
    """A deep copy of JSON-like values in the types that `json.loads` gives.

    Ansible wraps values to know where they came from, and its containers look at each member again when it is
    read. The copy is free of both, and quick to judge. A date becomes its text.
    """
    if depth > _DEEPEST:
        raise NotJson(f"the value is nested deeper than {_DEEPEST} levels")
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth=depth + 1) for item in value]
    raise NotJson(f"found a value of type {type(value).__name__}, accepted are the types of JSON")
