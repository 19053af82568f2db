# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would stand in a file if an owner gave its keys back: what its next run is judged by. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import Ledger, OwnedKey

__all__ = ["given_back"]


def given_back(
    ledger: Ledger, path: str, document: Mapping[str, Any], *, owner: str
) -> Optional[dict[str, Any]]:
    """The document without the owner's values in it; ``None`` where it owns none of the file.

    What somebody changed since is left: a run does not give it back either. Single elements of lists are
    left too.

    :param path: of the file in the ledger
    :param document: its content
    """
    entries = [entry for entry in ledger.of_file(path) if entry.owner == owner and entry.element is None]
    if not entries:
        return None
    before: dict[str, Any] = deepcopy(dict(document))
    for entry in entries:
        _give_back(before, entry)
    return before


def _give_back(document: dict[str, Any], entry: OwnedKey) -> None:
    places = [document]
    for name in entry.key[:-1]:
        inner = places[-1].get(name)
        if not isinstance(inner, dict):
            return
        places.append(inner)
    if entry.key[-1] not in places[-1] or not entry.made(places[-1][entry.key[-1]]):
        return
    if "value" in entry.before:
        places[-1][entry.key[-1]] = deepcopy(entry.before["value"])
        return
    del places[-1][entry.key[-1]]
    # the objects that were made for the key go with it
    for depth in range(len(entry.key) - 1, entry.before["absent_from"] - 1, -1):
        if not places[depth]:
            del places[depth - 1][entry.key[depth - 1]]
