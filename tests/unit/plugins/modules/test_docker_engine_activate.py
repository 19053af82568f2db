# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of an activation, in their order, and the comparison of containers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_service
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    Activation,
    Stop,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import Service
from ansible_collections.bulkhead.hardening.plugins.modules import docker_engine_activate
from ansible_collections.bulkhead.hardening.plugins.modules.docker_engine_activate import (
    act,
    check,
    parse_time,
    survivors,
    written_key,
)

WEB = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
BEFORE = EngineState("26.1.5", 1000.0, None, live_restore=True, swarm=False, containers=(WEB,))


class ScriptedService(DockerService):
    """Keeps the steps, and knows when processes began."""

    def __init__(self, ticks: dict[int, int] | None = None, after: EngineState | None = None) -> None:
        super().__init__(System(), socket="/none", timeout=1)
        self.steps: list[str] = []
        self.ticks = ticks or {}
        self.after = after or BEFORE
        self.unlisted: list[str] = []
        self.excused: set[str] = set()
        self.failing: dict[str, str] = {}

    def state(self) -> EngineState:
        return self.after

    def unlisted_containers(self) -> list[str]:
        return self.unlisted

    def changed_by_themselves(self, identifiers: Collection[str]) -> set[str]:
        return self.excused & set(identifiers)

    def daemon_reload(self) -> None:
        self.steps.append("daemon-reload")

    def stop_containers(self, containers: Iterable[RunningContainer]) -> None:
        self.steps += [f"stop {container.name}" for container in containers]
        self._fail("stop")

    def start_containers(self, containers: Iterable[RunningContainer]) -> None:
        self.steps += [f"start {container.name}" for container in containers]

    def start_known(self, containers: Iterable[RunningContainer]) -> list[str]:
        names = [container.name for container in containers if not container.auto_remove]
        self.steps.append(f"start known {' '.join(names)}")
        self._fail("start known")
        return names

    def _fail(self, step: str) -> None:
        if step in self.failing:
            raise DockerServiceError(self.failing[step])

    def refuse_bad_start(self) -> None:
        self.steps.append("check the start")

    def prove_none_left(self) -> None:
        self.steps.append("prove none left")
        self._fail("prove")

    def reload(self) -> None:
        self.steps.append("reload")

    def restart(self) -> None:
        self.steps.append("restart")

    def await_live_restore(self) -> None:
        self.steps.append("await live-restore")

    def await_answer(self) -> None:
        self.steps.append("await answer")

    def start_ticks(self, pid: int) -> int | None:
        return self.ticks.get(pid)


def test_live_restore_is_awaited_before_the_restart() -> None:
    service = ScriptedService()
    act(service, Activation(steps=("daemon_reload", "reload", "await_live_restore", "restart")))
    assert service.steps == [
        "daemon-reload",
        "check the start",
        "reload",
        "await answer",
        "await live-restore",
        "restart",
        "await answer",
    ]


def test_nothing_is_done_for_nothing() -> None:
    service = ScriptedService()
    act(service, Activation())
    assert service.steps == []


JOB = RunningContainer("b" * 64, "job", 813, 4712, auto_remove=True)
STOPPING = Activation(
    steps=("stop_containers", "prove_none_left", "restart", "start_containers"),
    stops=(Stop(WEB, "why", started_again=True), Stop(JOB, "why", started_again=False)),
)


def test_containers_are_stopped_by_name_and_those_that_can_are_started_again() -> None:
    service = ScriptedService()
    act(service, STOPPING)
    assert service.steps == [
        "check the start",
        "stop web",
        "stop job",
        "prove none left",
        "restart",
        "await answer",
        "start web",
    ]


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        ({"prove": "one is left"}, "one is left. Started again: web"),
        ({"stop": "job does not stop"}, "job does not stop. Started again: web"),
        (
            {"prove": "one is left", "start known": "web does not start"},
            "one is left. After that, web does not start",
        ),
    ],
)
def test_what_was_stopped_for_a_restart_that_does_not_come_is_started_again(
    failing: dict[str, str], words: str
) -> None:
    moving = replace(STOPPING, stops=tuple(replace(stop, started_again=False) for stop in STOPPING.stops))
    service = ScriptedService()
    service.failing = failing
    with pytest.raises(DockerServiceError, match=f"^{words}$"):
        act(service, moving)
    assert service.steps[-1] == "start known web"
    assert "restart" not in service.steps


def test_a_container_that_does_not_start_again_fails_the_check() -> None:
    before = replace(BEFORE, containers=(WEB, JOB))
    again = replace(BEFORE, containers=(replace(WEB, pid=900),))
    containers = check(ScriptedService(after=again), before, STOPPING)
    assert [(entry["name"], entry["survived"], entry["stopped"]) for entry in containers] == [
        ("web", False, True),
        ("job", False, True),
    ]
    with pytest.raises(DockerServiceError, match="do not run any more: web"):
        check(ScriptedService(after=replace(BEFORE, containers=())), before, STOPPING)


def test_a_lost_container_fails_the_check() -> None:
    restart = Activation(steps=("reload", "await_live_restore", "restart"))
    with pytest.raises(DockerServiceError, match="after reload and restart these .* were restarted: web"):
        check(ScriptedService({812: 9999}), BEFORE, restart)
    assert check(ScriptedService({812: 4711}), BEFORE, restart)[0]["survived"]


RESTART = Activation(steps=("restart",))


def test_a_job_that_ended_by_itself_is_not_lost() -> None:
    service = ScriptedService(after=replace(BEFORE, containers=()))
    with pytest.raises(DockerServiceError, match="do not run any more: web"):
        check(service, BEFORE, RESTART)
    service.excused = {WEB.id}
    assert not check(service, BEFORE, RESTART)[0]["survived"]


@pytest.mark.parametrize(
    ("pid", "words"), [(900, "should have run on and were restarted: web"), (0, "any more: web")]
)
def test_a_restarted_container_is_told_from_a_lost_one(pid: int, words: str) -> None:
    service = ScriptedService(after=replace(BEFORE, containers=(replace(WEB, pid=pid),)))
    with pytest.raises(DockerServiceError, match=f"^after restart these containers [a-z ]*{words}$"):
        check(service, BEFORE, RESTART)
    service.excused = {WEB.id}
    check(service, BEFORE, RESTART)


@pytest.mark.parametrize("after", [(), (replace(WEB, pid=0),), (replace(WEB, pid=900),)])
def test_a_container_in_a_crash_loop_had_no_process_to_lose(after: tuple[RunningContainer, ...]) -> None:
    waiting = replace(BEFORE, containers=(replace(WEB, pid=0, start_ticks=None),))
    stopped = replace(STOPPING, stops=(Stop(waiting.containers[0], "why", started_again=True),))
    service = ScriptedService({900: 1}, after=replace(BEFORE, containers=after))
    for activation in (RESTART, stopped):
        check(service, waiting, activation)


def test_a_container_that_no_engine_lists_fails_the_check() -> None:
    service = ScriptedService({812: 4711})
    service.unlisted = ["c" * 64]
    with pytest.raises(DockerServiceError, match="the engine does not list them: cccc"):
        check(service, BEFORE, Activation(steps=("restart",)))


@pytest.mark.parametrize(
    ("after", "ticks", "survived"),
    [
        (BEFORE, {812: 4711}, True),
        (BEFORE, {812: 9999}, False),
        (BEFORE, {}, False),
        (replace(BEFORE, containers=()), {812: 4711}, False),
        (replace(BEFORE, containers=(replace(WEB, pid=900),)), {812: 4711, 900: 1}, False),
    ],
)
def test_a_container_survives_as_the_same_process_that_the_engine_knows(
    after: EngineState, ticks: dict[int, int], survived: bool
) -> None:
    answer = survivors(BEFORE, after, ScriptedService(ticks))
    assert answer == [{"name": "web", "pid": 812, "survived": survived, "stopped": False}]


def test_times_are_read_to_the_microsecond() -> None:
    assert parse_time("1970-01-01T00:01:00.250000Z") == 60.25
    assert parse_time("1970-01-01T00:01:00Z") == 60.0
    option = {"name": "icc", "since": None, "in_force": False, "differs": True, "removed": False}
    key = written_key({**option, "parts": [], "foreign": True})
    assert (key.since, key.differs, key.foreign) == (None, True, True)


def _records(**info: Any) -> DockerRecords:
    return DockerRecords({"Version": "26.1.5"}, info, [], [], {})


def test_a_daemon_that_never_says_live_restore_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _docker_service, "fetch_docker_records", lambda *_a, **_k: _records(LiveRestoreEnabled=False)
    )
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    with pytest.raises(
        DockerServiceError, match="does not say that live-restore is on. It was not restarted"
    ):
        DockerService(System(), socket="/run/docker.sock", timeout=0.05).await_live_restore()


def test_a_daemon_that_comes_back_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [PortError("connection refused"), _records(LiveRestoreEnabled=True)]

    def answer(*_arguments: Any, **_options: Any) -> DockerRecords:
        following = answers.pop(0)
        if isinstance(following, PortError):
            raise following
        assert isinstance(following, DockerRecords)
        return following

    monkeypatch.setattr(_docker_service, "fetch_docker_records", answer)
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.0)
    DockerService(System(), socket="/run/docker.sock", timeout=5).await_live_restore()
    assert answers == []


class ScriptedSystem(System):
    """Answers commands with one result and keeps their argument lists."""

    def __init__(self, completed: Completed) -> None:
        super().__init__()
        self.completed = completed
        self.ran: list[list[str]] = []

    def run(self, argv: Any, **_options: Any) -> Completed:
        self.ran.append(list(argv))
        return self.completed


class TroubledService(DockerService):
    """An engine that does not answer, by a process of these numbers in turn, until it is stopped."""

    def __init__(self, processes: list[int], *, timeout: float, active: str) -> None:
        self.system = ScriptedSystem(Completed((), 0, f"{active}\n", ""))
        super().__init__(self.system, socket="/none", timeout=timeout)
        self.processes = processes

    def state(self) -> EngineState:
        if ["systemctl", "stop", "docker.service", "docker.socket"] in self.system.ran:
            return replace(BEFORE, started_at=None)
        raise DockerServiceError("no answer")

    def service(self) -> Service:
        pid = self.processes.pop(0) if len(self.processes) > 1 else self.processes[0]
        return Service("unit", pid, [], [], [], need_daemon_reload=False, reloaded_at=None)


@pytest.mark.parametrize(
    ("processes", "timeout", "active"),
    [([0, 700, 700, 701, 702], 60, "active"), ([700], 0.05, "activating"), ([0], 0.05, "failed")],
)
def test_an_engine_that_fails_again_and_again_is_stopped_with_its_socket(
    processes: list[int], timeout: float, active: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    service = TroubledService(processes, timeout=timeout, active=active)
    assert service.state_of_a_troubled_engine().started_at is None
    assert service.system.ran[-1] == ["systemctl", "stop", "docker.service", "docker.socket"]


def test_an_engine_that_runs_and_is_slow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    service = TroubledService([700], timeout=0.05, active="active")
    with pytest.raises(DockerServiceError, match=r"the engine runs .*: no answer. It was left alone"):
        service.state_of_a_troubled_engine()
    assert service.system.ran == [["systemctl", "is-active", "docker.service"]]


def test_a_container_of_which_the_engine_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    records = replace(_records(), listed=["a" * 64], inspected={"a" * 64: {"unreadable": "too large"}})
    monkeypatch.setattr(_docker_service, "fetch_docker_records", lambda *_a, **_k: records)
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    with pytest.raises(DockerServiceError, match="container aaaaaaaaaaaa: too large"):
        DockerService(System(), socket="/none", timeout=0.05).await_answer()


def test_systemd_is_asked_by_these_commands() -> None:
    system = ScriptedSystem(Completed((), 0, "", ""))
    service = DockerService(system, socket="/run/docker.sock", timeout=1)
    service.daemon_reload()
    service.restart()
    service.start()
    assert system.ran == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "restart", "docker.service"],
        ["systemctl", "reset-failed", "docker.service", "docker.socket"],
        ["systemctl", "start", "docker.service"],
    ]


def test_a_failing_restart_is_named() -> None:
    system = ScriptedSystem(Completed((), 1, "", "Job for docker.service failed."))
    with pytest.raises(DockerServiceError, match=r"restart docker.service failed: Job .* journalctl --unit"):
        DockerService(system, socket="/run/docker.sock", timeout=1).restart()


class ScriptedModule:
    """The parameters of a call, and whether it is check mode."""

    def __init__(self, *names: str, check_mode: bool = False, **options: Any) -> None:
        key: dict[str, Any] = {
            "since": None,
            "in_force": False,
            "differs": True,
            "removed": False,
            "parts": [],
        }
        self.check_mode = check_mode
        self.params: dict[str, Any] = {
            "keys": [{"name": name, "foreign": False, **key} for name in names],
            "live_restore": True,
            "allow": "restart",
            "withheld": {},
            "impossible": {},
            "side_effects": [],
            "units_changed": False,
            "units_owned": False,
            "socket": "/none",
            "timeout": 1,
            "checkpoint": None,
            **options,
        }


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    scripted = ScriptedService({812: 4711})
    monkeypatch.setattr(docker_engine_activate, "DockerService", lambda *_a, **_k: scripted)
    monkeypatch.setattr(docker_engine_activate, "userns_preflight", lambda *_a, **_k: "looked")
    return scripted


def _run(module: ScriptedModule) -> dict[str, Any]:
    return docker_engine_activate.run(module)  # type: ignore[arg-type]


def test_check_mode_predicts_what_a_real_run_does_and_touches_nothing(service: ScriptedService) -> None:
    predicted = _run(ScriptedModule("log-opts", "icc", check_mode=True))
    assert service.steps == []
    done = _run(ScriptedModule("log-opts", "icc"))
    assert service.steps == ["check the start", "restart", "await answer"]
    assert done == predicted
    assert done["changed"]
    assert done["actions"] == ["restart"]
    assert done["settled"] == ["log-opts"]
    assert [entry["key"] for entry in done["pending"]] == ["icc"]
    assert sorted(done["plan"]) == ["effects", "pending", "side_effects", "steps", "stops"]
    assert "step 1: restart docker.service\n" in done["diff"]["after"]


def test_the_plan_names_what_is_impossible_and_what_the_engine_does_by_itself(
    service: ScriptedService,
) -> None:
    reaction = {"keys": ["icc"], "reaches": ["virbr0"], "reason": "its packets pass the filter"}
    outcome = _run(ScriptedModule("log-opts", impossible={"icc": "no filter"}, side_effects=[reaction]))
    assert outcome["plan"]["effects"][-1] == {
        "key": "icc",
        "effect": "impossible",
        "reason": "not written: no filter",
        "containers": [],
    }
    assert outcome["plan"]["side_effects"] == [reaction]
    lines = outcome["diff"]["after"].splitlines()
    assert any(line.split() == ["icc", "impossible", "not", "written:", "no", "filter"] for line in lines)
    assert "side effect of icc on virbr0: its packets pass the filter" in lines
    assert outcome["settled"] == ["log-opts"]


def test_what_is_pending_only_changes_nothing(service: ScriptedService) -> None:
    outcome = _run(ScriptedModule("icc"))
    assert (outcome["changed"], outcome["actions"], service.steps) == (False, [], [])


def test_a_changed_unit_is_a_key_of_its_own_that_systemd_has_to_read(service: ScriptedService) -> None:
    outcome = _run(ScriptedModule(units_changed=True, check_mode=True))
    assert outcome["settled"] == ["docker.service"]
    assert outcome["actions"] == ["daemon_reload", "restart"]


@pytest.mark.parametrize(
    ("names", "withheld", "allow", "check_mode", "looked"),
    [
        (["userns-remap"], {}, "move_data", False, True),
        ([], {"userns-remap": "not allowed"}, "restart", True, True),
        ([], {"userns-remap": "not allowed"}, "restart", False, False),
        (["log-opts"], {}, "restart", True, False),
    ],
)
def test_what_remapping_leaves_behind_is_looked_for_when_it_matters(
    service: ScriptedService,
    names: list[str],
    withheld: dict[str, str],
    allow: str,
    check_mode: bool,
    looked: bool,
) -> None:
    service.after = replace(BEFORE, containers=())
    module = ScriptedModule(*names, withheld=withheld, allow=allow, check_mode=check_mode)
    assert (_run(module)["userns_preflight"] == "looked") is looked
