# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run was asked for and left pending, kept on the host so that an audit can show it.

`/var/lib/bulkhead/pending.json`, root only::

    {"schema_version": "1.0",
     "roles": {"docker_engine": {"time": "2026-11-24T21:22:00Z", "pending": {"icc": "takes effect at …"}}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import (
    read_private,
    remove_file,
    write_private,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
)

__all__ = ["PENDING_FILE", "parse_pending", "record_pending"]

PENDING_FILE = "pending.json"
SCHEMA_VERSION = "1.0"


def parse_pending(option: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """`{role: {key: reason}}` of a mapping, or of lists of `{key, reason}`; raises `CheckpointError`."""
    try:
        return {role: _reasons(entries) for role, entries in option.items()}
    except (KeyError, TypeError, AttributeError):
        raise CheckpointError(
            "pending: found another form; accepted is for each role a mapping of keys to reasons, or a list "
            f"of key and reason. {UNCHANGED}"
        ) from None


def _reasons(entries: Any) -> dict[str, str]:
    if isinstance(entries, Mapping):
        return {str(key): str(reason) for key, reason in entries.items()}
    return {str(entry["key"]): str(entry["reason"]) for entry in entries}


def record_pending(directory: str, pending: Mapping[str, Mapping[str, str]], time: str) -> None:
    """Write down what each role left pending. What was pending already keeps its time; other roles' stays."""
    path = f"{directory}/{PENDING_FILE}"
    before = _roles(read_private(path))
    after = dict(before)
    for role, reasons in pending.items():
        if not reasons:
            after.pop(role, None)
        elif before.get(role, {}).get("pending") != dict(reasons):
            after[role] = {"time": time, "pending": dict(reasons)}
    if after and after != before:
        document = {"schema_version": SCHEMA_VERSION, "roles": after}
        write_private(path, (json.dumps(document, indent=1) + "\n").encode("ascii"))
    elif before and not after:
        remove_file(path)


def _roles(content: Any) -> dict[str, Any]:
    """What stands in the file; a damaged one says nothing, and is written anew."""
    try:
        roles = json.loads(content)["roles"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return roles if isinstance(roles, dict) else {}
