# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The score of a host: one number from its findings, with what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import SEVERITIES

__all__ = ["WEIGHTS", "score"]

WEIGHTS: Mapping[str, int] = {"critical": 10, "high": 5, "medium": 2, "low": 1}

_HELD = {"pass", "waived"}
_DECIDED = {"pass", "waived", "fail", "error"}


def score(findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Weigh the decided controls by severity; a control counts with the share of its subjects that hold.

    A waived finding counts as held. What is not applicable or left to a person counts neither way, and an
    error counts as not held: what could not be read is not believed.

    :returns: ``value`` (0 to 100, rounded down; ``None`` when nothing was decided), ``explanation``, and
        ``by_severity`` with the number of ``passed`` and ``decided`` controls of each severity
    """
    shares = _shares(findings)
    by_severity = {severity: {"passed": 0, "decided": 0} for severity in SEVERITIES}
    reached, possible = Fraction(0), 0
    for severity, share in shares:
        by_severity[severity]["decided"] += 1
        by_severity[severity]["passed"] += int(share == 1)
        reached += WEIGHTS[severity] * share
        possible += WEIGHTS[severity]
    value = int(reached * 100 / possible) if possible else None
    return {
        "value": value,
        "explanation": _explanation(reached, possible, len(shares)),
        "by_severity": by_severity,
    }


def _shares(findings: Iterable[Mapping[str, Any]]) -> list[tuple[str, Fraction]]:
    """Severity and share of the subjects that hold, for each control that was decided."""
    counts: dict[str, list[int]] = {}
    severities: dict[str, str] = {}
    for finding in findings:
        if finding["result"] not in _DECIDED:
            continue
        count = counts.setdefault(finding["id"], [0, 0])
        count[0] += int(finding["result"] in _HELD)
        count[1] += 1
        severities[finding["id"]] = finding["severity"]
    return [(severities[control], Fraction(*count)) for control, count in counts.items()]


def _explanation(reached: Fraction, possible: int, decided: int) -> str:
    if not possible:
        return "No control was decided, so there is no score."
    weights = ", ".join(f"{severity} {weight}" for severity, weight in WEIGHTS.items())
    return (
        f"{float(reached):.1f} of {possible} points from {decided} decided controls (weights: {weights}). A "
        f"control gives the share of its subjects that pass or are waived; errors count as failed; controls "
        f"that do not apply or are decided by a person do not count."
    )
