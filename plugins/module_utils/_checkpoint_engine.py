# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engine of a host as a checkpoint sees it: whether it is there, and where it listens."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DOCKER_SOCKET
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    parse_flags,
    read_configuration_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_daemon import find_daemon
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import read_service

__all__ = ["DOCKER_FILE", "DOCKER_UNIT", "docker_installed", "docker_socket", "docker_there"]

DOCKER_FILE = "/etc/docker/daemon.json"
DOCKER_UNIT = "docker.service"
_PROGRAMS = (
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
    "/usr/local/sbin/dockerd",
)
# An engine from a snap is named, so that the role refuses it; its files and units are of another kind.
_SNAP = "/snap/docker/current"
_LISTEN = re.compile(r"^Listen=(/\S+) \(Stream\)$", re.MULTILINE)


def docker_installed(system: System) -> bool:
    """Whether there is an engine that a checkpoint can ask."""
    return any(system.exists(path) for path in _PROGRAMS)


def docker_there(system: System) -> bool:
    """Whether there is an engine of any kind."""
    return docker_installed(system) or system.exists(_SNAP)


def docker_socket(system: System) -> str:
    """Where the engine listens: what its command line or its file names, or its socket unit.

    The usual path where none of them says anything (dockerd(8), --host).
    """
    hosts = _hosts(system)
    paths = [host[len("unix://") :] for host in hosts if host.startswith("unix:///")]
    if paths:
        return paths[0]
    return _listened(system) if "fd://" in hosts else DOCKER_SOCKET


def _hosts(system: System) -> list[str]:
    try:
        service = read_service(system, DOCKER_UNIT)
    except PortError:
        return []
    daemon = find_daemon(system, service.main_pid)
    flags: Any = parse_flags(service.command if daemon is None else daemon.argv).get("hosts")
    return [str(host) for host in flags or _configured(system)]


def _configured(system: System) -> list[Any]:
    try:
        hosts = read_configuration_file(system, DOCKER_FILE).settings.get("hosts")
    except PortError:
        return []
    return hosts if isinstance(hosts, list) else []


def _listened(system: System) -> str:
    """The stream that docker.socket opens (systemd.socket(5)); `systemctl show` has it as `PATH (Stream)`."""
    try:
        shown = system.run(["systemctl", "show", "docker.socket", "--property", "Listen"]).stdout
    except NotThere:
        return DOCKER_SOCKET
    found = _LISTEN.search(shown)
    return found[1] if found else DOCKER_SOCKET
