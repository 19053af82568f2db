# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends ansible-playbook by SIGKILL before a task begins, as a crash or an impatient operator does."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bulkhead_kill
type: aggregate
short_description: Kill the run before its nth task
description: >-
  C(BULKHEAD_KILL_BEFORE_TASK) is the number of the task, counted from 1; 0 kills nothing. The names of the
  tasks that began are written to the file C(BULKHEAD_TASKS), one a line.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Counts tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bulkhead_kill"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None, options: Any = None) -> None:
        super().__init__(display=display, options=options)
        self._started = 0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Count, note, and kill."""
        self._started += 1
        with Path(os.environ["BULKHEAD_TASKS"]).open("a", encoding="utf-8") as names:
            names.write(f"{task.get_name()}\n")
        if self._started == int(os.environ["BULKHEAD_KILL_BEFORE_TASK"]):
            os.kill(os.getpid(), signal.SIGKILL)
