# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records what every task of a play did: whether it changed something, its difference, where it ran."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bulkhead_record
type: aggregate
short_description: Write what each task did as JSON
description: One file per run of ansible-playbook, in the directory that C(BULKHEAD_RECORD_DIRECTORY) names.
"""

# Actions that run on the controller alone.
LOCAL_ACTIONS = frozenset(
    (
        *("assert", "debug", "fail", "include_role", "include_tasks", "include_vars", "set_fact"),
        "validate_argument_spec",
    )
)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Keeps a list per host and writes it at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bulkhead_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None, options: Any = None) -> None:
        super().__init__(display=display, options=options)
        self._playbook = ""
        self._hosts: dict[str, list[dict[str, Any]]] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Note which playbook it is."""
        self._playbook = Path(playbook._file_name).name

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note what a task did."""
        task, outcome = result.task, result.result
        action = task.action.rpartition(".")[2]
        self._hosts.setdefault(result.host.get_name(), []).append(
            {
                "task": task.get_name(),
                "action": action,
                "remote": action not in LOCAL_ACTIONS,
                "changed": bool(outcome.get("changed")),
                "diff": outcome.get("diff"),
            }
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write the record."""
        directory = Path(os.environ["BULKHEAD_RECORD_DIRECTORY"])
        directory.mkdir(parents=True, exist_ok=True)
        record = {
            "playbook": self._playbook,
            "check": bool(context.CLIARGS.get("check")),
            "hosts": self._hosts,
        }
        path = directory / f"{time.time_ns()}.json"
        path.write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")
