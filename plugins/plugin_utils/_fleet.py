# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a fleet, from one small entry per host: a thousand whole reports would not fit in memory."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import SEVERITIES

__all__ = ["fleet_entry", "fleet_report", "fleet_table", "report_directory_name"]

_SCHEMA_VERSION = "1.0"
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_TAKEN = {"fleet.html", "fleet.json"}


def report_directory_name(host: str) -> str:
    """The directory of a host's report: its name where that is safe, otherwise a safe one like it.

    Inventories are made by programs too: a name with ``/`` or ``..`` in it must not lead out of the report
    directory, and two hosts never share a directory.
    """
    if _SAFE.fullmatch(host) is not None and host not in _TAKEN:
        return host
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", host)[:60].strip("-") or "host"
    return f"{readable}={hashlib.sha256(host.encode()).hexdigest()[:12]}"


def fleet_entry(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the fleet's report needs of a host's report."""
    failed = {
        finding["id"]: {key: finding[key] for key in ("id", "title", "area", "severity")}
        for finding in report["findings"]
        if finding["result"] == "fail"
    }
    unsettled = Counter(
        finding["severity"] for finding in report["findings"] if finding["result"] in ("fail", "error")
    )
    return {
        "host": report["host"],
        "collected_at": report["collected_at"],
        "score": report["score"]["value"],
        "summary": report["summary"],
        "engines": report["engines"],
        "report": f"{report_directory_name(report['host'])}/report.html",
        "failed": list(failed.values()),
        "open": {severity: unsettled[severity] for severity in SEVERITIES},
    }


def fleet_report(
    entries: Sequence[Mapping[str, Any]], *, unreachable: Iterable[str], collected_at: str
) -> dict[str, Any]:
    """All hosts, the lowest score first, and the controls that fail, the gravest and most frequent first."""
    controls: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for control in entry["failed"]:
            counted = controls.setdefault(control["id"], {**control, "failed_hosts": 0})
            counted["failed_hosts"] += 1
    hosts = [
        {key: value for key, value in entry.items() if key not in ("failed", "open")} for entry in entries
    ]
    hosts.sort(key=lambda host: (host["score"] is None, host["score"], host["host"]))
    return {
        "schema_version": _SCHEMA_VERSION,
        "collected_at": collected_at,
        "hosts": hosts,
        "unreachable": sorted(unreachable),
        "controls": sorted(controls.values(), key=_gravity),
    }


def fleet_table(fleet: Mapping[str, Any]) -> str:
    """The hosts for a terminal, one line each; a control character in a name is shown as ``?``."""
    width = max(
        [len("host"), *(len(host["host"]) for host in fleet["hosts"]), *map(len, fleet["unreachable"])]
    )
    lines = [f"{'host':{width}}  score  pass  fail  error  waived"]
    for host in fleet["hosts"]:
        score = "-" if host["score"] is None else host["score"]
        counts = host["summary"]
        lines.append(
            f"{host['host']:{width}}  {score:>5}  {counts['pass']:>4}  {counts['fail']:>4}"
            f"  {counts['error']:>5}  {counts['waived']:>6}"
        )
    lines += [f"{host:{width}}  could not be audited" for host in fleet["unreachable"]]
    return "\n".join("".join(letter if letter.isprintable() else "?" for letter in line) for line in lines)


def _gravity(control: Mapping[str, Any]) -> tuple[int, int, str]:
    return SEVERITIES.index(control["severity"]), -control["failed_hosts"], control["id"]
