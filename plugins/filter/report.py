# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters that show reports; see their .yml files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils import _report_html, _report_table
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain


def report_html(report: Any) -> str:
    """The page of one host."""
    return _shown("report_html", _report_html.report_html, report)


def fleet_html(fleet: Any) -> str:
    """The page of all hosts."""
    return _shown("fleet_html", _report_html.fleet_html, fleet)


def report_table(report: Any) -> str:
    """The short table of one host for a terminal."""
    return _shown("report_table", _report_table.report_table, report)


def before_after_table(before: Any, after: Any) -> str:
    """Two reports of one host side by side, for a terminal."""
    return _shown("before_after_table", _report_table.before_after_table, before, after)


def _shown(name: str, show: Callable[..., str], *documents: Any) -> str:
    try:
        return show(*(plain(document) for document in documents))
    except BulkheadError as error:
        raise AnsibleFilterError(f"{name}: {error}") from error


class FilterModule:
    """Names the filters for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "before_after_table": before_after_table,
            "fleet_html": fleet_html,
            "report_html": report_html,
            "report_table": report_table,
        }
