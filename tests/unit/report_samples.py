# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports and fleets that tests show: a realistic host with hostile names, and a fleet of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["HOSTILE", "RESULTS", "hostile_report", "sample_fleet", "sample_report"]

RESULTS = ("pass", "fail", "waived", "not_applicable", "manual", "error")

# What a container may be called; each is put into every place where a host's string is shown.
HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style></script><script>alert(2)</script>",
    "{{ 7*7 }}{% include '/etc/passwd' %}{# #}",
    '"><img src=x onerror="alert(3)">',
    "' onmouseover='alert(4)",
    "javascript:alert(5)",
    "invoice\u202egpj.exe\u2066\u200b\u2028",
    "web\nroot@host:~# \x1b[2J\x1b]0;owned\x07\x9b31m\r",
    "a" * 5000,
    "\ud800 lone",
    "<!--",
    "]]><svg/onload=alert(6)>",
)


def sample_report() -> dict[str, Any]:
    """A careless host with 93 findings and 5 containers, some of them with hostile names."""
    path = Path(__file__).parent / "fixtures" / "report_sample.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def hostile_report(name: str) -> dict[str, Any]:
    """One finding of each result and one container, with ``name`` wherever a report has text."""
    subject = {"kind": "container", "name": name, "engine": name, "user": name}
    waiver = {
        "control": "control",
        "host": "*",
        "subject": "*",
        "reason": name,
        "owner": name,
        "expires": name,
    }
    findings = [
        {
            "id": name,
            "title": name,
            "area": name,
            "severity": "high",
            "result": result,
            "proof": "proven" if result == "pass" else None,
            "evidence": [{"expression": name, "value": {name: [name]}}, {"expression": name, "value": name}],
            "reason": name,
            "subject": subject,
            "remedy": {"role": name, "variable": name, "value": name} if result == "fail" else {"none": name},
            "rationale": name,
            "references": {name: [name]},
            "waiver": waiver if result == "waived" else None,
        }
        for result in RESULTS
    ]
    return {
        "schema_version": "1.0",
        "host": name,
        "collected_at": name,
        "collection_version": name,
        "engines": [{"engine": name, "version": name, "user": name, "running": True, "containers": 1}],
        "system": {"distribution": name, "kernel": name, "virtualization": name, "lsm": [name]},
        "score": {
            "value": 50,
            "explanation": name,
            "by_severity": {"high": {"passed": 1, "decided": 2}},
        },
        "summary": dict.fromkeys(RESULTS, 1),
        "findings": findings,
        "containers": [
            {
                "name": name,
                "image": name,
                "engine": name,
                "user": name,
                "privileged": {"unreadable": name},
                "root_is_host_root": True,
                "reach": [name],
                "capabilities": [name],
            }
        ],
        "changes": {
            "pending": [
                {
                    "scope": name,
                    "key": name,
                    "in_force": {name: name},
                    "configured": name,
                    "reason": name,
                    "since": name,
                },
                name,
            ],
            "drift": [
                {"path": name, "key": name, "owner": name, "state": state, "set": name, "found": name}
                for state in ("changed", name)
            ],
            "open_run": {
                "id": name,
                "opened_at": name,
                "holder": {"user": name, "controller": name},
            },
        },
    }


def sample_fleet(size: int) -> dict[str, Any]:
    """A fleet of ``size`` hosts with every score from 0 to 100, and the sample's failed controls."""
    controls = {each["id"]: each for each in sample_report()["findings"] if each["result"] == "fail"}
    return {
        "schema_version": "1.0",
        "collected_at": "2026-11-23T15:20:00Z",
        "hosts": [
            {
                "host": f"node-{number:04}.example.org",
                "collected_at": "2026-11-23T15:20:00Z",
                "score": number * 37 % 101,
                "summary": {result: number * step % 47 for step, result in enumerate(RESULTS, start=1)},
                "engines": [{"engine": "docker", "version": "26.1.5", "user": "root"}],
                "report": f"node-{number:04}.example.org/report.html",
            }
            for number in range(size)
        ],
        "unreachable": ["db-3.example.org", "web-9"],
        "controls": [
            {
                "id": each["id"],
                "title": each["title"],
                "severity": each["severity"],
                "area": each["area"],
                "failed_hosts": min(size, number * size // 20),
            }
            for number, each in enumerate(controls.values())
        ],
    }
