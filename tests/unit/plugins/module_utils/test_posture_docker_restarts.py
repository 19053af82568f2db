# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What restarts the engine by itself, read from Perl and from apt's configuration without running either."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_restarts import (
    parse_apt_configuration,
    restarts_fact,
)
from unit.fake_system import FakeSystem

# from the needrestart.conf of Debian 12, shortened
NEEDRESTART = """# needrestart - Restart daemons after library updates.
# Restart mode: (l)ist only, (i)nteractive or (a)utomatically.
#$nrconf{restart} = 'i';

# You should prefer to put services to $nrconf{override_rc} instead.

$nrconf{override_rc} = {
    # DBus
    qr(^dbus) => 0,
    qr(^(open|free|libre|strong)swan) => 0,
    qr(^getty@.+\\.service) => 0,
    qr(^user@\\d+\\.service) => 0,
    qr(^cron-.*\\.service$) => 0,
    qr(^docker) => 0,

    # systemd stuff
    # (see also Debian Bug#784238 & #784437)
    qr(^emergency\\.service$) => 0,
};
"""
APT = ("apt-config", "dump")
# what apt-config dump prints with the packages' own files on Debian 12, shortened
APT_DUMP = """APT "";
APT::Periodic "";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Acquire::http::Proxy "http://user:secret@proxy.example:3128";
Unattended-Upgrade "";
Unattended-Upgrade::Package-Blacklist "";
"""


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


def needrestart(system: FakeSystem, *drop_ins: str) -> dict[str, Any]:
    system.write("/etc/needrestart/needrestart.conf", NEEDRESTART)
    for number, text in enumerate(drop_ins):
        system.write(f"/etc/needrestart/conf.d/{number}.conf", text)
    fact: dict[str, Any] = restarts_fact(system)["needrestart"]
    return fact


def test_neither_is_installed(system: FakeSystem) -> None:
    assert restarts_fact(system) == {"needrestart": None, "unattended_upgrades": None}
    assert system.ran == []


def test_the_packages_own_configuration_spares_docker(system: FakeSystem) -> None:
    assert needrestart(system) == {"mode": None, "docker": "deferred", "containerd": "restarted"}
    assert system.ran == []


@pytest.mark.parametrize(
    ("drop_in", "docker"),
    [
        ("$nrconf{override_rc} = { qr(^slurmd) => 0 };", "restarted"),
        ("$nrconf{override_rc} = { qr(^slurmd) => 0, qr(^docker) => 0 };", "deferred"),
        ("$nrconf{override_rc} = {\n  %{ $nrconf{override_rc} || {} },\n  qr(^x) => 0,\n};", "deferred"),
        ("$nrconf{override_rc} = { %{$nrconf{override_rc} // {}}, qr(^docker) => 1 };", "restarted"),
        ("$nrconf{override_rc}{qr(^docker)} = 1;", "restarted"),
        ("$nrconf{override_rc}->{qr(^docker\\.service$)} = 1;", "deferred"),
        ("$nrconf{override_rc}{qr(^d)} = 1;", "restarted"),
        ("# $nrconf{override_rc} = {};", "deferred"),
        ("$nrconf{override_rc} = {};", "restarted"),
        ("$nrconf{override_rc} = { qr(^docker) => 0, }; # ours", "deferred"),
        ("$nrconf{override_rc} = read_from('/etc/other');", "unknown"),
        ("$nrconf{override_rc} = { qr(^docker) => (0) };", "unknown"),
        ("$nrconf{override_rc} = { qr(^docker) => 0", "unknown"),
        ("delete $nrconf{override_rc}{'x'};", "unknown"),
        ("$nrconf{override_rc}{qr(^(?=dock))} = 1;", "unknown"),
        ("$nrconf{override_rc}{qr(^a+*)} = 1;", "unknown"),
    ],
)
def test_drop_ins_are_read_in_their_order(system: FakeSystem, drop_in: str, docker: str) -> None:
    assert needrestart(system, drop_in)["docker"] == docker


def test_the_last_mode_counts(system: FakeSystem) -> None:
    assert needrestart(system, "$nrconf{restart} = 'l';", '$nrconf{restart} = "a";')["mode"] == "automatic"


def test_a_hostile_pattern_takes_no_time(system: FakeSystem) -> None:
    begun = time.monotonic()
    pattern = ".*" * 90 + "x"
    assert needrestart(system, f"$nrconf{{override_rc}}{{qr({pattern})}} = 1;")["docker"] == "unknown"
    assert needrestart(system, "$nrconf{override_rc} = {" + "qr((" * 20000)["docker"] == "unknown"
    assert time.monotonic() - begun < 2


def test_a_configuration_that_is_too_long_is_unreadable(system: FakeSystem) -> None:
    assert "longer than" in needrestart(system, "#" * 300_000)["unreadable"]


def upgrades(system: FakeSystem, dump: str = APT_DUMP) -> Any:
    system.write("/usr/bin/unattended-upgrade")
    for name in ("docker.io", "containerd", "runc"):
        system.write(f"/var/lib/dpkg/info/{name}.list")
    system.answers[APT] = dump
    return restarts_fact(system)["unattended_upgrades"]


def test_unattended_upgrades_may_upgrade_what_is_not_excluded(system: FakeSystem) -> None:
    assert upgrades(system) == {"enabled": True, "not_excluded": ["containerd", "docker.io", "runc"]}


@pytest.mark.parametrize(
    ("patterns", "not_excluded"),
    [
        (["docker"], ["containerd", "runc"]),
        (["docker\\.io$", "containerd$", "runc"], []),
        (["ocker"], ["containerd", "docker.io", "runc"]),
        (["(docker|containerd)"], ["runc"]),
        (["(?i)DOCKER"], ["containerd", "docker.io", "runc"]),
        (["docker["], ["containerd", "docker.io", "runc"]),
    ],
)
def test_excluded_packages_match_from_their_beginning(
    system: FakeSystem, patterns: list[str], not_excluded: list[str]
) -> None:
    lines = "".join(f'Unattended-Upgrade::Package-Blacklist:: "{pattern}";\n' for pattern in patterns)
    assert upgrades(system, APT_DUMP + lines)["not_excluded"] == not_excluded


@pytest.mark.parametrize("line", ['APT::Periodic::Enable "0";\n', 'APT::Periodic::Unattended-Upgrade "0";\n'])
def test_they_are_off_by_either_switch(system: FakeSystem, line: str) -> None:
    assert upgrades(system, APT_DUMP + line)["enabled"] is False


def test_without_the_switch_they_are_off(system: FakeSystem) -> None:
    assert upgrades(system, "")["enabled"] is False


def test_nothing_else_of_apts_configuration_is_kept(system: FakeSystem) -> None:
    assert "secret" not in str(upgrades(system))


def test_an_apt_that_fails_is_unreadable(system: FakeSystem) -> None:
    system.write("/usr/bin/unattended-upgrade")
    system.answers[APT] = Completed(argv=APT, returncode=100, stdout="", stderr="")
    assert restarts_fact(system)["unattended_upgrades"] == {"unreadable": "apt-config dump: exit status 100"}


def test_a_list_in_apts_configuration_keeps_its_entries() -> None:
    assert parse_apt_configuration('A::B:: "1";\nA::B:: "2";\nno line\n') == {"A::B::": ["1", "2"]}
