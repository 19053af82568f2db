# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judging: results, proof, waivers, subjects, and what hostile or partial postures do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.evaluate_controls import evaluate_controls

NOW = "2026-11-23T15:20:00Z"


def control(**fields: Any) -> dict[str, Any]:
    return {
        "id": "a-control",
        "title": "Title",
        "severity": "high",
        "subject": "host",
        "evidence": ["kernel.fact"],
        "rationale": "Why.",
        "remedy": {"none": "because"},
        **({} if fields.get("manual") else {"passes": "kernel.fact == 1"}),
        **fields,
    }


def setting(value: Any, proof: str) -> dict[str, Any]:
    return {"value": value, "configured": False, "origin": "file", "proof": proof, "witness": "x"}


@pytest.fixture
def judge(tmp_path: Path) -> Any:
    def evaluate(posture: dict[str, Any], *controls: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        path = tmp_path / "ours.yml"
        path.write_text(json.dumps({"controls": list(controls)}), encoding="utf-8")
        given = {"schema_version": "1.0", **posture}
        report = evaluate_controls(given, host="web1", catalogue=[str(path)], now=NOW, **options)
        json.dumps(report)
        findings: list[dict[str, Any]] = report["findings"]
        return findings

    return evaluate


@pytest.mark.parametrize(
    ("fact", "result"),
    [
        (1, "pass"),
        (2, "fail"),
        (None, "fail"),
        ({"unreadable": "denied"}, "error"),
        ({"not_applicable": "a sandbox"}, "not_applicable"),
        ("1", "error"),
    ],
)
def test_results(judge: Any, fact: Any, result: str) -> None:
    (finding,) = judge({"kernel": {"fact": fact}}, control())
    assert finding["result"] == result
    assert (finding["reason"] is not None) == (result in ("error", "not_applicable"))


def test_missing_fact_is_an_error_that_names_it(judge: Any) -> None:
    (finding,) = judge({"kernel": {}}, control())
    assert (finding["result"], finding["reason"]) == ("error", "kernel.fact is not there")
    (finding,) = judge({}, control())
    assert finding["result"] == "error"
    assert "kernel is not there" in finding["reason"]


def test_applies(judge: Any) -> None:
    facts = {"kernel": {"fact": 2, "on": False, "bad": {"unreadable": "denied"}}}
    (finding,) = judge(facts, control(applies="kernel.on"))
    assert (finding["result"], finding["evidence"]) == ("not_applicable", [])
    (finding,) = judge(facts, control(applies="kernel.bad"))
    assert finding["result"] == "error"


def test_manual_shows_its_evidence(judge: Any) -> None:
    (finding,) = judge({"kernel": {"fact": ["a"]}}, control(manual=True))
    assert finding["result"] == "manual"
    assert finding["evidence"] == [{"expression": "kernel.fact", "value": ["a"]}]


def test_unreadable_evidence_does_not_hide_a_verdict(judge: Any) -> None:
    (finding,) = judge({"kernel": {"fact": 1}}, control(evidence=["kernel.other"]))
    assert finding["result"] == "pass"
    assert finding["evidence"][0]["value"] == {"unreadable": "kernel.other is not there"}


@pytest.mark.parametrize(
    ("value", "proof", "result", "shown"),
    [
        (False, "proven", "pass", "proven"),
        (False, "configured", "pass", "configured"),
        (False, "pending", "fail", None),
        (True, "proven", "fail", None),
        (True, "pending", "fail", None),
        ({"unreadable": "changed after the daemon started"}, "pending", "error", None),
    ],
)
@pytest.mark.parametrize("evidence", ["docker.settings['icc']", "docker.other"])
def test_proof(judge: Any, value: Any, proof: str, result: str, shown: str | None, evidence: str) -> None:
    facts = {"docker": {"installed": True, "settings": {"icc": setting(value, proof)}, "other": 1}}
    rule = control(subject="docker", passes="docker.settings['icc'].value == false", evidence=[evidence])
    (finding,) = judge(facts, rule)
    assert (finding["result"], finding["proof"]) == (result, shown)
    if result == "fail" and proof == "pending":
        assert finding["reason"].startswith("pending: docker.settings['icc']")


def test_subjects_and_their_names(judge: Any) -> None:
    containers = [
        {"name": "web", "short_id": "a" * 12, "engine": "docker", "user": "root", "n": 1},
        {"name": None, "short_id": "b" * 12, "engine": "podman", "user": "alice", "n": 2},
    ]
    findings = judge({"containers": containers}, control(subject="container", passes="container.n == 1"))
    assert [finding["result"] for finding in findings] == ["pass", "fail"]
    assert findings[0]["subject"] == {"kind": "container", "name": "web", "engine": "docker", "user": "root"}
    assert findings[1]["subject"]["name"] == "b" * 12


@pytest.mark.parametrize(
    ("posture", "subject", "result", "reason"),
    [
        ({"containers": []}, "container", "not_applicable", "no container is running"),
        ({"containers": {"unreadable": "denied"}}, "container", "error", "denied"),
        ({"containers": None}, "container", "error", "containers is no list"),
        ({}, "container", "error", "containers is not there"),
        ({"containers": ["x"]}, "container", "error", "no mapping"),
        ({"containers": [{"unreadable": "it ended"}]}, "container", "error", "it ended"),
        ({"docker": {"installed": False}}, "docker", "not_applicable", "Docker is not installed"),
        ({"docker": {"installed": True, "packaging": "snap"}}, "docker", "error", "snap"),
        ({"docker": {"installed": {"unreadable": "denied"}}}, "docker", "error", "denied"),
        ({"docker": None}, "docker", "error", "docker.installed is not there"),
        ({"podman": {"installed": False}}, "podman", "not_applicable", "Podman is not installed"),
        ({"docker": {"installed": True, "running": False}}, "network", "not_applicable", "not running"),
        (
            {"docker": {"installed": True, "running": True, "networks": []}},
            "network",
            "not_applicable",
            "no bridge",
        ),
    ],
)
def test_hosts_without_such_a_subject(
    judge: Any, posture: dict[str, Any], subject: str, result: str, reason: str
) -> None:
    (finding,) = judge(posture, control(subject=subject))
    assert finding["result"] == result
    assert reason in finding["reason"]


def waiver(**fields: Any) -> dict[str, Any]:
    required = {"control": "a-control", "reason": "needed", "owner": "ops", "expires": "2026-11-23"}
    return {**required, **fields}


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (waiver(), "waived"),
        (waiver(host="web*", subject="web?"), "waived"),
        (waiver(host="db*"), "fail"),
        (waiver(subject="db"), "fail"),
    ],
)
def test_waiver(judge: Any, given: dict[str, Any], result: str) -> None:
    (finding,) = judge({"kernel": {"fact": 2}}, control(), waivers=[given])
    assert finding["result"] == result
    assert (finding["waiver"] is not None) == (result == "waived")


def test_expired_waiver_leaves_the_failure_and_says_so(judge: Any) -> None:
    (finding,) = judge({"kernel": {"fact": 2}}, control(), waivers=[waiver(expires="2026-11-22")])
    assert finding["result"] == "fail"
    assert finding["reason"] == "the waiver expired on 2026-11-22: needed (ops)"
    assert finding["waiver"]["expires"] == "2026-11-22"


def test_waiver_in_force_counts_before_an_expired_one(judge: Any) -> None:
    waivers = [waiver(expires="2026-01-01"), waiver(expires="2027-01-01", reason="later")]
    (finding,) = judge({"kernel": {"fact": 2}}, control(), waivers=waivers)
    assert (finding["result"], finding["waiver"]["reason"]) == ("waived", "later")


@pytest.mark.parametrize("fact", [1, {"unreadable": "denied"}])
def test_waiver_covers_nothing_but_failures(judge: Any, fact: Any) -> None:
    (finding,) = judge({"kernel": {"fact": fact}}, control(), waivers=[waiver()])
    assert finding["result"] in ("pass", "error")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"control": "a-control"}, "'reason' is missing"),
        (waiver(owner=""), "'owner' is missing"),
        (waiver(expires="soon"), "expires: found 'soon'"),
        (waiver(until="x"), "found the key 'until'"),
        (waiver(control="a-contrl"), "did you mean a-control?"),
        ("text", "accepted is a mapping"),
    ],
)
def test_wrong_waiver(judge: Any, given: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        judge({"kernel": {"fact": 2}}, control(), waivers=[waiver(), given])
    assert "waiver 2" in str(error.value)
    assert words in str(error.value)


def test_gravest_first_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "ours.yml"
    rules = [control(id="a", severity="low"), control(id="b", severity="critical", passes="kernel.fact == 2")]
    path.write_text(json.dumps({"controls": rules}), encoding="utf-8")
    posture = {"schema_version": "1.0", "collected_at": NOW, "kernel": {"fact": 1}}
    report = evaluate_controls(posture, host="web1", catalogue=[str(path)], now=NOW)
    assert [finding["id"] for finding in report["findings"]] == ["b", "a"]
    assert report["summary"] == {
        "pass": 1,
        "fail": 1,
        "waived": 0,
        "not_applicable": 0,
        "manual": 0,
        "error": 0,
    }
    assert (report["host"], report["collected_at"], report["collection_version"]) == ("web1", NOW, "0.1.0")


def test_evidence_is_bounded(judge: Any) -> None:
    fact = ["x" * 1000] * 1000
    (finding,) = judge({"kernel": {"fact": fact}}, control(manual=True))
    shown = finding["evidence"][0]["value"]
    assert len(json.dumps(shown)) < 20_000
    assert shown[-1] == "… and 960 more"
    assert shown[0].endswith("… (1000 characters)")


def test_texts_of_the_posture_stay_texts(judge: Any) -> None:
    hostile = "{{ lookup('pipe', 'id') }}<script>"
    container = {"name": hostile, "engine": "docker", "user": "root", "__class__": "x"}
    (finding,) = judge(
        {"containers": [container]},
        control(subject="container", passes="container.__class__ == 'x'", evidence=["container.name"]),
    )
    assert finding["result"] == "pass"
    assert finding["evidence"][0]["value"] == hostile


@pytest.mark.parametrize("version", [None, "2.0", 1, "x"])
def test_another_schema_is_refused(judge: Any, version: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="schema version"):
        judge({"schema_version": version}, control())


def test_what_is_no_posture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match="posture_info"):
        evaluate_controls(["x"], host="web1", catalogue=[])
    nested: Any = "x"
    for _ in range(100):
        nested = [nested]
    with pytest.raises(AnsibleFilterError, match="nested deeper"):
        evaluate_controls({"schema_version": "1.0", "kernel": nested}, host="web1", catalogue=[])
