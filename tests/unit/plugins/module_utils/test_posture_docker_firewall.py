# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds Docker's packet filter rules, on recorded text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_firewall import (
    firewall_backend,
    firewall_fact,
    user_chain,
)
from unit.fake_system import FakeSystem

SHOW = (
    "systemctl",
    "show",
    "firewalld.service",
    "ip6tables.service",
    "iptables.service",
    "netfilter-persistent.service",
    "nftables.service",
    "shorewall.service",
    "ufw.service",
    "--property",
    "Id,LoadState,ActiveState,UnitFileState",
)
# systemctl show on Debian 13 (systemd 257)
UNITS = """Id=firewalld.service
LoadState=not-found
ActiveState=inactive
UnitFileState=

Id=nftables.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=ufw.service
LoadState=loaded
ActiveState=inactive
UnitFileState=disabled
"""
# iptables -S FORWARD on Debian 13 with Docker 26.1.5
RULES = ["-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j RETURN"]


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.answers[SHOW] = UNITS
    return system


def facts(system: FakeSystem, **given: Any) -> dict[str, Any]:
    return firewall_fact(system, **{"backend": "iptables", "manages_rules": True, "rules": RULES, **given})


def test_services_that_are_installed_are_named_with_what_they_do_to_others_rules(system: FakeSystem) -> None:
    system.write("/etc/nftables.conf", "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n}\n")
    assert facts(system)["services"] == [
        {"name": "nftables", "active": True, "enabled": True, "keeps_other_rules": False},
        {"name": "ufw", "active": False, "enabled": False, "keeps_other_rules": True},
    ]


@pytest.mark.parametrize("text", ["# flush ruleset\ndestroy table inet host\n", "flush ruleset_of_ours\n"])
def test_nftables_that_flushes_its_own_tables_keeps_the_rest(system: FakeSystem, text: str) -> None:
    system.write("/etc/nftables.conf", text)
    assert facts(system)["services"][0]["keeps_other_rules"] is True


def test_nftables_without_a_file_flushes_nothing(system: FakeSystem) -> None:
    assert facts(system)["services"][0]["keeps_other_rules"] is True


def test_a_file_that_cannot_be_read_is_said_so(system: FakeSystem) -> None:
    system.local("/etc/nftables.conf").mkdir(parents=True)
    assert "not a regular file" in facts(system)["services"][0]["keeps_other_rules"]["unreadable"]


def test_without_systemd_it_is_not_known_which_services_there_are(system: FakeSystem) -> None:
    system.answers[SHOW] = Completed(argv=SHOW, returncode=1, stdout="", stderr="")
    assert facts(system)["services"] == {"unreadable": "systemctl show: exit status 1"}


@pytest.mark.parametrize(
    ("rules", "exists", "jumped_to"),
    [
        (RULES, True, True),
        (["-P FORWARD ACCEPT"], False, False),
        (["-N DOCKER-USER"], True, False),
        (["-N DOCKER-USER", "-A FORWARD -i eth0 -j DOCKER-USER"], True, False),
        (["-N DOCKER-USER-2", "-A FORWARD -j DOCKER-USER-2"], False, False),
    ],
)
def test_the_chain_for_the_hosts_own_rules(rules: list[str], exists: bool, jumped_to: bool) -> None:
    assert user_chain(rules) == {"exists": exists, "jumped_to": jumped_to}


def test_where_the_engine_makes_no_chain_none_is_looked_for(system: FakeSystem) -> None:
    assert facts(system, backend="nftables", rules=[])["user_chain"] is None
    assert facts(system, manages_rules=False, rules=[])["user_chain"] is None


def test_rules_that_cannot_be_read_are_no_missing_chain(system: FakeSystem) -> None:
    reason = {"unreadable": "iptables: exit status 4"}
    assert facts(system, rules=reason)["user_chain"] == reason


@pytest.mark.parametrize(
    ("info", "backend"),
    [
        ({}, "iptables"),
        ({"FirewallBackend": {"Driver": "iptables+firewalld"}}, "iptables"),
        ({"FirewallBackend": {"Driver": "nftables"}}, "nftables"),
        ({"FirewallBackend": "nftables"}, "iptables"),
        ({"unreadable": "no answer"}, None),
        (None, None),
    ],
)
def test_the_backend_is_what_the_engine_says(info: Any, backend: str | None) -> None:
    assert firewall_backend(info) == backend
