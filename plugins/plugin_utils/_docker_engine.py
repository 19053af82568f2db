# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What decisions about a Docker Engine need to know of it, taken from the posture of its host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_userns_preflight import (
    container_obstacles,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["CONFIGURATION_FILE", "DockerEngineError", "Engine"]


CONFIGURATION_FILE = "/etc/docker/daemon.json"


class DockerEngineError(BulkheadError):
    """What was asked of the engine is not possible; nothing was changed."""


@dataclass(frozen=True)
class Engine:
    """The engine of one host.

    :ivar version: ``26.1.5``
    :ivar binary: path of dockerd
    :ivar path: path of its configuration file
    :ivar unit: path of its service's unit file, or the unit's name where there is none
    :ivar flags: settings among the flags of its next start, by their key in daemon.json
    :ivar conflicts: keys that the file and the flags both hold now
    :ivar settings: the posture's ``docker.settings``
    :ivar swarm: whether it takes part in a swarm
    :ivar running: names of its running containers
    :ivar bridge_filter: whether the kernel can filter bridged packets; ``None``: not known
    :ivar cgroup_driver: ``systemd`` or ``cgroupfs``; ``None``: not known
    :ivar runtimes: names of the runtimes that it knows
    :ivar refused_by_remap: running containers that a remapped engine refuses, by name, with the reasons
    :ivar exec_start: the words of the unit's command, its variables as they are written; empty: no unit
    :ivar exec_start_hidden: why they are not known, where they are not
    :ivar ip_forward: whether the kernel forwards IPv4; ``None``: not known
    """

    version: str
    binary: str
    path: str
    unit: str
    flags: Mapping[str, Any]
    conflicts: tuple[str, ...]
    settings: Mapping[str, Any]
    swarm: bool
    running: tuple[str, ...]
    bridge_filter: bool | None
    cgroup_driver: str | None = None
    runtimes: tuple[str, ...] = ()
    exec_start: tuple[str, ...] = ()
    refused_by_remap: Mapping[str, str] = field(default_factory=dict)
    exec_start_hidden: str | None = None
    ip_forward: bool | None = None

    @classmethod
    def from_posture(cls, posture: Mapping[str, Any]) -> Engine:
        """Read it from a posture with ``docker``, ``kernel`` and ``containers``.

        :raises DockerEngineError: there is no engine, it is a snap, or its version could not be read
        """
        docker = posture["docker"]
        if docker["packaging"] == "snap":
            raise DockerEngineError(
                "Docker is installed as a snap, whose files and service are not managed here: found snap, "
                "accepted are packages of the distribution or of Docker. Nothing was changed."
            )
        if not docker["installed"]:
            raise DockerEngineError("Docker Engine is not installed. Nothing was changed.")
        if not isinstance(docker["version"], str):
            raise DockerEngineError(
                f"Its version could not be read: {docker['version']}. Nothing was changed."
            )
        file, files = docker["configuration_file"], docker["files"]
        info = docker["info"] if isinstance(docker["info"], Mapping) else {}
        unit = files.get("service_unit") if isinstance(files, Mapping) else None
        command = docker.get("exec_start")
        if file.get("path", CONFIGURATION_FILE) != CONFIGURATION_FILE:
            raise DockerEngineError(
                f"--config-file: found {file['path']} in the command of the service, accepted is "
                f"{CONFIGURATION_FILE}, which checkpoints hold and a rollback puts back. Nothing was "
                "changed. Move the file there and take the flag away."
            )
        return cls(
            version=docker["version"],
            binary=docker["binary"],
            path=CONFIGURATION_FILE,
            unit=(unit or {}).get("path") or "docker.service",
            flags=docker["flags"]["next"] or {},
            conflicts=tuple(docker["conflicts"] or ()),
            settings=docker["settings"] or {},
            swarm=info.get("swarm") not in (None, "", "inactive"),
            cgroup_driver=info.get("cgroup_driver"),
            runtimes=tuple(info.get("runtimes") or ()),
            running=_running(posture["containers"]),
            refused_by_remap=_refused_by_remap(posture["containers"]),
            bridge_filter=_bridge_filter(posture["kernel"]),
            exec_start=tuple(command) if isinstance(command, list) else (),
            exec_start_hidden=command["unreadable"] if is_unreadable(command) else None,
            ip_forward=_ip_forward(posture["kernel"]),
        )

    def configured(self, name: str) -> Any:
        """The value that the next start gives to a key; ``None`` when it is not known."""
        return (self.settings.get(name) or {}).get("configured")

    def unowned(self, name: str) -> Any:
        """The same without what the role owns in the file: what comes back when it gives the key back."""
        return (self.settings.get(name) or {}).get("unowned", self.configured(name))

    @property
    def owned(self) -> frozenset[str]:
        """The keys whose value of the next start is the role's, in whole or in part."""
        return frozenset(name for name, setting in self.settings.items() if "unowned" in (setting or {}))

    def predicted(self, wanted: Mapping[str, Any]) -> Engine:
        """The engine as a run leaves it that wants these keys, and gives back the others that it owns."""
        left = {
            name: {**(setting or {}), "configured": self.unowned(name)}
            for name, setting in self.settings.items()
        }
        named = {name: {**left.get(name, {}), "configured": value} for name, value in wanted.items()}
        return replace(self, settings={**left, **named})


def is_unreadable(value: Any) -> bool:
    """Whether the posture could not read this fact."""
    return isinstance(value, Mapping) and set(value) == {"unreadable"}


def _refused_by_remap(containers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found = {
        str(container["name"] or container["short_id"]): (
            ["the engine does not say how it was made"]
            if is_unreadable(container["record"]) or not isinstance(container["record"], Mapping)
            else container_obstacles(container["record"])
        )
        for container in containers
        if container["engine"] == "docker" and container["uid"] == 0
    }
    return {name: " and ".join(obstacles) for name, obstacles in sorted(found.items()) if obstacles}


def _running(containers: Any) -> tuple[str, ...]:
    if not isinstance(containers, list):
        raise DockerEngineError(
            f"The running containers could not be read: {containers}. Nothing was changed."
        )
    return tuple(
        sorted(
            str(container["name"] or container["short_id"])
            for container in containers
            if container["engine"] == "docker" and container["uid"] == 0
        )
    )


def _ip_forward(kernel: Mapping[str, Any]) -> bool | None:
    sysctls = kernel.get("sysctls")
    value = sysctls.get("net.ipv4.ip_forward") if isinstance(sysctls, Mapping) else None
    return value == "1" if isinstance(value, str) else None


def _bridge_filter(kernel: Mapping[str, Any]) -> bool | None:
    """br_netfilter is loaded or built in, or is there as a module that may still be loaded."""
    modules, sysctls = kernel.get("modules"), kernel.get("sysctls")
    if isinstance(modules, Mapping) and modules.get("br_netfilter") is True:
        return True
    if isinstance(sysctls, Mapping) and sysctls.get("kernel.modules_disabled") == "1":
        return False
    config = kernel.get("config")
    options = config.get("options") if isinstance(config, Mapping) else None
    if not isinstance(options, Mapping) or "CONFIG_BRIDGE_NETFILTER" not in options:
        return None
    return options["CONFIG_BRIDGE_NETFILTER"] in ("y", "m")
