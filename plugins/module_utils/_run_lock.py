# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time on a host: a lock that outlives the single module call and names its holder.

The holder is believed as long as it can be there: a run of the same controller is asked for by its process
(the action plugin does, and says which are gone and which live), however long it was silent. A run
elsewhere has a lease that its calls renew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import (
    guarded,
    make_directory,
    read_document,
    remove_file,
    write_document,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
)

__all__ = ["Claim", "Holder", "RunLock", "RunLocked", "verdict"]

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Holder:
    """Who holds the lock.

    :ivar run: names one run of ansible-playbook
    :ivar controller: the controller's host name; `user` and `pid` are those of ansible-playbook there
    :ivar since: when the lock was taken, `seen`: when the run last called, by the host's clock
    """

    run: str
    controller: str
    user: str
    pid: int
    process: dict[str, Any]
    since: float = 0.0
    seen: float = 0.0

    def describe(self, now: float) -> str:
        """For a message: who, where, and since when."""
        return (
            f"run {self.run} of {self.user} on {self.controller} (ansible-playbook, pid {self.pid}), "
            f"begun {now - self.since:.0f} s ago, last seen {now - self.seen:.0f} s ago"
        )


class RunLocked(CheckpointError):
    """Another run holds the lock. `ask`: it is of the same controller, which can tell whether it lives."""

    def __init__(self, holder: Holder, now: float, *, ask: bool) -> None:
        super().__init__(
            f"Another run is at work on this host: {holder.describe(now)}. {UNCHANGED} "
            "Wait for it (lock_wait), or say takeover when it is known to have ended."
        )
        self.holder = holder
        self.ask = ask


@dataclass(frozen=True)
class Claim:
    """How the lock is asked for. `gone`, `alive` and `unknown`: runs that the controller has looked for."""

    wait: float = 0.0
    lease: float = 1800.0
    gone: Collection[str] = ()
    alive: Collection[str] = ()
    unknown: Collection[str] = ()
    takeover: bool = False


def verdict(found: Optional[Holder], mine: Holder, claim: Claim, *, now: float) -> str:
    """What the lock is to a run: `free`, `mine`, `gone` (its holder is), `ask` or `held`."""
    if found is None:
        return "free"
    if found.run == mine.run:
        return "mine"
    if claim.takeover or found.run in claim.gone:
        return "gone"
    if found.run in claim.alive:
        return "held"
    if found.controller == mine.controller and found.run not in claim.unknown:
        return "ask"
    # A clock that was set back must not make a lease endless, nor take it away.
    return "held" if abs(now - found.seen) <= claim.lease else "gone"


class RunLock:
    """The lock in a state directory."""

    def __init__(
        self, directory: str, *, now: Callable[[], float], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._directory = directory
        self._path = f"{directory}/run.lock"
        self._now = now
        self._pause = pause

    def acquire(self, mine: Holder, claim: Claim) -> tuple[str, Optional[Holder]]:
        """Take the lock, or find it taken by this run already; `(verdict, holder before)`.

        :raises RunLocked: another run holds it, after `claim.wait` seconds too
        """
        make_directory(self._directory)
        deadline = self._now() + claim.wait
        while True:
            found, outcome = self._try(mine, claim)
            if outcome in ("free", "mine", "gone"):
                return outcome, found
            if found is not None and (outcome == "ask" or self._now() >= deadline):
                raise RunLocked(found, self._now(), ask=outcome == "ask")
            self._pause(_POLL_SECONDS)

    def release(self, run: str) -> None:
        """Give the lock back, if this run holds it."""
        with self.guard():
            found = self.holder()
            if found is not None and found.run == run:
                remove_file(self._path)

    def holder(self) -> Optional[Holder]:
        """Who holds it; raises `CheckpointError` when the lock's file is damaged."""
        body = read_document(self._path)
        if body is None:
            return None
        try:
            return Holder(**body)
        except TypeError:
            raise CheckpointError(f"{self._path}: it is damaged. {UNCHANGED}") from None

    def guard(self) -> AbstractContextManager[None]:
        """Hold everything still for a block: the lock itself, and the states of checkpoints."""
        return guarded(f"{self._directory}/run.guard")

    def _try(self, mine: Holder, claim: Claim) -> tuple[Optional[Holder], str]:
        with self.guard():
            found = self.holder()
            now = self._now()
            outcome = verdict(found, mine, claim, now=now)
            if outcome in ("free", "gone"):
                write_document(self._path, asdict(replace(mine, since=now, seen=now)))
            elif outcome == "mine" and found is not None:
                write_document(self._path, asdict(replace(found, seen=now)))
        return found, outcome
