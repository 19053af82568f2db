# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users' own daemons on a made-up host: what is looked at as whom, what is run, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import (
    _docker_rootful,
    _docker_rootless_port,
    _docker_rootless_settings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import DockerRootlessError
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import AccountError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    FileFacts,
    PortError,
)
from ansible_collections.bulkhead.hardening.plugins.modules import docker_rootless_activate
from unit.fake_system import FakeSystem

AMBER = 61_001
CGROUP = f"/sys/fs/cgroup/user.slice/user-{AMBER}.slice/user@{AMBER}.service/app.slice/docker.service"
PROGRAMS = ("dockerd", "rootlesskit", "newuidmap", "newgidmap", "slirp4netns", "systemd-run")
SCRIPT = "/usr/share/docker.io/contrib/dockerd-rootless.sh"


class Rootful:
    """Root's engine, as the system's manager has it."""

    def __init__(self) -> None:
        self.units = {"docker.socket": ["enabled", "active"], "docker.service": ["enabled", "active"]}
        self.done: list[tuple[str, ...]] = []
        self.deaf = False

    def run(self, words: tuple[str, ...]) -> Completed:
        if words[1] == "show":
            names = [word for word in words[2:] if word in self.units]
            blocks = [
                f"Id={name}\nUnitFileState={self.units[name][0]}\nActiveState={self.units[name][1]}"
                for name in names
            ]
            return Completed(words, 0, "\n\n".join(blocks) + "\n", "")
        self.done.append(words[1:])
        for name in words[2:]:
            if name in self.units and not self.deaf:
                enabled, active = self.units[name]
                self.units[name] = {
                    "disable": ["disabled", "inactive"],
                    "enable": ["enabled", active],
                    "start": [enabled, "active"],
                }[words[1]]
        return Completed(words, 0, "", "")


class Service:
    """Stands for `DockerService`: an engine with containers, and what was asked of it."""

    def __init__(self, containers: Sequence[RunningContainer] = (), *, swarm: bool = False) -> None:
        self.containers = tuple(containers)
        self.swarm = swarm
        self.stopped: list[str] = []
        self.proven = False

    def state(self) -> EngineState:
        return EngineState(
            "26.1.5", 1.0, None, live_restore=True, swarm=self.swarm, containers=self.containers
        )

    def stop_containers(self, containers: Sequence[RunningContainer]) -> None:
        self.stopped += [container.name for container in containers]

    def prove_none_left(self) -> None:
        self.proven = True


class DaemonHost(FakeSystem):
    """A host with Docker as Debian has it, and amber, whose manager runs and who has ids."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.add_account("amber", AMBER, home=str(root / "amber"))
        (root / "amber").mkdir()
        for name in PROGRAMS:
            self.write(f"/usr/bin/{name}").chmod(0o755)
        self.write(SCRIPT)
        for name in ("subuid", "subgid"):
            self.write(f"/etc/{name}", "amber:100000:65536\n")
        self.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n")
        self.write("/var/lib/systemd/linger/amber")
        self.mount("/", "ext4")
        self.rootful = Rootful()
        self.bus = True
        self.enabled = False
        self.failing: dict[str, Completed] = {}
        self.asked: list[tuple[int | None, tuple[str, ...]]] = []
        self.containers: list[str] = []
        self.silent = False
        self.reloaded = ""

    def stat(self, path: str, *, follow: bool = True) -> FileFacts:
        if path == f"/run/user/{AMBER}/bus" and self.bus:
            return FileFacts(**{**super().stat("/usr").__dict__, "type": "socket", "uid": AMBER})
        if path == str(self.directory / "amber"):
            return FileFacts(**{**super().stat("/usr").__dict__, "uid": AMBER})
        return super().stat(path, follow=follow)

    def mount(self, directory: str, filesystem: str) -> None:
        """As the first process has it."""
        self.add_process(1, mountinfo=f"30 26 0:50 / {directory} rw shared:9 - {filesystem} /dev/vdb rw\n")

    def started_at(self, start_ticks: int) -> float:
        return float(start_ticks)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        words = tuple(argv)
        if words[1:] == ("--version",):
            return Completed(words, 0, "Docker version 26.1.5+dfsg1, build a72d7cd\n", "")
        if words[0] == "systemctl" and words[1] != "--user":
            return self.rootful.run(words)
        self.asked.append((options.get("uid"), words))
        verb = words[2]
        if verb in self.failing:
            return self.failing[verb]
        if verb == "show":
            state = "enabled" if self.enabled else "disabled"
            reloaded = f"ExecReload={self.reloaded}\n"
            return Completed(words, 0, f"UnitFileState={state}\nNeedDaemonReload=no\n{reloaded}", "")
        self.enabled = {"enable": True, "disable": False}.get(verb, self.enabled)
        if verb in ("start", "restart"):
            self.start()
        if verb == "stop":
            self.local(f"{CGROUP}/cgroup.procs").unlink()
        return Completed(words, 0, "", "")

    def start(self, *, ticks: int = 500) -> None:
        """As the user's manager and the kernel show a daemon."""
        self.add_process(70, start_ticks=ticks)
        self.write(f"{CGROUP}/cgroup.procs", "70\n")

    def verbs(self) -> list[str]:
        return [words[2] for _uid, words in self.asked if words[2] != "show"]


def serve(monkeypatch: pytest.MonkeyPatch, service: Service) -> Service:
    """Let root's engine be this one."""
    monkeypatch.setattr(_docker_rootful, "_service", lambda _system: service)
    return service


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DaemonHost:
    made = DaemonHost(tmp_path)

    def records(_system: Any, *, path: str, uid: int) -> DockerRecords:
        assert (path, uid) == (f"/run/user/{AMBER}/docker.sock", AMBER)
        if made.silent:
            raise PortError(f"{path}: nobody answers")
        inspected = {f"{number}" * 64: {"Name": f"/{name}"} for number, name in enumerate(made.containers)}
        return DockerRecords({"Version": "26.1.5"}, {}, [], list(inspected), inspected)

    monkeypatch.setattr(_docker_rootless_port, "fetch_docker_records", records)
    monkeypatch.setattr(_docker_rootless_port, "look_as", lambda *_arguments: None)
    monkeypatch.setattr(docker_rootless_activate, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(_docker_rootful, "STATE_DIRECTORY", str(tmp_path / "state"))
    serve(monkeypatch, Service())
    return made


class Module:
    """Stands for AnsibleModule."""

    def __init__(self, *, check_mode: bool = False, **params: Any) -> None:
        given = {
            "users": ["amber"],
            "state": "present",
            "allow": "restart",
            "needs": {},
            "rootful": "left_alone",
            "assumed": [],
            "checkpoint": None,
        }
        self.params = {**given, **params}
        self.check_mode = check_mode


def _run(host: DaemonHost, **options: Any) -> dict[str, Any]:
    return docker_rootless_activate.run(Module(**options), host)  # type: ignore[arg-type]  # it stands for one


def test_check_mode_predicts_and_the_real_run_does_it_and_then_nothing(host: DaemonHost) -> None:
    predicted = _run(host, check_mode=True, needs={"amber": ["daemon_reload"]})
    assert host.verbs() == []
    done = _run(host, needs={"amber": ["daemon_reload"]})
    assert predicted["steps"] == done["steps"] == ["daemon reload amber", "enable amber", "start amber"]
    assert host.verbs() == ["daemon-reload", "enable", "reset-failed", "start"]
    assert done["users"]["amber"]["running"] is True
    assert done["users"]["amber"]["version"] == "26.1.5"
    again = _run(host)
    assert (again["changed"], again["steps"]) == (False, [])


def test_every_command_is_the_user_s_own_manager_s(host: DaemonHost) -> None:
    _run(host)
    assert {uid for uid, _words in host.asked} == {AMBER}
    assert {words[:2] for _uid, words in host.asked} == {("systemctl", "--user")}


def test_running_containers_are_named_and_stay(host: DaemonHost) -> None:
    host.start()
    host.enabled, host.containers = True, ["web", "db"]
    kept = _run(host, needs={"amber": ["restart"]})
    assert "restart" not in host.verbs()
    assert "db, web" in kept["pending"]["amber"]
    ended = _run(host, needs={"amber": ["restart"]}, allow="stop_containers")
    assert ended["pending"] == {}
    assert "restart" in host.verbs()


def test_absent_stops_and_disables(host: DaemonHost) -> None:
    host.start()
    host.enabled = True
    assert _run(host, state="absent")["steps"] == ["stop amber", "disable amber"]
    assert _run(host, state="absent")["steps"] == []


def test_absent_leaves_a_unit_that_it_cannot_disable(
    host: DaemonHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Path(host.accounts[AMBER].pw_dir) / ".config/systemd/user/default.target.wants/docker.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("../docker.service")
    monkeypatch.setattr(_docker_rootless_port, "look_as", _look_at)
    host.bus = False
    outcome = _run(host, state="absent")
    assert "loginctl enable-linger amber" in outcome["pending"]["amber"]
    assert outcome["withheld"] == ["amber"]


def test_a_reload_ends_no_container_and_is_waited_for(
    host: DaemonHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start()
    host.enabled, host.containers = True, ["web"]
    asked: list[tuple[str, int]] = []

    def told(_system: Any, socket: str, *, uid: int, since: float, seconds: float) -> bool:
        assert since > 0 and seconds > 0
        asked.append((socket, uid))
        return len(asked) == 1

    monkeypatch.setattr(_docker_rootless_port, "await_reload", told)
    needs = {"amber": ["reload"]}
    assert _run(host, needs=needs, allow="nothing")["steps"] == ["reload amber"]
    assert host.verbs() == ["reload"]
    assert asked == [(f"/run/user/{AMBER}/docker.sock", AMBER)]
    with pytest.raises(DockerRootlessError, match="reload amber: the daemon did not take its file over"):
        _run(host, needs=needs)


def test_when_a_daemon_began_and_was_reloaded_is_told(host: DaemonHost) -> None:
    host.start(ticks=500)
    host.reloaded = "{ path=/bin/kill ; start_time=[Mon 2026-11-30 09:00:01 UTC] ; stop_time=[n/a] }"
    facts = _run(host, check_mode=True)["users"]["amber"]
    assert (facts["started_at"], facts["reloaded_at"]) == (500.0, 1796029201.0)


@pytest.mark.parametrize(
    ("text", "configured"),
    [
        (None, {}),
        ("", {}),
        ("{", {}),
        ("[]", {}),
        ('{"log-driver": "journald", "log-opts": {"splunk-token": "x"}}', {"log-driver": "journald"}),
        ('{"icc": "no", "bridge": "none"}', {"bridge": "none"}),
        ('{"runtimes": {"runsc": {"path": "/usr/bin/runsc"}}}', {"runtimes": {"runsc": {}}}),
    ],
)
def test_what_the_user_s_own_file_decides_is_told(
    host: DaemonHost, monkeypatch: pytest.MonkeyPatch, text: str | None, configured: dict[str, Any]
) -> None:
    def read_as(uid: int, _gid: int, path: str, _limit: int) -> bytes | None:
        assert (uid, path) == (AMBER, f"{host.accounts[AMBER].pw_dir}/.config/docker/daemon.json")
        return None if text is None else text.encode()

    monkeypatch.setattr(_docker_rootless_settings, "read_as", read_as)
    assert _run(host, check_mode=True)["users"]["amber"]["configured"] == configured


def _look_at(_uid: int, _gid: int, path: str, look: Any, _limit: int) -> bytes | None:
    """As `look_as`, by the process itself, since a test may not be able to become the user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        answer: bytes = look(descriptor)
        return answer
    finally:
        os.close(descriptor)


def test_the_host_s_programs_are_found_where_debian_has_them(host: DaemonHost) -> None:
    assert _run(host, check_mode=True)["host"] == {
        "dockerd": "/usr/bin/dockerd",
        "script": SCRIPT,
        "version": "26.1.5",
        "now": host.now(),
    }


@pytest.mark.parametrize("name", ["dockerd", "rootlesskit", "newuidmap", "newgidmap", "slirp4netns"])
def test_a_host_that_lacks_a_program_is_refused(host: DaemonHost, name: str) -> None:
    host.local(f"/usr/bin/{name}").unlink()
    with pytest.raises(DockerRootlessError, match=f"found no {name} on this host.*Nothing was changed"):
        _run(host)
    assert _run(host, state="absent")["changed"] is False


def test_who_is_no_user_is_named(host: DaemonHost) -> None:
    with pytest.raises(AccountError) as caught:
        _run(host, users=["amber", "gone", "root", "amber"])
    text = str(caught.value)
    assert "gone, which this host does not know" in text
    assert "root, which has uid 0" in text
    assert "amber more than once" in text
    assert host.verbs() == []


@pytest.mark.parametrize(
    ("lack", "reason"),
    [
        (lambda host: setattr(host, "bus", False), "loginctl enable-linger amber"),
        (
            lambda host: host.write("/etc/subgid", "amber:100000:1000\n"),
            "fewer than 65536 subordinate gids; the role rootless_users",
        ),
        (
            lambda host: host.failing.update(show=Completed((), 1, "", "Failed to connect to bus")),
            "the user's manager does not answer: Failed to connect to bus",
        ),
        (
            lambda host: host.local("/sys/fs/cgroup/cgroup.controllers").unlink(),
            "no unified cgroup hierarchy",
        ),
        (lambda host: host.mount("/", "nfs4"), "a nfs4 file system, which cannot hold the layers"),
    ],
)
def test_a_user_who_lacks_something_is_pending(host: DaemonHost, lack: Any, reason: str) -> None:
    lack(host)
    outcome = _run(host)
    assert reason in outcome["pending"]["amber"]
    assert outcome["withheld"] == ["amber"]
    assert host.verbs() == []


def test_what_an_earlier_role_would_have_given_is_assumed_in_a_prediction_alone(host: DaemonHost) -> None:
    host.bus = False
    predicted = _run(host, check_mode=True, assumed=["amber"], needs={"amber": ["daemon_reload"]})
    assert predicted["steps"] == ["daemon reload amber", "enable amber", "start amber"]
    assert predicted["withheld"] == []
    assert _run(host, assumed=["amber"])["withheld"] == ["amber"]


def test_a_daemon_that_does_not_start_is_an_error_with_the_place_of_its_reason(host: DaemonHost) -> None:
    host.failing["start"] = Completed((), 1, "", "Job for docker.service failed.")
    with pytest.raises(DockerRootlessError) as caught:
        _run(host)
    assert "start amber: exit status 1: Job for docker.service failed." in str(caught.value)
    assert "journalctl _SYSTEMD_USER_UNIT=docker.service" in str(caught.value)


def test_a_daemon_that_starts_and_does_not_answer_is_an_error(host: DaemonHost) -> None:
    host.silent = True
    with pytest.raises(DockerRootlessError, match=r"Done was: enable amber; start amber.*nobody answers"):
        _run(host)


WEB = RunningContainer("a" * 64, "web", 7, 1, auto_remove=False)
OFF = ("disable", "--now", "docker.socket", "docker.service")


def test_root_s_engine_is_disabled_on_request_alone_and_given_back_as_it_was(host: DaemonHost) -> None:
    host.rootful.units["docker.socket"] = ["disabled", "active"]
    _run(host)
    assert host.rootful.done == []
    predicted = _run(host, check_mode=True, rootful="disabled")
    assert (predicted["steps"], predicted["rootful_off"]) == ([f"{' '.join(OFF)}, of root's engine"], True)
    assert host.rootful.done == []
    assert _run(host, rootful="disabled")["rootful_off"] is True
    assert host.rootful.done == [OFF]
    again = _run(host, rootful="disabled")
    assert (again["changed"], again["rootful_off"]) == (False, True)
    assert _run(host, state="absent", rootful="disabled")["rootful_off"] is True
    assert _run(host)["changed"] is True  # the user's daemon alone
    assert host.rootful.done == [OFF]
    _run(host, state="absent")
    assert host.rootful.units == {
        "docker.socket": ["disabled", "active"],
        "docker.service": ["enabled", "active"],
    }
    host.rootful.done.clear()
    assert _run(host, state="absent")["changed"] is False
    assert host.rootful.done == []


def test_containers_of_root_s_engine_are_named_and_stopped_before_it(
    host: DaemonHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With live-restore they would run on, and no engine would list them."""
    service = serve(monkeypatch, Service([WEB]))
    kept = _run(host, rootful="disabled")
    assert (
        "its end would stop: web; docker_rootless_allow: stop_containers" in kept["pending"]["root's engine"]
    )
    assert kept["rootful_off"] is False
    assert host.rootful.done == []
    assert _run(host, rootful="disabled", allow="stop_containers")["rootful_off"] is True
    assert (service.stopped, service.proven) == (["web"], True)
    assert host.rootful.done == [OFF]


def test_root_s_engine_stays_while_a_user_waits_or_it_is_in_a_swarm(
    host: DaemonHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.bus = False
    assert "waiting: amber" in _run(host, rootful="disabled")["pending"]["root's engine"]
    host.bus = True
    serve(monkeypatch, Service(swarm=True))
    found = _run(host, rootful="disabled", allow="stop_containers")
    assert "docker swarm leave" in found["pending"]["root's engine"]
    assert host.rootful.done == []


def test_an_engine_of_root_s_that_runs_on_is_an_error(host: DaemonHost) -> None:
    host.rootful.deaf = True
    with pytest.raises(DockerRootlessError, match="was done, yet docker.socket: enabled, active"):
        _run(host, rootful="disabled")


def test_a_damaged_note_of_root_s_engine_is_refused(host: DaemonHost, tmp_path: Path) -> None:
    note = tmp_path / "state" / "rootful-docker.json"
    note.parent.mkdir()
    note.write_text("[]")
    with pytest.raises(DockerRootlessError, match="rootful-docker.json: .*Nothing was changed"):
        _run(host, rootful="disabled")
    assert host.verbs() == []
