# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a fleet, and names of directories that lead nowhere else."""

from __future__ import annotations

import os.path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._fleet import (
    fleet_entry,
    fleet_report,
    fleet_table,
    report_directory_name,
)
from hypothesis import given
from hypothesis import strategies as st

SUMMARY = {"pass": 1, "fail": 1, "waived": 0, "not_applicable": 0, "manual": 0, "error": 1}


def report(host: str, score: int | None, *failed: tuple[str, str, str]) -> dict[str, Any]:
    findings = [
        {"id": name, "title": name.upper(), "area": "host", "severity": severity, "result": result}
        for name, severity, result in failed
    ]
    return {
        "host": host,
        "collected_at": "2026-11-23T15:20:00Z",
        "score": {"value": score},
        "summary": SUMMARY,
        "engines": [],
        "findings": findings,
    }


@pytest.mark.parametrize("name", ["web1", "10.0.0.1", "db_2.example.com", "A-b"])
def test_ordinary_names_are_kept(name: str) -> None:
    assert report_directory_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../../etc",
        "/etc/passwd",
        "",
        "a/b",
        ".hidden",
        "-rf",
        "fleet.html",
        "fleet.json",
        "x" * 300,
    ],
)
def test_other_names_are_made_safe(name: str) -> None:
    made = report_directory_name(name)
    assert made != name
    assert os.path.normpath(f"/reports/{made}") == f"/reports/{made}"


@given(st.text())
def test_a_name_is_one_step_below_the_directory(name: str) -> None:
    made = report_directory_name(name)
    assert "/" not in made
    assert "\0" not in made
    assert made not in (".", "..", "fleet.html", "fleet.json")
    assert 0 < len(made) <= 100
    made.encode("ascii")


@given(st.lists(st.text(max_size=6), unique=True, max_size=20))
def test_two_hosts_never_share_a_directory(names: list[str]) -> None:
    assert len({report_directory_name(name) for name in names}) == len(names)


def test_entry_keeps_what_the_fleet_needs() -> None:
    entry = fleet_entry(
        report(
            "web1",
            60,
            ("a", "high", "fail"),
            ("a", "high", "fail"),
            ("b", "low", "error"),
            ("c", "low", "pass"),
        )
    )
    assert entry["failed"] == [{"id": "a", "title": "A", "area": "host", "severity": "high"}]
    assert entry["open"] == {"critical": 0, "high": 2, "medium": 0, "low": 1}
    assert entry["report"] == "web1/report.html"
    assert entry["score"] == 60


def test_fleet() -> None:
    entries = [
        fleet_entry(report("b", 90, ("x", "low", "fail"))),
        fleet_entry(report("a", 10, ("x", "low", "fail"), ("y", "critical", "fail"))),
        fleet_entry(report("c", None)),
    ]
    fleet = fleet_report(entries, unreachable=["z", "q"], collected_at="2026-11-23T15:20:00Z")
    assert [host["host"] for host in fleet["hosts"]] == ["a", "b", "c"]
    assert fleet["unreachable"] == ["q", "z"]
    assert [(control["id"], control["failed_hosts"]) for control in fleet["controls"]] == [("y", 1), ("x", 2)]
    assert "failed" not in fleet["hosts"][0]
    assert fleet["schema_version"] == "1.0"


def test_table_shows_names_as_data() -> None:
    fleet = fleet_report(
        [fleet_entry(report("a\x1b[2J\nb", 10))], unreachable=["gone"], collected_at="2026-11-23T15:20:00Z"
    )
    lines = fleet_table(fleet).split("\n")
    assert len(lines) == 3
    assert lines[1].startswith("a?[2J?b")
    assert "gone" in lines[2]
    assert "could not be audited" in lines[2]
