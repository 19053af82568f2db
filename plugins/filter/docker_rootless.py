# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role docker_rootless: the files of users' daemons, whose were changed, and what holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_rootless import (
    daemon_files,
    needs,
    verdict,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain


def docker_rootless_files(
    found: Mapping[str, Any],
    *,
    state: str = "present",
    profile: str = "baseline",
    settings: Mapping[str, Any] | None = None,
    context: bool = True,
) -> dict[str, Any]:
    """See docker_rootless_files.yml."""
    try:
        made = daemon_files(
            plain(found), state=state, profile=profile, settings=plain(settings or {}), context=context
        )
    except BulkheadError as error:
        raise AnsibleFilterError(str(error)) from error
    return asdict(made)


def docker_rootless_needs(
    found: Mapping[str, Any], *, wanted: Mapping[str, Any], configured: Mapping[str, Any]
) -> dict[str, list[str]]:
    """See docker_rootless_needs.yml."""
    return needs(plain(found), plain(wanted["owners"]), plain(configured["files"]))


def docker_rootless_verdict(
    found: Mapping[str, Any], *, proofs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """See docker_rootless_verdict.yml."""
    return verdict(plain(found), plain(list(proofs)))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "docker_rootless_files": docker_rootless_files,
            "docker_rootless_verdict": docker_rootless_verdict,
            "docker_rootless_needs": docker_rootless_needs,
        }
