# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pending changes and the drift of a report, as the page and the table show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import moment, shown, visible

__all__ = ["Change", "Changes", "changes"]

_REASON_LIMIT = 800
_DRIFT = {
    "changed": "somebody has set another value since",
    "absent": "somebody has taken it away since",
    "edited": "the file is not as it was written; its format cannot be read on the host",
    "unreadable": "it could not be read",
}


@dataclass(frozen=True)
class Change:
    """One key, where it belongs, why it is listed, and values by name."""

    scope: str
    key: str
    reason: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Changes:
    """All of a report."""

    pending: tuple[Change, ...]
    drift: tuple[Change, ...]
    open_run: str | None

    @property
    def any(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.pending or self.drift or self.open_run)


def changes(report: Mapping[str, Any]) -> Changes:
    """The changes of a report; nothing for one that was written before there were any in it."""
    found = report.get("changes")
    found = found if isinstance(found, Mapping) else {}
    return Changes(
        pending=_changes(found.get("pending"), _pending),
        drift=_changes(found.get("drift"), _drift),
        open_run=_open_run(found.get("open_run")),
    )


def _changes(entries: Any, make: Any) -> tuple[Change, ...]:
    if isinstance(entries, Mapping):
        return (Change("", "(not known)", shown(entries), ()),)
    if not isinstance(entries, (list, tuple)):
        return ()
    return tuple(make(entry) if isinstance(entry, Mapping) else _more(entry) for entry in entries)


def _more(entry: Any) -> Change:
    """What stands for the entries that a report leaves out."""
    return Change("", visible(entry), "", ())


def _pending(entry: Mapping[str, Any]) -> Change:
    values = [("in force", entry.get("in_force")), ("configured", entry.get("configured"))]
    reason = visible(entry.get("reason") or "", _REASON_LIMIT)
    since = entry.get("since")
    return Change(
        scope=visible(entry.get("scope") or ""),
        key=visible(entry.get("key") or ""),
        reason=f"{reason} (since {moment(since)})" if since else reason,
        values=tuple((name, shown(value)) for name, value in values if value is not None),
    )


def _drift(entry: Mapping[str, Any]) -> Change:
    state = str(entry.get("state"))
    path, key = visible(entry.get("path") or ""), entry.get("key")
    values = [("set by the role", entry.get("set")), ("found", entry.get("found"))]
    return Change(
        scope=visible(entry.get("owner") or ""),
        key=path if key is None else f"{path}: {visible(key)}",
        reason=_DRIFT.get(state) or visible(state),
        values=tuple((name, shown(value)) for name, value in values if value is not None),
    )


def _open_run(entry: Any) -> str | None:
    if not isinstance(entry, Mapping):
        return None
    if set(entry) == {"unreadable"}:
        return shown(entry)
    holder = entry.get("holder")
    holder = holder if isinstance(holder, Mapping) else {}
    user, controller = (visible(holder.get(name) or "unknown") for name in ("user", "controller"))
    since = moment(entry.get("opened_at"))
    return f"checkpoint {visible(entry.get('id') or '')} of {user} on {controller}, since {since}"
