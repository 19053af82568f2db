# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks Podman for its record of containers that are known to run: one command per user that has one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import account_environment

__all__ = ["podman_records"]

_SECONDS = 60.0  # the first command of a user's Podman takes several seconds on an emulated machine
_OUTPUT_LIMIT = 16 * 1024 * 1024


def podman_records(system: System, *, uid: int, ids: Sequence[str]) -> dict[str, Any]:
    """Container id -> the document of `podman container inspect`, or the `unreadable` object for them all.

    Runs as the user, in a clean environment. Podman makes files for a user who never ran it, so that this is
    only for users with a live container. An id that this user's Podman does not know is not in the answer.
    """
    program = system.find_program("podman")
    if program is None:
        return unreadable("podman is not installed")
    try:
        account = system.account(uid)
        completed = system.run(
            [program, "container", "inspect", *ids],
            timeout=_SECONDS,
            output_limit=_OUTPUT_LIMIT,
            environment=account_environment(account),
            uid=uid or None,
            gid=account.pw_gid if uid else None,
        )
        documents = json.loads(completed.stdout)
    except PortError as error:
        return unreadable(error)
    except (ValueError, RecursionError):
        return unreadable("podman container inspect: its answer is not JSON")
    if not isinstance(documents, list):
        return unreadable("podman container inspect: its answer is not a list")
    asked = set(ids)
    return {
        document["Id"]: document
        for document in documents
        if isinstance(document, dict) and isinstance(document.get("Id"), str) and document["Id"] in asked
    }
