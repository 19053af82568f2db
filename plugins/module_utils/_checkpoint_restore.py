# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore: undo runs, newest first. Planned, written down, done, and proven by reading everything again.

What is written down (`restoring.json`) is the state that the host shall have, with its contents stored. A
restore that is interrupted is done again from there:
nothing is decided over a host that is half back.
"""

from __future__ import annotations

import json
from calendar import timegm
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import strptime
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_apply import (
    Applied,
    apply,
    changed_files,
    engine_needed,
    unit_changed,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_capture import capture, known
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_files import temporaries
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_outlook import (
    Outlook,
    foresee,
    in_the_dark,
    refuse,
    unproven,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_plan import (
    RestorePlan,
    Step,
    plan_restore,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import (
    read_document,
    remove_file,
    write_document,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
    FileState,
    HostState,
    changes,
    differences,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import (
    BASELINE,
    Checkpoint,
    CheckpointStore,
    Contents,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import Transaction
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man_timer import disarm
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerServiceError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore

__all__ = ["begun", "finish", "forget", "open_ones", "restore", "undo"]

_NO_ENGINE = Outlook()


@dataclass(frozen=True)
class _Journal:
    """A restore that is being done.

    :ivar home: the checkpoint whose objects hold the contents of `state`
    :ivar chain: the checkpoints that are undone by it
    :ivar replaced: the host as it was found
    :ivar containers: those that ran before a run that did not end well
    :ivar beside: files that look like what an interrupted write leaves, and are to stay
    :ivar report: what the plan said of the files
    """

    home: str
    chain: tuple[str, ...]
    engines: tuple[str, ...]
    restored_by: str
    state: HostState
    replaced: HostState
    containers: list[dict[str, Any]]
    beside: list[str]
    report: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "chain": list(self.chain),
            "engines": list(self.engines),
            "state": self.state.as_json(),
            "replaced": self.replaced.as_json(),
        }

    @classmethod
    def parse(cls, body: dict[str, Any]) -> _Journal:
        return cls(
            home=body["home"],
            chain=tuple(body["chain"]),
            engines=tuple(body["engines"]),
            restored_by=body["restored_by"],
            state=HostState.parse(body["state"]),
            replaced=HostState.parse(body["replaced"]),
            containers=body["containers"],
            beside=body["beside"],
            report=body["report"],
        )


def restore(
    transaction: Transaction,
    name: str,
    *,
    restored_by: str = "rollback",
    check_mode: bool = False,
    allow: str = "restart",
) -> dict[str, Any]:
    """Undo every run down to a checkpoint, or (`baseline`) to before the collection first ran.

    :param name: the id of a checkpoint, `last` or `baseline`
    :param allow: what it may cost the engine, one of `ALLOW`. A run that undoes itself is not asked
    :raises CheckpointError: nothing fits the name, something is damaged, it costs more than is allowed (then
        nothing was touched), or the host does not come back to what it should be
    """
    if check_mode:
        return _predicted(transaction, _chain(transaction, name), allow, baseline=name == BASELINE)
    with transaction.locked(keep=False):
        if begun(transaction.store):
            _free_reserves(transaction.store)
            finished = finish(transaction)
            if name in (*finished["checkpoints"], "last"):
                return finished
        chain = _chain(transaction, name)
        asked = None if _undoes_itself(transaction, chain) else allow
        return undo(transaction, chain, restored_by, baseline=name == BASELINE, allow=asked)


def _free_reserves(store: CheckpointStore) -> None:
    for checkpoint in open_ones(store):
        store.free_reserve(checkpoint.id)


def _undoes_itself(transaction: Transaction, chain: Sequence[Checkpoint]) -> bool:
    """Whether it is the rescue of a run that failed: the host goes back whatever it takes."""
    newest = chain[0] if chain else None
    return (
        newest is not None and newest.status == "open" and newest.holder.get("run") == transaction.holder.run
    )


def undo(
    transaction: Transaction,
    chain: Sequence[Checkpoint],
    restored_by: str,
    *,
    baseline: bool = False,
    allow: Optional[str] = None,
) -> dict[str, Any]:
    """Undo the checkpoints of a chain, newest first. Whoever calls holds the lock.

    :param allow: what it may cost the engine; ``None``: whatever it takes
    """
    look = restored_by in ("next_run", "rollback") and not _undoes_itself(transaction, chain)
    plan, identifiers, replaced = _planned(transaction, chain, baseline, look_for_edits=look)
    if not identifiers:
        return _outcome(plan.as_json(), Applied(), [])
    if allow is not None:
        refuse(_foreseen(transaction, chain, plan, replaced), allow)
    store = transaction.store
    home = identifiers[-1]
    _free_reserves(store)
    store.free_reserve(home)
    contents = Contents(plan.contents)
    store.add_objects(home, plan.state.objects() | replaced.objects(), contents)
    journal = _Journal(
        home=home,
        chain=tuple(identifiers),
        engines=_engines(chain),
        restored_by=restored_by,
        state=plan.state,
        replaced=replaced,
        containers=_containers(chain),
        beside=_beside(chain, plan.state),
        report=plan.as_json(),
    )
    write_document(_journal_path(store), journal.as_json())
    return finish(transaction)


def finish(transaction: Transaction) -> dict[str, Any]:
    """Do what is written down, from the beginning; whoever calls holds the lock."""
    store = transaction.store
    journal = _read_journal(store)
    contents = {checksum: store.read_object(journal.home, checksum) for checksum in journal.state.objects()}
    subject = known(journal.state)
    found = _look(transaction, subject)
    for path in temporaries(journal.state.files):
        if path not in journal.beside:
            remove_file(path)
    outlook = _outlook(transaction, journal, found, contents)
    with LedgerStore(transaction.state_directory).lock():
        applied = apply(
            transaction.system,
            journal.state,
            found,
            contents,
            engines=journal.engines,
            containers=journal.containers,
            taken_at=_seconds(store.load(journal.home).opened_at),
        )
    seen = _look(transaction, subject)
    wrong = differences(journal.state, seen)
    if wrong:
        raise CheckpointError(
            f"The restore of checkpoint {journal.home} was done, and this is not as it should be: "
            f"{'; '.join(wrong)}. The next run tries again."
        )
    doubts = [*applied.left, *_unreadable(journal.state, seen)]
    if "docker" in journal.engines:
        doubts += unproven(transaction.system, outlook, journal.containers)
    _close(transaction, journal)
    return _outcome(journal.report, applied, list(journal.chain), outlook=outlook, doubts=doubts)


def _outlook(
    transaction: Transaction, journal: _Journal, found: HostState, contents: Mapping[str, bytes]
) -> Outlook:
    """What the restore does to containers. An engine that does not answer keeps nobody from restoring it."""
    if "docker" not in journal.engines:
        return Outlook()
    system, changed = transaction.system, changed_files(journal.state, found)
    try:
        return foresee(
            system,
            journal.state,
            found,
            contents,
            needed=engine_needed(
                system, journal.state, found, engines=journal.engines, containers=journal.containers
            ),
            unit_changed=unit_changed(changed),
            taken_at=_seconds(transaction.store.load(journal.home).opened_at),
        )
    except DockerServiceError:
        # What ends of these was not planned.
        return replace(in_the_dark(system, ""), losses={})


def _unreadable(wanted: HostState, seen: HostState) -> list[str]:
    """Files of users that cannot be read, so that nothing is known of them."""
    return [
        f"{path}: it cannot be read: {seen.files[path].target}"
        for path, state in wanted.files.items()
        if state.kind != "unreadable" and seen.files[path].kind == "unreadable"
    ]


def _engines(chain: Sequence[Checkpoint]) -> tuple[str, ...]:
    return tuple(sorted({engine for checkpoint in chain for engine in checkpoint.managed.engines}))


def _containers(chain: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """Those that ran before the runs that did not end well."""
    interrupted = [checkpoint for checkpoint in chain if checkpoint.status == "open"]
    return [dict(container) for checkpoint in interrupted for container in checkpoint.containers]


def _foreseen(
    transaction: Transaction, chain: Sequence[Checkpoint], plan: RestorePlan, current: HostState
) -> Outlook:
    engines, system = _engines(chain), transaction.system
    if "docker" not in engines:
        return Outlook()
    try:
        return foresee(
            system,
            plan.state,
            current,
            plan.contents,
            needed=engine_needed(system, plan.state, current, engines=engines, containers=_containers(chain)),
            unit_changed=unit_changed(changed_files(plan.state, current)),
            taken_at=_seconds(chain[-1].opened_at),
        )
    except DockerServiceError as error:
        return in_the_dark(system, str(error))


def _seconds(moment: str) -> float:
    """RFC 3339 with whole seconds -> seconds since the epoch."""
    return float(timegm(strptime(moment, "%Y-%m-%dT%H:%M:%SZ")))


def _beside(chain: Sequence[Checkpoint], state: HostState) -> list[str]:
    """What an interrupted write of the run left goes; what was there before it, or is not of a run, stays."""
    interrupted = [checkpoint for checkpoint in chain if checkpoint.status == "open"]
    if not interrupted:
        return temporaries(state.files)
    return sorted({path for checkpoint in interrupted for path in checkpoint.beside})


def begun(store: CheckpointStore) -> bool:
    """Whether a restore was begun and did not get to its end; raises `CheckpointError` when it is damaged."""
    return read_document(_journal_path(store)) is not None


def forget(store: CheckpointStore) -> None:
    """Leave the host as it is, with a restore that did not get to its end."""
    remove_file(_journal_path(store))


def open_ones(store: CheckpointStore) -> list[Checkpoint]:
    """The checkpoints whose runs did not end, newest first."""
    return [checkpoint for checkpoint in reversed(store.history()) if checkpoint.status == "open"]


def _journal_path(store: CheckpointStore) -> str:
    return f"{store.directory}/restoring.json"


def _read_journal(store: CheckpointStore) -> _Journal:
    body = read_document(_journal_path(store))
    try:
        return _Journal.parse(body or {})
    except (KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{_journal_path(store)}: it is damaged: parts are missing. {UNCHANGED}"
        ) from None


def _look(transaction: Transaction, subject: Any, contents: Optional[Contents] = None) -> HostState:
    # What grew beyond the limit since is read all the same: it has to be put back.
    return capture(
        transaction.system,
        subject,
        Contents() if contents is None else contents,
        size_limit=max(transaction.size_limit, 1024 * 1024 * 1024),
    )


def _chain(transaction: Transaction, name: str) -> list[Checkpoint]:
    """The checkpoints to undo for a name, newest first."""
    history = transaction.store.history()
    undoable = [checkpoint for checkpoint in reversed(history) if checkpoint.status in ("open", "committed")]
    if name == BASELINE:
        if transaction.store.baseline() is None:
            raise CheckpointError(f"name: found baseline, and the collection has never run here. {UNCHANGED}")
        return undoable
    if name == "last":
        if not undoable:
            raise CheckpointError(f"name: found last, and there is no checkpoint to restore. {UNCHANGED}")
        return undoable[:1]
    transaction.store.path(name)
    for index, checkpoint in enumerate(undoable):
        if checkpoint.id == name:
            return undoable[: index + 1]
    return _once_more(transaction, history, undoable, name)


def _once_more(
    transaction: Transaction, history: Sequence[Checkpoint], undoable: Sequence[Checkpoint], name: str
) -> list[Checkpoint]:
    """A run's own checkpoint that the dead man's switch restored: what the run did since goes too."""
    last = history[-1] if history else None
    own = last is not None and last.holder.get("run") == transaction.holder.run
    if last is not None and own and last.id == name and last.status == "restored":
        return [replace(last, status="open")]
    found = [checkpoint for checkpoint in history if checkpoint.id == name]
    state = f"which is {found[0].status} already" if found else "which is not there"
    accepted = ", ".join([*(checkpoint.id for checkpoint in undoable), "last", BASELINE])
    raise CheckpointError(f"name: found {name}, {state}; accepted are {accepted}. {UNCHANGED}")


def _planned(
    transaction: Transaction, chain: Sequence[Checkpoint], baseline: bool, *, look_for_edits: bool
) -> tuple[RestorePlan, list[str], HostState]:
    """`(plan, ids of what is undone, the host now)`; every checkpoint is read whole, and believed, first.

    :param look_for_edits: somebody may have edited the files since a run that did not end
    """
    store = transaction.store
    contents = Contents()
    for checkpoint in chain:
        contents.by_checksum.update(store.read(checkpoint).by_checksum)
    steps = [
        Step(checkpoint.after if checkpoint.status == "committed" else None, checkpoint.before)
        for checkpoint in chain
    ]
    identifiers = [checkpoint.id for checkpoint in chain]
    first = store.baseline() if baseline else None
    if first is not None and first.after is not None:
        # Runs whose checkpoints were pruned: what the last of them left is kept with the baseline.
        contents.by_checksum.update(store.read(first).by_checksum)
        steps.append(Step(first.after, first.before.only(first.after)))
        identifiers.append(BASELINE)
    states = [state for step in steps for state in (step.base, step.target) if state is not None]
    current = _look(transaction, known(*states), contents)
    ledger = LedgerStore(transaction.state_directory).path
    plan = plan_restore(
        current,
        steps,
        contents.by_checksum,
        beside=f"admin-{identifiers[0] if identifiers else BASELINE}",
        ledger=ledger,
        ours=_written(current.files.get(ledger), contents) if look_for_edits else None,
    )
    return plan, identifiers, current


def _written(ledger: Optional[FileState], contents: Contents) -> frozenset[str]:
    """Checksums of what the ledger says that we wrote; a damaged one says nothing, and then all is kept."""
    if ledger is None or ledger.sha256 is None:
        return frozenset()
    try:
        facts = json.loads(contents[ledger.sha256])["files"].values()
        return frozenset(
            str(entry[name]) for entry in facts for name in ("sha256", "next_sha256") if name in entry
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()


def _predicted(
    transaction: Transaction, chain: Sequence[Checkpoint], allow: str, *, baseline: bool
) -> dict[str, Any]:
    look = not _undoes_itself(transaction, chain)
    plan, identifiers, current = _planned(transaction, chain, baseline, look_for_edits=look)
    outlook = _foreseen(transaction, chain, plan, current)
    applied = _predicted_actions(plan, current)
    if not _undoes_itself(transaction, chain):
        try:
            refuse(outlook, allow)
        except CheckpointError as error:
            applied.reasons.append(str(error))
    return _outcome(plan.as_json(), applied, identifiers, outlook=outlook)


def _predicted_actions(plan: RestorePlan, current: HostState) -> Applied:
    kept = [conflict["kept_beside"] for conflict in plan.conflicts if conflict["kept_beside"] is not None]
    actions = [f"{path}: put back" for path in plan.restored]
    actions += [f"{path}: put back, with the edits made since" for path in plan.merged]
    actions += [f"{conflict['path']}: put back" for conflict in plan.conflicts]
    actions += [f"{path}: the edited version is kept here" for path in kept]
    actions += changes(replace(current, files={}), replace(plan.state, files={}))
    return Applied(actions=actions)


def _outcome(
    report: dict[str, Any],
    applied: Applied,
    identifiers: list[str],
    *,
    outlook: Outlook = _NO_ENGINE,
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        **report,
        "checkpoints": identifiers,
        "actions": applied.actions,
        "survivors": applied.survivors,
        "losses": outlook.sentences(),
        "reasons": applied.reasons,
        "unproven": list(doubts),
        "pending": [{"key": key, "reason": reason} for key, reason in sorted(applied.pending.items())],
    }


def _close(transaction: Transaction, journal: _Journal) -> None:
    """Write down that it is done; the dead man's switches of what was undone have nothing to do any more."""
    store = transaction.store
    for identifier in journal.chain:
        checkpoint = store.load(identifier)
        if identifier == BASELINE:
            store.save(replace(checkpoint, after=None))
            continue
        undone = checkpoint.status == "committed"
        closed = replace(
            checkpoint,
            status="rolled_back" if undone else "restored",
            restored_by=journal.restored_by,
            closed_at=transaction.time(),
            after=checkpoint.after if undone or identifier != journal.home else journal.replaced,
            deadman=None,
        )
        store.save(closed)
        if checkpoint.deadman is not None and journal.restored_by != "deadman":
            disarm(transaction.system, checkpoint.deadman)
    remove_file(_journal_path(store))
