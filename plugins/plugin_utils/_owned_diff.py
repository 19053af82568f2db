# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan shows of itself: the keys that change, with secrets left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import FilePlan
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import Absent, KeyPath, leaves

__all__ = ["diff_of", "is_secret", "secret_texts"]


def is_secret(key: KeyPath, patterns: Sequence[str]) -> bool:
    """Whether a pattern covers the key, or an object that it is part of."""
    names = [".".join(key[:depth]) for depth in range(1, len(key) + 1)]
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def diff_of(plan: FilePlan, patterns: Sequence[str]) -> dict[str, str]:
    """The difference as Ansible shows it: one line per key that changes."""
    before: list[str] = []
    after: list[str] = []
    for change in sorted(plan.changes, key=lambda change: change.key):
        name = ".".join(change.key)
        note = {"set": "", "drift": "  (changed by somebody since)", "released": "  (given back)"}[change.why]
        if not isinstance(change.before, Absent):
            before.append(f"{name}: {_shown(change.key, change.before, patterns, 'secret')}\n")
        if not isinstance(change.after, Absent):
            after.append(f"{name}: {_shown(change.key, change.after, patterns, 'secret, changed')}{note}\n")
    gone = plan.text is None and plan.current.text is not None
    made = plan.text is not None and plan.current.text is None
    return {
        "before_header": plan.current.path + (" (does not exist)" if made else ""),
        "before": "".join(before),
        "after_header": plan.current.path + (" (does not exist)" if gone else ""),
        "after": "".join(after),
    }


def secret_texts(document: dict[str, Any], patterns: Sequence[str]) -> set[str]:
    """Every text in a document that a pattern covers: what a validator's message must not repeat."""
    return {
        text
        for key, value in leaves(document).items()
        if is_secret(key, patterns)
        for text in _texts(value)
        if len(text) > 3
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _shown(key: KeyPath, value: Any, patterns: Sequence[str], instead: str) -> str:
    covered = is_secret(key, patterns)
    return f"({instead})" if covered else json.dumps(value, ensure_ascii=False, sort_keys=True)
