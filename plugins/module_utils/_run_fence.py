# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps a run from changing a host that has restored itself meanwhile.

The dead man's switch fires on its own, while the run's controller may still be there: too slow, or back
after a cut. What such a run changed after the restore would stay if it never came to its commit. So every
change of a run is made inside of this fence: the switch closes it, waits for a change that is being made,
and restores then.

A change that belongs to no run is kept out while a run is at work: it would be undone with that run, or be
taken for what the run did.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import (
    Claim,
    Holder,
    RunLock,
    verdict,
)

__all__ = ["STATE_DIRECTORY", "FenceError", "changing", "close_fence", "open_fence"]

STATE_DIRECTORY = "/var/lib/bulkhead"
# The longest change is a restart of the engine and the wait for its answer.
WAIT_SECONDS = 300.0
_POLL_SECONDS = 0.2
# A change without a checkpoint is of no run, and cannot ask a controller whether another lives.
_NO_RUN = Holder(run="", controller="", user="", pid=0, process={})
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")


class FenceError(BulkheadError):
    """The run was undone already, names no checkpoint of this host, or another run is at work."""


@contextlib.contextmanager
def changing(checkpoint: Optional[str], state_directory: str = STATE_DIRECTORY) -> Iterator[None]:
    """A change by the run of this checkpoint (empty: of no run); the switch waits for its end.

    :raises FenceError: the host restored this checkpoint by itself, or has none of that name; without a
        checkpoint, a run holds the host's lock
    """
    if not checkpoint:
        _refuse_beside_a_run(state_directory)
        yield
        return
    descriptor = _lock_file(checkpoint, state_directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.path.lexists(_closed(checkpoint, state_directory)):
            raise FenceError(
                f"The host restores checkpoint {checkpoint} by itself, because its run did not confirm in "
                "time (checkpoint_confirm_within). Nothing was changed any more."
            )
        yield
    finally:
        os.close(descriptor)


def _refuse_beside_a_run(state_directory: str) -> None:
    holder = RunLock(state_directory, now=time.time).holder()
    now = time.time()
    if holder is not None and verdict(holder, _NO_RUN, Claim(), now=now) == "held":
        raise FenceError(
            f"Another run is at work on this host: {holder.describe(now)}. Nothing was changed. Wait for it; "
            "where it was killed, the playbook harden or rollback puts right what it left. A task of it "
            "names its checkpoint (option checkpoint)."
        )


@contextlib.contextmanager
def close_fence(checkpoint: str, state_directory: str) -> Iterator[None]:
    """From now on the run changes nothing; the block begins when its last change has ended.

    A change that hangs is waited for five minutes: then the host is restored all the same.

    :raises FenceError: there is no such checkpoint, or its directory cannot be written
    """
    descriptor = _lock_file(checkpoint, state_directory)
    try:
        with _naming(checkpoint):
            os.close(os.open(_closed(checkpoint, state_directory), os.O_WRONLY | os.O_CREAT, 0o600))
        deadline = time.monotonic() + WAIT_SECONDS
        while not _locked(descriptor) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def open_fence(checkpoint: str, state_directory: str) -> None:
    """Let a run that goes on under this checkpoint change things again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_closed(checkpoint, state_directory))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _closed(checkpoint: str, state_directory: str) -> str:
    return f"{state_directory}/checkpoints/{checkpoint}/undone"


def _lock_file(checkpoint: str, state_directory: str) -> int:
    if _ID.fullmatch(checkpoint) is None:
        raise FenceError(f"checkpoint: found {checkpoint!r}; accepted is an id. Nothing was changed.")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with _naming(checkpoint):
        return os.open(f"{state_directory}/checkpoints/{checkpoint}/changing", flags, 0o600)


@contextlib.contextmanager
def _naming(checkpoint: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FenceError(
            f"checkpoint: found {checkpoint}, and this host has none of that name. Nothing was changed."
        ) from None
    except OSError as error:
        raise FenceError(f"checkpoint {checkpoint}: {os.strerror(error.errno or 0)}") from error
