# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction around a run: says to the host which run of ansible-playbook calls."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.bulkhead.hardening.plugins.modules.checkpoint import ARGUMENT_SPEC, REQUIRED_IF
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._run_identity import run_identity, verdict_on

_MODULE = "bulkhead.hardening.checkpoint"
_OWN_OPTIONS = ("run", "gone", "alive", "unknown")


class ActionModule(ActionBase):  # type: ignore[misc]
    """One round trip; two where another run of this controller has left its lock."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the module as this run, which is the process of ansible-playbook: the parent of this one."""
        del tmp  # has no effect any more, says Ansible
        variables = task_vars or {}
        super().run(task_vars=variables)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC, required_if=REQUIRED_IF)
        arguments = {name: value for name, value in options.items() if name not in _OWN_OPTIONS}
        arguments["run"] = run_identity(os.getppid())
        outcome = self._call(arguments, variables)
        if not outcome.pop("ask", False):
            return outcome
        # A run of this controller holds the lock: whether its process lives is known here, not on the host.
        found = outcome["holder"]
        outcome = self._call({**arguments, verdict_on(found): [found["run"]]}, variables)
        outcome.pop("ask", None)
        return outcome

    def _call(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        outcome: dict[str, Any] = self._execute_module(
            module_name=_MODULE, module_args=arguments, task_vars=variables
        )
        outcome.pop("invocation", None)
        return outcome
