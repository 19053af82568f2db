# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The health of an engine after a change: what ran runs, nothing runs unlisted, a new container starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_service
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_cgroups import docker_cgroups
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import RunningContainer
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_health import (
    NotProbed,
    engine_health,
    probe_engine,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_userns_preflight import (
    container_obstacles,
    userns_preflight,
)
from unit.fake_containers import status_text
from unit.fake_docker import CONTAINER, PAUSE, PID, FakeDocker
from unit.fake_system import FakeSystem

SOCKET = "/run/docker.sock"
OTHER = "b" * 64
IMAGE = "localhost/bulkhead-probe:latest"
PROBE = "/containers/" + "c" * 64
WEB = {"id": CONTAINER, "name": "web", "pid": 812, "start_ticks": 4711, "expected": "same_process"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(_docker_service, "SETTLE_SECONDS", 0.05)


@pytest.fixture
def engine(tmp_path: Path) -> FakeDocker:
    docker = FakeDocker(FakeSystem(tmp_path))
    docker.install()
    docker.start()
    docker.answers[f"/containers/{CONTAINER}/json"] = {
        "Id": CONTAINER,
        "Name": "/web",
        "State": {"Pid": 812, "Running": True},
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "Config": {"Image": "nginx", "Labels": {}},
    }
    _process(docker.system, 812, CONTAINER)
    docker.system.answers[PAUSE] = (
        "ActiveExitTimestamp=Tue 2026-12-01 10:00:10 UTC\nActiveEnterTimestamp=Tue 2026-12-01 10:00:20 UTC\n"
    )
    return docker


def _process(system: FakeSystem, pid: int, container: str, path: str = "/system.slice") -> None:
    cgroup = f"0::{path}/docker-{container}.scope\n"
    system.add_process(pid, start_ticks=4711, cgroup=cgroup)


def _health(
    engine: FakeDocker, *before: dict[str, Any], probe: bool = False, image: str | None = None
) -> Any:
    with engine.listen():
        return engine_health(engine.system, socket=SOCKET, before=before, probe=probe, probe_image=image)


def test_an_engine_that_is_well(engine: FakeDocker) -> None:
    assert _health(engine, WEB) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"id": OTHER, "name": "db"}, "container db ran before and does not run any more"),
        (
            {"id": OTHER, "name": "db", "expected": "running"},
            "container db ran before and does not run any more",
        ),
        ({"id": OTHER, "name": "db", "expected": "any"}, None),
        ({"pid": 700}, "container web should have run on and was started again"),
        ({"start_ticks": 1}, "container web should have run on and was started again"),
        ({"pid": 700, "expected": "running"}, None),
    ],
)
def test_what_ran_before(engine: FakeDocker, change: dict[str, Any], problem: str | None) -> None:
    problems = _health(engine, {**WEB, **change})
    assert len(problems) == (0 if problem is None else 1)
    assert problem is None or problems[0].startswith(problem)


def _ended(at: str, *, status: int = 0, policy: str = "no") -> dict[str, Any]:
    return {
        "Id": OTHER,
        "State": {"Status": "exited", "Running": False, "ExitCode": status, "FinishedAt": at},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
    }


JOB = {**WEB, "id": OTHER, "name": "job"}
LOST = "container job ran before and does not run any more"


@pytest.mark.parametrize("expected", ["same_process", "running"])
@pytest.mark.parametrize(
    ("record", "problems"),
    [
        # Before the engine stopped and since it is up again: nobody but the job itself has ended it.
        (_ended("2026-12-01T10:00:09.9Z"), []),
        (_ended("2026-12-01T10:00:21.000000001Z"), []),
        (_ended("2026-12-01T10:00:21Z", policy="on-failure"), []),
        # A server that an engine stops, at its end or at its next start, ends with 0 as well.
        (_ended("2026-12-01T10:00:10Z"), [LOST]),
        (_ended("2026-12-01T10:00:15Z"), [LOST]),
        (_ended("2026-12-01T10:00:20.9Z"), [LOST]),
        (_ended("2026-12-01T10:00:09Z", status=137), [LOST]),
        (_ended("2026-12-01T10:00:09Z", policy="always"), [LOST]),
        (_ended("2026-12-01T10:00:09Z", policy="unless-stopped"), [LOST]),
        (_ended("a while ago"), [LOST]),
    ],
)
def test_a_job_that_ended_well_by_itself_is_not_missed(
    engine: FakeDocker, record: dict[str, Any], problems: list[str], expected: str
) -> None:
    engine.answers[f"/containers/{OTHER}/json"] = record
    assert _health(engine, WEB, {**JOB, "expected": expected}) == problems


@pytest.mark.parametrize(("codes", "problems"), [(["0"], []), (["1"], [LOST]), (["0", "137"], [LOST])])
def test_a_job_that_was_removed_is_told_by_the_engine_s_events(
    engine: FakeDocker, codes: list[str], problems: list[str]
) -> None:
    engine.events = [{"Action": "die", "Actor": {"Attributes": {"exitCode": code}}} for code in codes]
    assert _health(engine, JOB) == problems
    asked = next(request for request in engine.requests if request.startswith("/events?since=1796119220."))
    assert OTHER in asked


def test_without_a_time_of_systemd_s_a_missing_container_is_a_problem(engine: FakeDocker) -> None:
    engine.system.answers[PAUSE] = "ActiveExitTimestamp=\nActiveEnterTimestamp=\n"
    engine.events = [{"Actor": {"Attributes": {"exitCode": "0"}}}]
    assert _health(engine, JOB) == [LOST]
    engine.answers[f"/containers/{OTHER}/json"] = _ended("2026-12-01T10:00:09Z")
    assert _health(engine, JOB) == [LOST]


@pytest.mark.parametrize(
    ("started", "well"), [("2026-12-01T10:00:09Z", True), ("2026-12-01T10:00:21Z", False)]
)
def test_a_container_that_was_restarted_before_the_engine_stopped_is_well(
    engine: FakeDocker, started: str, well: bool
) -> None:
    engine.answers[f"/containers/{CONTAINER}/json"]["State"]["StartedAt"] = started
    assert (_health(engine, {**WEB, "pid": 700}) == []) is well


def test_a_container_that_no_engine_lists_is_a_problem(engine: FakeDocker) -> None:
    _process(engine.system, 900, OTHER)
    assert _health(engine, WEB) == [f"container {OTHER} runs, and the engine does not list it"]


def test_an_engine_that_does_not_answer_is_a_problem(
    engine: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ansible_collections.bulkhead.hardening.plugins.module_utils._docker_health.ANSWER_SECONDS", 0.05
    )
    problems = engine_health(engine.system, socket=SOCKET, before=[], probe=False)
    assert len(problems) == 1
    assert "the daemon does not answer" in problems[0]


def test_a_probe_needs_an_image_that_is_on_the_host(engine: FakeDocker) -> None:
    assert _health(engine, WEB, probe=True) == []
    assert _health(engine, WEB, probe=True, image="localhost/mine:1") == [
        "not probed: the image localhost/mine:1 is not on this host"
    ]
    with engine.listen(), pytest.raises(NotProbed, match="is not on this host"):
        probe_engine(engine.system, socket=SOCKET)


@pytest.mark.parametrize(("status", "problems"), [(0, []), (3, ["ended with status 3, not 0"])])
def test_a_probe_ends_well_or_is_a_problem_and_goes_away(
    engine: FakeDocker, status: int, problems: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answers[f"/images/{IMAGE}/json"] = {"Id": "sha256:1"}
    monkeypatch.setattr("os.getpid", lambda: 77)
    engine.posts = {
        "/containers/create?name=bulkhead-probe-77": (201, {"Id": "c" * 64}),
        f"{PROBE}/start": (204, None),
        f"{PROBE}/wait": (200, {"StatusCode": status}),
        f"{PROBE}?force=true&v=true": (204, None),
    }
    found = _health(engine, WEB, probe=True)
    assert [any(problem in text for text in found) for problem in problems] == [True] * len(problems)
    assert len(found) == len(problems)
    assert engine.requests[-1] == f"{PROBE}?force=true&v=true"
    assert engine.sent[0]["HostConfig"] == {"NetworkMode": "none", "RestartPolicy": {"Name": "no"}}


def test_an_engine_that_cannot_make_a_container_is_a_problem(
    engine: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answers[f"/images/{IMAGE}/json"] = {"Id": "sha256:1"}
    monkeypatch.setattr("os.getpid", lambda: 77)
    engine.posts = {"/containers/create?name=bulkhead-probe-77": (500, {"message": "no space"})}
    assert _health(engine, WEB, probe=True) == ["the probe container does not work: status 500: no space"]


def test_cgroups_of_this_engine_are_told_from_those_of_others(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    _process(system, 812, CONTAINER)
    _process(system, 900, OTHER, f"/system.slice/docker-{CONTAINER}.scope")
    _process(system, 901, OTHER, "/user.slice/user-1001.slice/user@1001.service")
    system.add_process(902, cgroup=f"0::/docker/{'d' * 64}\n")
    system.add_process(903, cgroup=f"0::/machine.slice/libpod-{OTHER}.scope\n")
    assert docker_cgroups(system) == {CONTAINER: [812, 900], "d" * 64: [902]}


def test_a_cgroup_that_has_the_id_alone_is_claimed_by_the_engines_shim(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    inner, foreign, alices = "d" * 64, "e" * 64, "f" * 64
    for pid, namespace, identifier, uid in [
        (70, "moby", CONTAINER, 0),
        (71, "default", foreign, 0),
        (72, "moby", alices, 1000),
    ]:
        words = ["/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-id", identifier]
        system.add_process(
            pid,
            comm="containerd-shim",
            cmdline="\0".join([*words, "-address", "/run/containerd/containerd.sock"]),
            cgroup="0::/system.slice/x\n",
            status=status_text(uid=uid, pid=pid),
        )
    system.add_process(812, comm="web", cgroup=f"0::/custom/{CONTAINER}\n")
    system.add_process(813, comm="nested", cgroup=f"0::/custom/{CONTAINER}/docker/{inner}\n")
    system.add_process(814, comm="other", cgroup=f"0::/custom/{foreign}\n")
    system.add_process(816, comm="rootless", cgroup=f"0::/system.slice/alice.service/{alices}\n")
    system.add_process(815, comm="user", cgroup=f"0::/user.slice/user-1001.slice/x/{CONTAINER}\n")
    assert docker_cgroups(system) == {CONTAINER: [812, 813]}


def _service(engine: FakeDocker) -> DockerService:
    return DockerService(engine.system, socket=SOCKET, timeout=1)


def test_a_restart_waits_for_proof_that_no_container_is_left(engine: FakeDocker) -> None:
    with pytest.raises(
        DockerServiceError, match=r"still run after they were stopped: 2e9c42ea36cf \(process 812"
    ):
        _service(engine).prove_none_left()
    engine.system.write("/proc/812/cgroup", "0::/\n")
    _service(engine).prove_none_left()


def test_containers_are_stopped_and_started_by_the_engine(engine: FakeDocker) -> None:
    web = RunningContainer(CONTAINER, "web", 812, 4711, auto_remove=False)
    gone = RunningContainer(OTHER, "gone", 813, 4711, auto_remove=False)
    target = f"/containers/{CONTAINER}"
    engine.posts = {
        f"{target}/stop": (204, None),
        f"{target}/start": (204, None),
        f"/containers/{OTHER}/stop": (404, {"message": "No such container"}),
        f"/containers/{OTHER}/start": (404, {"message": "No such container"}),
    }
    with engine.listen():
        _service(engine).stop_containers([web, gone])
        _service(engine).start_containers([web])
        assert _service(engine).start_known([gone, web]) == ["web"]
        with pytest.raises(DockerServiceError, match="container gone does not start: status 404: No such"):
            _service(engine).start_containers([gone])
    assert engine.requests[:3] == [f"{target}/stop", f"/containers/{OTHER}/stop", f"{target}/start"]


def test_the_state_names_what_a_restart_costs(engine: FakeDocker) -> None:
    system = engine.system
    with engine.listen():
        state = _service(engine).state()
        assert state.installed_version is None
        assert [(container.restart_policy, container.swarm_task) for container in state.containers] == [
            ("always", False)
        ]
        system.local(f"/proc/{PID}/exe").unlink()
        system.link(f"/proc/{PID}/exe", "/usr/sbin/dockerd (deleted)")
        system.answers["/usr/sbin/dockerd", "--version"] = "Docker version 28.5.2+dfsg1, build 1\n"
        assert _service(engine).state().installed_version == "28.5.2"
        labels = {"com.docker.swarm.task.id": "x"}
        engine.answers[f"/containers/{CONTAINER}/json"]["Config"]["Labels"] = labels
        assert _service(engine).state().containers[0].swarm_task


def test_a_daemon_with_another_command_line_than_its_unit_is_seen(engine: FakeDocker) -> None:
    assert not _service(engine).command_differs()
    engine.system.write(f"/proc/{PID}/cmdline", "/usr/sbin/dockerd\0-H\0fd://\0--debug\0")
    assert _service(engine).command_differs()


def _record(**change: Any) -> dict[str, Any]:
    return {"userns_mode": "", "privileged": False, "network_mode": "bridge", "pid_mode": "", **change}


@pytest.mark.parametrize(
    ("record", "obstacles"),
    [
        (_record(), []),
        (_record(privileged=True), ["it is privileged"]),
        (_record(network_mode="host"), ["it shares the host's network namespace"]),
        (
            _record(pid_mode="host", privileged=True),
            ["it is privileged", "it shares the host's PID namespace"],
        ),
        (_record(pid_mode="host", userns_mode="host"), []),
    ],
)
def test_what_a_remapped_engine_refuses(record: dict[str, Any], obstacles: list[str]) -> None:
    assert container_obstacles(record) == obstacles


def test_the_preflight_names_what_stays_behind(engine: FakeDocker, tmp_path: Path) -> None:
    inspected = engine.answers[f"/containers/{CONTAINER}/json"]
    inspected["HostConfig"]["Privileged"] = True
    inspected["Mounts"] = [{"Type": "bind", "Source": "/srv/www"}, {"Type": "volume", "Source": "/x"}]
    engine.answers["/info"]["DockerRootDir"] = str(tmp_path)
    engine.answers |= {
        "/images/json": [{"Id": "sha256:1", "RepoTags": ["nginx:1"]}, {"Id": "sha256:2", "RepoTags": None}],
        "/volumes": {"Volumes": [{"Name": "data"}]},
        "/containers/json?all=true": [{"Id": CONTAINER}, {"Id": OTHER}],
        "/system/df?type=image": {"LayersSize": 1000},
    }
    with engine.listen():
        found = userns_preflight(engine.system, socket=SOCKET)
    assert found["images"] == ["nginx:1", "sha256:2"]
    assert found["volumes"] == ["data"]
    assert found["containers"] == [
        {
            "name": "web",
            "image": "nginx",
            "running": True,
            "refused": ["it is privileged"],
            "bind_mounts": ["/srv/www"],
        }
    ]
    assert found["second_store"]["bytes_needed"] == 1000
    assert found["second_store"]["enough"] is True
    assert "Nothing is deleted" in found["way_back"]


def test_a_part_of_the_preflight_that_cannot_be_read_says_so(engine: FakeDocker) -> None:
    engine.answers |= {"/images/json": {}, "/volumes": {"Volumes": None}, "/containers/json?all=true": []}
    with engine.listen():
        found = userns_preflight(engine.system, socket=SOCKET)
    assert found["volumes"] == []
    assert "unreadable" in found["images"]
    assert "unreadable" in found["second_store"]["bytes_needed"]
    assert found["second_store"]["enough"] is None
    assert "unreadable" in userns_preflight(engine.system, socket=SOCKET)


@pytest.mark.parametrize("outcome", ["hidden", "listed by now", "ended"])
def test_a_container_that_is_being_started_or_has_ended_is_not_unlisted(
    engine: FakeDocker, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _process(engine.system, 900, OTHER)
    listed = [{"Id": CONTAINER}, {"Id": OTHER}] if outcome == "listed by now" else [{"Id": CONTAINER}]

    def wait(_seconds: float) -> None:
        engine.answers["/containers/json"] = listed
        if outcome == "ended":
            engine.system.add_process(900, start_ticks=999)

    monkeypatch.setattr("time.sleep", wait)
    with engine.listen():
        assert _service(engine).unlisted_containers() == ([OTHER] if outcome == "hidden" else [])
