# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role wants around an engine, from a posture and its variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import DockerEngineError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_surroundings import (
    Surroundings,
    host_options,
    refuse_socket,
    socket_drop_in,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def docker() -> dict[str, Any]:
    posture = json.loads((FIXTURES / "posture_careless.json").read_text(encoding="utf-8"))
    facts: dict[str, Any] = posture["docker"]
    facts["audit"] = {
        "installed": True,
        "paths": {
            "configuration_directory": {"path": "/etc/docker", "exists": True, "watched": False},
            "daemon_json": {"path": "/etc/docker/daemon.json", "exists": True, "watched": False},
            "defaults_redhat": {"path": "/etc/sysconfig/docker", "exists": False, "watched": False},
            "containerd_shim": {"path": None, "exists": False, "watched": False},
        },
    }
    return facts


def _limits(docker: dict[str, Any], **wanted: Any) -> dict[str, dict[str, Any]]:
    return {item.pop("path"): item for item in host_options(docker, Surroundings(**wanted))["permissions"]}


def test_files_are_limited_as_the_benchmark_says(docker: dict[str, Any]) -> None:
    docker["files"]["tls_key"] = {"path": "/t/key.pem", "exists": True}
    docker["files"]["registry_certificates"] = [{"path": "/etc/docker/certs.d/r/ca.crt", "exists": True}]
    limits = _limits(docker)
    unit = docker["files"]["service_unit"]["path"]
    assert limits[unit] == {"mode": "0644", "owner": "root", "group": "root"}
    assert limits["/etc/docker"]["mode"] == "0755"
    assert limits["/t/key.pem"]["mode"] == "0400"
    assert limits["/etc/docker/certs.d/r/ca.crt"]["mode"] == "0444"
    assert limits["/run/docker.sock"] == {"mode": "0660", "owner": "root"}  # its group is the admin's choice


# CIS Docker Benchmark 1.8, 3.1 to 3.24: what a file may be at most, and whose it is
LIMITS = {
    "service_unit": "0644",  # 3.1, 3.2
    "socket_unit": "0644",  # 3.3, 3.4
    "configuration_directory": "0755",  # 3.5, 3.6
    "daemon_json": "0644",  # 3.17, 3.18
    "defaults_debian": "0644",  # 3.19, 3.20
    "defaults_redhat": "0644",  # 3.21, 3.22
    "containerd_socket": "0660",  # 3.23, 3.24
    "tls_ca": "0444",  # 3.9, 3.10
    "tls_certificate": "0444",  # 3.11, 3.12
    "tls_key": "0400",  # 3.13, 3.14
}


def test_every_file_of_the_benchmark_has_its_mode_and_owner(docker: dict[str, Any]) -> None:
    docker["files"] = {name: {"path": f"/{name}", "exists": True} for name in LIMITS}
    docker["files"]["registry_certificates"] = [{"path": "/certs.d/r/ca.crt", "exists": True}]  # 3.7, 3.8
    expected = {f"/{name}": mode for name, mode in LIMITS.items()} | {"/certs.d/r/ca.crt": "0444"}
    limits = _limits(docker)
    assert limits.pop("/run/docker.sock") == {"mode": "0660", "owner": "root"}  # 3.15, 3.16
    assert limits == {
        path: {"mode": mode, "owner": "root", "group": "root"} for path, mode in expected.items()
    }


def test_an_unreadable_or_missing_file_is_left_out(docker: dict[str, Any]) -> None:
    unit = docker["files"]["service_unit"]["path"]
    docker["files"]["service_unit"] = {"unreadable": "time limit"}
    docker["files"]["registry_certificates"] = {"unreadable": "time limit"}
    limits = _limits(docker)
    assert unit not in limits
    assert "/etc/sysconfig/docker" not in limits


def test_nothing_is_limited_when_it_is_left_alone(docker: dict[str, Any]) -> None:
    assert _limits(docker, hardened=False) == {}


def test_what_is_named_of_the_socket_is_set_exactly(docker: dict[str, Any]) -> None:
    named = {"mode": "0600", "owner": "alice", "group": "ops"}
    limits = _limits(docker, hardened=False, socket=named)
    assert limits == {"/run/docker.sock": {**named, "exact": True}}
    assert socket_drop_in(named) == {
        "Socket": {"SocketMode": "0600", "SocketUser": "alice", "SocketGroup": "ops"}
    }
    assert socket_drop_in({}) == {}


@pytest.mark.parametrize("mode", ["0666", "0661", "0777", "660x", "4660", 660, "rw-rw----", ""])
def test_a_socket_for_everybody_is_refused(mode: Any) -> None:
    with pytest.raises(DockerEngineError, match=r"mode: found .*accepted is an octal .*Nothing was changed"):
        refuse_socket({"mode": mode})


@pytest.mark.parametrize("mode", ["0660", "660", "0600", "0000"])
def test_a_narrower_socket_is_accepted(mode: str) -> None:
    refuse_socket({"mode": mode, "owner": "root", "group": "docker"})


def test_a_name_that_would_be_more_than_a_name_is_refused() -> None:
    with pytest.raises(DockerEngineError, match="docker_engine_socket: group: found"):
        refuse_socket({"group": "docker\nExecStartPre=/bin/evil"})


def test_what_the_benchmark_names_is_watched_and_only_the_configuration_in_depth(
    docker: dict[str, Any],
) -> None:
    watched = host_options(docker, Surroundings(written=True))["audit"]
    assert watched == [
        {"path": "/etc/docker", "recursive": True, "expected": True},
        {"path": "/etc/docker/daemon.json", "recursive": False, "expected": True},
        {"path": "/etc/sysconfig/docker", "recursive": False, "expected": False},
    ]
    assert not any(item["expected"] for item in host_options(docker, Surroundings())["audit"])
    assert host_options(docker, Surroundings(audited=False))["audit"] == []


def test_files_that_the_run_itself_names_are_limited_in_the_same_run(docker: dict[str, Any]) -> None:
    docker["files"]["tls_key"] = {"path": "/old/key.pem", "exists": True}
    limits = _limits(docker, keys={"tlskey": "/new/key.pem", "tlscacert": "/new/ca.pem", "icc": False})
    modes = {path: limits[path]["mode"] for path in ("/old/key.pem", "/new/key.pem", "/new/ca.pem")}
    assert modes == {"/old/key.pem": "0400", "/new/key.pem": "0400", "/new/ca.pem": "0444"}


def test_the_group_is_that_of_the_socket(docker: dict[str, Any]) -> None:
    assert host_options(docker, Surroundings())["group"] == "docker"
    assert host_options(docker, Surroundings(socket={"group": "ops"}))["group"] == "ops"


def test_restarts_are_left_alone_unless_asked(docker: dict[str, Any]) -> None:
    options = host_options(docker, Surroundings(restarts={"needrestart": "deferred"}))
    assert (options["needrestart"], options["unattended_upgrades"]) == ("deferred", "left_alone")
