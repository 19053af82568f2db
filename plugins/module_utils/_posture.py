# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture of a host: one document of what is in force, put together from its parts."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_cgroups import (
    docker_cgroups,
    start_ticks_of,
    still_unlisted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    rfc3339,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_bulkhead import (
    BULKHEAD_WITNESSES,
    collect_bulkhead,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_containers import (
    collect_containers,
    collect_rootless_engines,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker import (
    DOCKER_WITNESSES,
    DockerAnswer,
    collect_docker,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_socket import (
    holders_of_the_socket,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_host import (
    HOST_WITNESSES,
    collect_host,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_kernel import (
    KERNEL_WITNESSES,
    collect_kernel,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman import (
    collect_podman,
    podman_version,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless import (
    ROOTLESS_WITNESSES,
    USERS_MOST,
    collect_rootless,
)

__all__ = ["PARTS", "SCHEMA_VERSION", "WITNESSES", "collect_posture"]

SCHEMA_VERSION = "1.0"
PARTS = ("host", "kernel", "docker", "podman", "containers", "rootless", "bulkhead")

# Where each fact is read from. The longest name that begins a fact's path counts; `[]` stands for any entry.
WITNESSES: Mapping[str, str] = {
    "schema_version": "this collection",
    "witnesses": "this collection",
    "collected_at": "the host's clock",
    "duration_seconds": "the host's clock",
    **HOST_WITNESSES,
    **KERNEL_WITNESSES,
    **DOCKER_WITNESSES,
    **BULKHEAD_WITNESSES,
    **ROOTLESS_WITNESSES,
    "podman": "the file system",
    "podman.version": "podman --version",
    "podman.version_text": "podman --version",
    "podman.policy_files": "stat(2)",
    "podman.image_policy_default": "policy.json",
    "podman.unqualified_search_registries": "registries.conf and its drop-ins",
    "podman.insecure_registries": "registries.conf and its drop-ins",
    "podman.short_name_mode": "registries.conf and its drop-ins",
    "podman.settings": "containers.conf and its drop-ins",
    "podman.image_trust": "policy.json, and stat(2) of the files that it names",
    "rootless_engines": "owners of the user namespaces of running containers, in /proc",
    "containers": "/proc and /sys/fs/cgroup",
    "containers[].id": "/proc/PID/cgroup, else the command line of its conmon",
    "containers[].short_id": "/proc/PID/cgroup, else the command line of its conmon",
    "containers[].name": "the engine's record",
    "containers[].image": "the engine's record",
    "containers[].engine": "/proc/PID/cgroup, else its conmon; confirmed by the engine's record",
    "containers[].user": "owner of the user namespace, NS_GET_OWNER_UID (ioctl_ns(2))",
    "containers[].uid": "owner of the user namespace, NS_GET_OWNER_UID (ioctl_ns(2))",
    "containers[].unlisted_by": "/proc/PID/cgroup against the lists of Docker and Podman",
    "containers[].sandbox": "file of the first process's program, and for Kata the engine's record",
    "containers[].init": "/proc/PID/stat and /proc/PID/status",
    "containers[].cgroup": "/proc/PID/cgroup",
    "containers[].capabilities": "/proc/PID/status",
    "containers[].seccomp": "/proc/PID/status",
    "containers[].no_new_privileges": "/proc/PID/status",
    "containers[].lsm": "/proc/PID/attr",
    "containers[].user_namespace": "/proc/PID/uid_map and /proc/PID/ns/user",
    "containers[].namespaces": "/proc/PID/ns",
    "containers[].mounts": "/proc/PID/mountinfo",
    "containers[].devices": "/proc/PID/mountinfo and the device nodes in its /dev",
    "containers[].masked_paths": "/proc/PID/mountinfo",
    "containers[].read_only_paths": "/proc/PID/mountinfo",
    "containers[].read_only_root": "/proc/PID/mountinfo",
    "containers[].limits": "/sys/fs/cgroup, from the container's cgroup down to its first process's",
    "containers[].privileged": "derived from capabilities, seccomp, LSM, mounts and devices in force",
    "containers[].extra_privilege_processes": "/proc/PID/status of what is in its cgroup or PID namespace",
    "containers[].processes": "/proc/PID/cgroup, /proc/PID/ns/pid and /proc/PID/comm",
    "containers[].record": "the engine's record",
}

# The outermost cgroup counts: what is below it belongs to a Docker in that container.
_DOCKER_CGROUP = re.compile(r"^/(?!user\.slice/)(?:.*?/)?docker[-/]([0-9a-f]{64})")


def collect_posture(
    system: System,
    gather: Collection[str] = PARTS,
    *,
    users: Sequence[str] = (),
    users_most: int = USERS_MOST,
) -> dict[str, Any]:
    """The posture; parts that are not in `gather` are None. Reads only.

    :param users: accounts that `rootless` looks at in any case, beside `users_most` others at most
    """
    begun = time.monotonic()
    posture: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "collected_at": rfc3339(system.now()),
        "duration_seconds": 0.0,
        "witnesses": dict(WITNESSES),
        "host": collect_host(system) if "host" in gather else None,
        "kernel": collect_kernel(system) if "kernel" in gather else None,
        "podman": attempt(lambda: collect_podman(system)) if "podman" in gather else None,
        **_docker_and_containers(system, gather),
        "rootless": None,
        "bulkhead": collect_bulkhead(system) if "bulkhead" in gather else None,
    }
    if "rootless" in gather:
        posture["rootless"] = attempt(
            lambda: collect_rootless(
                system,
                users=users,
                most=users_most,
                running=_running(posture["rootless_engines"]),
                podman_version=_podman_version(system, posture["podman"]),
            )
        )
    posture["duration_seconds"] = round(time.monotonic() - begun, 2)
    return posture


def _running(engines: Any) -> set[int]:
    """The users with a running container, as far as it is known; every one has a session of systemd's too."""
    return {engine["uid"] for engine in engines} if isinstance(engines, list) else set()


def _podman_version(system: System, podman: Any) -> Any:
    """The version that the part `podman` has, or what the program says where that was not gathered."""
    if isinstance(podman, dict):
        return podman if is_unreadable(podman) else podman["version"] if podman["installed"] else None
    return podman_version(system)


def _docker_and_containers(system: System, gather: Collection[str]) -> dict[str, Any]:
    docker: Any = None
    records: DockerAnswer = None
    containers: Any = None
    rootless_engines: Any = None
    if "docker" in gather or "containers" in gather:
        docker, records = _docker(system)
    if "containers" in gather:
        containers = attempt(lambda: collect_containers(system, docker_records=records))
        if isinstance(records, DockerRecords) and isinstance(containers, list):
            _ask_again(system, docker, containers)
        known = isinstance(containers, list)
        rootless_engines = collect_rootless_engines(containers) if known else containers
    if "docker" in gather and not is_unreadable(docker):
        docker["unlisted_containers"] = _unlisted(docker, records, containers)
        if isinstance(records, DockerRecords) and isinstance(docker["unlisted_containers"], list):
            docker["unlisted_containers"] += _in_other_parents(system, docker, records, containers)
        if isinstance(docker.get("socket_access"), dict):
            docker["socket_access"]["containers"] = holders_of_the_socket(containers)
    return {
        "docker": docker if "docker" in gather else None,
        "containers": containers,
        "rootless_engines": rootless_engines,
    }


def _ask_again(system: System, docker: Mapping[str, Any], containers: Any) -> None:
    """Take back that Docker does not list a container which it lists by now, or which has ended.

    The engine was asked before the processes were looked at, and a container that was started in between is
    none that is hidden.
    """
    doubtful = [entry for entry in containers if entry.get("unlisted_by") == "docker" and entry["uid"] == 0]
    path = docker["socket"].get("path") if isinstance(docker.get("socket"), dict) else None
    if path is None:
        return
    processes: dict[str, list[tuple[int, int]]] = {}
    for entry in doubtful:
        init = entry["init"]
        processes.setdefault(_docker_id(entry) or "", []).append((init["pid"], int(init["start_ticks"])))
    unlisted = still_unlisted(system, processes, path=path)
    for entry in doubtful:
        if (_docker_id(entry) or "") not in unlisted:
            entry["unlisted_by"] = None


def _in_other_parents(
    system: System, docker: Mapping[str, Any], records: DockerRecords, containers: Any
) -> list[str]:
    """Ids of unlisted containers whose cgroup's name says nothing of Docker, and its shim does."""
    path = docker["socket"].get("path") if isinstance(docker.get("socket"), dict) else None
    if path is None:
        return []
    known = {*records.listed, *(_docker_id(container) for container in containers)}
    doubtful = {
        identifier: [(pid, ticks) for pid in pids for ticks in [start_ticks_of(system, pid)] if ticks]
        for identifier, pids in docker_cgroups(system).items()
        if identifier not in known
    }
    return sorted(still_unlisted(system, doubtful, path=path))


def _docker_id(container: Mapping[str, Any]) -> Optional[str]:
    mark = _DOCKER_CGROUP.search(str(container["cgroup"]))
    return mark[1] if mark else None


def _docker(system: System) -> tuple[dict[str, Any], DockerAnswer]:
    try:
        return collect_docker(system)
    except PortError as error:
        return unreadable(error), unreadable(error)


def _unlisted(docker: Mapping[str, Any], records: DockerAnswer, containers: Any) -> Any:
    """Ids of containers of root's that lie in Docker's cgroups, and that the engine does not list."""
    if not docker["installed"]:
        return []
    if containers is None:
        return unreadable("the containers were not gathered")
    if is_unreadable(containers):
        return containers
    if isinstance(records, dict):
        return records
    if records is not None and not isinstance(records.listed, list):
        return records.listed
    listed = set(records.listed) if records else set()
    ids = {
        _docker_id(container)
        for container in containers
        if container["uid"] == 0 and container["unlisted_by"] is not None
    }
    return sorted(identity for identity in ids if identity and identity not in listed)
