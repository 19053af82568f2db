# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong at the port to a host, and the limit on how long anything there may take."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["NotThere", "PortError", "TimeLimitExceeded", "time_limit"]


class PortError(BulkheadError):
    """Something could not be read or run; the text is the reason as a reader of a report may see it."""


class NotThere(PortError):
    """The file or process does not exist."""


class TimeLimitExceeded(PortError):
    """The operation did not end within its time limit."""


@contextlib.contextmanager
def time_limit(seconds: float, doing: str) -> Iterator[None]:
    """Raise `TimeLimitExceeded` inside the block when it has not ended after `seconds`.

    Works by SIGALRM, in the main thread only. An outer limit (or a test runner's alarm) goes on: it ends an
    inner block, and what remains of it is put back.
    """

    def expire(_signal: int, _frame: Optional[FrameType]) -> None:
        raise TimeLimitExceeded(f"{doing}: no end after {seconds:g} s")

    begun = time.monotonic()
    outer_remaining, _interval = signal.getitimer(signal.ITIMER_REAL)
    if outer_remaining and outer_remaining <= seconds:
        yield
        return
    outer_handler = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_remaining:
            signal.setitimer(signal.ITIMER_REAL, max(outer_remaining - (time.monotonic() - begun), 0.001))
