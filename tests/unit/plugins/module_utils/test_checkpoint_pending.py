# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run leaves pending is written down by its commit, as an audit reads it."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_pending import (
    PENDING_FILE,
    parse_pending,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import CheckpointError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_bulkhead import collect_bulkhead
from unit.checkpoint_host import CheckpointHost
from unit.fake_system import FakeSystem

WAITS = {"icc": "web runs", "userns-remap": "it moves data"}


@pytest.fixture
def host(tmp_path: Path) -> CheckpointHost:
    return CheckpointHost(tmp_path)


def _commit(host: CheckpointHost, run: str, pending: dict[str, Any]) -> None:
    host.system.time += 60.0
    host.open(run)
    host.write("a.json", f'"{run}"\n')
    host.commit(run, pending=parse_pending(pending))


def _audited(host: CheckpointHost, tmp_path: Path) -> Any:
    """What the posture says of it: role and key with its reason and since when."""
    system = FakeSystem(tmp_path / f"audited-{time.monotonic_ns()}")
    path = host.state / PENDING_FILE
    system.write("/var/lib/bulkhead/ledger.json", '{"schema_version": "1.0", "files": {}, "keys": []}')
    if path.exists():
        system.write(f"/var/lib/bulkhead/{PENDING_FILE}", path.read_text(encoding="utf-8"))
    pending = collect_bulkhead(system)["pending"]
    return {(entry["role"], entry["key"]): (entry["reason"], entry["since"]) for entry in pending}


def test_an_audit_shows_what_a_run_left_pending(host: CheckpointHost, tmp_path: Path) -> None:
    _commit(host, "one", {"docker_engine": WAITS})
    shown = _audited(host, tmp_path)
    assert {key: reason for (_role, key), (reason, _since) in shown.items()} == WAITS
    assert {role for role, _key in shown} == {"docker_engine"}
    assert stat.S_IMODE((host.state / PENDING_FILE).stat().st_mode) == 0o600


def test_it_keeps_its_time_until_something_else_is_pending(host: CheckpointHost, tmp_path: Path) -> None:
    _commit(host, "one", {"docker_engine": WAITS})
    first = _audited(host, tmp_path)
    _commit(host, "two", {"docker_engine": WAITS, "podman_policy": {}})
    assert _audited(host, tmp_path) == first
    _commit(host, "three", {"docker_engine": {"icc": "web runs"}})
    (only,) = _audited(host, tmp_path).items()
    assert only[0] == ("docker_engine", "icc")
    assert only[1][1] > first["docker_engine", "icc"][1]


def test_a_role_that_did_not_run_keeps_its_own_and_one_with_nothing_left_loses_it(
    host: CheckpointHost, tmp_path: Path
) -> None:
    _commit(host, "one", {"docker_engine": WAITS, "rootless_users": [{"key": "cpuset", "reason": "idle"}]})
    _commit(host, "two", {"docker_engine": {}})
    assert list(_audited(host, tmp_path)) == [("rootless_users", "cpuset")]
    _commit(host, "three", {"rootless_users": []})
    assert _audited(host, tmp_path) == {}
    assert not (host.state / PENDING_FILE).exists()


def test_a_run_that_is_undone_takes_it_along(host: CheckpointHost, tmp_path: Path) -> None:
    _commit(host, "one", {"docker_engine": WAITS})
    assert _audited(host, tmp_path)
    host.restore("last", "two")
    assert _audited(host, tmp_path) == {}


@pytest.mark.parametrize("option", [{"docker_engine": "icc"}, {"docker_engine": [{"key": "icc"}]}])
def test_another_form_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"pending: found another form.*Nothing was changed"):
        parse_pending(option)
