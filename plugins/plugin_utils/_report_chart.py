# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart: one bar for each area and severity, measured in findings.

Positions are percentages of the drawing's width and only heights are fixed, so that the text keeps its size
on a phone, a laptop and paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import visible
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_words import (
    AREAS,
    SEVERITIES,
    area_words,
)

__all__ = ["Cell", "Chart", "Column", "Row", "Segment", "chart"]

_COLUMN = 100 / len(SEVERITIES)  # per cent, with the gap to the next one
_TRACK = _COLUMN - 3
_HEAD = 48  # pixels, the headings
_LINE = 58  # pixels, one area
_UNREAD_LINE = 15  # pixels, where a label has a second line


@dataclass(frozen=True)
class Segment:
    """A part of a bar: ``failed``, ``unread`` or ``held`` (passed or waived). In per cent of the drawing."""

    kind: str
    count: int
    x: float
    width: float


@dataclass(frozen=True)
class Cell:
    """The bar of one area and severity."""

    severity: str
    x: float
    track: float
    segments: tuple[Segment, ...]
    label: str
    unread: int
    title: str


@dataclass(frozen=True)
class Row:
    """One area; ``y`` in pixels."""

    words: str
    y: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """The heading of one severity with its total."""

    severity: str
    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """What the template draws."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    height: int
    description: str


_Counts = dict[tuple[str, str], dict[str, int]]


def chart(findings: Iterable[Mapping[str, Any]]) -> Chart:
    """Count the decided findings (pass, waived, fail, error) and lay their bars out."""
    counts: _Counts = {}
    for finding in findings:
        kind = {"fail": "failed", "error": "unread", "pass": "held", "waived": "held"}.get(
            str(finding["result"])
        )
        if kind and finding["severity"] in SEVERITIES:
            cell = counts.setdefault((str(finding["area"]), str(finding["severity"])), _none())
            cell[kind] += 1
    areas = sorted({area for area, _severity in counts}, key=_area_order)
    rows, height = _rows(areas, counts)
    columns = tuple(_column(severity, index, counts) for index, severity in enumerate(SEVERITIES))
    return Chart(columns, rows, height, _description(counts))


def _none() -> dict[str, int]:
    return {"failed": 0, "unread": 0, "held": 0}


def _area_order(area: str) -> tuple[int, str]:
    known = tuple(AREAS)
    return (known.index(area) if area in known else len(known)), area


def _column(severity: str, index: int, counts: _Counts) -> Column:
    failed = sum(cell["failed"] for (_area, of), cell in counts.items() if of == severity)
    return Column(severity, index * _COLUMN, f"{failed} failed")


def _rows(areas: Iterable[str], counts: _Counts) -> tuple[tuple[Row, ...], int]:
    rows = []
    y = _HEAD
    for area in areas:
        rows.append(_row(area, y, counts))
        y += _LINE + (_UNREAD_LINE if any(cell.unread for cell in rows[-1].cells) else 0)
    return tuple(rows), y


def _row(area: str, y: int, counts: _Counts) -> Row:
    words = visible(area_words(area))
    cells = (
        _cell(words, severity, index * _COLUMN, counts.get((area, severity), _none()))
        for index, severity in enumerate(SEVERITIES)
    )
    return Row(words, y, tuple(cells))


def _cell(area: str, severity: str, x: float, counts: dict[str, int]) -> Cell:
    total = sum(counts.values())
    segments = []
    start = x
    for kind in ("failed", "unread", "held"):
        if counts[kind]:
            width = _TRACK * counts[kind] / total
            segments.append(Segment(kind, counts[kind], start, width))
            start += width
    return Cell(
        severity=severity,
        x=x,
        track=_TRACK if total else 0,
        segments=tuple(segments),
        label=f"{counts['failed']} of {total}" if total else "–",
        unread=counts["unread"],
        title=f"{area}, {severity}: {_sentence(counts)}",
    )


def _sentence(counts: dict[str, int]) -> str:
    return (
        f"{counts['failed']} failed, {counts['unread']} could not be read, {counts['held']} passed or waived"
    )


def _description(counts: _Counts) -> str:
    total = _none()
    for cell in counts.values():
        for kind, count in cell.items():
            total[kind] += count
    return f"Decided findings by area and severity: {_sentence(total)}."
