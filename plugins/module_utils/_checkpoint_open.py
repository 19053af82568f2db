# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open a transaction: recover what an interrupted run left, then write down how the host is."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_capture import capture
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import (
    docker_installed,
    docker_socket,
    docker_there,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_files import temporaries
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_pending import PENDING_FILE
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_restore import (
    begun,
    finish,
    forget,
    open_ones,
    undo,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
    HostState,
    Managed,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import (
    BASELINE,
    Checkpoint,
    Contents,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import Transaction
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man_program import write_program
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man_timer import arm, disarm
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerService
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import open_fence

__all__ = ["OpenRequest", "open_checkpoint"]

OWN_FILES = ("ledger.json", PENDING_FILE)
_ENGINE_SECONDS = 60.0
# Manifest, journal, lock and a program for the dead man's switch, generously.
_OVERHEAD = 1024 * 1024
_RESERVE_OVERHEAD = 256 * 1024


@dataclass(frozen=True)
class OpenRequest:
    """What is asked of `open_checkpoint`.

    :ivar confirm_within: seconds after which the host restores itself, 0: never
    :ivar interrupted: `restore` undoes what an interrupted run left, `resume` goes on under its checkpoint
    """

    managed: Managed
    confirm_within: int = 0
    interrupted: str = "restore"


def open_checkpoint(
    transaction: Transaction, request: OpenRequest, *, check_mode: bool = False
) -> dict[str, Any]:
    """Open a checkpoint, or find the one that this run has opened already.

    The lock stays with the run. In check mode nothing is written; what would be recovered is said.

    :raises CheckpointError: the state cannot be taken or stored; nothing was changed
    """
    request = replace(request, managed=request.managed.with_more(_own_files(transaction)))
    engines = _engines_there(transaction)
    if check_mode:
        return {**_prediction(transaction, request), "engines": engines}
    with transaction.locked(keep=True):
        own = _own(transaction)
        recovered = None if own else _recover(transaction, request)
        adopted = own or (_adoptable(transaction) if request.interrupted == "resume" else None)
        if adopted is not None and not own:
            open_fence(adopted.id, transaction.state_directory)
        checkpoint = _taken(transaction, request, adopted)
        return {
            "changed": recovered is not None,
            "id": checkpoint.id,
            "resumed": adopted is not None,
            "recovered": recovered,
            "containers": list(checkpoint.containers),
            "engines": engines,
            "holder": transaction.held_by(),
        }


def _own_files(transaction: Transaction) -> Managed:
    """What the collection itself remembers on the host goes back with the rest."""
    return Managed(files=tuple(f"{transaction.state_directory}/{name}" for name in OWN_FILES))


def _engines_there(transaction: Transaction) -> list[str]:
    """The engines that are installed on the host."""
    podman = transaction.system.find_program("podman") is not None
    return ["docker"] * docker_there(transaction.system) + ["podman"] * podman


def _prediction(transaction: Transaction, request: OpenRequest) -> dict[str, Any]:
    contents = Contents()
    capture(transaction.system, request.managed, contents, size_limit=transaction.size_limit)
    left = open_ones(transaction.store)
    _check_space(transaction, contents)
    return {
        "changed": bool(left) and request.interrupted == "restore",
        "id": None,
        "resumed": False,
        "recovered": None,
        "interrupted": [checkpoint.id for checkpoint in left],
        "containers": [],
        "holder": None,
    }


def _own(transaction: Transaction) -> Optional[Checkpoint]:
    found = [
        checkpoint
        for checkpoint in open_ones(transaction.store)
        if checkpoint.holder.get("run") == transaction.holder.run
    ]
    return found[0] if found and not begun(transaction.store) else None


def _adoptable(transaction: Transaction) -> Optional[Checkpoint]:
    left = open_ones(transaction.store)
    return left[0] if left else None


def _recover(transaction: Transaction, request: OpenRequest) -> Optional[dict[str, Any]]:
    """Restore what an interrupted run left; None when there is nothing, or it is resumed."""
    store = transaction.store
    if request.interrupted == "resume":
        forget(store)
        return None
    outcomes = []
    for checkpoint in open_ones(store):
        store.free_reserve(checkpoint.id)
    if begun(store):
        outcomes.append(finish(transaction))
    left = open_ones(store)
    if left:
        outcomes.append(undo(transaction, left, "next_run"))
    if not outcomes:
        return None
    merged: dict[str, Any] = {key: [] for key in outcomes[0]}
    for outcome in outcomes:
        for key, values in outcome.items():
            merged[key] = [*merged[key], *values]
    return {"id": merged["checkpoints"][-1], **merged}


def _taken(transaction: Transaction, request: OpenRequest, adopted: Optional[Checkpoint]) -> Checkpoint:
    """Take the host's state: as a new checkpoint, or for what a resumed one does not know yet."""
    contents = Contents()
    managed = request.managed if adopted is None else adopted.managed.with_more(request.managed)
    state = capture(transaction.system, managed, contents, size_limit=transaction.size_limit)
    _check_space(transaction, contents)
    if adopted is None:
        checkpoint = _new(transaction, request, state)
    else:
        before = adopted.before.with_missing_of(state)
        checkpoint = replace(adopted, managed=managed, before=before, holder=transaction.held_by())
    _extend_baseline(transaction, checkpoint, contents)
    if adopted is None:
        reserve = _size(contents) + _RESERVE_OVERHEAD
        transaction.store.create(checkpoint, contents, reserve=reserve)
    else:
        transaction.store.save(checkpoint, contents)
    return _armed(transaction, request, checkpoint, new=adopted is None)


def _new(transaction: Transaction, request: OpenRequest, state: HostState) -> Checkpoint:
    history = transaction.store.history()
    now = time.gmtime(transaction.system.now())
    containers, ran = _containers(transaction, request.managed)
    return Checkpoint(
        id=f"{time.strftime('%Y%m%dT%H%M%SZ', now)}-{os.urandom(2).hex()}",
        sequence=history[-1].sequence + 1 if history else 1,
        status="open",
        opened_at=transaction.time(),
        holder=transaction.held_by(),
        managed=request.managed,
        before=state,
        containers=tuple(containers),
        confirm_within=request.confirm_within,
        engine_ran=ran,
        beside=tuple(temporaries(state.files)),
    )


def _containers(transaction: Transaction, managed: Managed) -> tuple[Sequence[dict[str, Any]], bool]:
    """Every container that runs, and whether the engine does."""
    system = transaction.system
    if "docker" not in managed.engines or not docker_installed(system):
        return [], False
    service = DockerService(system, socket=docker_socket(system), timeout=_ENGINE_SECONDS)
    state = service.state()
    return [asdict(container) for container in state.containers], state.started_at is not None


def _extend_baseline(transaction: Transaction, checkpoint: Checkpoint, contents: Contents) -> None:
    """Keep how everything was that the collection has not managed before."""
    store = transaction.store
    baseline = store.baseline()
    if baseline is None:
        first = replace(checkpoint, id=BASELINE, sequence=0, status=BASELINE, containers=(), confirm_within=0)
        store.create(first, contents)
        return
    before = baseline.before.with_missing_of(checkpoint.before)
    if before != baseline.before:
        managed = baseline.managed.with_more(checkpoint.managed)
        store.save(replace(baseline, before=before, managed=managed), contents)


def _armed(
    transaction: Transaction, request: OpenRequest, checkpoint: Checkpoint, *, new: bool
) -> Checkpoint:
    """Arm the dead man's switch; a new checkpoint whose switch cannot be armed goes away again.

    One that an earlier call has armed goes first: it would undo the run that goes on in its middle.
    """
    store = transaction.store
    if checkpoint.deadman is not None:
        disarm(transaction.system, checkpoint.deadman)
        checkpoint = replace(checkpoint, deadman=None, confirm_within=0)
        store.save(checkpoint)
    if not request.confirm_within:
        return checkpoint
    program = f"{store.path(checkpoint.id)}/deadman.pyz"
    try:
        write_program(program)
        unit = arm(
            transaction.system,
            checkpoint.id,
            program,
            transaction.state_directory,
            seconds=request.confirm_within,
        )
    except CheckpointError:
        if new:
            store.remove(checkpoint.id)
        raise
    armed = replace(checkpoint, deadman=unit, confirm_within=request.confirm_within)
    store.save(armed)
    return armed


def _size(contents: Contents) -> int:
    return sum(len(content) for content in contents.by_checksum.values())


def _check_space(transaction: Transaction, contents: Contents) -> None:
    """The contents are stored twice (baseline), and a restore needs their space once more."""
    directory = transaction.state_directory
    while not os.path.lexists(directory):
        directory = os.path.split(directory)[0]
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    needed = 3 * _size(contents) + _OVERHEAD
    if free < needed:
        raise CheckpointError(
            f"{transaction.state_directory}: {free} bytes are free there, and a checkpoint needs {needed}. "
            f"{UNCHANGED}"
        )
