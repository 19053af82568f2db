# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is around the engine: bridges of others, the host's firewall, its socket, restarts, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_audit import (
    audit_fact,
    docker_watch_paths,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_bridges import other_bridges
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    configuration_path,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_firewall import (
    firewall_backend,
    firewall_fact,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_networks import (
    bridge_interface,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_restarts import (
    restarts_fact,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_socket import socket_access
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import Service

__all__ = ["SURROUNDINGS_WITNESSES", "surroundings"]

SURROUNDINGS_WITNESSES = {
    "docker.other_bridges": "/sys/class/net, /proc/sys/net/bridge and /proc/sys/net/ipv4/conf",
    "docker.firewall": "systemctl show of the firewall services, and nftables.conf",
    "docker.firewall.backend": "GET /info: FirewallBackend",
    "docker.firewall.user_chain": "iptables --list-rules",
    "docker.socket_access": "getxattr(2) system.posix_acl_access and stat(2)",
    "docker.socket_access.containers": "/proc/PID/mountinfo; published ports by the engine's record",
    "docker.restarts": "the file system",
    "docker.restarts.needrestart": "needrestart.conf and its drop-ins, read and not run",
    "docker.restarts.unattended_upgrades": "apt-config dump, and the package database",
    "docker.audit": "auditctl -l",
}


def surroundings(
    system: System,
    *,
    networks: Any,
    info: Any,
    settings: Mapping[str, Any],
    rules: Any,
    socket_path: str,
    binary: str,
    service: Optional[Service],
) -> dict[str, Any]:
    """`other_bridges`, `firewall`, `socket_access`, `restarts` and `audit` of the posture's `docker`.

    `networks` and `info` are the engine's answers (None when it was not asked), `settings` the posture's,
    `rules` those of the packet filter or an `unreadable` object.
    """
    own = [bridge_interface(network) for network in networks] if isinstance(networks, list) else None
    paths = docker_watch_paths(
        system,
        binary=binary,
        service_unit=service.fragment if service else None,
        configuration_path=configuration_path(service.command if service else []),
        socket_path=socket_path,
        data_root=settings["data-root"]["value"],
    )
    return {
        "other_bridges": attempt(lambda: other_bridges(system, own)),
        "firewall": firewall_fact(
            system,
            backend=firewall_backend(info),
            manages_rules=settings["iptables"]["value"] is not False,
            rules=rules,
        ),
        "socket_access": socket_access(system, socket_path),
        "restarts": restarts_fact(system),
        "audit": audit_fact(system, paths),
    }
