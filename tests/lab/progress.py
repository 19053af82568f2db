# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress lines on stderr, and waits that report and that another thread can cancel."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.errors import LabError

REPORT_EVERY = 5.0
POLL_EVERY = 0.25


class Cancelled(LabError):
    """The command was interrupted while a thread of it waited."""


@dataclass(frozen=True)
class Progress:
    """Where progress goes; one instance per command, shared by its threads."""

    cancelled: threading.Event = field(default_factory=threading.Event)

    def say(self, subject: str, message: str) -> None:
        print(f"lab: {subject}: {message}", file=sys.stderr, flush=True)

    def ticks(self, subject: str, phase: str, *, poll: float = POLL_EVERY) -> Iterator[float]:
        """Yield the seconds since the start, again and again, with a progress line every five seconds.

        The caller ends the wait, by success or by its own time limit. Raises Cancelled after an interrupt.
        """
        start = time.monotonic()
        reported = 0.0
        while True:
            elapsed = time.monotonic() - start
            if elapsed - reported >= REPORT_EVERY:
                self.say(subject, f"{phase} … {elapsed:.0f} s")
                reported = elapsed
            yield elapsed
            if self.cancelled.wait(poll):
                raise Cancelled(f"{subject}: interrupted: {phase}")
