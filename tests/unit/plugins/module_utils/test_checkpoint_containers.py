# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore does to containers is said before it, allowed or refused, and looked for behind it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import (
    _checkpoint_apply,
    _checkpoint_outlook,
    _checkpoint_restore,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import docker_socket
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_open import (
    OpenRequest,
    open_checkpoint,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_outlook import (
    ALLOW,
    Outlook,
    foresee,
    refuse,
    unproven,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    CheckpointError,
    FileState,
    HostState,
    UnitState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerServiceError
from ansible_collections.bulkhead.hardening.plugins.modules.checkpoint import _restored
from unit.checkpoint_host import CheckpointHost
from unit.fake_docker import CONTAINER, SHOW, FakeDocker
from unit.fake_system import FakeSystem

FILE = "/etc/docker/daemon.json"
OTHER = "b" * 64


class Engine(FakeDocker):
    """A fake engine with one container, `web`, in a cgroup of its own."""

    def __init__(self, system: FakeSystem) -> None:
        super().__init__(system)
        self.install()
        self.start()
        self.answers[f"/containers/{CONTAINER}/json"] = {
            "Id": CONTAINER,
            "Name": "/web",
            "State": {"Pid": 812, "Running": True},
        }
        self.run(812, CONTAINER)

    def run(self, pid: int, container: str) -> None:
        cgroup = f"0::/system.slice/docker-{container}.scope\n"
        self.system.add_process(pid, cgroup=cgroup)

    def end(self, pid: int) -> None:
        """A container ends, and the engine knows it."""
        shutil.rmtree(self.system.local(f"/proc/{pid}"))
        self.answers["/containers/json"] = []

    def live_restore(self) -> None:
        self.answers["/info"]["LiveRestoreEnabled"] = True

    def swarm(self) -> None:
        self.answers["/info"]["Swarm"] = {"LocalNodeState": "active"}

    def foresee(self, current: str, *, active: str = "active", needed: bool = True) -> Outlook:
        """What it takes to bring the engine back to no file at all."""
        self.system.write(FILE, current)
        now = FileState("file", "0" * 64, 1, mode=0o644, uid=0, gid=0)
        unit = {"docker.service": UnitState("enabled", active)}
        with self.listen():
            return foresee(
                self.system,
                HostState(files={FILE: ABSENT}, units=unit),
                HostState(files={FILE: now}, units={"docker.service": UnitState("enabled", "active")}),
                {},
                needed=needed,
                unit_changed=False,
                taken_at=None,
            )

    def unproven(self, outlook: Outlook, *containers: dict[str, Any]) -> list[str]:
        with self.listen():
            return unproven(self.system, outlook, containers)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkpoint_outlook, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(FakeSystem(tmp_path / "root"))


def test_a_restart_that_keeps_its_containers(engine: Engine) -> None:
    engine.live_restore()
    outlook = engine.foresee('{"live-restore": true, "no-new-privileges": true}')
    assert (outlook.cost, outlook.sentences()) == ("restart", [])


def test_what_a_reload_takes_back_costs_no_restart(engine: Engine) -> None:
    assert engine.foresee('{"debug": true}').cost == "reload"


def test_a_swarm_loses_its_containers_by_name(engine: Engine) -> None:
    engine.swarm()
    outlook = engine.foresee('{"no-new-privileges": true}')
    assert outlook.cost == "stop_containers"
    assert outlook.sentences() == ["container web ends: the engine is in a swarm"]


def test_moved_data_stops_every_container_by_name(engine: Engine) -> None:
    outlook = engine.foresee('{"userns-remap": "default"}')
    assert outlook.cost == "move_data"
    assert outlook.sentences()[0].startswith("container web ends: ")


def test_a_flag_that_switches_live_restore_off_loses_all(engine: Engine) -> None:
    show = engine.system.answers[SHOW]
    assert isinstance(show, str)
    engine.system.answers[SHOW] = show.replace("-H fd://", "-H fd:// --live-restore=false")
    outlook = engine.foresee('{"no-new-privileges": true}')
    assert outlook.sentences() == ["container web ends: live-restore is off"]


def test_an_engine_that_did_not_run_is_stopped_with_its_containers(engine: Engine) -> None:
    outlook = engine.foresee("{}", active="inactive")
    assert outlook.cost == "stop_containers"
    assert outlook.sentences() == ["container web ends: docker.service did not run then, and is stopped"]


def test_an_engine_without_a_part_in_it_is_not_planned_for(engine: Engine) -> None:
    outlook = engine.foresee('{"userns-remap": "default"}', needed=False)
    assert (outlook.cost, dict(outlook.losses)) == ("reload", {})
    assert outlook.names == {CONTAINER: "web"}


WEB_ENDS = Outlook("stop_containers", {CONTAINER: "web"}, {CONTAINER: "why"})


@pytest.mark.parametrize("allow", ALLOW)
@pytest.mark.parametrize("cost", ALLOW)
def test_what_costs_more_than_is_allowed_is_refused(cost: str, allow: str) -> None:
    outlook = Outlook(cost, WEB_ENDS.names, WEB_ENDS.losses)
    if ALLOW.index(cost) <= ALLOW.index(allow):
        refuse(outlook, allow)
        return
    with pytest.raises(
        CheckpointError, match=rf"allow: found {allow}, .* takes {cost}: container web ends: why. Nothing"
    ):
        refuse(outlook, allow)


def test_a_container_that_runs_on_is_proven(engine: Engine) -> None:
    assert engine.unproven(Outlook(names={CONTAINER: "web"})) == []


def test_a_container_that_ended_against_the_plan_is_named(engine: Engine) -> None:
    engine.end(812)
    expected = ["container web ended, and the plan did not say so"]
    assert engine.unproven(Outlook(names={CONTAINER: "web"})) == expected
    assert engine.unproven(WEB_ENDS) == []


def test_a_container_that_no_engine_lists_is_named(engine: Engine) -> None:
    engine.run(813, OTHER)
    assert engine.unproven(Outlook(names={OTHER: "db"})) == ["container db runs, and no engine lists it"]


def test_containers_without_their_engine_are_named(engine: Engine) -> None:
    engine.system.answers[SHOW] = (
        "LoadState=loaded\nMainPID=0\nExecStart={ argv[]=dockerd ; ignore_errors=no }\n"
    )
    engine.end(549)
    outlook = Outlook(names={CONTAINER: "web"})
    assert engine.unproven(outlook) == ["container web runs, and no engine lists it"]


def test_a_container_that_the_failed_run_lost_is_named(engine: Engine) -> None:
    db = {"id": OTHER, "name": "db"}
    assert engine.unproven(Outlook(names={CONTAINER: "web"}), db) == [
        "container db ran before the run and does not run"
    ]


class Scenario:
    """A host whose engine is foreseen and looked at by script."""

    def __init__(self, host: CheckpointHost, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.outlook: Outlook | None = WEB_ENDS
        self.doubts: list[str] = []
        monkeypatch.setattr(_checkpoint_restore, "foresee", lambda *_arguments, **_options: self.foresee())
        monkeypatch.setattr(
            _checkpoint_restore, "unproven", lambda *_arguments, **_options: list(self.doubts)
        )
        monkeypatch.setattr(_checkpoint_apply, "_docker_needed", lambda *_arguments: False)

    def foresee(self) -> Outlook:
        if self.outlook is None:
            raise DockerServiceError("it does not answer")
        return self.outlook

    def open(self, run: str = "one") -> str:
        request = OpenRequest(self.host.managed(engines=("docker",)))
        identifier: str = open_checkpoint(self.host.transaction(run), request)["id"]
        self.host.half("a.json", "{}")
        return identifier


@pytest.fixture
def host(tmp_path: Path) -> CheckpointHost:
    return CheckpointHost(tmp_path)


@pytest.fixture
def scenario(host: CheckpointHost, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    return Scenario(host, monkeypatch)


def test_a_rollback_that_loses_containers_is_refused_unless_it_is_allowed(scenario: Scenario) -> None:
    host, before = scenario.host, scenario.host.content()
    scenario.open()
    host.commit()
    changed = host.content()
    predicted = host.restore("last", "two", check_mode=True)
    assert predicted["losses"] == ["container web ends: why"]
    assert "takes stop_containers" in predicted["reasons"][0]
    with pytest.raises(CheckpointError, match="container web ends: why. Nothing was changed"):
        host.restore("last", "two")
    assert host.content() == changed
    outcome = host.restore("last", "two", allow="stop_containers")
    assert outcome["losses"] == ["container web ends: why"] and outcome["unproven"] == []
    assert host.content() == before


def test_an_engine_that_says_nothing_is_not_restarted_over_containers_unasked(scenario: Scenario) -> None:
    host = scenario.host
    scenario.open()
    host.commit()
    scenario.outlook = None
    assert host.restore("last", "two", check_mode=True)["losses"] == []
    host.system.add_process(9, cgroup=f"0::/system.slice/docker-{OTHER}.scope\n")
    with pytest.raises(CheckpointError, match="container bbbbbbbbbbbb ends: the engine does not say"):
        host.restore("last", "two")
    assert host.restore("last", "two", allow="stop_containers")["losses"] == []


def test_a_run_that_undoes_itself_is_not_asked(scenario: Scenario) -> None:
    before = scenario.host.content()
    identifier = scenario.open()
    assert scenario.host.restore(identifier)["losses"] == ["container web ends: why"]
    assert scenario.host.content() == before


def test_the_next_run_is_not_asked(scenario: Scenario) -> None:
    before = scenario.host.content()
    scenario.open()
    assert scenario.host.open("two", gone=["one"])["recovered"]["losses"] == ["container web ends: why"]
    assert scenario.host.content() == before


def test_only_what_was_looked_at_is_proven(scenario: Scenario) -> None:
    scenario.outlook = Outlook()
    scenario.doubts = ["container web ended, and the plan did not say so"]
    outcome = _restored(scenario.host.restore(scenario.open()), check_mode=False)
    assert (outcome["proven"], outcome["unproven"]) == (False, scenario.doubts)
    scenario.doubts = []
    outcome = _restored(scenario.host.restore(scenario.open("two"), "two"), check_mode=False)
    assert outcome["proven"]


@pytest.mark.parametrize(
    ("hosts", "shown", "expected"),
    [
        ("-H fd://", "Listen=/run/docker.sock (Stream)\n", "/run/docker.sock"),
        ("-H fd://", "Listen=/run/elsewhere.sock (Stream)\n", "/run/elsewhere.sock"),
        ("-H fd://", "Listen=[::]:2375 (Stream)\nListen=/run/d.sock (Stream)\n", "/run/d.sock"),
        ("-H unix:///srv/docker.sock", "", "/srv/docker.sock"),
        ("-H tcp://127.0.0.1:2375 -H unix:///srv/docker.sock", "", "/srv/docker.sock"),
        ("", "", "/run/configured.sock"),
    ],
)
def test_the_engine_is_asked_where_it_listens(tmp_path: Path, hosts: str, shown: str, expected: str) -> None:
    docker = FakeDocker(FakeSystem(tmp_path))
    docker.install()
    docker.system.write(FILE, '{"hosts": ["unix:///run/configured.sock"]}')
    show = docker.system.answers[SHOW]
    assert isinstance(show, str)
    docker.system.answers[SHOW] = show.replace("-H fd://", hosts)
    docker.system.answers["systemctl", "show", "docker.socket", "--property", "Listen"] = shown
    assert docker_socket(docker.system) == expected


def test_without_systemd_the_usual_socket_is_asked(tmp_path: Path) -> None:
    assert docker_socket(FakeSystem(tmp_path)) == "/run/docker.sock"
