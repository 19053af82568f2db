# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The score of a host: one number from its findings, with what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import SEVERITIES

__all__ = ["WEIGHTS", "score"]

WEIGHTS: Mapping[str, int] = {"critical": 10, "high": 5, "medium": 2, "low": 1}

_HELD = {"pass", "waived"}
_DECIDED = {"pass", "waived", "fail", "error"}


def score(findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Weigh the decided controls by severity; a control counts if it holds for every one of its subjects.

    One privileged container is enough for an attacker, however many others are confined. A waived finding
    counts as held. What is not applicable or left to a person counts neither way, and an error counts as not
    held: what could not be read is not believed.

    :returns: ``value`` (0 to 100, rounded down; ``None`` when nothing was decided), ``explanation``, and
        ``by_severity`` with the number of ``passed`` and ``decided`` controls of each severity
    """
    controls = _decided_controls(findings)
    by_severity = {severity: {"passed": 0, "decided": 0} for severity in SEVERITIES}
    for severity, holds in controls:
        by_severity[severity]["decided"] += 1
        by_severity[severity]["passed"] += int(holds)
    reached = sum(WEIGHTS[severity] * count["passed"] for severity, count in by_severity.items())
    possible = sum(WEIGHTS[severity] * count["decided"] for severity, count in by_severity.items())
    return {
        "value": 100 * reached // possible if possible else None,
        "explanation": _explanation(reached, possible, len(controls)),
        "by_severity": by_severity,
    }


def _decided_controls(findings: Iterable[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Severity of each control that was decided, and whether it holds for all of its subjects."""
    controls: dict[str, tuple[str, bool]] = {}
    for finding in findings:
        if finding["result"] in _DECIDED:
            _severity, so_far = controls.get(finding["id"], ("", True))
            controls[finding["id"]] = (finding["severity"], so_far and finding["result"] in _HELD)
    return list(controls.values())


def _explanation(reached: int, possible: int, decided: int) -> str:
    if not possible:
        return "No control was decided, so there is no score."
    weights = ", ".join(f"{severity} {weight}" for severity, weight in WEIGHTS.items())
    return (
        f"{reached} of {possible} points from {decided} decided controls (weights: {weights}). A control "
        f"counts if it holds for every one of its subjects; waived findings count as held, errors as failed; "
        f"controls that do not apply or are decided by a person do not count."
    )
