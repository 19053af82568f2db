# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's bridge networks: what the engine was told, and what the packet filter does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_networks import (
    bridge_networks,
    filter_rules,
    icc_in_filter,
)
from unit.fake_system import FakeSystem

COMMAND = ("iptables", "--wait", "2", "--table", "filter", "--list-rules")
# iptables -S on Debian 13 with Docker 26.1.5 and a network of its own; icc is off there, and on for docker0
RULES = """-P FORWARD DROP
-N DOCKER
-A FORWARD -j DOCKER-USER
-A FORWARD -i br-c5dcf52a5ca6 ! -o br-c5dcf52a5ca6 -j ACCEPT
-A FORWARD -i br-c5dcf52a5ca6 -o br-c5dcf52a5ca6 -j DROP
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 90 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
""".splitlines()
ICC = "com.docker.network.bridge.enable_icc"


def network(name: str = "bridge", **options: str) -> dict[str, Any]:
    interface = {"com.docker.network.bridge.name": "docker0"} if name == "bridge" else {}
    return {
        "Name": name,
        "Id": "c5dcf52a5ca63c24b91631525bd909e46dcd095b8164d6fea33689db5eb5c1df",
        "Driver": "bridge",
        "Internal": False,
        "Options": {**interface, **options},
    }


def judged(given: dict[str, Any], rules: Any) -> tuple[Any, str]:
    fact = bridge_networks(FakeSystem(Path("/nonexistent")), [given], [], rules)[0]
    return fact["icc"], fact["icc_witness"]


def test_the_filter_is_asked_without_loading_one(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.answers[COMMAND] = "\n".join(RULES)
    with pytest.raises(PortError, match="no packet filter is loaded"):
        filter_rules(system)
    assert system.ran == []
    system.write("/sys/module/nf_tables/refcnt")
    assert filter_rules(system) == RULES
    system.answers[COMMAND] = Completed(argv=COMMAND, returncode=4, stdout="", stderr="")
    with pytest.raises(PortError, match="exit status 4"):
        filter_rules(system)


def test_the_verdict_of_the_filter() -> None:
    assert icc_in_filter(RULES, "docker0") is True
    assert icc_in_filter(RULES, "br-c5dcf52a5ca6") is False
    assert icc_in_filter(RULES, "docker") is None


def test_option_and_filter_agree() -> None:
    assert judged(network(**{ICC: "true"}), RULES) == (True, "network option and packet filter")
    assert judged(network("other", **{ICC: "false"}), RULES) == (False, "network option and packet filter")


def test_the_filter_is_believed_where_they_differ() -> None:
    assert judged(network(**{ICC: "false"}), RULES) == (True, "packet filter; the network option says false")


def test_a_user_made_network_is_open_by_default() -> None:
    icc, witness = judged(network("other"), {"unreadable": "iptables: no such program"})
    assert icc is True
    assert witness == "network option; the packet filter is unreadable: iptables: no such program"


def test_a_network_that_no_rule_speaks_of() -> None:
    assert judged(network(**{ICC: "false"}), []) == (
        False,
        "network option; no rule of the packet filter speaks of it",
    )


def test_a_bridge_name_that_is_no_interface_is_not_looked_for() -> None:
    given = network(**{"com.docker.network.bridge.name": "x -j ACCEPT"})
    assert judged(given, RULES)[0] == {"unreadable": "the bridge's name is not an interface name"}


def test_running_containers_are_counted_on_each_bridge_and_other_drivers_left_out() -> None:
    containers = [
        {"NetworkSettings": {"Networks": {"bridge": {}, "other": {}}}},
        {"NetworkSettings": {"Networks": {"bridge": {}}}},
        {"NetworkSettings": None},
    ]
    networks = [network(), network("other"), {"Name": "host", "Driver": "host"}]
    facts = bridge_networks(FakeSystem(Path("/nonexistent")), networks, containers, [])
    assert [(fact["name"], fact["default"], fact["containers"]) for fact in facts] == [
        ("bridge", True, 2),
        ("other", False, 1),
    ]


def test_each_network_says_whether_its_bridge_lets_loopback_addresses_pass(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.write("/proc/sys/net/ipv4/conf/docker0/route_localnet", "1\n")
    system.write("/proc/sys/net/ipv4/conf/all/route_localnet", "0\n")
    hostile = network("other", **{"com.docker.network.bridge.name": "../../../../etc/x"})
    facts = bridge_networks(system, [network(), network("other"), hostile], [], [])
    assert [(fact["interface"], fact["route_localnet"]) for fact in facts] == [
        ("docker0", True),
        ("br-c5dcf52a5ca6", None),
        ("../../../../etc…", {"unreadable": "the bridge's name is not an interface name"}),
    ]
