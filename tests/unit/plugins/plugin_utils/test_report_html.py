# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTML pages: hostile strings stay text, nothing is loaded, numbers are the report's."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_html import (
    TEMPLATES,
    fleet_html,
    report_html,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_model import ReportError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import visible
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import AREAS, reference_words
from unit.report_samples import HOSTILE, hostile_report, sample_fleet, sample_report

VOID = {"meta", "input"}


class Page(HTMLParser):
    """The elements of a page with their attributes, its text, and whether every element is closed."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inline: dict[str, str] = {"style": "", "script": ""}
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inline:
            self.inline[self._open[-1]] += data
        else:
            self.text += data

    def shape(self) -> list[str]:
        return [tag for tag, _attributes in self.elements]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_string_is_text_everywhere(name: str) -> None:
    page, harmless = Page(report_html(hostile_report(name))), Page(report_html(hostile_report("harmless")))
    assert page.shape() == harmless.shape()
    assert [set(attributes) for _tag, attributes in page.elements] == [
        set(attributes) for _tag, attributes in harmless.elements
    ]
    assert page.inline == harmless.inline
    assert page.text.count(visible(name)) >= harmless.text.count("harmless") / 2


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_fleet_is_text_too(name: str) -> None:
    def fleet(text: str) -> dict[str, Any]:
        return {
            "schema_version": "1.0",
            "collected_at": text,
            "hosts": [
                {"host": text, "score": None, "summary": {}, "engines": [{"engine": text}], "report": "a/b"}
            ],
            "unreachable": [text],
            "controls": [{"id": text, "title": text, "severity": "low", "failed_hosts": 1}],
        }

    page, harmless = Page(fleet_html(fleet(name))), Page(fleet_html(fleet("harmless")))
    assert page.shape() == harmless.shape()
    assert page.inline == harmless.inline
    assert visible(name) in page.text


@pytest.mark.parametrize(
    "source", [report_html(sample_report()), fleet_html(sample_fleet(30))], ids=["host", "fleet"]
)
def test_the_page_allows_its_own_style_and_script_and_nothing_else(source: str) -> None:
    page = Page(source)
    policy = next(found["content"] for tag, found in page.elements if tag == "meta" and "http-equiv" in found)
    allowed = dict(part.strip().split(" ", 1) for part in str(policy).split(";"))
    assert allowed == {
        "default-src": "'none'",
        "style-src": f"'{_sha256(page.inline['style'])}'",
        "script-src": f"'{_sha256(page.inline['script'])}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]


def _sha256(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def test_the_counts_on_the_page_are_the_report_s() -> None:
    report = sample_report()
    source = report_html(report)
    drawn = re.findall(r'<rect class="(failed|unread|held) \w+"[^>]*data-count="(\d+)"', source)
    totals = {
        kind: sum(int(count) for of, count in drawn if of == kind) for kind in ("failed", "unread", "held")
    }
    summary = report["summary"]
    assert totals == {
        "failed": summary["fail"],
        "unread": summary["error"],
        "held": summary["pass"] + summary["waived"],
    }
    tally = dict(re.findall(r'<a href="#(\w+)"><strong>(\d+)</strong>', source))
    assert int(tally["fail"]) + int(tally["pending"]) == summary["fail"]
    assert {key: int(tally[key]) for key in summary if key != "fail"} == {
        key: count for key, count in summary.items() if key != "fail"
    }
    assert int(tally["containers"]) == len(report["containers"])


def test_the_page_names_the_variable_the_waiver_and_the_proof() -> None:
    text = Page(report_html(sample_report())).text
    assert "docker_engine_settings: {live-restore: true}" in text
    assert "owner: platform@example.org, expires 2027-03-31" in text
    assert "configured, not proven" in text
    assert "CIS Docker 1.8: 2.15" in text
    assert "could not be read: /sys/kernel/security/lockdown" in text


def test_every_reference_and_area_of_the_catalogue_has_a_name() -> None:
    files = sorted((Path(__file__).parents[4] / "roles/posture_audit/files/catalogue").glob("*.yml"))
    controls = [
        each for file in files for each in yaml.safe_load(file.read_text(encoding="utf-8"))["controls"]
    ]
    sources = {source for control in controls for source in control.get("references", {})}
    assert sources
    assert {source for source in sources if reference_words(source) == source} == set()
    assert {file.stem for file in files} == set(AREAS)


def test_an_engine_that_is_down_and_one_without_a_daemon_are_told_apart() -> None:
    engines = [
        {"engine": "docker", "version": "26.1.5", "user": "root", "running": False, "containers": 0},
        {"engine": "podman", "version": None, "user": "alice", "running": None, "containers": 1},
    ]
    text = " ".join(Page(report_html({**sample_report(), "engines": engines})).text.split())
    assert "docker 26.1.5 of root, not running; podman of alice, 1 container Score" in text


def test_a_host_where_nothing_was_decided_or_found_has_a_page() -> None:
    report = {**sample_report(), "findings": [], "containers": [], "engines": []}
    report["score"] = {"value": None, "explanation": "No control was decided.", "by_severity": {}}
    text = Page(report_html(report)).text
    for sentence in (
        "–of 100",
        "Nothing could be decided.",
        "No control failed.",
        "No container was running.",
    ):
        assert sentence in text


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ReportError, match="schema_version None"):
        report_html({})
    with pytest.raises(ReportError, match="lacks hosts"):
        fleet_html({"schema_version": "1.0", "collected_at": "", "unreachable": [], "controls": []})


def test_a_thousand_hosts_stay_usable() -> None:
    source = fleet_html(sample_fleet(1000))
    assert source.count("<tr data-entry>") == 1000
    assert len(source.encode()) < 1_200_000


def test_text_has_enough_contrast_in_both_schemes() -> None:
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", scheme))
        for ground in ("paper", "raised"):
            for ink in ("ink", "muted", "link", "critical", "high", "medium", "low", "held"):
                assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
