# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The score: weights, all subjects or none, what counts and what does not."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._score import score
from hypothesis import given
from hypothesis import strategies as st


def finding(control: str, severity: str, result: str) -> dict[str, Any]:
    return {"id": control, "severity": severity, "result": result}


def test_weights_and_subjects() -> None:
    outcome = score(
        [
            finding("a", "critical", "pass"),
            finding("b", "high", "fail"),
            finding("c", "medium", "pass"),
            finding("c", "medium", "fail"),
            finding("d", "low", "waived"),
            finding("e", "low", "error"),
        ]
    )
    # (10 + 0 + 0 + 1 + 0) of (10 + 5 + 2 + 1 + 1): c fails for one of its two subjects, so it does not count
    assert outcome["value"] == 57
    assert outcome["by_severity"] == {
        "critical": {"passed": 1, "decided": 1},
        "high": {"passed": 0, "decided": 1},
        "medium": {"passed": 0, "decided": 1},
        "low": {"passed": 1, "decided": 2},
    }
    assert "11 of 19 points from 5 decided controls" in outcome["explanation"]


def test_what_is_not_decided_does_not_count() -> None:
    decided = [finding("a", "low", "pass")]
    rest = [finding("b", "critical", "manual"), finding("c", "critical", "not_applicable")]
    assert score(decided + rest) == score(decided)


def test_without_a_decided_control_there_is_no_score() -> None:
    assert score([])["value"] is None
    assert score([finding("a", "high", "manual")])["value"] is None


def test_rounded_down() -> None:
    findings = [finding(str(n), "low", "pass") for n in range(199)]
    assert score([*findings, finding("x", "low", "fail")])["value"] == 99


_findings = st.lists(
    st.builds(
        finding,
        st.sampled_from("abcdef"),
        st.just("high"),
        st.sampled_from(["pass", "fail", "waived", "error", "manual", "not_applicable"]),
    ),
    min_size=1,
)


@given(_findings)
def test_between_0_and_100_and_better_when_a_failure_is_mended(findings: list[dict[str, Any]]) -> None:
    before = score(findings)["value"]
    assert before is None or 0 <= before <= 100
    for index, failed in enumerate(findings):
        if failed["result"] == "fail":
            mended = [*findings[:index], {**failed, "result": "pass"}, *findings[index + 1 :]]
            assert score(mended)["value"] >= before
