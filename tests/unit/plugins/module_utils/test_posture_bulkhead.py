# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the collection itself has left open on a host: pending changes, drift, an interrupted run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _posture_bulkhead
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import LedgerError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_bulkhead import collect_bulkhead
from unit.fake_system import FakeSystem

STATE = "/var/lib/bulkhead"
PENDING = {
    "schema_version": "1.0",
    "roles": {
        "docker_engine": {
            "time": "2026-11-24T21:22:00Z",
            "pending": {"userns-remap": "it moves data", "icc": "containers run"},
        }
    },
}
MANIFEST = {
    "schema_version": "1.0",
    "status": "open",
    "opened_at": "2026-11-24T21:22:00Z",
    "holder": {"run": "5c2f", "controller": "laptop", "user": "alice", "pid": 4711, "process": {"x": 1}},
}


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.local(STATE).mkdir(parents=True)
    return system


def write(system: FakeSystem, name: str, document: Any) -> None:
    system.write(f"{STATE}/{name}", document if isinstance(document, str) else json.dumps(document))


def test_a_host_that_the_collection_never_changed(tmp_path: Path) -> None:
    facts = collect_bulkhead(FakeSystem(tmp_path))
    assert facts == {"present": False, "pending": [], "drift": [], "open_checkpoint": None}


def test_a_host_with_nothing_open(system: FakeSystem) -> None:
    assert collect_bulkhead(system) == {
        "present": True,
        "pending": [],
        "drift": [],
        "open_checkpoint": None,
    }


def test_what_roles_withheld_is_listed_with_its_reason(system: FakeSystem) -> None:
    write(system, "pending.json", PENDING)
    assert collect_bulkhead(system)["pending"] == [
        {"role": "docker_engine", "key": key, "reason": reason, "since": "2026-11-24T21:22:00Z"}
        for key, reason in (("userns-remap", "it moves data"), ("icc", "containers run"))
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({"schema_version": "2.0", "roles": {}}, "not a list of pending changes"),
        ({"schema_version": "1.0", "roles": []}, "not a list of pending changes"),
        ("[" * 5000, "nested deeper"),
        (" " * 2_000_000, "longer than"),
    ],
)
def test_a_list_that_cannot_be_believed_is_unreadable_and_not_empty(
    system: FakeSystem, document: Any, reason: str
) -> None:
    write(system, "pending.json", document)
    assert reason in collect_bulkhead(system)["pending"]["unreadable"]


def test_no_link_is_followed(system: FakeSystem) -> None:
    write(system, "elsewhere.json", PENDING)
    system.link(f"{STATE}/pending.json", str(system.local(f"{STATE}/elsewhere.json")))
    assert "unreadable" in collect_bulkhead(system)["pending"]


def test_a_run_that_has_not_ended_is_named_with_who_holds_it(system: FakeSystem) -> None:
    write(system, "checkpoints/20261120T101010Z-aaaa/manifest.json", {**MANIFEST, "status": "committed"})
    write(system, "checkpoints/20261124T212200Z-1f3a/manifest.json", MANIFEST)
    system.local(f"{STATE}/checkpoints/.making").mkdir()
    assert collect_bulkhead(system)["open_checkpoint"] == {
        "id": "20261124T212200Z-1f3a",
        "opened_at": "2026-11-24T21:22:00Z",
        "holder": {"run": "5c2f", "controller": "laptop", "user": "alice", "pid": 4711},
    }


def test_committed_checkpoints_are_not_open(system: FakeSystem) -> None:
    write(system, "checkpoints/20261120T101010Z-aaaa/manifest.json", {**MANIFEST, "status": "committed"})
    assert collect_bulkhead(system)["open_checkpoint"] is None


def test_a_damaged_manifest_is_no_closed_run(system: FakeSystem) -> None:
    write(system, "checkpoints/20261124T212200Z-1f3a/manifest.json", "{")
    assert "not JSON" in collect_bulkhead(system)["open_checkpoint"]["unreadable"]


def test_drift_is_what_the_ledger_says(system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {
        "path": "/etc/docker/daemon.json",
        "key": ["log-opts", "max-size"],
        "owner": "docker_engine",
        "set": "10m",
        "found": None,
        "state": "absent",
    }
    whole = {**entry, "key": None, "state": "edited"}
    monkeypatch.setattr(_posture_bulkhead, "ledger_drift", lambda _system, _directory: [entry, whole])
    assert [fact["key"] for fact in collect_bulkhead(system)["drift"]] == ["log-opts.max-size", None]


def test_a_ledger_that_cannot_be_believed_is_unreadable(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_system: object, directory: str) -> None:
        raise LedgerError(f"{directory}/ledger.json: not a ledger")

    monkeypatch.setattr(_posture_bulkhead, "ledger_drift", refuse)
    assert collect_bulkhead(system)["drift"] == {"unreadable": f"{STATE}/ledger.json: not a ledger"}
