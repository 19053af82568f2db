# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role image_trust: the files, which images they refuse, and what is in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import POLICY_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust import image_trust
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust_decisions import (
    decisions,
    merged_policy,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust_verdict import (
    judge_trust,
    mirrors_without_signatures,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain


def image_trust_files(
    facts: Mapping[str, Any],
    *,
    default: str = "left_alone",
    scopes: Sequence[Mapping[str, Any]] = (),
    local_transports: str = "left_alone",
    base: str = ".",
) -> dict[str, Any]:
    """See image_trust_files.yml."""
    try:
        found = plain(facts)
        trust = image_trust(
            found, default=default, scopes=plain(list(scopes)), local_transports=local_transports, base=base
        )
        files = trust.files()
        notices = [*trust.notices, *mirrors_without_signatures(found, files)]
    except BulkheadError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"files": files, "notices": notices}


def image_trust_decisions(
    facts: Mapping[str, Any],
    *,
    files: Sequence[Mapping[str, Any]],
    predicted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """See image_trust_decisions.yml."""
    found, wanted = plain(facts), plain(list(files))
    keys = next(file["keys"] for file in wanted if file["path"] == POLICY_PATH)
    try:
        policy = merged_policy(found["policy"], keys, plain(predicted or {}))
    except BulkheadError as error:
        raise AnsibleFilterError(f"{POLICY_PATH}: {error}. Nothing was changed.") from error
    return decisions(policy, found["accounts"])


def image_trust_verdict(
    facts: Mapping[str, Any],
    *,
    files: Sequence[Mapping[str, Any]],
    proofs: Sequence[Mapping[str, Any]] = (),
    check_mode: bool = False,
) -> dict[str, Any]:
    """See image_trust_verdict.yml."""
    verdict = dict(judge_trust(plain(facts), plain(list(files)), plain(list(proofs))))
    pending = {f"{entry['user']}: policy.json": entry["reason"] for entry in verdict["unenforceable"]}
    if check_mode:  # nothing was written, so that what does not hold is still to come
        pending.update(dict.fromkeys(verdict["failed"], "not written in check mode"))
        verdict["failed"] = []
    return {**verdict, "pending": pending}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "image_trust_decisions": image_trust_decisions,
            "image_trust_files": image_trust_files,
            "image_trust_verdict": image_trust_verdict,
        }
