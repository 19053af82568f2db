# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore in words, for whoever reads the output of a run: what was done, and how far it is proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["restore_text"]

_READ_AGAIN = (
    "files, modes, owners, units and sysctls. Of Docker's containers none ended but those that are named here"
)


def restore_text(outcome: Mapping[str, Any], *, check_mode: bool = False) -> str:
    """The result of a restore as sentences. Proven is only what was read again."""
    return " ".join(_sentences(outcome, check_mode=check_mode))


def _sentences(outcome: Mapping[str, Any], *, check_mode: bool) -> Iterator[str]:
    if check_mode:
        yield f"This would be restored: {_list(outcome['actions'])}."
    else:
        yield f"The host was restored: {_list(outcome['actions'])}."
        yield _proof(outcome)
    if outcome["losses"]:
        yield f"Containers that {'would end' if check_mode else 'ended'}: {_list(outcome['losses'])}."
    if outcome["pending"]:
        waiting = [f"{entry['key']} ({entry['reason']})" for entry in outcome["pending"]]
        yield f"Not as before in the running engine yet: {_list(waiting)}."
    if outcome["conflicts"]:
        yield f"Edits of somebody else's: {_list([_edit(conflict) for conflict in outcome['conflicts']])}."
    if outcome["reasons"]:
        yield f"The reasons: {_list(outcome['reasons'])}."


def _proof(outcome: Mapping[str, Any]) -> str:
    if outcome["unproven"]:
        return f"This could NOT be proven to be as before: {_list(outcome['unproven'])}."
    return f"Read again and proven to be as before the run: {_READ_AGAIN}."


def _edit(conflict: Mapping[str, Any]) -> str:
    kept = conflict["kept_beside"]
    where = f"the edited version is kept in {kept}" if kept else "it could not be kept"
    return f"{conflict['path']} ({'; '.join(conflict['reasons'])}), {where}"


def _list(entries: Sequence[str]) -> str:
    return "; ".join(entries) or "nothing had changed"
