# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each user's own Docker daemon: it answers that user, is theirs, and limits a container."""

from __future__ import annotations

import json

import pytest
from rootless import IMAGE, USERS, as_user, status_facts, uid_of
from testinfra.host import Host

COMMAND = f"{IMAGE} /bin/busybox cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"


def docker(host: Host, user: str, command: str) -> str:
    """What the user's client says, by the context that it takes by itself."""
    return as_user(host, user, f"docker {command}")


@pytest.mark.parametrize("user", USERS)
def test_the_user_s_client_reaches_the_user_s_own_daemon(host: Host, user: str) -> None:
    info = json.loads(docker(host, user, "info --format '{{json .}}'"))
    assert "name=rootless" in info["SecurityOptions"]
    assert info["CgroupDriver"] == "systemd"
    assert info["DockerRootDir"] == f"/home/{user}/.local/share/docker"


@pytest.mark.parametrize("user", USERS)
def test_the_socket_is_the_user_s_and_nobody_else_s(host: Host, user: str) -> None:
    socket = host.file(f"/run/user/{uid_of(host, user)}/docker.sock")
    assert socket.is_socket
    assert socket.user == user
    assert socket.mode & 0o007 == 0
    assert host.file(f"/run/user/{uid_of(host, user)}").mode == 0o700


@pytest.mark.parametrize("user", USERS)
def test_limits_and_the_profile_are_in_force_in_a_container(host: Host, user: str) -> None:
    docker(host, user, f"import /var/tmp/image.tar {IMAGE}")
    options = "run --rm --network none --cpus 0.5 --memory 64m --pids-limit 32"
    limits = docker(host, user, f"{options} {COMMAND}").splitlines()
    assert limits == ["50000 100000", str(64 * 1024 * 1024), "32"]
    status = docker(host, user, f"run --rm --network none {IMAGE} /bin/busybox cat /proc/self/status")
    facts = status_facts(status)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def engine_of_root(host: Host) -> str:
    """Units and files of root's engine, as `prepare.yml` noted them in /var/tmp/root-engine."""
    properties = "Id,MainPID,ExecMainStartTimestampMonotonic,UnitFileState,ActiveState"
    shown = host.check_output(f"systemctl show docker.service docker.socket --property={properties}")
    files = host.check_output(r"find /etc -path '/etc/docker/*' -type f -printf '%p %i %T@ %s\n'")
    return f"{shown}\n{files}\n"


def _but_its_process(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("MainPID=", "ExecMainStart"))]


def test_the_engine_of_root_is_left_alone(host: Host) -> None:
    noted = host.file("/var/tmp/root-engine").content_string
    assert _but_its_process(engine_of_root(host)) == _but_its_process(noted)
    assert "ActiveState=active" in noted
    assert "rootless" not in host.check_output("docker info --format '{{json .SecurityOptions}}'")
