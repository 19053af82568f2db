# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet as its page shows it: worst host first, what fails on most hosts, who was not reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import quote

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import moment, visible
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import severity_rank

__all__ = ["FleetControl", "FleetHost", "FleetView", "fleet_view"]

_RESULTS = ("fail", "error", "waived", "manual", "pass", "not_applicable")


@dataclass(frozen=True)
class FleetHost:
    """One line of the table. ``score`` is None where nothing could be decided."""

    name: str
    link: str | None
    score: int | None
    engines: str
    counts: dict[str, int]


@dataclass(frozen=True)
class FleetControl:
    """A control and on how many hosts it fails; ``share`` in per cent of the hosts that were reached."""

    control: str
    title: str
    severity: str
    failed_hosts: int
    share: float


@dataclass(frozen=True)
class FleetView:
    """What the template shows."""

    collected: str
    hosts: tuple[FleetHost, ...]
    unreachable: tuple[str, ...]
    controls: tuple[FleetControl, ...]
    counts: dict[str, int]
    lowest: int | None
    median: int | None


def fleet_view(document: Mapping[str, Any]) -> FleetView:
    """Arrange a fleet report (schema version 1) for its page."""
    hosts = sorted((_host(each) for each in document["hosts"]), key=_worst_first)
    scores = [host.score for host in hosts if host.score is not None]
    return FleetView(
        collected=moment(document["collected_at"]),
        hosts=tuple(hosts),
        unreachable=tuple(sorted(visible(name) for name in document["unreachable"])),
        controls=_controls(document["controls"], len(hosts)),
        counts={result: sum(host.counts[result] for host in hosts) for result in _RESULTS},
        lowest=min(scores, default=None),
        median=int(median(scores)) if scores else None,
    )


def _worst_first(host: FleetHost) -> tuple[int, int, str]:
    return (-1 if host.score is None else host.score), -host.counts["fail"], host.name


def _host(record: Mapping[str, Any]) -> FleetHost:
    summary = record.get("summary") or {}
    engines = (
        visible(f"{each.get('engine')} {each.get('version') or ''}").strip()
        for each in record.get("engines") or ()
    )
    return FleetHost(
        name=visible(record["host"]),
        link=_link(record.get("report")),
        score=record.get("score"),
        engines=", ".join(dict.fromkeys(engines)),
        counts={result: int(summary.get(result, 0)) for result in _RESULTS},
    )


def _link(path: Any) -> str | None:
    """Return a link to a file below the fleet page; None for anything that leads elsewhere."""
    if not path:
        return None
    parts = str(path).split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    # "./" and the quoted colon: "javascript:…" stays the name of a file.
    return "./" + "/".join(quote(part, safe="") for part in parts)


def _controls(records: Iterable[Mapping[str, Any]], hosts: int) -> tuple[FleetControl, ...]:
    failed = [_control(record, hosts) for record in records if record.get("failed_hosts")]
    return tuple(
        sorted(failed, key=lambda each: (-each.failed_hosts, severity_rank(each.severity), each.control))
    )


def _control(record: Mapping[str, Any], hosts: int) -> FleetControl:
    failed = int(record["failed_hosts"])
    return FleetControl(
        control=visible(record["id"]),
        title=visible(record["title"], 800),
        severity=visible(record["severity"]),
        failed_hosts=failed,
        share=round(100 * failed / hosts, 1) if hosts else 0,
    )
