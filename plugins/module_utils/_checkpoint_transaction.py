# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every part of a transaction works with: the host, the store, the lock, and who is asking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import CheckpointError
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import (
    Checkpoint,
    CheckpointStore,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import (
    Claim,
    Holder,
    RunLock,
    RunLocked,
    verdict,
)

__all__ = ["DEADMAN_RUN", "SIZE_LIMIT", "Transaction", "boot_id"]

SIZE_LIMIT = 64 * 1024 * 1024
# The dead man's switch is a holder of the lock like a run; its process is on the host itself.
DEADMAN_RUN = "deadman-"


@dataclass(frozen=True)
class Transaction:
    """One call of a run on a host."""

    system: System
    state_directory: str
    holder: Holder
    claim: Claim = field(default_factory=Claim)
    size_limit: int = SIZE_LIMIT

    @property
    def store(self) -> CheckpointStore:
        """Where the checkpoints lie."""
        return CheckpointStore(self.state_directory)

    @property
    def lock(self) -> RunLock:
        """The lock of the host."""
        return RunLock(self.state_directory, now=self.system.now)

    def time(self) -> str:
        """Now by the host's clock, RFC 3339 with whole seconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.system.now()))

    @contextmanager
    def locked(self, *, keep: bool) -> Iterator[None]:
        """Hold the lock for the block.

        :param keep: keep it behind the block, which ended well, for the calls that follow
        :raises RunLocked: another run holds it
        """
        outcome = self._acquire()
        try:
            yield
        except BulkheadError:
            if outcome != "mine":
                self.lock.release(self.holder.run)
            raise
        if not keep:
            self.lock.release(self.holder.run)

    def close(self, checkpoint: Checkpoint) -> None:
        """Write the new status of a checkpoint that is open, unless it was taken out of this run's hands.

        :raises CheckpointError: the lock is another's by now, or the checkpoint is not open any more
        """
        with self.lock.guard():
            holder = self.lock.holder()
            if holder is None or holder.run != self.holder.run:
                other = "nobody" if holder is None else holder.describe(self.system.now())
                raise CheckpointError(f"checkpoint {checkpoint.id}: the lock is held by {other} by now.")
            status = self.store.load(checkpoint.id).status
            if status != "open":
                raise CheckpointError(f"checkpoint {checkpoint.id}: it is {status} by now.")
            self.store.save(checkpoint)

    def _acquire(self) -> str:
        """Take the lock. On a full disk it is written in the space that an open checkpoint reserves.

        That is given up only when the lock is nobody else's.
        """
        try:
            return self.lock.acquire(self.holder, self._claim())[0]
        except RunLocked:
            raise
        except CheckpointError:
            found = self.lock.holder()
            if verdict(found, self.holder, self._claim(), now=self.system.now()) in ("ask", "held"):
                raise
            for identifier in self.store.identifiers():
                self.store.free_reserve(identifier)
            return self.lock.acquire(self.holder, self._claim())[0]

    def held_by(self) -> dict[str, object]:
        """The holder as it stands in a manifest."""
        return asdict(self.holder)

    def _claim(self) -> Claim:
        """What the controller cannot know: whether a dead man's switch of this host still runs."""
        found = self.lock.holder()
        if found is None or not found.run.startswith(DEADMAN_RUN) or self._runs_here(found):
            return self.claim
        return replace(self.claim, gone=(*self.claim.gone, found.run))

    def _runs_here(self, holder: Holder) -> bool:
        if holder.process.get("boot") != boot_id(self.system):
            return False
        try:
            with self.system.process(holder.pid) as process:
                return process.start_ticks == holder.process.get("started")
        except NotThere:
            return False


def boot_id(system: System) -> Optional[str]:
    """The kernel's own name for this boot (random(4))."""
    try:
        return system.read_text("/proc/sys/kernel/random/boot_id").strip()
    except NotThere:
        return None
