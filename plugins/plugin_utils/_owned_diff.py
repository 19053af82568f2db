# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan shows of itself: the keys that change, with secrets left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import OwnedKey
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import (
    covered_by,
    is_sensitive,
    shown,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import FilePlan, KeyChange
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import Absent, KeyPath, leaves

__all__ = ["change_outcome", "diff_of", "entry_outcome", "is_secret", "secret_texts"]


def is_secret(key: KeyPath, patterns: Sequence[str]) -> bool:
    """Whether the table of sensitive keys or a pattern covers the key, or an object that it is part of."""
    return is_sensitive(key) or covered_by(key, patterns)


def diff_of(plan: FilePlan, patterns: Sequence[str]) -> dict[str, str]:
    """The difference as Ansible shows it: one line per key that changes."""
    before: list[str] = []
    after: list[str] = []
    for change in sorted(plan.changes, key=lambda change: change.key):
        name = ".".join(change.key) + ("[]" if change.element else "")
        hidden = is_secret(change.key, patterns)
        note = {"set": "", "drift": "  (changed by somebody since)", "released": "  (given back)"}[change.why]
        old, new = (_text(change.key, value, patterns) for value in (change.before, change.after))
        if old is not None:
            before.append(f"{name}: {old}\n")
        if new is not None:
            alike = (
                "  (its credentials changed)" if new == old and not is_secret(change.key, patterns) else ""
            )
            hidden = is_secret(change.key, patterns)
            after.append(f"{name}: {'(secret, changed)' if hidden else new}{alike}{note}\n")
    gone = plan.text is None and plan.current.text is not None
    made = plan.text is not None and plan.current.text is None
    return {
        "before_header": plan.current.path + (" (does not exist)" if made else ""),
        "before": "".join(before),
        "after_header": plan.current.path + (" (does not exist)" if gone else ""),
        "after": "".join(after),
    }


def secret_texts(document: dict[str, Any], patterns: Sequence[str]) -> set[str]:
    """Every text of a secret key in a document: what a validator's message must not repeat."""
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


def _text(key: KeyPath, value: Any, patterns: Sequence[str]) -> str | None:
    if isinstance(value, Absent):
        return None
    hidden = is_secret(key, patterns)
    return "(secret)" if hidden else json.dumps(shown(value), ensure_ascii=False, sort_keys=True)


def change_outcome(change: KeyChange, patterns: Sequence[str]) -> dict[str, Any]:
    """A change as the result tells it; of values it shows elements of lists only."""
    outcome = {"key": list(change.key), "why": change.why, "gone": isinstance(change.after, Absent)}
    if not change.element:
        return outcome
    element = change.before if isinstance(change.after, Absent) else change.after
    return {**outcome, "element": _element(change.key, element, patterns)}


def entry_outcome(entry: OwnedKey, patterns: Sequence[str], time: str | None) -> dict[str, Any]:
    """An owned key, or an owned element of a list, as the result tells it."""
    outcome: dict[str, Any] = {"key": list(entry.key), "time": entry.time or time}
    if entry.element is None:
        return outcome
    return {**outcome, "element": _element(entry.key, entry.set, patterns)}


def _element(key: KeyPath, element: Any, patterns: Sequence[str]) -> Any:
    return "(secret)" if is_secret(key, patterns) else shown(element)
