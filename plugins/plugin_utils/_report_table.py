# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports as plain text for a terminal: a hundred columns at most, and nothing that the terminal obeys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_changes import Changes, changes
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_model import (
    checked,
    status,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import fit, moment
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import (
    RESULTS,
    SEVERITIES,
    severity_rank,
)

__all__ = ["WIDTH", "before_after_table", "report_table"]

WIDTH = 100
_KEYS = ("host", "collected_at", "score", "findings")
_FAILED_LINES = 9
_CHANGED_LINES = 30
_PENDING_LINES = 4

# Which result of its subjects a control shows: the worst one.
_WORST_FIRST = ("fail", "pending", "error", "manual", "waived", "pass", "not_applicable")
_OPEN = frozenset({"fail", "pending", "error"})

_Finding = Mapping[str, Any]


def report_table(report: Any) -> str:
    """Return one host's score, counts, pending changes and failed controls, critical first.

    At most twenty-two lines.

    :raises ReportError: the document is not a report of schema version 1.
    """
    document = checked(report, "report", _KEYS)
    lines = [
        _line((document["host"], 44), (moment(document["collected_at"]), 54)),
        _line((f"score {_score(document)} of 100", 18), (_by_severity(document["score"]), 80)),
        _line((_counts_sentence(document["findings"]), WIDTH)),
        *_pending_lines(changes(document)),
    ]
    failed = _failed_controls(document["findings"])
    if failed:
        lines.append("")
        lines += [_failed_line(members) for members in failed[:_FAILED_LINES]]
    if len(failed) > _FAILED_LINES:
        lines.append(f"… and {len(failed) - _FAILED_LINES} more")
    return "\n".join(lines)


def _pending_lines(document: Changes) -> list[str]:
    lines = [
        _line(("pending", 8), (change.key, 28), (change.reason, 62))
        for change in document.pending[:_PENDING_LINES]
    ]
    if len(document.pending) > _PENDING_LINES:
        lines.append(f"… and {len(document.pending) - _PENDING_LINES} more")
    if document.drift:
        count = len(document.drift)
        words = "owned key was" if count == 1 else "owned keys were"
        lines.append(_line(("drift", 8), (f"{count} {words} changed since", 90)))
    if document.open_run:
        lines.append(_line(("open run", 8), (document.open_run, 90)))
    return ["", *lines] if lines else []


def before_after_table(before: Any, after: Any) -> str:
    """Return two reports of one host side by side: scores, counts, and each control whose result changed.

    :raises ReportError: one of the documents is not a report of schema version 1.
    """
    first, second = checked(before, "report before", _KEYS), checked(after, "report after", _KEYS)
    lines = [
        _line((second["host"], 30), ("before", -8), ("after", -8), ("", 8)),
        _pair("score", first["score"]["value"], second["score"]["value"]),
    ]
    earlier, later = _counts(first["findings"]), _counts(second["findings"])
    lines += [_pair(words.word, earlier[words.key], later[words.key]) for words in RESULTS]
    return "\n".join(lines + _changes(first["findings"], second["findings"]))


def _line(*cells: tuple[object, int]) -> str:
    """Lay cells of the given widths out with one space between; a negative width aligns to the right."""
    return " ".join(_cell(content, width) for content, width in cells).rstrip()


def _cell(content: object, width: int) -> str:
    text = fit(content, abs(width))
    return text if width > 0 else text.rstrip().rjust(-width)


def _score(document: Mapping[str, Any]) -> object:
    value = document["score"]["value"]
    return "–" if value is None else value


def _by_severity(score: Mapping[str, Any]) -> str:
    tallies = score.get("by_severity") or {}
    decided = [(name, tallies[name]) for name in SEVERITIES if tallies.get(name, {}).get("decided")]
    return ", ".join(f"{name} {round(tally['passed'], 1):g}/{tally['decided']}" for name, tally in decided)


def _counts(findings: Iterable[_Finding]) -> dict[str, int]:
    counts = {words.key: 0 for words in RESULTS}
    for finding in findings:
        key = status(finding)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _counts_sentence(findings: Iterable[_Finding]) -> str:
    counts = _counts(findings)
    return ", ".join(f"{counts[words.key]} {words.word}" for words in RESULTS if counts[words.key])


def _failed_controls(findings: Iterable[_Finding]) -> list[list[_Finding]]:
    by_control: dict[str, list[_Finding]] = {}
    for finding in findings:
        if status(finding) == "fail":
            by_control.setdefault(str(finding["id"]), []).append(finding)
    return sorted(by_control.values(), key=_gravity)


def _gravity(members: Sequence[_Finding]) -> tuple[int, str]:
    return severity_rank(str(members[0]["severity"])), str(members[0]["id"])


def _failed_line(members: Sequence[_Finding]) -> str:
    first = members[0]
    where = _where(first["subject"]) if len(members) == 1 else f"{len(members)} subjects"
    return _line((first["severity"], 8), (first["title"], 60), (where, 30))


def _where(subject: Mapping[str, Any]) -> str:
    return "this host" if subject["kind"] == "host" else f"{subject['kind']} {subject['name']}"


def _pair(word: str, before: object, after: object) -> str:
    both = isinstance(before, (int, float)) and isinstance(after, (int, float))
    change = f"{after - before:+d}" if both and after != before else ""  # type: ignore[operator]
    shown = ["–" if value is None else value for value in (before, after)]
    return _line((word, 30), (shown[0], -8), (shown[1], -8), (change, -8))


def _changes(before: Iterable[_Finding], after: Iterable[_Finding]) -> list[str]:
    earlier, later = _controls(before), _controls(after)
    moved = [
        (later[control][0], earlier[control][1], later[control][1])
        for control in later
        if control in earlier and earlier[control][1] != later[control][1]
    ]
    moved.sort(key=lambda each: (severity_rank(str(each[0]["severity"])), str(each[0]["id"])))
    passing = [each for each in moved if each[1] in _OPEN and each[2] == "pass"]
    failing = [each for each in moved if each[1] == "pass" and each[2] in _OPEN]
    other = [each for each in moved if each not in passing and each not in failing]
    return [
        *_change_block("now passing", passing),
        *_change_block("no longer passing", failing),
        *_change_block("changed otherwise", other),
    ]


def _controls(findings: Iterable[_Finding]) -> dict[str, tuple[_Finding, str]]:
    """Return for each control a finding of it and the worst result among its subjects."""
    worst: dict[str, tuple[_Finding, str]] = {}
    for finding in findings:
        result, control = status(finding), str(finding["id"])
        if control not in worst or _WORST_FIRST.index(result) < _WORST_FIRST.index(worst[control][1]):
            worst[control] = (finding, result)
    return worst


def _change_block(heading: str, moved: Sequence[tuple[_Finding, str, str]]) -> list[str]:
    if not moved:
        return []
    words = {each.key: each.word for each in RESULTS}
    lines = ["", f"{heading} ({len(moved)})"]
    for finding, before, after in moved[:_CHANGED_LINES]:
        way = f"{words[before]} → {words[after]}"
        lines.append("  " + _line((finding["severity"], 8), (finding["title"], 56), (way, 32)))
    if len(moved) > _CHANGED_LINES:
        lines.append(f"  … and {len(moved) - _CHANGED_LINES} more")
    return lines
