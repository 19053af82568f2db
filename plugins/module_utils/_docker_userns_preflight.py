# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is left behind, and what breaks, when user namespace remapping is switched on or off. Only reads.

The remapped engine keeps its data in another directory, named for the mapped ids, below the same data root:
images, volumes and containers seem to vanish (docs.docker.com/engine/security/userns-remap). It refuses
containers that are privileged or share a namespace of the host unless they name --userns=host (moby
``daemon/daemon_unix.go``, verifyPlatformContainerSettings).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_records import (
    container_name,
    image_name,
    record_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import UnixHttp, unix_http

__all__ = ["container_obstacles", "userns_preflight"]

DEADLINE_SECONDS = 60.0
CONTAINER_LIMIT = 500
NAME_LIMIT = 200

WAY_BACK = (
    "Nothing is deleted: with userns-remap as it was before, and a restart, the engine finds its images, "
    "volumes and containers in the old place again. What was made in the meantime stays in the other place."
)


def userns_preflight(system: System, *, socket: str) -> dict[str, Any]:
    """Images, volumes and containers that the engine will not see any more, and the disk for a second store.

    A part that could not be read is an `unreadable` object.
    """
    try:
        with unix_http(system, socket, peer_uid=0, deadline=DEADLINE_SECONDS) as engine:
            images = attempt(lambda: _images(engine))
            volumes = attempt(lambda: _volumes(engine))
            containers = attempt(lambda: _containers(engine))
            root = attempt(lambda: str(engine.get("/info")["DockerRootDir"]))
            layers = attempt(lambda: int(engine.get("/system/df?type=image")["LayersSize"]))
    except PortError as error:
        return {"unreadable": printable(str(error))}
    return {
        "images": images,
        "volumes": volumes,
        "containers": containers,
        "second_store": _second_store(root, layers),
        "way_back": WAY_BACK,
    }


def container_obstacles(record: Mapping[str, Any]) -> list[str]:
    """Why a container does not work with remapping as it is; from the posture's `record` of it."""
    if record["userns_mode"] == "host":
        return []
    obstacles = ["it is privileged"] if record["privileged"] else []
    shared = {"network": "network_mode", "PID": "pid_mode"}
    refused = [name for name, member in shared.items() if record[member] == "host"]
    return obstacles + [f"it shares the host's {name} namespace" for name in refused]


def _images(engine: UnixHttp) -> list[str]:
    names: list[str] = []
    for image in _objects(engine.get("/images/json")):
        tags = image.get("RepoTags")
        names += [str(tag) for tag in tags] if isinstance(tags, list) and tags else [str(image.get("Id"))]
    return sorted(printable(name, limit=NAME_LIMIT) for name in names)


def _volumes(engine: UnixHttp) -> list[str]:
    volumes = engine.get("/volumes").get("Volumes")
    return sorted(printable(str(volume.get("Name")), limit=NAME_LIMIT) for volume in _objects(volumes or []))


def _containers(engine: UnixHttp) -> list[dict[str, Any]]:
    listed = _objects(engine.get("/containers/json?all=true"))
    if len(listed) > CONTAINER_LIMIT:
        raise PortError(f"more than {CONTAINER_LIMIT} containers")
    found = [_container(engine, str(entry.get("Id"))) for entry in listed]
    return sorted((entry for entry in found if entry), key=lambda entry: str(entry["name"]))


def _container(engine: UnixHttp, identifier: str) -> Optional[dict[str, Any]]:
    try:
        inspected = engine.get(f"/containers/{identifier}/json")
    except NotThere:
        return None  # it is gone since it was listed
    state = inspected.get("State")
    mounts = _objects(inspected.get("Mounts") or [])
    return {
        "name": container_name(inspected) or identifier[:12],
        "image": image_name(inspected),
        "running": isinstance(state, dict) and state.get("Running") is True,
        "refused": container_obstacles(record_of(inspected)),
        # the mapped root cannot write what root of the host owns
        "bind_mounts": sorted(
            printable(str(mount.get("Source")), limit=NAME_LIMIT)
            for mount in mounts
            if mount.get("Type") == "bind"
        ),
    }


def _second_store(root: Any, layers: Any) -> dict[str, Any]:
    """The same images once more beside the old ones."""
    free = attempt(lambda: _free_bytes(root)) if isinstance(root, str) else root
    known = isinstance(layers, int) and isinstance(free, int)
    return {
        "directory": root,
        "bytes_needed": layers,
        "bytes_free": free,
        "enough": free > layers if known else None,
    }


def _free_bytes(path: str) -> int:
    try:
        facts = os.statvfs(path)
    except OSError as error:
        raise PortError(f"{path}: {error.strerror}") from error
    return facts.f_bavail * facts.f_frsize


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise PortError("not a JSON array of objects")
    return value
