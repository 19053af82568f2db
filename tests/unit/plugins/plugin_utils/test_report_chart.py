# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart's bars are the counts of the findings, drawn to scale."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_chart import chart
from hypothesis import given
from hypothesis import strategies as st
from unit.report_samples import RESULTS, sample_report

FINDINGS = st.lists(
    st.fixed_dictionaries(
        {
            "result": st.sampled_from(RESULTS),
            "severity": st.sampled_from(["critical", "high", "medium", "low"]),
            "area": st.sampled_from(["kernel", "docker_engine", "containers", "own_area"]),
        }
    )
)


def _totals(findings: list[dict[str, Any]]) -> Counter[str]:
    drawn: Counter[str] = Counter()
    for row in chart(findings).rows:
        for cell in row.cells:
            for segment in cell.segments:
                drawn[segment.kind] += segment.count
    return drawn


def test_the_sample_is_drawn_whole() -> None:
    report = sample_report()
    summary = report["summary"]
    assert _totals(report["findings"]) == {
        "failed": summary["fail"],
        "unread": summary["error"],
        "held": summary["pass"] + summary["waived"],
    }


@given(FINDINGS)
def test_totals_equal_the_counts(findings: list[dict[str, Any]]) -> None:
    results = Counter(finding["result"] for finding in findings)
    drawn = _totals(findings)
    assert drawn["failed"] == results["fail"]
    assert drawn["unread"] == results["error"]
    assert drawn["held"] == results["pass"] + results["waived"]
    headings = [int(column.label.split()[0]) for column in chart(findings).columns]
    assert sum(headings) == results["fail"]


@given(FINDINGS)
def test_segments_are_to_scale_and_stay_in_their_column(findings: list[dict[str, Any]]) -> None:
    for row in chart(findings).rows:
        for cell in row.cells:
            total = sum(segment.count for segment in cell.segments)
            position = cell.x
            for segment in cell.segments:
                assert segment.x == pytest.approx(position)
                assert segment.width == pytest.approx(cell.track * segment.count / total)
                position += segment.width
            assert position <= 100
            assert position == pytest.approx(cell.x + cell.track)


def test_rows_do_not_overlap_and_fit_the_height() -> None:
    drawn = chart(sample_report()["findings"])
    starts = [row.y for row in drawn.rows]
    assert all(later - earlier >= 58 for earlier, later in zip(starts, starts[1:], strict=False))
    assert starts[-1] + 58 <= drawn.height


def test_nothing_decided_draws_nothing() -> None:
    assert chart([{"result": "manual", "severity": "low", "area": "host"}]).rows == ()


def test_a_cell_says_its_numbers_in_words() -> None:
    kernel = next(row for row in chart(sample_report()["findings"]).rows if row.words == "Kernel")
    medium = kernel.cells[2]
    assert (medium.label, medium.unread) == ("2 of 5", 1)
    assert medium.title == "Kernel, medium: 2 failed, 1 could not be read, 2 passed or waived"
