# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings are grouped by control and result, in the order in which a reader needs them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_model import (
    ReportError,
    checked,
    containers,
    sections,
    status,
)
from unit.report_samples import sample_report

KEYS = ("host", "findings")


def _finding(**changed: Any) -> dict[str, Any]:
    base = {
        "id": "docker-icc",
        "title": "Title",
        "area": "docker_engine",
        "severity": "low",
        "result": "fail",
        "proof": None,
        "evidence": [],
        "reason": None,
        "subject": {"kind": "host", "name": "web1", "engine": None, "user": None},
        "remedy": {"none": "reason"},
        "rationale": "",
        "references": {},
        "waiver": None,
    }
    return {**base, **changed}


def _setting(proof: str) -> dict[str, Any]:
    return {"value": True, "configured": False, "origin": "file", "proof": proof, "witness": "the bridge"}


def test_every_finding_is_in_exactly_one_section() -> None:
    report = sample_report()
    counted = {section.words.key: section.findings for section in sections(report["findings"])}
    counted["fail"] += counted.pop("pending")
    assert counted == report["summary"]


def test_failed_controls_come_first_and_critical_before_low() -> None:
    grouped = sections(sample_report()["findings"])
    order = ["fail", "error", "pending", "waived", "manual", "pass", "not_applicable"]
    assert [section.words.key for section in grouped] == order
    severities = [entry.severity for entry in grouped[0].entries]
    assert severities == sorted(severities, key=["critical", "high", "medium", "low"].index)
    assert set(severities) == {"critical", "high", "medium", "low"}


def test_one_control_is_one_entry_with_its_subjects() -> None:
    failed = sections(sample_report()["findings"])[0]
    subjects = Counter({entry.control: len(entry.subjects) for entry in failed.entries})
    assert subjects["container-memory-limit"] == 3
    assert len(subjects) == len(failed.entries)


def test_proven_and_merely_configured_passes_are_told_apart_the_latter_first() -> None:
    found = [
        _finding(result="pass", proof="proven", severity="critical"),
        _finding(result="pass", proof="configured", severity="low"),
    ]
    passed = sections(found)[5]
    assert [entry.proof for entry in passed.entries] == ["configured", "proven"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "fail"),
        ({"reason": "pending: icc is configured but not in force yet"}, "pending"),
        ({"evidence": [{"expression": "x", "value": _setting("pending")}]}, "pending"),
        ({"evidence": [{"expression": "x", "value": _setting("proven")}]}, "fail"),
        ({"reason": "it says pending: later"}, "fail"),
        ({"result": "waived", "reason": "pending: no"}, "waived"),
    ],
)
def test_pending_is_told_apart_from_failed(changed: dict[str, Any], expected: str) -> None:
    assert status(_finding(**changed)) == expected


def test_an_expired_waiver_is_not_shown_as_a_waiver() -> None:
    waiver = {"reason": "volumes move", "owner": "ops", "expires": "2026-01-31"}
    expired = _finding(waiver=waiver, reason="the waiver expired on 2026-01-31: volumes move (ops)")
    in_force = _finding(waiver=waiver, result="waived", reason="volumes move (ops, until 2026-01-31)")
    failed, waived = (sections([each]) for each in (expired, in_force))
    assert failed[0].entries[0].subjects[0].waiver is None
    assert failed[0].entries[0].subjects[0].reason == expired["reason"]
    assert waived[3].entries[0].subjects[0].waiver == "volumes move (owner: ops, expires 2026-01-31)"


def test_a_setting_says_how_far_it_is_proven() -> None:
    evidence = [
        {"expression": proof, "value": _setting(proof)} for proof in ("proven", "configured", "pending")
    ]
    facts = sections([_finding(evidence=evidence)])[2].entries[0].subjects[0].evidence
    assert [(fact.value, fact.note) for fact in facts] == [
        ("true", "proven; from daemon.json; read from: the bridge"),
        ("true", "configured, not proven; from daemon.json; read from: the bridge"),
        ("true", "in force; configured: false (from daemon.json)"),
    ]


def test_a_control_without_evidence_or_optional_fields_is_shown() -> None:
    bare = {key: _finding()[key] for key in ("id", "title", "area", "severity", "result", "subject")}
    entry = sections([bare])[0].entries[0]
    assert (entry.title, entry.remedy.reason) == ("Title", "No role remedies this")


def test_containers_that_reach_further_come_first_and_unreadable_facts_say_so() -> None:
    found = containers(
        [
            {"name": "quiet", "privileged": False, "reach": []},
            {"name": "reaching", "privileged": False, "reach": ["a", "b"]},
            {"name": "unknown", "privileged": {"unreadable": "gone"}, "reach": None},
            {"name": "privileged", "privileged": True, "reach": ["a"]},
        ]
    )
    assert [each.name for each in found] == ["privileged", "reaching", "quiet", "unknown"]
    assert found[3].privileged == "could not be read: gone"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("text", "is str; expected a mapping"),
        ({"schema_version": "2.0"}, "has schema_version 2.0; this collection reads 1.x"),
        ({"schema_version": None, "host": "h"}, "has schema_version None"),
        ({"schema_version": "1.0", "host": "h"}, "lacks findings"),
        (
            {"schema_version": "1.0", "host": "h", "findings": ["x"]},
            "A finding of the report lacks id, title",
        ),
        (
            {"schema_version": "1.0", "host": "h", "findings": [_finding(result="fine\x1b")]},
            r"has the result fine\\u001b; known are pass, fail",
        ),
    ],
)
def test_what_is_no_report_is_refused(document: Any, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        checked(document, "report", KEYS)
