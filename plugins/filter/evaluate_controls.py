# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ``evaluate_controls``; its documentation is in ``evaluate_controls.yml``."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._collection import collection_version
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import PostureError, evaluate
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._waivers import read_waivers


def evaluate_controls(
    posture: Any,
    *,
    host: str,
    catalogue: list[str],
    waivers: list[dict[str, Any]] | None = None,
    now: str | None = None,
) -> dict[str, Any]:
    """The report of one host; see ``evaluate_controls.yml``."""
    try:
        facts = plain(posture)
        if not isinstance(facts, dict):
            raise PostureError(f"{host}: accepted is what bulkhead.hardening.posture_info returns as posture")
        controls = load_catalogue(plain(catalogue))
        return evaluate(
            facts,
            host=str(host),
            controls=controls,
            waivers=read_waivers(plain(waivers or []), [control.id for control in controls]),
            now=_moment(now),
            collection_version=collection_version(),
        )
    except BulkheadError as error:
        raise AnsibleFilterError(f"evaluate_controls: {error}") from error


def _moment(now: str | None) -> datetime.datetime:
    if now is None:
        return datetime.datetime.now(datetime.timezone.utc)
    try:
        moment = datetime.datetime.fromisoformat(str(now).replace("Z", "+00:00"))
    except ValueError:
        raise PostureError(f"now: found '{now}', accepted is a time such as 2026-11-23T15:20:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"evaluate_controls": evaluate_controls}
