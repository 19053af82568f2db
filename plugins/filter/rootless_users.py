# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role rootless_users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._rootless_verdict import judge_users


def rootless_users_verdict(
    after: Mapping[str, Any],
    *,
    subids: Mapping[str, Any],
    proofs: Sequence[Mapping[str, Any]],
    predicted: bool = False,
) -> dict[str, Any]:
    """See rootless_users_verdict.yml."""
    return asdict(judge_users(plain(after), plain(subids), plain(list(proofs)), predicted=predicted))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {"rootless_users_verdict": rootless_users_verdict}
