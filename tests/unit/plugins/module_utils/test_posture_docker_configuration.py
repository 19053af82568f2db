# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the daemon is configured, and what of it may be shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    configuration_path,
    conflicts,
    parse_flags,
    read_configuration_file,
    shown,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

DAEMON_JSON = "/etc/docker/daemon.json"


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["-H", "fd://", "--host=tcp://0.0.0.0:2375"], {"hosts": ["fd://", "tcp://0.0.0.0:2375"]}),
        (["-Hfd://"], {"hosts": ["fd://"]}),
        (["-H=fd://"], {"hosts": ["fd://"]}),
        (["--icc=false"], {"icc": False}),
        (["--icc", "false"], {"icc": True}),
        (["--tlsverify"], {"tlsverify": True}),
        (["-D"], {"debug": True}),
        (["--live-restore=T"], {"live-restore": True}),
        (["--mtu", "1400"], {"mtu": 1400}),
        (
            ["--log-opt", "max-size=10m", "--log-opt=max-file=3"],
            {"log-opts": {"max-size": "10m", "max-file": "3"}},
        ),
        (
            ["--default-ulimit", "nofile=1024:2048"],
            {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}}},
        ),
        (["--add-runtime", "runsc=/usr/bin/runsc"], {"runtimes": {"runsc": {"path": "/usr/bin/runsc"}}}),
        (["--feature", "cdi=true"], {"features": {"cdi": True}}),
        (["--no-such-flag", "value", "--config-file", "/x"], {}),
        (["--log-driver"], {"log-driver": ""}),
    ],
)
def test_flags(words: list[str], settings: dict[str, Any]) -> None:
    assert parse_flags(["/usr/sbin/dockerd", *words]) == settings


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_command_line_can_be_read(words: list[str]) -> None:
    assert set(parse_flags(["dockerd", *words])) <= set(DOCKER_KEYS)


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["dockerd"], DAEMON_JSON),
        (["dockerd", "--config-file=/a.json"], "/a.json"),
        (["dockerd", "--config-file", "/a.json"], "/a.json"),
        (["dockerd", "--config-file"], DAEMON_JSON),
    ],
)
def test_where_the_file_is(argv: list[str], path: str) -> None:
    assert configuration_path(argv) == path


def test_an_ordinary_file(system: FakeSystem) -> None:
    system.write(DAEMON_JSON, '\ufeff{"icc": false, "live-restore": true}')
    file = read_configuration_file(system, DAEMON_JSON)
    assert file.settings == {"icc": False, "live-restore": True}
    fact = file.as_fact()
    assert (fact["exists"], fact["valid"], fact["error"]) == (True, True, None)
    assert fact["keys"] == ["icc", "live-restore"]
    assert fact["changed_at"].endswith("Z")


def test_an_empty_file_is_allowed(system: FakeSystem) -> None:
    system.write(DAEMON_JSON, "\n")
    assert read_configuration_file(system, DAEMON_JSON).as_fact()["valid"] is True


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"icc": hunter2}', "not JSON: Expecting value at line 1, column 9"),
        ('["hunter2"]', "not a JSON object"),
        ('{"hunter2"', "not JSON"),
        ('{"icc": "hunter2', "not JSON"),
    ],
)
def test_an_invalid_file_is_named_without_its_content(system: FakeSystem, text: str, error: str) -> None:
    system.write(DAEMON_JSON, text)
    file = read_configuration_file(system, DAEMON_JSON)
    assert file.settings == {}
    assert file.as_fact()["valid"] is False
    assert error in file.as_fact()["error"]
    assert "hunter2" not in json.dumps(file.as_fact())


def test_an_absent_file_may_have_been_removed(system: FakeSystem) -> None:
    directory = system.write("/etc/docker/other").parent
    os.utime(directory, (1000, 1000))
    file = read_configuration_file(system, DAEMON_JSON)
    assert (file.exists, file.changed_at) == (False, 1000)
    assert file.as_fact()["valid"] is None


def test_an_absent_file_is_not_suspected_for_what_another_file_explains(system: FakeSystem) -> None:
    system.write("/etc/docker/key.json", "")
    assert read_configuration_file(system, DAEMON_JSON).changed_at is None


def test_no_directory_at_all(system: FakeSystem) -> None:
    assert read_configuration_file(system, DAEMON_JSON).changed_at is None


def test_conflicts() -> None:
    assert conflicts(
        {"hosts": [], "runtimes": {}, "icc": True}, {"hosts": [], "runtimes": {}, "debug": True}
    ) == ["hosts"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("log-opts", {"splunk-token": "hunter2", "max-size": "10m"}),
        ("proxies", {"http-proxy": "http://u:hunter2@proxy"}),
        ("http-proxy", "http://u:hunter2@proxy"),
        ("registry-mirrors", ["https://u:hunter2@mirror", "https://mirror"]),
        ("hosts", ["tcp://hunter2@host"]),
        ("runtimes", {"runsc": {"path": "/x", "runtimeArgs": ["--token=hunter2"]}}),
        ("insecure-registries", ["//x:hunter2@r"]),
        ("no-such-key", "hunter2"),
        ("labels", ["token=hunter2"]),
    ],
)
def test_secrets_are_not_shown(key: str, value: Any) -> None:
    assert "hunter2" not in json.dumps(shown(key, value))


def test_what_is_no_secret_is_shown() -> None:
    assert shown("log-opts", {"max-size": "10m", "tag": "x"}) == {"max-size": "10m", "tag": "set (not shown)"}
    assert shown("registry-mirrors", ["https://mirror"]) == ["https://mirror"]
    assert shown("icc", False) is False
    assert shown("proxies", {}) == {}
