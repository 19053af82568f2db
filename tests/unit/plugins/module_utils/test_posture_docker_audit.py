# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of Docker's files the kernel's audit watches, on what auditctl prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_audit import (
    audit_fact,
    docker_watch_paths,
    parse_rules,
)
from unit.fake_system import FakeSystem

AUDITCTL = ("/usr/sbin/auditctl", "-l")
# auditctl -l on Debian 13 (audit 4.0): it prints a rule given as -a with path= the same way
RULES = """-w /etc/docker -p wa -k docker
-w /usr/bin/dockerd -p wa -k docker
-a always,exit -S all -F dir=/var/lib/docker -F perm=wa -F key=docker
"""


def covered(rules: str, path: str) -> bool:
    return any(watch.covers(path) for watch in parse_rules(rules))


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("-w /etc/docker -p wa -k docker", "/etc/docker", True),
        ("-w /etc/docker/ -p wa", "/etc/docker/daemon.json", True),
        ("-w /etc/docker -p wa", "/etc/docker-other", False),
        ("-w /etc/docker/daemon.json -p wa", "/etc/docker", False),
        ("-w /usr/bin/runc -k docker", "/usr/bin/runc", True),
        ("-w /usr/bin/runc -p rwxa", "/usr/bin/runc", True),
        ("-w /usr/bin/runc -p x", "/usr/bin/runc", False),
        ("-w /usr/bin/runc -p w", "/usr/bin/runc", False),
        ("-w /var/run/docker.sock -p wa", "/run/docker.sock", True),
        ("-a always,exit -F path=/usr/bin/runc -F perm=wa -F key=docker", "/usr/bin/runc", True),
        ("-a exit,always -F dir=/etc/docker -F perm=rwxa", "/etc/docker/daemon.json", True),
        ("-a always,exit -F path=/etc/docker -F perm=wa", "/etc/docker/daemon.json", False),
        ("-a never,exit -F path=/usr/bin/runc -F perm=wa", "/usr/bin/runc", False),
        ("-a always,exit -F path=/usr/bin/runc -F perm=wa -F auid>=1000", "/usr/bin/runc", False),
        ("-a always,exit -F path=/usr/bin/runc -F perm=wa -F auid=1000", "/usr/bin/runc", False),
        ("-a always,exit -S mount", "/usr/bin/runc", False),
        ("No rules", "/usr/bin/runc", False),
        ("-w '/usr/bin/runc", "/usr/bin/runc", False),
    ],
)
def test_a_rule_covers_a_path_when_it_records_every_change_of_it(
    rule: str, path: str, expected: bool
) -> None:
    assert covered(rule, path) is expected


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write("/usr/sbin/auditctl").chmod(0o755)
    system.write("/usr/bin/runc").chmod(0o755)
    system.answers[AUDITCTL] = RULES
    return system


def test_each_path_says_whether_it_is_there_and_watched(system: FakeSystem) -> None:
    system.write("/etc/docker/daemon.json", "{}")
    fact = audit_fact(
        system, {"daemon_json": "/etc/docker/daemon.json", "runc": "/usr/bin/runc", "shim": None}
    )
    assert fact == {
        "installed": True,
        "paths": {
            "daemon_json": {"path": "/etc/docker/daemon.json", "exists": True, "watched": True},
            "runc": {"path": "/usr/bin/runc", "exists": True, "watched": False},
            "shim": {"path": None, "exists": False, "watched": False},
        },
    }
    assert system.ran == [AUDITCTL]


def test_without_auditctl_nothing_is_watched_and_nothing_is_run(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    fact = audit_fact(system, {"runc": "/usr/bin/runc"})
    assert fact == {
        "installed": False,
        "paths": {"runc": {"path": "/usr/bin/runc", "exists": False, "watched": False}},
    }
    assert system.ran == []


def test_a_list_that_the_kernel_does_not_give_is_no_empty_one(system: FakeSystem) -> None:
    system.answers[AUDITCTL] = Completed(argv=AUDITCTL, returncode=4, stdout="", stderr="not permitted")
    fact = audit_fact(system, {"runc": "/usr/bin/runc"})
    assert fact["paths"]["runc"]["watched"] == {"unreadable": "auditctl -l: exit status 4"}


def test_the_paths_are_where_they_are_on_this_host(system: FakeSystem) -> None:
    paths = docker_watch_paths(
        system,
        binary="/usr/sbin/dockerd",
        service_unit=None,
        configuration_path="/srv/docker/own.json",
        socket_path="/run/docker.sock",
        data_root="/data/docker",
    )
    assert len(paths) == 16
    assert (paths["dockerd"], paths["runc"], paths["containerd"]) == (
        "/usr/sbin/dockerd",
        "/usr/bin/runc",
        None,
    )
    assert (paths["configuration_directory"], paths["data_root"]) == ("/srv/docker", "/data/docker")
