# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read Podman's configuration: what the files hold comes sealed, because they can hold credentials."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, unseal
from ansible_collections.bulkhead.hardening.plugins.modules.podman_policy_info import ARGUMENT_SPEC

_MODULE = "bulkhead.hardening.podman_policy_info"


class ActionModule(ActionBase):  # type: ignore[misc]
    """One round trip."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the module with a key for its answer, and open that here."""
        del tmp  # has no effect any more, says Ansible
        variables = task_vars or {}
        super().run(task_vars=variables)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        key = new_key()
        outcome: dict[str, Any] = self._execute_module(
            module_name=_MODULE, module_args={**options, "seal": key}, task_vars=variables
        )
        outcome.pop("invocation", None)
        if not outcome.get("failed"):
            outcome["podman"] = unseal(outcome.pop("sealed"), key)
        return outcome
