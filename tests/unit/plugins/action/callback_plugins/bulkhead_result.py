# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints the whole result of every task as one line of JSON, beside what Ansible prints by default."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: bulkhead_result
type: stdout
short_description: The default output, and each result as a line of JSON
description: For tests that compare results.
extends_documentation_fragment: [default_callback, result_format_callback]
"""


class CallbackModule(Default):  # type: ignore[misc]
    """The default output with a line more per result."""

    CALLBACK_NAME = "bulkhead_result"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print the result of a task that went well."""
        super().v2_runner_on_ok(result)
        self._print(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print the result of a task that failed."""
        super().v2_runner_on_failed(result, ignore_errors)
        self._print(result)

    def _print(self, result: Any) -> None:
        print("RESULT " + json.dumps(result.result, default=str))  # noqa: T201
