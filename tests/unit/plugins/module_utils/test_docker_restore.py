# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A rollback of the engine: the stages with the least loss, and the bytes from before at their end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_file_note import was_read
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_restore import (
    Situation,
    restore_engine,
    stages,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerServiceError
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import Service
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

WEB = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
HARDENED = b'{"live-restore": true, "no-new-privileges": true}'
SITUATION = Situation(
    current=HARDENED,
    old=None,
    running=True,
    live_restore=True,
    swarm=False,
    containers=True,
    flag_live_restore=None,
    version="26.1.5",
    unit_changed=False,
    read_since=True,
)


@pytest.mark.parametrize(
    ("old", "kept", "off"),
    [
        (None, {"live-restore": True}, {"live-restore": False}),
        (b"", {"live-restore": True}, {"live-restore": False}),
        (b'{"icc": true}', {"icc": True, "live-restore": True}, {"icc": True, "live-restore": False}),
        (b'{"live-restore": false}', {"live-restore": True}, {"live-restore": False}),
    ],
)
def test_live_restore_stays_through_the_restart_and_is_then_switched_off_by_value(
    old: bytes | None, kept: dict[str, Any], off: dict[str, Any]
) -> None:
    plan = stages(replace(SITUATION, old=old))
    assert [stage.action for stage in plan] == ["restart", "reload", "none"]
    assert [json.loads(stage.content or b"") for stage in plan[:2]] == [kept, off]
    assert plan[2].content == old


def test_live_restore_that_is_not_in_force_comes_by_reload_first() -> None:
    plan = stages(replace(SITUATION, live_restore=False))
    assert [stage.action for stage in plan] == ["reload", "restart", "reload", "none"]
    assert [stage.await_live_restore for stage in plan] == [True, False, False, False]
    assert plan[0].content == plan[1].content


def test_an_old_file_with_live_restore_needs_no_stages() -> None:
    old = b'{"live-restore": true}'
    plan = stages(replace(SITUATION, old=old))
    assert [(stage.content, stage.action) for stage in plan] == [(old, "restart")]
    plan = stages(replace(SITUATION, old=old, live_restore=False))
    assert [(stage.content, stage.action) for stage in plan] == [(old, "reload"), (old, "restart")]
    assert plan[0].await_live_restore


def test_an_engine_that_is_down_is_started_with_live_restore_first() -> None:
    plan = stages(replace(SITUATION, running=False, live_restore=False, current=b"{broken"))
    assert [stage.action for stage in plan] == ["start", "reload", "none"]
    assert json.loads(plan[0].content or b"") == {"live-restore": True}


@pytest.mark.parametrize(("running", "action"), [(True, "restart"), (False, "start")])
def test_without_containers_the_old_bytes_come_at_once(running: bool, action: str) -> None:
    plan = stages(replace(SITUATION, containers=False, running=running))
    assert [(stage.content, stage.action) for stage in plan] == [(None, action)]


def test_a_flag_for_live_restore_forbids_the_key_in_the_file() -> None:
    plan = stages(replace(SITUATION, flag_live_restore=True, old=b"{}"))
    assert [(stage.content, stage.action) for stage in plan] == [(b"{}", "restart")]


def test_a_swarm_refuses_live_restore() -> None:
    plan = stages(replace(SITUATION, swarm=True, live_restore=False, old=b"{}"))
    assert [(stage.content, stage.action) for stage in plan] == [(b"{}", "restart")]


def test_a_file_that_no_daemon_has_read_takes_nothing() -> None:
    plan = stages(replace(SITUATION, read_since=False, live_restore=False))
    assert [(stage.content, stage.action) for stage in plan] == [(None, "none")]


def test_what_a_reload_applied_a_reload_takes_back() -> None:
    plan = stages(
        replace(SITUATION, current=b'{"live-restore": true, "debug": true}', old=b'{"debug": false}')
    )
    assert [stage.action for stage in plan] == ["reload", "none"]
    assert json.loads(plan[0].content or b"") == {"debug": False, "live-restore": False}
    assert plan[1].content == b'{"debug": false}'


def test_a_value_that_is_written_out_already_takes_one_reload() -> None:
    old = b'{"live-restore": false}'
    plan = stages(replace(SITUATION, current=b'{"live-restore": true}', old=old))
    assert [(stage.content, stage.action) for stage in plan] == [(old, "reload")]


def test_a_changed_unit_takes_the_restart_in_any_case() -> None:
    situation = replace(SITUATION, current=b'{"live-restore": true}', unit_changed=True)
    assert [stage.action for stage in stages(situation)] == ["restart", "reload", "none"]


def test_a_broken_file_from_before_is_put_back_and_the_engine_left_alone() -> None:
    plan = stages(replace(SITUATION, old=b"{broken"))
    assert [(stage.content, stage.action) for stage in plan] == [(b"{broken", "none")]
    assert "not a JSON object" in plan[0].why


@pytest.mark.parametrize(
    "current",
    [
        b'{"live-restore": true, "userns-remap": "default"}',
        b'{"live-restore": true, "data-root": "/srv/docker"}',
        b'{"features": {"containerd-snapshotter": true}}',
    ],
)
def test_before_data_moves_back_every_container_stops(current: bytes) -> None:
    plan = stages(replace(SITUATION, current=current))
    assert [(stage.content, stage.action) for stage in plan] == [
        (current, "stop_containers"),
        (None, "restart"),
    ]


def test_data_moves_back_by_the_engine_that_has_the_containers_also_when_it_is_down() -> None:
    current = b'{"live-restore": true, "userns-remap": "default", "no-new-privileges": true}'
    situation = replace(SITUATION, current=current, old=b'{"icc": true}', running=False)
    plan = stages(situation)
    assert [stage.action for stage in plan] == ["start", "stop_containers", "restart"]
    place = {"icc": True, "userns-remap": "default", "live-restore": True}
    assert [json.loads(stage.content or b"") for stage in plan] == [place, place, {"icc": True}]
    (only,) = stages(replace(situation, containers=False))
    assert (only.content, only.action) == (b'{"icc": true}', "start")


def test_the_containers_of_an_engine_that_was_down_are_stopped_by_it(engine: ScriptedService) -> None:
    engine.path.write_bytes(b'{"userns-remap": "default"}')
    engine.running = False
    _restore(engine, None)
    assert [name for name, _content in engine.done] == ["start", "stop", "prove", "restart"]
    assert engine.stopped == ["web"]


VALUES = st.dictionaries(
    st.sampled_from(["live-restore", "debug", "icc", "userns-remap", "no-new-privileges"]), st.booleans()
)
BYTES = st.none() | VALUES.map(lambda keys: json.dumps(keys).encode()) | st.sampled_from([b"", b"{broken"])


def _place(content: bytes | None) -> object:
    settings = json.loads(content) if content and content != b"{broken" else {}
    return settings.get("userns-remap")


@given(
    st.builds(
        Situation,
        current=BYTES,
        old=BYTES,
        running=st.booleans(),
        live_restore=st.booleans(),
        swarm=st.booleans(),
        containers=st.booleans(),
        flag_live_restore=st.sampled_from([None, True, False]),
        version=st.sampled_from(["20.10.24", "26.1.5"]),
        unit_changed=st.booleans(),
        read_since=st.booleans(),
    )
)
def test_every_rollback_ends_with_the_old_bytes_and_keeps_what_it_can(situation: Situation) -> None:
    plan = stages(situation)
    assert plan[-1].content == situation.old
    kept = situation.containers and not situation.swarm and situation.flag_live_restore is None
    live_restore = situation.live_restore
    moved = _place(situation.current) != _place(situation.old) and b"{broken" not in (
        situation.current,
        situation.old,
    )
    for stage in plan:
        if stage.action in ("restart", "start") and moved and situation.containers:
            stopped = any(earlier.action == "stop_containers" for earlier in plan[: plan.index(stage)])
            assert stopped or _place(stage.content) == _place(situation.current), "another place"
        content = json.loads(stage.content) if stage.content and stage.content != b"{broken" else {}
        live_restore = live_restore or stage.await_live_restore
        if stage.action == "stop_containers":
            kept = False
        if stage.action == "restart" and kept:
            assert live_restore, "live-restore is not in force when the daemon stops"
        if stage.action in ("restart", "start") and kept:
            assert content["live-restore"] is True, "live-restore is not configured when it starts again"


class ScriptedService:
    """An engine that keeps what is asked of it, and what stood in the file then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: list[tuple[str, Any]] = []
        self.running = True
        self.version = "26.1.5"
        self.live_restore = True
        self.fails_at: str | None = None
        self.containers: tuple[RunningContainer, ...] = (WEB,)
        self.stopped: list[str] = []
        self.unlisted: list[str] = []
        self.after_restart: tuple[RunningContainer, ...] | None = None

    def _note(self, name: str) -> None:
        self.done.append((name, json.loads(self.path.read_bytes()) if self.path.exists() else None))
        if self.fails_at == name:
            raise DockerServiceError(f"{name} failed")

    def state(self) -> EngineState:
        started = 1000.0 if self.running else None
        listed = self.containers if self.running else ()
        return EngineState(self.version, started, None, self.live_restore, False, listed)

    def state_of_a_troubled_engine(self) -> EngineState:
        return self.state()

    def service(self) -> Service:
        return Service(
            fragment="/usr/lib/systemd/system/docker.service",
            main_pid=1,
            command=["dockerd"],
            exec_start=["dockerd"],
            files=[],
            need_daemon_reload=False,
            reloaded_at=None,
        )

    def unlisted_containers(self) -> list[str]:
        return self.unlisted

    def containers_in_cgroups(self) -> list[str]:
        return [container.id for container in self.containers]

    def daemon_reload(self) -> None:
        self._note("daemon-reload")

    def reload(self) -> None:
        self._note("reload")

    def restart(self) -> None:
        self._note("restart")
        self._come_back()

    def start(self) -> None:
        self._note("start")
        self._come_back()
        self.running = True

    def _come_back(self) -> None:
        if self.after_restart is not None:
            self.containers = self.after_restart

    def await_answer(self) -> None:
        """It answers."""

    def await_live_restore(self) -> None:
        self._note("await live-restore")

    def stop_containers(self, containers: Iterable[RunningContainer]) -> None:
        self._note("stop")
        self.stopped = [container.name for container in containers]
        self.containers = ()

    def prove_none_left(self) -> None:
        self._note("prove")

    def start_known(self, containers: Iterable[RunningContainer]) -> list[str]:
        names = [container.name for container in containers]
        if names:
            self._note(f"start {' '.join(names)}")
        return names


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    path = tmp_path / "etc/docker/daemon.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(HARDENED)
    (tmp_path / "run").mkdir()
    scripted = ScriptedService(path)
    monkeypatch.setattr(_docker_restore, "DockerService", lambda *_arguments, **_options: scripted)
    return scripted


def _restore(engine: ScriptedService, old: bytes | None, **options: Any) -> dict[str, Any]:
    def write(content: bytes | None) -> None:
        if content is None:
            engine.path.unlink(missing_ok=True)
        else:
            engine.path.write_bytes(content)

    options = {"other_files_changed": False, "before": (), **options}
    system = FakeSystem(engine.path.parents[2])
    return restore_engine(
        system, socket="/run/docker.sock", path="/etc/docker/daemon.json", old=old, write=write, **options
    )


def test_the_stages_are_carried_out_in_order_and_the_file_is_as_before(engine: ScriptedService) -> None:
    outcome = _restore(engine, None)
    assert engine.done == [("restart", {"live-restore": True}), ("reload", {"live-restore": False})]
    assert not engine.path.exists()
    assert outcome["actions"] == ["restart", "reload"]
    assert outcome["survivors"] == ["web"]
    assert len(outcome["reasons"]) == 3


@pytest.mark.parametrize("old", [None, b"{}"])
def test_what_the_daemon_started_with_is_noted_for_this_daemon_and_content_alone(
    engine: ScriptedService, old: bytes | None
) -> None:
    _restore(engine, old)
    system = FakeSystem(engine.path.parents[2])
    assert was_read(system, old, started_at=1000.0)
    assert not was_read(system, old, started_at=1002.0)
    assert not was_read(system, b'{"icc": false}', started_at=1000.0)
    note = system.local("/run/bulkhead/docker.json")
    assert (note.stat().st_mode & 0o777, note.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    note.write_text("[]")
    assert not was_read(system, old, started_at=1000.0)


@pytest.mark.parametrize(("taken_at", "done"), [(1000.5, False), (999.5, True), (None, True)])
def test_a_daemon_that_has_read_nothing_since_is_left_alone(
    engine: ScriptedService, taken_at: float | None, done: bool
) -> None:
    assert bool(_restore(engine, b"{}", taken_at=taken_at)["actions"]) is done
    assert bool(engine.done) is done
    assert engine.path.read_bytes() == b"{}"


def test_what_a_restart_ends_though_live_restore_is_on_is_said(engine: ScriptedService) -> None:
    engine.containers = (WEB, RunningContainer("b" * 64, "job", 813, 4712, auto_remove=True))
    engine.version = "20.10.24"
    engine.after_restart = (WEB,)
    reasons = _restore(engine, None)["reasons"]
    assert reasons[-1] == "job ended with the restart: Docker Engine 20.10.24 loses containers run with --rm"


def test_the_file_is_put_back_also_when_the_engine_fails(engine: ScriptedService) -> None:
    engine.fails_at = "restart"
    with pytest.raises(DockerServiceError, match="restart failed"):
        _restore(engine, b'{"icc": true}')
    assert engine.path.read_bytes() == b'{"icc": true}'


def test_a_unit_that_was_put_back_is_read_by_systemd_first(engine: ScriptedService) -> None:
    outcome = _restore(engine, b'{"live-restore": true}', other_files_changed=True)
    assert [name for name, _content in engine.done] == ["daemon-reload", "restart"]
    assert outcome["actions"] == ["daemon_reload", "restart"]


def test_containers_that_ran_before_and_reappear_are_started_again(engine: ScriptedService) -> None:
    engine.path.write_bytes(b'{"userns-remap": "default"}')
    outcome = _restore(engine, None, before=[{"id": "b" * 64, "name": "db"}])
    assert [name for name, _content in engine.done] == ["stop", "prove", "restart", "start db"]
    assert outcome["actions"] == ["stop_containers", "restart", "start_containers"]
    assert "db was started again" in outcome["reasons"]


def test_an_old_value_of_the_bridge_that_waits_is_said(engine: ScriptedService) -> None:
    engine.path.write_bytes(b'{"live-restore": true, "icc": false}')
    assert list(_restore(engine, b'{"live-restore": true}')["pending"]) == ["icc"]


def test_a_container_that_no_stage_names_and_that_is_gone_fails_the_rollback(engine: ScriptedService) -> None:
    engine.after_restart = ()
    with pytest.raises(
        DockerServiceError, match="after restart and reload these containers do not run any more: web"
    ):
        _restore(engine, b'{"icc": true}')
    assert engine.path.read_bytes() == b'{"icc": true}'


def test_a_container_of_an_engine_that_was_down_and_that_is_gone_fails_the_rollback(
    engine: ScriptedService,
) -> None:
    engine.running, engine.after_restart = False, ()
    with pytest.raises(DockerServiceError, match="do not run any more: aaaaaaaaaaaa"):
        _restore(engine, None)


def test_a_container_that_runs_as_another_process_is_reported(engine: ScriptedService) -> None:
    engine.after_restart = (replace(WEB, pid=900),)
    outcome = _restore(engine, None)
    assert outcome["survivors"] == []
    assert outcome["reasons"][-1] == "web was started again"


@pytest.mark.parametrize("old", [None, HARDENED])
def test_a_container_that_the_engine_does_not_list_fails_the_rollback(
    engine: ScriptedService, old: bytes | None
) -> None:
    engine.unlisted = ["c" * 64]
    with pytest.raises(DockerServiceError, match="run and the engine does not list them: cccc"):
        _restore(engine, old)


def test_a_container_that_ends_while_nothing_is_done_is_not_the_rollbacks_loss(
    engine: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_and_end() -> EngineState:
        state = engine.state()
        engine.containers = ()
        return state

    monkeypatch.setattr(engine, "state_of_a_troubled_engine", look_and_end)
    outcome = _restore(engine, b"{}", taken_at=1000.5)
    assert outcome["reasons"] == ["the daemon has read nothing since then"]
    assert outcome["survivors"] == []
