# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would keep an engine from starting is found while it still runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_start_check import start_problems
from unit.fake_system import FakeSystem

COMMAND = ["/usr/sbin/dockerd", "-H", "fd://"]
PROFILE = "/etc/docker/seccomp.json"


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", None),
        ('{"seccomp-profile": "builtin"}', None),
        ('{"live-restore": true', "/etc/docker/daemon.json: not JSON"),
        ("[]", "/etc/docker/daemon.json: not a JSON object"),
        ('{"hosts": ["unix:///run/docker.sock"]}', "hosts: the service's command gives it as a flag too"),
        ('{"runtimes": {}}', None),
        (f'{{"seccomp-profile": "{PROFILE}"}}', f"seccomp-profile: {PROFILE}"),
    ],
)
def test_the_file_against_the_command(system: FakeSystem, content: str, problem: str | None) -> None:
    system.write("/etc/docker/daemon.json", content)
    problems = start_problems(system, COMMAND)
    assert len(problems) == (0 if problem is None else 1)
    assert problem is None or problem in problems[0]


def test_an_absent_file_is_none(system: FakeSystem) -> None:
    assert start_problems(system, COMMAND) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"defaultAction": "SCMP_ACT_ERRNO"}', None),
        ("{}", "accepted is an object with defaultAction"),
        ("not json", "not JSON"),
    ],
)
@pytest.mark.parametrize("by_flag", [False, True])
def test_the_seccomp_profile_is_read(
    system: FakeSystem, content: str, problem: str | None, by_flag: bool
) -> None:
    system.write(PROFILE, content)
    if not by_flag:
        system.write("/etc/docker/daemon.json", f'{{"seccomp-profile": "{PROFILE}"}}')
    problems = start_problems(system, [*COMMAND, f"--seccomp-profile={PROFILE}"] if by_flag else COMMAND)
    assert len(problems) == (0 if problem is None else 1)
    assert problem is None or problem in problems[0]


@pytest.mark.parametrize("by_flag", [False, True])
def test_the_authorization_plugins_are_looked_for(system: FakeSystem, by_flag: bool) -> None:
    if not by_flag:
        system.write("/etc/docker/daemon.json", '{"authorization-plugins": ["opa"]}')
    command = [*COMMAND, "--authorization-plugin=opa"] if by_flag else COMMAND
    (problem,) = start_problems(system, command)
    assert problem.startswith("authorization-plugins: opa: found neither")
    system.write("/run/docker/plugins/opa.sock")
    assert start_problems(system, command) == []
