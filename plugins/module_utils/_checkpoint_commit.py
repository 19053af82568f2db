# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""End a transaction well: look whether the host is healthy, write down how it is now, give the lock back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_capture import capture, known
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import (
    DOCKER_UNIT,
    docker_socket,
    docker_there,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import read_units
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_pending import record_pending
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_plan import (
    Step,
    plan_restore,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_restore import begun
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    UNCHANGED,
    CheckpointError,
    HostState,
    changes,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import (
    BASELINE,
    Checkpoint,
    Contents,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import Transaction
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man_timer import disarm
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_health import (
    NotProbed,
    engine_health,
    probe_engine,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerServiceError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore

__all__ = ["commit_checkpoint", "list_checkpoints", "prunable", "prune", "status"]


def commit_checkpoint(
    transaction: Transaction,
    name: Optional[str],
    *,
    may_stop: Collection[str] = (),
    engine_may_stop: bool = False,
    keep: int = 0,
    probe_image: Optional[str] = None,
    pending: Optional[Mapping[str, Mapping[str, str]]] = None,
) -> dict[str, Any]:
    """Commit the checkpoint of this run. One of a run that changed nothing is dropped.

    :param may_stop: names of containers that the run was allowed to stop
    :param engine_may_stop: whether the run was allowed to disable the engine; one that runs is looked at
    :param keep: how many of the newest checkpoints stay, 0: all of them
    :param probe_image: for the health check; a named one that is not on the host is a problem
    :param pending: what each role left pending, with the reasons
    :raises CheckpointError: there is none any more (the dead man's switch fired), or the host is not healthy
    """
    checkpoint = _own(transaction, name)
    problems, probed = _health(
        transaction, checkpoint, may_stop, probe_image, engine_may_stop=engine_may_stop
    )
    if problems:
        raise CheckpointError(f"The health check failed: {'; '.join(problems)}")
    record_pending(transaction.state_directory, pending or {}, transaction.time())
    contents = Contents()
    size_limit = 2 * transaction.size_limit
    after = capture(transaction.system, known(checkpoint.before), contents, size_limit=size_limit)
    changed = changes(checkpoint.before, after)
    _close(transaction, checkpoint, after, contents)
    if not changed:
        transaction.store.remove(checkpoint.id)
    pruned = prune(transaction, keep)["pruned"]
    transaction.lock.release(transaction.holder.run)
    return {
        "changed": False,
        "id": checkpoint.id,
        "dropped": not changed,
        "changes": changed,
        "pruned": pruned,
        "probed": probed,
    }


def prune(transaction: Transaction, keep: int) -> dict[str, Any]:
    """Remove all but the newest `keep` checkpoints (0: none at all); the baseline and what is open stay."""
    old = _old(transaction, keep)
    for checkpoint in old:
        if checkpoint.status == "committed" and checkpoint.after is not None:
            _keep_in_baseline(transaction, checkpoint, checkpoint.after)
        transaction.store.remove(checkpoint.id)
    return _pruned(old)


def prunable(transaction: Transaction, keep: int) -> dict[str, Any]:
    """What `prune` would remove."""
    return _pruned(_old(transaction, keep))


def _pruned(old: Sequence[Checkpoint]) -> dict[str, Any]:
    return {"changed": bool(old), "pruned": [checkpoint.id for checkpoint in old]}


def _old(transaction: Transaction, keep: int) -> list[Checkpoint]:
    if not keep:
        return []
    closed = [checkpoint for checkpoint in transaction.store.history() if checkpoint.status != "open"]
    return closed[: max(len(closed) - keep, 0)]


def list_checkpoints(transaction: Transaction) -> list[dict[str, Any]]:
    """Every checkpoint, the oldest first, a damaged one with its reason."""
    store = transaction.store
    listed = []
    for identifier in store.identifiers():
        try:
            listed.append(_listed(store.load(identifier)))
        except CheckpointError as error:
            listed.append({"id": identifier, "status": "damaged", "reason": str(error), "sequence": -1})
    return sorted(listed, key=lambda entry: (entry["sequence"], entry["id"]))


def status(transaction: Transaction) -> dict[str, Any]:
    """Who holds the lock, what is open, and whether a restore did not get to its end."""
    holder = transaction.lock.holder()
    return {
        "changed": False,
        "holder": None if holder is None else holder.__dict__,
        "checkpoints": list_checkpoints(transaction),
        "restoring": begun(transaction.store),
    }


def _listed(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "id": checkpoint.id,
        "status": checkpoint.status,
        "sequence": checkpoint.sequence,
        "opened_at": checkpoint.opened_at,
        "closed_at": checkpoint.closed_at,
        "restored_by": checkpoint.restored_by,
        "run": checkpoint.holder.get("run"),
        "controller": checkpoint.holder.get("controller"),
        "files": sorted(checkpoint.before.files),
    }


def _own(transaction: Transaction, name: Optional[str]) -> Checkpoint:
    """The open checkpoint of this run, in whose hands the host still has to be."""
    store = transaction.store
    run = transaction.holder.run
    own = [checkpoint for checkpoint in store.history() if checkpoint.holder.get("run") == run]
    if name is not None:
        own = [checkpoint for checkpoint in own if checkpoint.id == name]
    if not own:
        raise CheckpointError(f"This run has no open checkpoint{f' {name}' if name else ''}. {UNCHANGED}")
    checkpoint = own[-1]
    if checkpoint.restored_by == "deadman":
        raise CheckpointError(
            f"The host restored itself at {checkpoint.closed_at} to checkpoint {checkpoint.id}, because its "
            f"run did not confirm within {checkpoint.confirm_within} s. What the run did is undone."
        )
    if checkpoint.status != "open" or begun(store):
        state = "being restored" if checkpoint.status == "open" else checkpoint.status
        raise CheckpointError(f"checkpoint {checkpoint.id}: it is {state} by now.")
    return checkpoint


def _health(
    transaction: Transaction,
    checkpoint: Checkpoint,
    may_stop: Collection[str],
    probe_image: Optional[str],
    *,
    engine_may_stop: bool,
) -> tuple[list[str], bool]:
    """What is wrong with the engines that ran before or came since, and whether a probe was started."""
    if "docker" not in checkpoint.managed.engines or not docker_there(transaction.system):
        return [], False
    if not checkpoint.engine_ran and checkpoint.containers == () and _was_there(checkpoint):
        return [], False
    if engine_may_stop and _is_disabled(transaction):
        return [], False
    # one without a process was between two of them: it did not run
    before = [
        {**container, "expected": "any" if container["name"] in may_stop else "running"}
        for container in checkpoint.containers
        if container["pid"]
    ]
    system, socket = transaction.system, docker_socket(transaction.system)
    problems: list[str] = engine_health(system, socket=socket, before=before, probe=False)
    if problems:
        return problems, False
    try:
        probe_engine(system, socket=socket, image=probe_image)
    except NotProbed as reason:
        return [str(reason)] if probe_image is not None else [], False
    except DockerServiceError as error:
        return [str(error)], True
    return [], True


def _is_disabled(transaction: Transaction) -> bool:
    unit = read_units(transaction.system, [DOCKER_UNIT])[DOCKER_UNIT]
    return unit.enabled == "disabled" and unit.active == "inactive"


def _was_there(checkpoint: Checkpoint) -> bool:
    """Whether the engine's unit was known before: an engine that was stopped then need not run now."""
    unit = checkpoint.before.units.get(DOCKER_UNIT)
    return unit is not None and unit.enabled != ""


def _close(transaction: Transaction, checkpoint: Checkpoint, after: HostState, contents: Contents) -> None:
    store = transaction.store
    store.add_objects(checkpoint.id, after.objects(), contents)
    committed = replace(
        checkpoint, status="committed", after=after, closed_at=transaction.time(), deadman=None
    )
    transaction.close(committed)
    if checkpoint.deadman is not None:
        disarm(transaction.system, checkpoint.deadman)
    store.free_reserve(checkpoint.id)


def _keep_in_baseline(transaction: Transaction, checkpoint: Checkpoint, after: HostState) -> None:
    """What a pruned run left is the base from which the baseline is restored.

    What somebody had edited before that run comes into the baseline, as undoing the runs one by one keeps it.
    """
    store = transaction.store
    baseline = store.baseline()
    if baseline is None:
        raise CheckpointError(f"{store.path(BASELINE)}: there is none. {UNCHANGED}")
    contents = Contents({**store.read(baseline).by_checksum, **store.read(checkpoint).by_checksum})
    # Before the first run that is pruned everything was as in the baseline, but for edits.
    left = baseline.before if baseline.after is None else baseline.after
    plan = plan_restore(
        checkpoint.before.only(left),
        [Step(left, baseline.before.only(left))],
        contents.by_checksum,
        beside=f"admin-{checkpoint.id}",
        ledger=LedgerStore(transaction.state_directory).path,
    )
    contents.by_checksum.update(plan.contents)
    beside = {path: ABSENT for path in plan.state.files if path not in checkpoint.before.files}
    merged = after if baseline.after is None else after.with_missing_of(baseline.after)
    merged = replace(merged, files={**merged.files, **beside})
    before = plan.state.with_missing_of(baseline.before)
    store.save(replace(baseline, before=before, after=merged), contents)
