# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the kernel's audit rules for the engine those of our file, after it was put back or taken away."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import (
    RULES_PATH,
    decide_audit,
    paths_of_text,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host_port import DockerHost

__all__ = ["load_own_rules"]


def load_own_rules(host: DockerHost) -> list[str]:
    """Load what the file has and the kernel has not, take out what is left over; nothing where auditd is not.

    :returns: what was done, a sentence each
    :raises DockerHostError: the kernel refused
    """
    if host.audit_program() is None:
        return []
    paths = paths_of_text(host.text(RULES_PATH) or "")
    plan = decide_audit(paths, loaded=host.audit_rules(), status=host.audit_status())
    for path in plan.remove:
        host.remove_rule(path)
    for path in plan.load:
        host.load_rule(path, recursive=paths[path])
    return [f"audit rule taken out: {path}" for path in plan.remove] + [
        f"audit rule loaded: {path}" for path in plan.load
    ]
