# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's page: worst host first, links that stay below the page."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_fleet import fleet_view
from unit.report_samples import sample_fleet


def _host(
    name: str, score: int | None, *, fail: int = 0, report: str | None = "a/report.html"
) -> dict[str, Any]:
    return {"host": name, "score": score, "summary": {"fail": fail}, "engines": [], "report": report}


def _fleet(*hosts: dict[str, Any]) -> dict[str, Any]:
    return {"collected_at": "2026-11-23T15:20:00Z", "hosts": hosts, "unreachable": [], "controls": []}


def test_the_worst_host_comes_first_and_the_unscored_before_it() -> None:
    view = fleet_view(
        _fleet(_host("good", 90), _host("bad", 20), _host("none", None), _host("worse", 20, fail=3))
    )
    assert [host.name for host in view.hosts] == ["none", "worse", "bad", "good"]
    assert (view.lowest, view.median) == (20, 20)


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("web1/report.html", "./web1/report.html"),
        ("a b=12/report.html", "./a%20b%3D12/report.html"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("//evil.example/x", None),
        ("/etc/passwd", None),
        ("../../x", None),
        ("a/../../x", None),
        ("\\\\evil\\x", "./%5C%5Cevil%5Cx"),
        (None, None),
    ],
)
def test_a_link_leads_to_a_file_below_the_page(path: str | None, link: str | None) -> None:
    assert fleet_view(_fleet(_host("web1", 1, report=path))).hosts[0].link == link


def test_counts_and_controls() -> None:
    document = sample_fleet(100)
    view = fleet_view(document)
    assert view.counts["fail"] == sum(host["summary"]["fail"] for host in document["hosts"])
    failing = [control.failed_hosts for control in view.controls]
    assert failing == sorted(failing, reverse=True)
    assert 0 not in failing
    assert max(control.share for control in view.controls) <= 100
    assert view.unreachable == ("db-3.example.org", "web-9")


def test_a_fleet_without_hosts() -> None:
    view = fleet_view(_fleet())
    assert (view.hosts, view.lowest, view.median) == ((), None, None)
