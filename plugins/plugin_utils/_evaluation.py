# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judging a posture by the controls of a catalogue: the findings of one host, and its report."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import SEVERITIES, Control
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._changes import changes_of
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._engines import engines_of, system_of
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expressions import (
    Expression,
    FactError,
    NotApplicableFact,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._reach import container_summaries
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._score import score
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._subjects import (
    Subject,
    host_subject,
    subjects_of,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._waivers import Waiver, find_waiver

__all__ = ["RESULTS", "SCHEMA_VERSION", "PostureError", "evaluate"]

SCHEMA_VERSION = "1.0"
RESULTS = ("pass", "fail", "waived", "not_applicable", "manual", "error")

_POSTURE_MAJOR = "1"
_LONGEST_TEXT = 300
_LONGEST_LIST = 40


class PostureError(BulkheadError):
    """What was given for a posture is none, or one of another schema; nothing was evaluated."""


@dataclass(frozen=True)
class _Verdict:
    result: str
    reason: str | None = None
    proof: str | None = None


def evaluate(
    posture: Mapping[str, Any],
    *,
    host: str,
    controls: Sequence[Control],
    waivers: Sequence[Waiver],
    now: datetime.datetime,
    collection_version: str,
) -> dict[str, Any]:
    """The report of one host (``docs/controls.md`` describes its fields).

    :param posture: what ``posture_info`` returned, as plain values
    :param host: the name of the host in the inventory
    :param now: decides which waivers have expired; by its date in UTC
    :raises PostureError: ``posture`` is not of schema version 1
    """
    version = posture.get("schema_version")
    if not isinstance(version, str) or version.split(".")[0] != _POSTURE_MAJOR:
        raise PostureError(
            f"{host}: found a posture of schema version {version!r}, accepted is {_POSTURE_MAJOR}.x, as "
            f"bulkhead.hardening.posture_info returns it"
        )
    on_host = host_subject(posture, host)
    today = now.astimezone(datetime.timezone.utc).date()
    findings = [
        _waive(finding, waivers, host=host, today=today)
        for control in controls
        for finding in _findings(control, on_host)
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding["severity"]))
    counts = Counter(finding["result"] for finding in findings)
    return {
        "schema_version": SCHEMA_VERSION,
        "host": host,
        "collected_at": posture.get("collected_at"),
        "collection_version": collection_version,
        "engines": engines_of(posture),
        "system": system_of(posture),
        "score": score(findings),
        "summary": {result: counts[result] for result in RESULTS},
        "findings": findings,
        "containers": container_summaries(posture),
        "changes": {name: _shortened(value) for name, value in changes_of(posture).items()},
    }


def _findings(control: Control, on_host: Subject) -> Iterator[dict[str, Any]]:
    try:
        subjects = subjects_of(control.subject, on_host)
    except NotApplicableFact as reason:
        yield _finding(control, on_host, _Verdict("not_applicable", str(reason)), [])
    except FactError as reason:
        yield _finding(control, on_host, _Verdict("error", str(reason)), [])
    else:
        for subject in subjects:
            verdict = _judge(control, subject)
            shown = [] if verdict.result == "not_applicable" else _evidence(control, subject)
            yield _finding(control, subject, verdict, shown)


def _finding(
    control: Control, subject: Subject, verdict: _Verdict, evidence: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "id": control.id,
        "title": control.title,
        "area": control.area,
        "severity": control.severity,
        "result": verdict.result,
        "proof": verdict.proof,
        "evidence": evidence,
        "reason": verdict.reason,
        "subject": subject.as_fact(),
        "remedy": dict(control.remedy),
        "rationale": control.rationale,
        "references": dict(control.references),
        "waiver": None,
    }


def _judge(control: Control, subject: Subject) -> _Verdict:
    try:
        if control.applies is not None and not control.applies.verdict(subject.facts):
            return _Verdict("not_applicable", f"does not apply: not ({control.applies.source})")
        if control.passes is None:
            return _Verdict("manual", "a person has to decide from the evidence")
        passed = control.passes.verdict(subject.facts)
        pending, proof = _proof(control, subject)
    except NotApplicableFact as reason:
        return _Verdict("not_applicable", str(reason))
    except FactError as reason:
        return _Verdict("error", str(reason))
    if pending:
        return _Verdict("fail", pending)
    return _Verdict("pass", proof=proof) if passed else _Verdict("fail")


def _proof(control: Control, subject: Subject) -> tuple[str | None, str]:
    """Why the verdict is pending, if it is, and how well it is proven.

    A setting counts that the verdict reads (``X.value``) or that the evidence shows.
    """
    passes = control.passes
    read: list[Expression] = [*(passes.settings if passes else ()), *control.evidence]
    proof = "proven"
    for expression in read:
        try:
            setting = expression.value(subject.facts)
        except (FactError, NotApplicableFact):
            continue
        if not isinstance(setting, Mapping) or "proof" not in setting or "configured" not in setting:
            continue
        if setting["proof"] == "pending":
            return f"pending: {expression.source} is configured but not in force yet", "pending"
        if setting["proof"] == "configured":
            proof = "configured"
    return None, proof


def _evidence(control: Control, subject: Subject) -> list[dict[str, Any]]:
    return [
        {"expression": expression.source, "value": _shown(expression, subject)}
        for expression in control.evidence
    ]


def _shown(expression: Expression, subject: Subject) -> Any:
    try:
        return _shortened(expression.value(subject.facts))
    except (FactError, NotApplicableFact) as reason:
        return {"unreadable": str(reason)}


def _shortened(value: Any) -> Any:
    """A copy that fits into a report: hosts decide how long their names and lists are."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, list):
        rest = len(value) - _LONGEST_LIST
        shown = [_shortened(item) for item in value[:_LONGEST_LIST]]
        return [*shown, f"… and {rest} more"] if rest > 0 else shown
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in list(value.items())[:_LONGEST_LIST]}
    return value


def _waive(
    finding: dict[str, Any], waivers: Sequence[Waiver], *, host: str, today: datetime.date
) -> dict[str, Any]:
    if finding["result"] != "fail":
        return finding
    waiver, in_force = find_waiver(
        waivers, control=finding["id"], host=host, subject=finding["subject"]["name"], today=today
    )
    if waiver is None:
        return finding
    answer = f"{waiver.reason} ({waiver.owner}, until {waiver.expires})"
    if in_force:
        return {**finding, "result": "waived", "reason": answer, "waiver": waiver.as_fact()}
    reasons = [finding["reason"], f"the waiver expired on {waiver.expires}: {waiver.reason} ({waiver.owner})"]
    return {**finding, "reason": "; ".join(filter(None, reasons)), "waiver": waiver.as_fact()}
