# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_service
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_reload import acceptable_file
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from unit.fake_docker import FakeDocker
from unit.fake_system import FakeSystem

DAEMON_JSON = "/etc/docker/daemon.json"
TEXT = '{ "hosts": ["fd://"],   "live-restore": true }\n'
FLAGS = ["/usr/sbin/dockerd", "-H", "fd://"]


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write(DAEMON_JSON, TEXT).chmod(0o640)
    return system


def test_what_the_daemon_has_as_a_flag_is_not_in_the_file_for_the_block(system: FakeSystem) -> None:
    file = system.local(DAEMON_JSON)
    with acceptable_file(system, FLAGS) as changed:
        assert changed
        assert file.read_text() == '{\n  "live-restore": true\n}\n'
        assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["daemon.json"]


def test_the_file_is_back_after_an_error(system: FakeSystem) -> None:
    with pytest.raises(DockerServiceError), acceptable_file(system, FLAGS):
        raise DockerServiceError("it does not answer")
    assert system.local(DAEMON_JSON).read_text() == TEXT


def test_a_file_that_the_daemon_accepts_is_not_touched(system: FakeSystem) -> None:
    file = system.local(DAEMON_JSON)
    before = file.stat()
    with acceptable_file(system, ["/usr/sbin/dockerd"]) as changed:
        assert not changed
        assert file.stat() == before
    assert file.stat() == before


@pytest.fixture
def engine(system: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    engine = FakeDocker(system)
    engine.install()
    engine.start()
    system.write(DAEMON_JSON, TEXT)
    system.answers["systemctl", "reload", "docker.service"] = ""
    monkeypatch.setattr(_docker_service, "POLL_SECONDS", 0.01)
    return engine


def test_a_reload_is_done_when_the_engine_tells_of_it(system: FakeSystem, engine: FakeDocker) -> None:
    engine.events = [{"Type": "daemon", "Action": "reload"}]
    with engine.listen():
        DockerService(system, socket="/run/docker.sock", timeout=5).reload()
    assert [request for request in engine.requests if request.startswith("/events?since=")]
    assert system.local(DAEMON_JSON).read_text() == TEXT


def test_a_reload_that_the_engine_refuses_is_an_error(system: FakeSystem, engine: FakeDocker) -> None:
    with engine.listen(), pytest.raises(DockerServiceError, match=r"not taken over its file .* journalctl"):
        DockerService(system, socket="/run/docker.sock", timeout=0.1).reload()
    assert system.local(DAEMON_JSON).read_text() == TEXT
