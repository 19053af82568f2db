# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running Docker daemon read at its start, where the time of its file does not tell.

A restore ends with the file's own bytes, which it writes when the daemon has already started with the same
settings (and live-restore, whose value the daemon tells itself). By its change time the file would then count
as changed since. So the restore notes the checksum for this one daemon, in a place that only root can write
and that ends with the boot.
"""

from __future__ import annotations

import hashlib
import json
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import (
    make_directory,
    read_private,
    write_private,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System

__all__ = ["note_what_was_read", "was_read"]

_DIRECTORY = "/run/bulkhead"
_FILE = f"{_DIRECTORY}/docker.json"
_LIMIT = 4096
_SAME_START = 1.0  # seconds; the start of a process is known to 10 ms, and no two daemons start within one


def note_what_was_read(system: System, content: Optional[bytes], *, started_at: float) -> None:
    """Note that the daemon that started then has the settings of this content (`None`: of no file)."""
    make_directory(system.socket_path(_DIRECTORY))
    note = {"sha256": _checksum(content), "started_at": started_at}
    write_private(system.socket_path(_FILE), json.dumps(note).encode("ascii"))


def was_read(system: System, content: Optional[bytes], *, started_at: float) -> bool:
    """Whether that was noted of the daemon that started then."""
    try:
        text = read_private(system.socket_path(_FILE), limit=_LIMIT)
        note = json.loads(text) if text is not None else {}
        noted_at = float(note["started_at"])
    except (BulkheadError, ValueError, KeyError, TypeError):
        return False
    return bool(note.get("sha256") == _checksum(content)) and abs(noted_at - started_at) < _SAME_START


def _checksum(content: Optional[bytes]) -> Optional[str]:
    return None if content is None else hashlib.sha256(content).hexdigest()
