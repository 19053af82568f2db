# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the fleet's report; see their .yml files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils import _fleet
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain


def fleet_entry(report: Any) -> dict[str, Any]:
    """What the report of the fleet needs of a host's report."""
    try:
        return _fleet.fleet_entry(plain(report))
    except BulkheadError as error:
        raise AnsibleFilterError(f"fleet_entry: {error}") from error


def fleet_report(entries: Any, *, collected_at: str, unreachable: Any = ()) -> dict[str, Any]:
    """The report of all hosts."""
    try:
        return _fleet.fleet_report(
            plain(entries), unreachable=plain(unreachable), collected_at=plain(collected_at)
        )
    except BulkheadError as error:
        raise AnsibleFilterError(f"fleet_report: {error}") from error


def fleet_table(fleet: Any) -> str:
    """The hosts of a fleet for a terminal."""
    return _fleet.fleet_table(plain(fleet))


def report_directory_name(host: Any) -> str:
    """The directory of a host's report."""
    return _fleet.report_directory_name(str(host))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "fleet_entry": fleet_entry,
            "fleet_report": fleet_report,
            "fleet_table": fleet_table,
            "report_directory_name": report_directory_name,
        }
