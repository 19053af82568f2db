# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as the page shows it: findings grouped by control, in the order in which a reader needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_remedy import Remedy, remedy
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import (
    NAME_LIMIT,
    shown,
    visible,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import (
    RESULTS,
    ResultWords,
    area_words,
    reference_words,
    severity_rank,
)

__all__ = [
    "Container",
    "Entry",
    "Evidence",
    "ReportError",
    "Section",
    "Subject",
    "checked",
    "containers",
    "sections",
    "status",
]

_SENTENCE_LIMIT = 800
_FINDING_KEYS = ("id", "title", "area", "severity", "result", "subject")
_FINDING_RESULTS = ("pass", "fail", "waived", "not_applicable", "manual", "error")


class ReportError(BulkheadError):
    """The document is not a report that this collection can show."""


@dataclass(frozen=True)
class Evidence:
    """An expression and its value; for an engine's setting also how far the value is proven and by what."""

    expression: str
    value: str
    note: str | None


@dataclass(frozen=True)
class Subject:
    """What a control was decided for, with the evidence."""

    words: str
    evidence: tuple[Evidence, ...]
    reason: str | None
    waiver: str | None


@dataclass(frozen=True)
class Entry:
    """One control with one result, and all subjects that share it."""

    control: str
    title: str
    area: str
    area_words: str
    severity: str
    result: str
    proof: str | None
    rationale: str
    remedy: Remedy
    references: tuple[tuple[str, str], ...]
    subjects: tuple[Subject, ...]


@dataclass(frozen=True)
class Section:
    """All entries of one result. ``findings`` counts subjects, not controls."""

    words: ResultWords
    entries: tuple[Entry, ...]
    findings: int


@dataclass(frozen=True)
class Container:
    """A container and what it can do to the host."""

    name: str
    image: str
    engine: str
    user: str
    privileged: str
    root_is_host_root: str
    reach: tuple[str, ...]
    capabilities: tuple[str, ...]


def checked(document: Any, kind: str, keys: Sequence[str]) -> Mapping[str, Any]:
    """Return ``document`` if it is a ``kind`` of schema version 1 with these keys.

    :raises ReportError: naming what was found and what is accepted.
    """
    if not isinstance(document, Mapping):
        raise ReportError(
            f"The {kind} is {type(document).__name__}; expected a mapping of schema_version 1.x."
        )
    version = visible(document.get("schema_version"))
    if version.partition(".")[0] != "1":
        raise ReportError(f"The {kind} has schema_version {version}; this collection reads 1.x.")
    missing = [key for key in keys if key not in document]
    if missing:
        raise ReportError(f"The {kind} lacks {', '.join(missing)}.")
    for finding in document.get("findings") or ():
        _check_finding(finding, kind)
    return document


def _check_finding(finding: Any, kind: str) -> None:
    lacks = [key for key in _FINDING_KEYS if not isinstance(finding, Mapping) or key not in finding]
    if lacks:
        raise ReportError(f"A finding of the {kind} lacks {', '.join(lacks)}: {shown(finding, NAME_LIMIT)}.")
    if finding["result"] not in _FINDING_RESULTS:
        known = ", ".join(_FINDING_RESULTS)
        raise ReportError(f"The {kind} has the result {visible(finding['result'])}; known are {known}.")


def status(finding: Mapping[str, Any]) -> str:
    """Return the finding's result, with ``pending`` told apart from ``fail``.

    Pending is a failure whose reason says so, or whose evidence shows a setting that is not in force yet.
    """
    result = str(finding["result"])
    if result != "fail":
        return result
    if str(finding.get("reason") or "").startswith("pending:"):
        return "pending"
    values = [each.get("value") for each in finding.get("evidence") or ()]
    proofs = [value.get("proof") for value in values if isinstance(value, Mapping)]
    return "pending" if "pending" in proofs else "fail"


def sections(findings: Iterable[Mapping[str, Any]]) -> tuple[Section, ...]:
    """Group findings by result and control: failed first, critical first, then by area and title."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        proof = str(finding.get("proof")) if finding["result"] == "pass" else ""
        grouped.setdefault((status(finding), str(finding["id"]), proof), []).append(finding)
    return tuple(_section(words, grouped) for words in RESULTS)


def _section(words: ResultWords, grouped: Mapping[tuple[str, str, str], list[Mapping[str, Any]]]) -> Section:
    entries = [_entry(key[0], members) for key, members in grouped.items() if key[0] == words.key]
    entries.sort(key=_order)
    return Section(words, tuple(entries), sum(len(entry.subjects) for entry in entries))


def _order(entry: Entry) -> tuple[int, int, str, str, str]:
    # Among the passed ones, what is only configured deserves the reader's eye before what is proven.
    proven = int(entry.result == "pass" and entry.proof == "proven")
    return proven, severity_rank(entry.severity), entry.area, entry.title, entry.control


def _entry(result: str, members: Sequence[Mapping[str, Any]]) -> Entry:
    first = members[0]
    references = first.get("references") or {}
    return Entry(
        control=visible(first["id"]),
        title=visible(first["title"], _SENTENCE_LIMIT),
        area=visible(first["area"]),
        area_words=visible(area_words(str(first["area"]))),
        severity=visible(first["severity"]),
        result=result,
        proof=first.get("proof"),
        rationale=visible(first.get("rationale") or "", _SENTENCE_LIMIT),
        remedy=remedy(first.get("remedy")),
        references=tuple((visible(reference_words(key)), _listed(ids)) for key, ids in references.items()),
        subjects=tuple(_subject(member) for member in members),
    )


def _listed(ids: Any) -> str:
    return visible(", ".join(str(each) for each in ids) if isinstance(ids, (list, tuple)) else ids)


def _subject(finding: Mapping[str, Any]) -> Subject:
    # A failure may carry a waiver too: one that has expired, as its reason says.
    waived = finding["result"] == "waived" and finding.get("waiver")
    reason = None if waived else finding.get("reason")
    return Subject(
        words=_subject_words(finding["subject"]),
        evidence=tuple(_evidence(each) for each in finding.get("evidence") or ()),
        reason=visible(reason, _SENTENCE_LIMIT) if reason else None,
        waiver=_waiver(waived) if waived else None,
    )


def _subject_words(subject: Mapping[str, Any]) -> str:
    """Return ``this host``, ``docker`` or ``container web (docker, root)``."""
    kind, name = str(subject.get("kind")), visible(subject.get("name") or "without a name")
    if kind == "host":
        return "this host"
    owner = ", ".join(visible(subject[key]) for key in ("engine", "user") if subject.get(key))
    if kind == "engine":
        return f"engine {name}"
    return f"{visible(kind)} {name} ({owner})" if owner else f"{visible(kind)} {name}"


def _evidence(record: Mapping[str, Any]) -> Evidence:
    expression, value = visible(record["expression"], _SENTENCE_LIMIT), record.get("value")
    if isinstance(value, Mapping) and {"value", "configured", "proof"} <= set(value):
        return Evidence(expression, shown(value["value"]), _setting_note(value))
    return Evidence(expression, shown(value), None)


def _setting_note(setting: Mapping[str, Any]) -> str:
    where = {"file": "from daemon.json", "flag": "from the unit's flags", "default": "the engine's default"}
    origin = where.get(str(setting.get("origin")), "")
    if setting["proof"] == "pending":
        return f"in force; configured: {shown(setting['configured'])}" + (f" ({origin})" if origin else "")
    proof = "proven" if setting["proof"] == "proven" else "configured, not proven"
    witness = f"read from: {visible(setting['witness'])}" if setting.get("witness") else ""
    return "; ".join(part for part in (proof, origin, witness) if part)


def _waiver(waiver: Mapping[str, Any]) -> str:
    return visible(
        f"{waiver.get('reason')} (owner: {waiver.get('owner')}, expires {waiver.get('expires')})",
        _SENTENCE_LIMIT,
    )


def containers(records: Iterable[Mapping[str, Any]]) -> tuple[Container, ...]:
    """Return the containers, those that reach furthest first."""
    found = [_container(record) for record in records]
    return tuple(sorted(found, key=lambda each: (each.privileged != "true", -len(each.reach), each.name)))


def _container(record: Mapping[str, Any]) -> Container:
    return Container(
        name=visible(record.get("name") or "without a name"),
        image=visible(record.get("image") or "unknown"),
        engine=visible(record.get("engine") or "unknown"),
        user=visible(record.get("user") or "unknown"),
        privileged=shown(record.get("privileged")),
        root_is_host_root=shown(record.get("root_is_host_root")),
        reach=tuple(shown(each) for each in record.get("reach") or ()),
        capabilities=_capabilities(record.get("capabilities")),
    )


def _capabilities(value: Any) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(visible(each) for each in value)
    return (shown(value),) if value else ()
