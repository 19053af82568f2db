# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time: who is believed to hold the lock, and for how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import CheckpointError
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import (
    Claim,
    Holder,
    RunLock,
    RunLocked,
    verdict,
)
from unit.checkpoint_host import holder

NOW = 10_000.0
OTHER = replace(holder("other", "ci"), since=NOW - 60, seen=NOW - 30)
SAME_CONTROLLER = replace(holder("other"), since=NOW - 60, seen=NOW - 30)

CASES: dict[str, tuple[Holder | None, Claim, str]] = {
    "nobody": (None, Claim(), "free"),
    "this run": (replace(OTHER, run="one"), Claim(), "mine"),
    "a run elsewhere": (OTHER, Claim(), "held"),
    "a run elsewhere that is silent": (replace(OTHER, seen=NOW - 1801), Claim(), "gone"),
    "just within the lease": (replace(OTHER, seen=NOW - 1800), Claim(), "held"),
    "another lease": (OTHER, Claim(lease=10), "gone"),
    "a clock that was set back a little": (replace(OTHER, seen=NOW + 1), Claim(), "held"),
    "seen far in the future": (replace(OTHER, seen=NOW + 1801), Claim(), "gone"),
    "taken over": (OTHER, Claim(takeover=True), "gone"),
    "a run of this controller": (SAME_CONTROLLER, Claim(), "ask"),
    "whose process lives": (SAME_CONTROLLER, Claim(alive=["other"]), "held"),
    "silent, and not looked for yet": (replace(SAME_CONTROLLER, seen=NOW - 9000), Claim(), "ask"),
    "silent, and its process lives": (
        replace(SAME_CONTROLLER, seen=NOW - 9000),
        Claim(alive=["other"]),
        "held",
    ),
    "that cannot be looked for": (SAME_CONTROLLER, Claim(unknown=["other"]), "held"),
    "that cannot be looked for, silent": (
        replace(SAME_CONTROLLER, seen=NOW - 1801),
        Claim(unknown=["other"]),
        "gone",
    ),
    "whose process is gone": (SAME_CONTROLLER, Claim(gone=["other"]), "gone"),
    "not the one that is gone": (SAME_CONTROLLER, Claim(gone=["a third"]), "ask"),
}


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str) -> None:
    found, claim, expected = CASES[name]
    assert verdict(found, holder(), claim, now=NOW) == expected


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lock(tmp_path: Path, clock: Clock) -> RunLock:
    return RunLock(str(tmp_path / "state"), now=clock.now, pause=clock.pause)


def test_a_second_run_fails_and_is_told_who_holds_it(lock: RunLock, clock: Clock) -> None:
    lock.acquire(holder("first", "ci"), Claim())
    clock.time += 65
    with pytest.raises(RunLocked) as caught:
        lock.acquire(holder(), Claim())
    assert "run first of ops on ci (ansible-playbook, pid 4711), begun 65 s ago" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert not caught.value.ask


def test_a_second_run_waits_as_long_as_it_was_told(lock: RunLock, clock: Clock) -> None:
    lock.acquire(holder("first", "ci"), Claim())
    with pytest.raises(RunLocked):
        lock.acquire(holder(), Claim(wait=30))
    assert clock.time == NOW + 30


def test_a_waiting_run_gets_the_lock_when_it_is_given_back(tmp_path: Path, clock: Clock) -> None:
    first = RunLock(str(tmp_path / "state"), now=clock.now)
    first.acquire(holder("first", "ci"), Claim())

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        first.release("first")

    second = RunLock(str(tmp_path / "state"), now=clock.now, pause=pause)
    assert second.acquire(holder(), Claim(wait=30))[0] == "free"
    assert (found := second.holder()) is not None and found.run == "one"


def test_every_call_renews_the_lease(lock: RunLock, clock: Clock) -> None:
    lock.acquire(holder(), Claim())
    clock.time += 1000
    assert lock.acquire(holder(), Claim())[0] == "mine"
    found = lock.holder()
    assert found is not None and (found.since, found.seen) == (NOW, NOW + 1000)


def test_only_its_holder_gives_it_back(lock: RunLock) -> None:
    lock.acquire(holder("first", "ci"), Claim())
    lock.release("one")
    assert lock.holder() is not None
    lock.release("first")
    assert lock.holder() is None


def test_a_damaged_lock_is_not_believed(lock: RunLock, tmp_path: Path) -> None:
    lock.acquire(holder(), Claim())
    path = tmp_path / "state" / "run.lock"
    path.write_text(path.read_text().replace("laptop", "latpop"))
    with pytest.raises(CheckpointError, match=r"run.lock: it is damaged: its checksum does not fit"):
        lock.acquire(holder(), Claim())
