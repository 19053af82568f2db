# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables on the terminal: short, a hundred columns wide at most, and harmless."""

from __future__ import annotations

import copy
import unicodedata

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_model import ReportError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_table import (
    before_after_table,
    report_table,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import columns
from unit.report_samples import HOSTILE, hostile_report, sample_report


def _assert_harmless(table: str) -> None:
    for line in table.split("\n"):
        assert columns(line) <= 100
        for character in line:
            assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_host_writes_to_the_operator_s_terminal(name: str) -> None:
    report = hostile_report(name)
    passing = copy.deepcopy(report)
    for finding in passing["findings"]:
        finding["result"] = "pass"
    _assert_harmless(report_table(report))
    _assert_harmless(before_after_table(report, passing))


def test_the_table_of_one_host() -> None:
    lines = report_table(sample_report()).split("\n")
    assert len(lines) <= 15
    assert lines[0].split() == ["docker-host-1", "23", "November", "2026,", "15:20", "UTC"]
    assert lines[1].startswith("score 65 of 100")
    assert "critical 2/5" in lines[1]
    assert lines[2].startswith("34 failed, 2 could not be read, 1 pending, 2 waived, 3 to judge, 48 passed")
    severities = [line.split()[0] for line in lines[4:-1]]
    assert severities == ["critical"] * 3 + ["high"] * 6
    assert lines[-1] == "… and 15 more"


def test_a_host_where_nothing_failed_or_was_decided() -> None:
    report = {**sample_report(), "findings": [], "score": {"value": None, "by_severity": {}}}
    assert "score – of 100" in report_table(report)
    assert "more" not in report_table(report)


def test_before_and_after_say_what_changed_and_in_which_direction() -> None:
    before, after = sample_report(), sample_report()
    after["score"]["value"] = 80
    for finding in after["findings"]:
        if finding["id"] in {"docker-live-restore", "docker-icc"}:
            finding.update(result="pass", reason=None, evidence=[], proof="proven")
        if finding["id"] == "kernel-lsm":
            finding["result"] = "error"
        if finding["id"] == "docker-log-rotation":
            finding["result"] = "waived"
        if finding["id"] == "kernel-perf-event-paranoid":
            finding["result"] = "pass"
    table = before_after_table(before, after)
    lines = [" ".join(line.split()) for line in table.split("\n")]
    assert lines[:2] == ["docker-host-1 before after", "score 65 80 +15"]
    assert "failed 34 32 -2" in lines
    assert "passed 48 50 +2" in lines
    assert "to judge 3 3" in lines
    now = lines.index("now passing (2)")
    assert [line.split(" ", 1)[0] for line in lines[now + 1 : now + 3]] == ["medium", "medium"]
    assert sum("pending → passed" in line for line in lines[now:]) == 1
    assert sum("failed → passed" in line for line in lines[now:]) == 1
    assert lines[lines.index("no longer passing (1)") + 1].endswith("passed → could not be read")
    otherwise = lines[lines.index("changed otherwise (2)") + 1 :]
    assert otherwise[0].endswith("failed → waived")
    assert otherwise[1].endswith("not applicable → passed")


def test_a_control_passes_only_if_all_its_subjects_do() -> None:
    before, after = sample_report(), sample_report()
    members = [each for each in after["findings"] if each["id"] == "container-memory-limit"]
    failing = [each for each in members if each["result"] == "fail"]
    failing[0]["result"] = "pass"
    assert "now passing" not in before_after_table(before, after)
    for finding in failing:
        finding["result"] = "pass"
    assert "now passing (1)" in before_after_table(before, after)


def test_equal_reports_show_no_change() -> None:
    table = before_after_table(sample_report(), sample_report())
    assert "passing" not in table
    assert "+" not in table


def test_no_score_is_no_number() -> None:
    report = sample_report()
    report["score"]["value"] = None
    assert before_after_table(report, sample_report()).split("\n")[1].split() == ["score", "–", "65"]


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ReportError, match="report after lacks host"):
        before_after_table(sample_report(), {"schema_version": "1.0"})
