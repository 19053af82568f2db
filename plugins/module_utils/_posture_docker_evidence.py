# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathers what the witnesses of the daemon's settings look at, from its records and from /proc."""

from __future__ import annotations

import re
from calendar import timegm
from time import strptime
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_daemon import (
    Daemon,
    pid_in_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_listeners import Listener
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_witnesses import (
    EngineEvidence,
)

__all__ = ["api_listeners", "engine_evidence", "parse_engine_time"]

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")
_NO_NEW_PRIVILEGES = re.compile(r"^NoNewPrivs:\s+([01])$", re.MULTILINE)
_SWARM_PORTS = frozenset({2377, 7946})  # cluster management and node communication


def engine_evidence(
    system: System,
    daemon: Optional[Daemon],
    records: Optional[DockerRecords],
    *,
    engine: tuple[int, ...],
    networks: Any,
    pidfile: str,
) -> EngineEvidence:
    """`networks` is the posture's `docker.networks`, `pidfile` the configured path."""
    running = records.running() if records else []
    started_at = daemon.started_at if daemon else None
    return EngineEvidence(
        info=_mapping(records.info if records else None),
        version=_mapping(records.version if records else None),
        engine=engine,
        networks=networks if isinstance(networks, list) else [],
        bridge=_default_bridge(records.networks if records else None),
        listeners=_own_listeners(daemon, records),
        proxies=daemon.proxies if daemon else None,
        holds_published=_holds_published(daemon, records),
        pid=daemon.pid if daemon else None,
        pidfile_pid=pid_in_file(system, pidfile),
        created_since=_no_new_privileges(system, _created_since(running, started_at)),
    )


def api_listeners(
    listeners: list[Listener], records: Optional[DockerRecords], other_ports: set[int]
) -> list[Listener]:
    """The daemon's listeners but those that are known to be no API.

    With userland-proxy off the daemon itself holds the published ports (seen with 26.1). `other_ports` are
    those of its metrics and diagnostics.
    """
    published = _published_ports(records)
    swarm = _mapping(records.info if records else None).get("Swarm")
    active = isinstance(swarm, dict) and swarm.get("LocalNodeState") == "active"
    return [
        listener
        for listener in listeners
        if listener.port not in published | other_ports and not (active and listener.port in _SWARM_PORTS)
    ]


def parse_engine_time(text: Any) -> Optional[float]:
    """`2026-11-23T15:52:23.299079768Z` in seconds since the epoch, None for anything else."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    return timegm(strptime(match[1], "%Y-%m-%dT%H:%M:%S")) + float(match[2] or 0)


def _mapping(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) and set(answer) != {"unreadable"} else {}


def _default_bridge(networks: Any) -> dict[str, Any]:
    found = networks if isinstance(networks, list) else []
    return next((network for network in found if network.get("Name") == "bridge"), {})


def _own_listeners(daemon: Optional[Daemon], records: Optional[DockerRecords]) -> Optional[list[Listener]]:
    if daemon is None or isinstance(daemon.listeners, str):
        return None
    return api_listeners(daemon.listeners, records, set())


def _holds_published(daemon: Optional[Daemon], records: Optional[DockerRecords]) -> bool:
    if daemon is None or isinstance(daemon.listeners, str):
        return False
    published = _published_ports(records)
    return any(listener.port in published for listener in daemon.listeners)


def _published_ports(records: Optional[DockerRecords]) -> set[int]:
    return {port for record in (records.running() if records else []) for port in _published(record)}


def _published(record: dict[str, Any]) -> set[int]:
    """The ports of the host on which a container is reachable: NetworkSettings.Ports of its record."""
    ports = _mapping(_mapping(record.get("NetworkSettings")).get("Ports"))
    bindings = [binding for entries in ports.values() for binding in entries or []]
    return {int(binding["HostPort"]) for binding in bindings if str(binding.get("HostPort", "")).isdigit()}


def _created_since(records: list[dict[str, Any]], moment: Optional[float]) -> list[dict[str, Any]]:
    if moment is None:
        return []
    return [record for record in records if (parse_engine_time(record.get("Created")) or 0) > moment]


def _no_new_privileges(system: System, records: list[dict[str, Any]]) -> list[bool]:
    """The flag of the first process of each container that leaves it to the engine's default."""
    flags = []
    for record in records:
        options = _mapping(record.get("HostConfig")).get("SecurityOpt") or []
        pid = _mapping(record.get("State")).get("Pid")
        if not isinstance(pid, int) or pid <= 0 or any(str(o).startswith("no-new-priv") for o in options):
            continue
        try:
            with system.process(pid) as process:
                match = _NO_NEW_PRIVILEGES.search(process.read_text("status"))
        except PortError:
            continue
        if match:
            flags.append(match[1] == "1")
    return flags
