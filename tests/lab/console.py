# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the serial console of a booting machine tells about it."""

from __future__ import annotations

import time
from pathlib import Path

_PANIC = b"Kernel panic - not syncing"


class Console:
    """Follows a console log from its present end; about one boot in ten hangs early under emulation."""

    def __init__(self, path: Path, *, silence_limit: float) -> None:
        self._path = path
        self._silence_limit = silence_limit
        self.follow_from_here()

    def follow_from_here(self) -> None:
        """Forget what was written before."""
        self._start = self._seen = self._size()
        self._since = time.monotonic()

    def trouble(self) -> str | None:
        """Why this boot will not succeed, or None as long as it may."""
        size = self._size()
        if size != self._seen:
            self._seen, self._since = size, time.monotonic()
        silence = time.monotonic() - self._since
        if silence > self._silence_limit:
            return f"the console has been silent for {silence:.0f} s"
        if self._panicked():
            return "the kernel panicked"
        return None

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _panicked(self) -> bool:
        if not self._path.exists():
            return False
        with self._path.open("rb") as log:
            log.seek(self._start)
            return _PANIC in log.read()
