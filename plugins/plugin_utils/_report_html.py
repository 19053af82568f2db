# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From report and fleet documents to one HTML file each, which loads nothing and sends nothing.

The page meets hostile strings with three layers: :mod:`_report_text` writes unseen characters out, Jinja2
escapes markup (autoescape; only our own template files are templates), and a Content-Security-Policy allows
the page's own style and script by hash and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_changes import changes
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_chart import chart
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_fleet import fleet_view
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_model import (
    Section,
    checked,
    containers,
    sections,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_remedy import merged_yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import moment, shown, visible
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import SEVERITIES
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["fleet_html", "report_html"]

TEMPLATES = Path(__file__).parent / "templates"
_REPORT_KEYS = ("host", "collected_at", "score", "summary", "findings", "containers")
_SENTENCE_LIMIT = 800


def report_html(report: Any) -> str:
    """Return the page of one host's report (schema version 1).

    :raises ReportError: the document is not such a report.
    """
    document = checked(report, "report", _REPORT_KEYS)
    grouped = sections(document["findings"])
    open_entries = [
        entry for section in grouped if section.words.key in ("fail", "pending") for entry in section.entries
    ]
    return _page(
        "report.html.j2",
        host=visible(document["host"]),
        facts=_facts(document),
        score=_score(document["score"]),
        chart=chart(document["findings"]),
        sections=grouped,
        areas=_areas(grouped),
        merged=merged_yaml(entry.remedy for entry in open_entries),
        containers=containers(document["containers"]),
        changes=changes(document),
        version=visible(document.get("collection_version") or ""),
    )


def fleet_html(fleet: Any) -> str:
    """Return the page of a fleet report (schema version 1); links lead to the hosts' pages beside it.

    :raises ReportError: the document is not such a report.
    """
    document = checked(fleet, "fleet report", ("collected_at", "hosts", "unreachable", "controls"))
    return _page("fleet.html.j2", fleet=fleet_view(document))


def _page(template: str, **content: Any) -> str:
    style, script = _own("report.css"), _own("report.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # The two files are ours and hold no host's string; everything else is escaped.
    return (
        _environment()
        .get_template(template)
        .render(policy=policy, style=Markup(style), script=Markup(script), severities=SEVERITIES, **content)
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=2)
def _own(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    system = document.get("system") or {}
    engines = [_engine(each) for each in document.get("engines") or ()]
    facts = [
        ("Collected", moment(document["collected_at"])),
        ("System", shown(system.get("distribution"))),
        ("Kernel", shown(system.get("kernel"))),
        ("Security modules", _joined(system.get("lsm"))),
        ("Virtualisation", shown(system.get("virtualization"))),
        ("Engines", "; ".join(engines) or "none found"),
    ]
    return [(name, value) for name, value in facts if value]


def _joined(value: Any) -> str:
    return ", ".join(visible(each) for each in value) if isinstance(value, (list, tuple)) else shown(value)


def _engine(engine: Mapping[str, Any]) -> str:
    count = engine.get("containers")
    # Podman has no daemon: its ``running`` is null.
    stopped = engine.get("running") is False
    state = "not running" if stopped else f"{count} container{'' if count == 1 else 's'}"
    name = f"{engine.get('engine')} {engine.get('version') or ''}".strip()
    return visible(f"{name} of {engine.get('user')}, {state}")


def _score(score: Mapping[str, Any]) -> dict[str, Any]:
    by_severity = score.get("by_severity") or {}
    lines = [(name, by_severity[name]) for name in SEVERITIES if by_severity.get(name, {}).get("decided")]
    return {
        "value": score.get("value"),
        "explanation": visible(score.get("explanation") or "", _SENTENCE_LIMIT),
        "lines": [
            {
                "severity": name,
                "passed": f"{round(tally['passed'], 1):g}",
                "decided": tally["decided"],
                "share": round(100 * tally["passed"] / tally["decided"], 1),
            }
            for name, tally in lines
        ],
    }


def _areas(grouped: tuple[Section, ...]) -> list[tuple[str, str]]:
    return sorted({(entry.area, entry.area_words) for section in grouped for entry in section.entries})
