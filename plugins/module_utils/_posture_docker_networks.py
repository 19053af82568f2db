# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's bridge networks: may the containers on one of them reach each other?

Each network is judged by itself: `icc` in daemon.json is about the default bridge only, and containers on a
user-made network reach each other although it is off. The option is what the engine was told; what the packet
filter does is what holds (with live-restore, a changed icc does not reach a bridge that is in use).
"""

from __future__ import annotations

import re
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable, unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_bridges import route_localnet

__all__ = ["bridge_interface", "bridge_networks", "filter_rules", "icc_in_filter"]

_ICC_OPTION = "com.docker.network.bridge.enable_icc"
_NAME_OPTION = "com.docker.network.bridge.name"
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


def filter_rules(system: System) -> list[str]:
    """The rules of the IPv4 filter table as iptables prints them (`-A FORWARD -i docker0 …`).

    Raises `PortError` when they cannot be read. Nothing is asked while no packet filter is loaded: asking
    would load one.
    """
    loaded = [name for name in ("nf_tables", "ip_tables") if system.exists(f"/sys/module/{name}")]
    if not loaded:
        raise PortError("iptables: no packet filter is loaded")
    completed = system.run(["iptables", "--wait", "2", "--table", "filter", "--list-rules"])
    if completed.returncode != 0:
        raise PortError(f"iptables: exit status {completed.returncode}")
    return completed.stdout.splitlines()


def icc_in_filter(rules: list[str], interface: str) -> Optional[bool]:
    """Whether packets from a bridge to itself pass; None when no rule speaks of them.

    Docker writes a rule `-i BRIDGE -o BRIDGE -j ACCEPT` or `-j DROP` (seen with 20.10, 26.1).
    """
    within = re.compile(rf"-A \S+ -i {re.escape(interface)} -o {re.escape(interface)} -j (ACCEPT|DROP)")
    verdicts = [match[1] for match in map(within.fullmatch, rules) if match]
    return verdicts[0] == "ACCEPT" if verdicts else None


def bridge_networks(
    system: System, networks: list[dict[str, Any]], containers: list[dict[str, Any]], rules: Any
) -> list[dict[str, Any]]:
    """The posture's `docker.networks`.

    `networks` as in `GET /networks`, `containers` the records of the running containers (that answer counts
    containers in itself only for a single network), `rules` of `filter_rules` or an `unreadable` object.
    """
    attached = [name for record in containers for name in _attached(record)]
    return [
        _network(system, network, attached.count(str(network.get("Name"))), rules)
        for network in networks
        if network.get("Driver") == "bridge"
    ]


def bridge_interface(network: dict[str, Any]) -> str:
    """The name of a network's bridge, as in `GET /networks`; it need not be an interface's name."""
    options = network.get("Options")
    options = options if isinstance(options, dict) else {}
    return str(options.get(_NAME_OPTION, f"br-{str(network.get('Id'))[:12]}"))


def _network(system: System, network: dict[str, Any], containers: int, rules: Any) -> dict[str, Any]:
    name, identifier = str(network.get("Name")), str(network.get("Id"))
    options = network.get("Options")
    options = options if isinstance(options, dict) else {}
    interface = bridge_interface(network)
    icc, witness = _icc(str(options.get(_ICC_OPTION, "true")).lower() == "true", interface, rules)
    return {
        "name": printable(name, limit=255),
        "id": printable(identifier, limit=64),
        "driver": "bridge",
        "default": name == "bridge",
        "internal": network.get("Internal") is True,
        "interface": printable(interface, limit=15),
        "route_localnet": _route_localnet(system, interface),
        "icc": icc,
        "icc_witness": witness,
        "containers": containers,
    }


def _route_localnet(system: System, interface: str) -> Any:
    if not _INTERFACE.fullmatch(interface) or interface.strip(".") == "":
        return unreadable("the bridge's name is not an interface name")
    return attempt(lambda: route_localnet(system, interface))


def _icc(option: bool, interface: str, rules: Any) -> tuple[Any, str]:
    if not _INTERFACE.fullmatch(interface):
        return unreadable("the bridge's name is not an interface name"), "network option"
    if isinstance(rules, dict):
        return option, f"network option; the packet filter is unreadable: {rules['unreadable']}"
    in_filter = icc_in_filter(rules, interface)
    if in_filter is None:
        return option, "network option; no rule of the packet filter speaks of it"
    if in_filter == option:
        return option, "network option and packet filter"
    return in_filter, f"packet filter; the network option says {str(option).lower()}"


def _attached(record: dict[str, Any]) -> list[str]:
    settings = record.get("NetworkSettings")
    networks = settings.get("Networks") if isinstance(settings, dict) else None
    return [str(name) for name in networks] if isinstance(networks, dict) else []
