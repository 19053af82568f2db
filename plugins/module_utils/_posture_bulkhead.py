# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `bulkhead`: what this collection itself has left open on the host.

Everything is read from its state directory, which only root can read. What the last runs withheld, which keys
somebody has changed since, and a run that was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_drift import ledger_drift
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = ["BULKHEAD_WITNESSES", "STATE_DIRECTORY", "collect_bulkhead"]

STATE_DIRECTORY = "/var/lib/bulkhead"
BULKHEAD_WITNESSES = {
    "bulkhead": "the file system",
    "bulkhead.pending": "/var/lib/bulkhead/pending.json, which the commit of a run writes",
    "bulkhead.drift": "/var/lib/bulkhead/ledger.json against the files that it names",
    "bulkhead.open_checkpoint": "/var/lib/bulkhead/checkpoints/*/manifest.json",
}
_CHECKPOINTS = 1000
_MANIFEST_LIMIT = 16 * 1024 * 1024
_ENTRIES = 1000
_HOLDER = ("run", "controller", "user", "pid")


def collect_bulkhead(system: System, state_directory: str = STATE_DIRECTORY) -> dict[str, Any]:
    """The part `bulkhead`. Without a state directory nothing is owned and nothing is open."""
    present = attempt(lambda: system.exists(state_directory))
    if present is not True:
        return {"present": present, "pending": [], "drift": [], "open_checkpoint": None}
    return {
        "present": True,
        "pending": attempt(lambda: _pending(system, state_directory)),
        "drift": _drift(system, state_directory),
        "open_checkpoint": attempt(lambda: _open_checkpoint(system, state_directory)),
    }


def _pending(system: System, state_directory: str) -> list[dict[str, Any]]:
    """Each key that a role was asked for and has not brought into force, with its reason."""
    path = f"{state_directory}/pending.json"
    try:
        document = _json_object(system, path)
    except NotThere:
        return []
    roles = document.get("roles")
    if document.get("schema_version") != "1.0" or not isinstance(roles, dict):
        raise PortError(f"{path}: not a list of pending changes of schema version 1.0")
    return [
        {
            "role": printable(role, limit=100),
            "key": printable(key, limit=200),
            "reason": printable(str(reason), limit=1000),
            "since": _text(entry.get("time")),
        }
        for role, entry in list(roles.items())[:_ENTRIES]
        if isinstance(entry, dict)
        for key, reason in list(_mapping(entry.get("pending")).items())[:_ENTRIES]
    ]


def _drift(system: System, state_directory: str) -> Any:
    """Each owned key that is not as its role left it, without secrets."""
    try:
        entries = ledger_drift(system, state_directory)
    except BulkheadError as error:  # a ledger that cannot be believed, or files that cannot be read
        return unreadable(error)
    return [
        {**entry, "key": ".".join(entry["key"]) if entry["key"] is not None else None}
        for entry in entries[:_ENTRIES]
    ]


def _open_checkpoint(system: System, state_directory: str) -> Optional[dict[str, Any]]:
    """The checkpoint of a run that has not ended: one that goes on, or was interrupted."""
    for name, manifest in _manifests(system, f"{state_directory}/checkpoints"):
        if manifest.get("status") == "open":
            holder = _mapping(manifest.get("holder"))
            return {
                "id": printable(name, limit=200),
                "opened_at": _text(manifest.get("opened_at")),
                "holder": {key: _plain(holder[key]) for key in _HOLDER if key in holder},
            }
    return None


def _manifests(system: System, directory: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        names = system.list_directory(directory, limit=_CHECKPOINTS)
    except NotThere:
        return
    for name in reversed(names):
        try:
            yield name, _json_object(system, f"{directory}/{name}/manifest.json", limit=_MANIFEST_LIMIT)
        except NotThere:
            continue  # a checkpoint that is being made or taken away


def _json_object(system: System, path: str, *, limit: int = 1024 * 1024) -> Mapping[str, Any]:
    document = parse_json(system.read_text(path, limit=limit, follow=False))
    if not isinstance(document, dict):
        raise PortError(f"{path}: not a JSON object")
    return document


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> Optional[str]:
    return printable(value, limit=100) if isinstance(value, str) else None


def _plain(value: Any) -> Any:
    return printable(str(value), limit=255) if not isinstance(value, (int, type(None))) else value
