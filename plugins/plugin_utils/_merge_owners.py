# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two owners of one key: allowed while they want the same, an error that names both otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import OwnedKey, same
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import ABSENT, KeyPath

__all__ = ["refuse_second_owner"]


def refuse_second_owner(
    others: Iterable[OwnedKey], owner: str, key: KeyPath, value: Any, *, element: bool = False
) -> None:
    """Raise `MergeError` when somebody else owns the key, a part of it, or what it is in, differently.

    `element`: the value is wanted as one element of the list at the key.
    """
    for other in others:
        shorter = min(len(key), len(other.key))
        if key[:shorter] != other.key[:shorter] or _agree(other, key, value, element=element):
            continue
        place = "this key" if key == other.key else ".".join(other.key)
        raise MergeError(f"{'.'.join(key)}: {owner} and {other.owner} want different values for {place}")


def _agree(other: OwnedKey, key: KeyPath, value: Any, *, element: bool) -> bool:
    """Whether both wishes hold at once."""
    if key != other.key:
        if len(key) > len(other.key):
            return _holds(other.set, key[len(other.key) :], value, element=element)
        return _holds(value, other.key[len(key) :], other.set, element=other.element is not None)
    if element and other.element is not None:
        return True
    if element:
        return _holds(other.set, (), value, element=True)
    return _holds(value, (), other.set, element=other.element is not None)


def _holds(document: Any, path: KeyPath, value: Any, *, element: bool) -> bool:
    """Whether a value that one owner sets whole has in it what the other wants."""
    for name in path:
        document = document.get(name, ABSENT) if isinstance(document, dict) else ABSENT
    if not element:
        return same(document, value)
    elements = document if isinstance(document, list) else [document]
    return any(same(item, value) for item in elements)
