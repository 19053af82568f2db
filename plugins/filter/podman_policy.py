# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role podman_policy: the files of a host and its users, and what of them is in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof import DID_NOT_START
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import shown
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_policy import (
    PROFILES,
    podman_policy,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_state import PodmanState
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_verdict import (
    container_of,
    judge_policy,
)


def podman_policy_files(
    facts: Mapping[str, Any],
    *,
    profile: str = "baseline",
    settings: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    check_mode: bool = False,
) -> dict[str, Any]:
    """See podman_policy_files.yml."""
    if profile not in PROFILES:
        raise AnsibleFilterError(f"profile: found {profile!r}, accepted are: {', '.join(PROFILES)}")
    try:
        policy = podman_policy(
            PodmanState.from_facts(plain(facts)),
            profile=profile,
            settings=plain(settings or {}),
            users=plain(users or {}),
            check_mode=check_mode,
        )
    except BulkheadError as error:
        raise AnsibleFilterError(str(error)) from error
    if check_mode:  # podman info makes files for an account that never ran it
        policy.files = [{**file, "validate": []} for file in policy.files]
        policy.notices.append("Podman's own validation is left out in check mode: it can make files.")
    return asdict(policy)


def podman_policy_verdict(
    facts: Mapping[str, Any],
    *,
    policy: Mapping[str, Any],
    containers: Sequence[Mapping[str, Any]] = (),
    proofs: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """See podman_policy_verdict.yml."""
    made, tried = plain(policy), plain(list(proofs))
    try:
        state = PodmanState.from_facts(plain(facts))
        measured = [container_of(proof, state) for proof in tried if proof["facts"] is not None]
        found = [*plain(list(containers)), *measured]
        verdicts = judge_policy(state, made["files"], made["owners"], found)
    except BulkheadError as error:
        raise AnsibleFilterError(str(error)) from error
    unproven = {proof["user"]: str(proof["reason"]) for proof in tried if proof["facts"] is None}
    broken = {name: reason for name, reason in unproven.items() if reason.startswith(DID_NOT_START)}
    open_ones = [verdict for verdict in verdicts if verdict.state not in ("in_force", "configured")]
    return {
        "keys": [{**asdict(verdict), "found": shown(verdict.found)} for verdict in verdicts],
        "holds": not open_ones and not broken,
        "pending": {
            f"{verdict.account}: {verdict.key}": f"{verdict.state}: {verdict.by}"
            for verdict in open_ones
            if verdict.state != "failed"
        },
        "failed": {
            **{f"{name}: a container": reason for name, reason in broken.items()},
            **{
                f"{verdict.account}: {verdict.key}": f"{verdict.by} has {shown(verdict.found)!r}"
                for verdict in open_ones
                if verdict.state == "failed"
            },
        },
        "not_measured": {name: reason for name, reason in unproven.items() if name not in broken},
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "podman_policy_files": podman_policy_files,
            "podman_policy_verdict": podman_policy_verdict,
        }
