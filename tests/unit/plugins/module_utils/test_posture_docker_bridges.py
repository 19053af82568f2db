# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges that the engine does not own, and the switches that reach them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_bridges import (
    other_bridges,
    route_localnet,
)
from unit.fake_system import FakeSystem

FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
FILTER_6 = "/proc/sys/net/bridge/bridge-nf-call-ip6tables"


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    for name in ("docker0", "virbr0", "br-c5dcf52a5ca6"):
        system.write(f"/sys/class/net/{name}/bridge/nf_call_iptables", "0\n")
        system.write(f"/sys/class/net/{name}/bridge/nf_call_ip6tables", "0\n")
        system.write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "0\n")
    system.write("/proc/sys/net/ipv4/conf/all/route_localnet", "0\n")
    system.write("/sys/class/net/eth0/address", "52:54:00:12:34:56\n")
    system.write("/sys/class/net/bonding_masters", "\n")
    return system


def test_what_the_engine_owns_is_left_out(system: FakeSystem) -> None:
    (bridge,) = other_bridges(system, ["docker0", "br-c5dcf52a5ca6"])
    assert bridge == {
        "name": "virbr0",
        "route_localnet": False,
        "nf_call_iptables": False,
        "nf_call_ip6tables": False,
    }


def test_a_bridge_named_like_dockers_that_the_engine_does_not_list_is_another_s(system: FakeSystem) -> None:
    assert [bridge["name"] for bridge in other_bridges(system, ["docker0"])] == ["br-c5dcf52a5ca6", "virbr0"]


def test_without_the_engine_names_decide(system: FakeSystem) -> None:
    system.write("/sys/class/net/docker_gwbridge/bridge/nf_call_iptables", "0\n")
    assert [bridge["name"] for bridge in other_bridges(system, None)] == ["virbr0"]


def test_the_bridge_of_a_swarm_is_dockers(system: FakeSystem) -> None:
    system.write("/sys/class/net/docker_gwbridge/bridge/nf_call_iptables", "0\n")
    names = [bridge["name"] for bridge in other_bridges(system, ["docker0", "br-c5dcf52a5ca6"])]
    assert names == ["virbr0"]


@pytest.mark.parametrize(
    ("host", "own", "filtered"), [("1", "0", True), ("0", "1", True), ("0", "0", False), (None, "1", False)]
)
def test_the_packet_filter_sees_packets_by_the_hosts_switch_or_the_bridges(
    system: FakeSystem, host: str | None, own: str, filtered: bool
) -> None:
    system.write("/sys/class/net/virbr0/bridge/nf_call_iptables", f"{own}\n")
    if host is not None:
        system.write(FILTER, f"{host}\n")
        system.write(FILTER_6, "0\n")
    (bridge,) = other_bridges(system, ["docker0", "br-c5dcf52a5ca6"])
    assert (bridge["nf_call_iptables"], bridge["nf_call_ip6tables"]) == (filtered, False)


@pytest.mark.parametrize(
    ("everywhere", "own", "in_force"), [("0", "1", True), ("1", "0", True), ("0", "0", False)]
)
def test_the_kernel_takes_either_switch_of_route_localnet(
    system: FakeSystem, everywhere: str, own: str, in_force: bool
) -> None:
    system.write("/proc/sys/net/ipv4/conf/all/route_localnet", f"{everywhere}\n")
    system.write("/proc/sys/net/ipv4/conf/virbr0/route_localnet", f"{own}\n")
    assert route_localnet(system, "virbr0") is in_force
    assert route_localnet(system, "gone0") is None


def test_a_switch_that_is_no_number_is_unreadable_and_hides_nothing_else(system: FakeSystem) -> None:
    system.write(FILTER, "on\n")
    (bridge,) = other_bridges(system, ["docker0", "br-c5dcf52a5ca6"])
    assert bridge["nf_call_iptables"] == {"unreadable": f"{FILTER}: not a number"}
    assert bridge["route_localnet"] is False
