# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/reliability.md tells of every fault on which machines it was tried, and that it was survived."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from faults.__main__ import (
    KILLED,
    MARKS,
    PAGE,
    SEED,
    Trial,
    fault_of,
    gaps,
    named_faults,
    sampled_boundary,
    share,
    table,
)
from faults.operator import AFTER_A_WRITE, AT_THE_COMMIT, OPENING, Ended

COLLECTION = Path(__file__).parents[3]
MACHINES = ("debian-12", "debian-13")
ROW = re.compile(r"^\| ([a-z][^|]*?) \| (debian-[^|]*) \| (\d+) \| (\d+) \|$", re.M)
GAP = re.compile(r"^- ([a-z ]+): (?:tried on (debian-\S+) only|not tried yet)$", re.M)


def test_every_fault_is_counted_and_was_survived_or_is_named_as_a_gap() -> None:
    part = PAGE.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    rows = ROW.findall(part)
    for fault, machines, tried, survived in rows:
        assert int(tried) == int(survived) >= len(machines.split(", ")), fault
    tried_on = {fault: machines for fault, machines, *_ in rows}
    said = {fault: ", ".join(MACHINES) for fault in map(fault_of, [*named_faults(), KILLED])}
    said.update(GAP.findall(part))
    assert {fault: tried_on.get(fault, "") for fault in said} == said
    assert tried_on.keys() <= said.keys()


def test_what_a_run_did_not_try_is_written_down() -> None:
    everywhere = [
        Trial(machine, fault_of(f"{name}[3]"), survived=True, seconds=1)
        for machine in MACHINES
        for name in [*named_faults(), KILLED]
    ]
    assert gaps(everywhere) == []
    without = [trial for trial in everywhere if trial.machine != "debian-13" or "ledger" not in trial.fault]
    without = [trial for trial in without if "killed before" not in trial.fault]
    assert gaps(without) == [
        "- a corrupt ledger: tried on debian-12 only",
        "- killed before a task: not tried yet",
    ]
    assert "| a corrupt ledger | debian-12 | 1 | 1 |" in table(without)


def _tasks(role: str, file: str) -> list[str]:
    path = COLLECTION / "roles" / role / "tasks" / f"{file}.yml"
    return [task["name"] for task in yaml.safe_load(path.read_text(encoding="utf-8"))]


def _hardening() -> list[str]:
    """The tasks of a hardening of Docker Engine by itself, in their order, skipped ones as well."""
    (play,) = yaml.safe_load((COLLECTION / "playbooks/harden.yml").read_text(encoding="utf-8"))
    opening, change = play["tasks"]
    docker, *others = [task["name"] for task in change["block"]]
    engine = ("preflight", None, "configure", "activate", "surroundings", "verify")
    return [
        opening["name"],
        "Validating arguments",
        *_tasks("checkpoint", "open"),
        docker,
        "Validating arguments",
        *[
            name
            for file in engine
            for name in (_tasks("docker_engine", file) if file else ["Install the engine"])
        ],
        *others,
        "Validating arguments",
        *_tasks("checkpoint", "commit"),
    ]


def test_a_sample_kills_between_the_first_write_and_the_commit() -> None:
    tasks = _hardening()
    assert tasks[AFTER_A_WRITE - 2] == "Own the keys in the engine's files"
    assert tasks[AT_THE_COMMIT - 1] == "See that the host is well, and end the run"
    chosen = {sampled_boundary("debian-12", place, seed) for place in (0, 1) for seed in range(200)}
    assert chosen == set(range(AFTER_A_WRITE, AT_THE_COMMIT + 1))


@pytest.mark.parametrize(("number", "opened"), [(2, False), (4, False), (5, True), (31, True)])
def test_a_run_that_was_killed_early_has_opened_nothing(number: int, opened: bool) -> None:
    names = [f"bulkhead.hardening.checkpoint : {name}" for name in _hardening()]
    assert any(name.endswith(OPENING) for name in names)
    assert Ended(-9, "", tuple(names[:number])).opened is opened


def test_the_sample_has_a_failed_health_check_and_a_dead_daemon() -> None:
    chosen = share(named_faults(), MACHINES, everything=False, seed=SEED)
    assert sorted(name for names in chosen.values() for name in names) == [
        "test_a_daemon_that_does_not_start_with_the_change",
        "test_a_health_check_that_fails",
    ]
