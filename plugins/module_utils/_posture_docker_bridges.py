# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bridges of the host, and what the engine's switches do to those that are not its own.

net.bridge.bridge-nf-call-iptables holds for every bridge of the host (Documentation/networking/bridge.rst of
the kernel), so that Docker's rules also meet the packets between virtual machines of libvirt.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["other_bridges", "route_localnet"]

INTERFACES = "/sys/class/net"
INTERFACE_LIMIT = 20_000
_SWITCH_LIMIT = 64
# How Docker names the bridges that it makes itself; docker_gwbridge belongs to swarm mode.
_DOCKER_NAME = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")
_ALWAYS_DOCKER = frozenset({"docker_gwbridge"})


def other_bridges(system: System, own: Optional[Collection[str]]) -> list[dict[str, Any]]:
    """The posture's `docker.other_bridges`: each bridge that the engine does not own.

    `own` are the interfaces of the engine's networks; None when it was not asked, and then names decide.
    Raises `PortError` when the interfaces cannot be listed.
    """
    return [
        _bridge(system, name)
        for name in system.list_directory(INTERFACES, limit=INTERFACE_LIMIT)
        if not _belongs_to_docker(name, own) and _is_bridge(system, name)
    ]


def route_localnet(system: System, interface: str) -> Optional[bool]:
    """Whether packets with a loopback address pass the interface; None when it has no IPv4.

    The kernel takes the interface's switch or the one for all (IN_DEV_ORCONF, include/linux/inetdevice.h).
    """
    own = _switch(system, f"/proc/sys/net/ipv4/conf/{interface}/route_localnet")
    if own is None:
        return None
    return own or _switch(system, "/proc/sys/net/ipv4/conf/all/route_localnet") is True


def _bridge(system: System, name: str) -> dict[str, Any]:
    return {
        "name": printable(name, limit=15),
        "route_localnet": attempt(lambda: route_localnet(system, name)),
        "nf_call_iptables": attempt(lambda: _filters(system, name, "iptables")),
        "nf_call_ip6tables": attempt(lambda: _filters(system, name, "ip6tables")),
    }


def _belongs_to_docker(name: str, own: Optional[Collection[str]]) -> bool:
    if own is None:
        return _DOCKER_NAME.fullmatch(name) is not None
    return name in own or name in _ALWAYS_DOCKER


def _is_bridge(system: System, name: str) -> bool:
    try:
        return system.exists(f"{INTERFACES}/{name}/bridge")
    except PortError:
        return False  # gone meanwhile, or a file beside the interfaces (bonding_masters)


def _filters(system: System, name: str, family: str) -> bool:
    """Whether the bridge's packets pass the packet filter: by the switch of the host or by its own.

    Without br_netfilter in the kernel (no switch of the host) nothing does.
    """
    host = _switch(system, f"/proc/sys/net/bridge/bridge-nf-call-{family}")
    if host is None:
        return False
    return host or _switch(system, f"{INTERFACES}/{name}/bridge/nf_call_{family}") is True


def _switch(system: System, path: str) -> Optional[bool]:
    """Whether a switch of the kernel is on; None when there is none."""
    try:
        text = system.read_text(path, limit=_SWITCH_LIMIT).strip()
    except NotThere:
        return None
    if not text.isdigit():
        raise PortError(f"{path}: not a number")
    return int(text) != 0
