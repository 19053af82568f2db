# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waivers: failures that somebody answers for until a date."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import nearest

__all__ = ["Waiver", "WaiverError", "find_waiver", "read_waivers"]

_REQUIRED = ("control", "reason", "owner", "expires")
_ACCEPTED = (*_REQUIRED, "host", "subject")


class WaiverError(BulkheadError):
    """A waiver that is not accepted; nothing was evaluated."""


@dataclass(frozen=True)
class Waiver:
    """``host`` and ``subject`` are patterns (``*``, ``?``, ``[]``); ``expires`` is its last day."""

    control: str
    host: str
    subject: str
    reason: str
    owner: str
    expires: datetime.date

    def covers(self, control: str, host: str, subject: str) -> bool:
        return (
            self.control == control
            and fnmatch.fnmatchcase(host, self.host)
            and fnmatch.fnmatchcase(subject, self.subject)
        )

    def as_fact(self) -> dict[str, str]:
        return {
            "control": self.control,
            "host": self.host,
            "subject": self.subject,
            "reason": self.reason,
            "owner": self.owner,
            "expires": self.expires.isoformat(),
        }


def read_waivers(records: Iterable[Any], controls: Collection[str]) -> tuple[Waiver, ...]:
    """Check the waivers against the ids of the controls there are; raises `WaiverError`."""
    return tuple(_waiver(record, number, controls) for number, record in enumerate(records, start=1))


def find_waiver(
    waivers: Sequence[Waiver], *, control: str, host: str, subject: str, today: datetime.date
) -> tuple[Waiver | None, bool]:
    """The waiver that covers a failure, and whether it is in force; one in force is preferred."""
    covering = [waiver for waiver in waivers if waiver.covers(control, host, subject)]
    covering.sort(key=lambda waiver: waiver.expires, reverse=True)
    if not covering:
        return None, False
    return covering[0], covering[0].expires >= today


def _waiver(record: Any, number: int, controls: Collection[str]) -> Waiver:
    place = f"waiver {number}"
    if not isinstance(record, Mapping):
        raise WaiverError(f"{place}: accepted is a mapping with {', '.join(_ACCEPTED)}")
    for key in record:
        if key not in _ACCEPTED:
            raise WaiverError(f"{place}: found the key '{key}', accepted are {', '.join(_ACCEPTED)}")
    for key in _REQUIRED:
        if record.get(key) in (None, ""):
            raise WaiverError(f"{place}: '{key}' is missing; a waiver has {', '.join(_REQUIRED)}")
    control = str(record["control"])
    if control not in controls:
        raise WaiverError(f"{place}: no control is called '{control}'{nearest(control, controls)}")
    return Waiver(
        control=control,
        host=str(record.get("host", "*")),
        subject=str(record.get("subject", "*")),
        reason=str(record["reason"]),
        owner=str(record["owner"]),
        expires=_date(record["expires"], place),
    )


def _date(value: Any, place: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError:
        raise WaiverError(
            f"{place}: expires: found '{value}', accepted is a date such as 2027-06-30"
        ) from None
