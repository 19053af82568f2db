# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dead man's switch: restores a checkpoint whose run does not confirm it, with the host's own Python.

Run by a systemd timer as `python3 -I deadman.pyz STATE_DIRECTORY CHECKPOINT`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_restore import (
    begun,
    finish,
    open_ones,
    undo,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import (
    DEADMAN_RUN,
    Transaction,
    boot_id,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import close_fence
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import Claim, Holder

__all__ = ["main", "restore_unconfirmed"]

ATTEMPTS = 5
PAUSE_SECONDS = 20.0


def restore_unconfirmed(system: System, state_directory: str, identifier: str) -> Optional[dict[str, object]]:
    """Restore the checkpoint if it is still open, None if it is not.

    Takes the lock away from the run, which finds at its next change, or at its commit, that the host restored
    itself.

    :raises BulkheadError: the host does not come back to what it should be
    """
    transaction = Transaction(system, state_directory, _holder(system, identifier), Claim(takeover=True))
    store = transaction.store
    if store.load(identifier).status != "open":
        return None
    with close_fence(identifier, state_directory), transaction.locked(keep=False):
        # Between the look and the lock the run may have committed.
        left = [checkpoint for checkpoint in open_ones(store) if checkpoint.id == identifier]
        if begun(store):
            return finish(transaction)
        return undo(transaction, left, "deadman") if left else None


def _holder(system: System, identifier: str) -> Holder:
    with system.process(os.getpid()) as process:
        started = process.start_ticks
    return Holder(
        run=f"{DEADMAN_RUN}{identifier}",
        controller="the host itself",
        user="root",
        pid=os.getpid(),
        process={"boot": boot_id(system), "started": started},
    )


def main(arguments: Sequence[str]) -> int:
    """Entry point; what it says is in the journal of its unit."""
    if len(arguments) != 2:
        sys.stderr.write("found another number of arguments; accepted are STATE_DIRECTORY and CHECKPOINT\n")
        return 2
    for attempt in range(1, ATTEMPTS + 1):
        try:
            outcome = restore_unconfirmed(System(), *arguments)
        except BulkheadError as error:
            sys.stderr.write(f"attempt {attempt} of {ATTEMPTS}: {error}\n")
            time.sleep(PAUSE_SECONDS if attempt < ATTEMPTS else 0)
            continue
        sys.stdout.write("the run had ended\n" if outcome is None else f"restored: {outcome}\n")
        return 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
