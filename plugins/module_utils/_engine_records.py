# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of a container: `GET /containers/ID/json` of Docker, `podman container inspect`.

The document of a user's engine is the user's own text: every value is checked for its type and cut to a
length. Environment, labels, command line and annotations are never taken over; of the labels only whether the
swarm's own is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable, rfc3339

__all__ = [
    "bind_sources",
    "container_name",
    "image_name",
    "is_swarm_task",
    "process_number",
    "record_of",
    "runtime_name",
]

_TEXT = 512
_ITEMS = 256
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")


def record_of(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """The posture's `record` of a container."""
    config, host = _object(inspected, "Config"), _object(inspected, "HostConfig")
    restart = _object(host, "RestartPolicy")
    networks = _object(_object(inspected, "NetworkSettings"), "Networks")
    return {
        "privileged": host.get("Privileged") is True,
        "user": _text(config.get("User")),
        "restart_policy": {
            "name": _text(restart.get("Name")) or "no",
            "maximum_retry_count": _number(restart.get("MaximumRetryCount")),
        },
        "ports": _ports(_object(_object(inspected, "NetworkSettings"), "Ports")),
        "publish_all_ports": host.get("PublishAllPorts") is True,
        "health_check": _has_health_check(config),
        "network_mode": _text(host.get("NetworkMode")),
        "networks": sorted(printable(name, limit=_TEXT) for name in list(networks)[:_ITEMS]),
        "userns_mode": _text(host.get("UsernsMode")),
        "pid_mode": _text(host.get("PidMode")),
        "ipc_mode": _text(host.get("IpcMode")),
        "uts_mode": _text(host.get("UTSMode")),
        "cgroup_parent": _text(host.get("CgroupParent")),
        "ulimits": [_ulimit(entry.get("Name")) for entry in _objects(host.get("Ulimits"))],
        "devices": [_text(entry.get("PathOnHost")) for entry in _objects(host.get("Devices"))],
        "device_rules": _texts(host.get("DeviceCgroupRules")),
        "capabilities_added": [_capability(name) for name in _texts(host.get("CapAdd"))],
        "capabilities_dropped": [_capability(name) for name in _texts(host.get("CapDrop"))],
        "security_options": [
            re.split("[=:]", option, maxsplit=1)[0] for option in _texts(host.get("SecurityOpt"))
        ],
        "auto_remove": host.get("AutoRemove") is True,
        "swarm_task": is_swarm_task(inspected),
        "runtime": runtime_name(inspected),
        "created_at": _time(inspected.get("Created")),
        "read_only_root": host.get("ReadonlyRootfs") is True,
    }


def container_name(inspected: Mapping[str, Any]) -> str | None:
    """The container's name (Docker writes a slash before it)."""
    return _text(inspected.get("Name")).lstrip("/") or None


def image_name(inspected: Mapping[str, Any]) -> str | None:
    """The image as it was named when the container was made; Podman has it in ImageName."""
    return _text(inspected.get("ImageName")) or _text(_object(inspected, "Config").get("Image")) or None


def runtime_name(inspected: Mapping[str, Any]) -> str:
    """The OCI runtime: HostConfig.Runtime of Docker, OCIRuntime of Podman (whose HostConfig says "oci")."""
    return _text(inspected.get("OCIRuntime")) or _text(_object(inspected, "HostConfig").get("Runtime"))


def process_number(inspected: Mapping[str, Any]) -> int:
    """The number of the container's first process on the host; 0 when it does not run."""
    return _number(_object(inspected, "State").get("Pid"))


def is_swarm_task(inspected: Mapping[str, Any]) -> bool:
    """Whether a service of the swarm owns the container (the swarm labels its tasks) and replaces it."""
    return "com.docker.swarm.task.id" in _object(_object(inspected, "Config"), "Labels")


def bind_sources(inspected: Mapping[str, Any]) -> dict[str, str]:
    """Destination -> the host's path, of the bind mounts and volumes that the engine lists."""
    return {
        _text(entry.get("Destination")): _text(entry.get("Source"))
        for entry in _objects(inspected.get("Mounts"))
        if entry.get("Type") in ("bind", "volume") and _text(entry.get("Source")).startswith("/")
    }


def _ports(ports: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Published ports; an empty host address is every address."""
    published = []
    for inside, bindings in list(ports.items())[:_ITEMS]:
        port, _slash, protocol = inside.partition("/")
        for binding in _objects(bindings):
            published.append(
                {
                    "host_address": _text(binding.get("HostIp")) or "0.0.0.0",
                    "host_port": _port(binding.get("HostPort")),
                    "container_port": _port(port),
                    "protocol": printable(protocol, limit=16) or "tcp",
                }
            )
    return published


def _has_health_check(config: Mapping[str, Any]) -> bool:
    check = config.get("Healthcheck") or config.get("HealthCheck")
    test = check.get("Test") if isinstance(check, dict) else None
    return isinstance(test, list) and bool(test) and test[0] != "NONE"


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterable[dict[str, Any]]:
    return [entry for entry in value[:_ITEMS] if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return printable(value, limit=_TEXT) if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return (
        [_text(entry) for entry in value[:_ITEMS] if isinstance(entry, str)]
        if isinstance(value, list)
        else []
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _port(value: object) -> int | None:
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6
        else None
    )


def _ulimit(value: object) -> str:
    """`nofile`; Podman writes RLIMIT_NOFILE."""
    return _text(value).upper().replace("RLIMIT_", "", 1).lower()


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _time(value: object) -> str | None:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00"))
        return rfc3339(moment.astimezone(timezone.utc).timestamp())
    except (ValueError, OverflowError):
        return None
