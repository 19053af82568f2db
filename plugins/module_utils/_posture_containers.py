# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every running container of the host: measured from the kernel, joined with its engine's own record.

Whose a container is comes from the kernel (the owner of its user namespace). Which engine's it is starts as a
claim: the name of its cgroup, which a user can make in the user's own slice, or else what its conmon says.
Where the engine can be asked, the claim stands only if that engine, of that owner, lists the container with a
process that is in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import user_of_path
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_discovery import (
    FoundContainer,
    find_containers,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_facts import (
    HIDDEN_BY_A_SANDBOX,
    HostView,
    measure,
    sandbox_of,
    view_host,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_monitor import mark_of_monitor
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import (
    DockerRecords,
    fetch_docker_records,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_records import (
    bind_sources,
    container_name,
    image_name,
    process_number,
    record_of,
    runtime_name,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    is_unreadable,
    not_applicable,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_records import podman_records
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import read_status
from ansible_collections.bulkhead.hardening.plugins.module_utils._process_objects import user_namespace_owner

__all__ = ["collect_containers", "collect_rootless_engines"]

# An engine's answer: container id -> inspect document, or one `unreadable` object.
Records = Mapping[str, Any]


@dataclass(frozen=True)
class Claimed:
    """A container, the engine that holds it, its owner, and the engine's document (or why there is none).

    :ivar document: inspect document, unreadable object or None
    :ivar unlisted_by: the engine whose container it claims to be and that does not know it, None otherwise,
        or an unreadable object where that engine could not be asked
    """

    found: FoundContainer
    engine: str
    uid: int
    document: Any
    unlisted_by: Any = None


def collect_containers(
    system: System, *, docker_records: DockerRecords | dict[str, str] | None
) -> list[dict[str, Any]]:
    """The posture's `containers`, by the host's number of their first process.

    `docker_records` is what the rootful Docker daemon answered, None without Docker, or an `unreadable`
    object. A container that ends while it is read is left out. Raises `PortError` when processes cannot be
    looked at at all.
    """
    host = view_host(system)
    rootful_docker = _inspected(docker_records)
    owned = []
    for found in find_containers(system, host_mounts=host.mounts.table):
        with contextlib.suppress(PortError):
            uid = _owner(system, host, found)
            found.mark = found.mark or mark_of_monitor(system, found, uid=uid)
            owned.append((found, uid))
    records = {("docker", 0): rootful_docker, **_ask_engines(system, owned)}
    containers = []
    for found, uid in owned:
        with contextlib.suppress(NotThere):
            containers.append(_container(system, host, _claim(found, uid, records)))
    return containers + _in_virtual_machines(rootful_docker, containers)


def collect_rootless_engines(containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The engines of users other than root that have a live container, with its number of containers."""
    counts: dict[tuple[int, str, str], int] = {}
    for container in containers:
        if container["uid"] != 0 and container["engine"] != "unknown":
            key = (container["uid"], container["engine"], container["user"])
            counts[key] = counts.get(key, 0) + 1
    return [
        {"engine": engine, "user": user, "uid": uid, "containers": count}
        for (uid, engine, user), count in sorted(counts.items())
    ]


def _owner(system: System, host: HostView, found: FoundContainer) -> int:
    """The uid that made the container's user namespace; without one, the user whose slice it lies in.

    A program of root's may run in a user's slice (sudo), so that there the process's own uid decides.
    """
    with system.process(found.init.pid) as process:
        uid = read_status(process).uid
        if process.read_link("ns/user") != host.namespaces["user"]:
            with contextlib.suppress(PortError):
                return user_namespace_owner(system, found.init.pid)
    slice_owner = next(filter(None, (user_of_path(path) for path in found.init.cgroup.values())), None)
    return slice_owner if slice_owner is not None and uid != 0 else 0


def _inspected(answer: DockerRecords | dict[str, str] | None) -> Records:
    if answer is None or isinstance(answer, dict):
        return answer or {}
    return answer.listed if isinstance(answer.listed, dict) else answer.inspected


def _ask_engines(
    system: System, owned: Iterable[tuple[FoundContainer, int]]
) -> dict[tuple[str, int], Records]:
    """(engine, uid) -> records, of each Podman and each user's Docker that seems to have a container."""
    ids: dict[tuple[str, int], list[str]] = {}
    for found, uid in owned:
        if found.mark and found.mark.id and not found.nested:
            ids.setdefault((found.mark.engine, uid), []).append(found.mark.id)
    records: dict[tuple[str, int], Records] = {}
    for engine, uid in ids:
        if engine == "podman":
            records[engine, uid] = podman_records(system, uid=uid, ids=ids[engine, uid])
        elif engine == "docker" and uid != 0:
            records[engine, uid] = _rootless_docker(system, uid)
    return records


def _rootless_docker(system: System, uid: int) -> Records:
    try:
        return _inspected(fetch_docker_records(system, path=f"/run/user/{uid}/docker.sock", uid=uid))
    except NotThere:
        return {}
    except PortError as error:
        return unreadable(error)


def _claim(found: FoundContainer, uid: int, records: Mapping[tuple[str, int], Records]) -> Claimed:
    mark = found.mark
    if mark is None or found.nested:
        return Claimed(found, "unknown", uid, None)
    # Only root makes cgroups outside the users' slices, and a user only in the own one.
    believed = mark.engine if mark.user in (None, uid) else "unknown"
    answer = records.get((mark.engine, uid))
    if answer is None:
        return Claimed(found, believed, uid, None)
    document = answer if is_unreadable(answer) else answer.get(mark.id or "")
    if is_unreadable(document):
        return Claimed(found, believed, uid, document, document)
    if document is None:
        return Claimed(found, "unknown", uid, None, mark.engine)
    if not isinstance(document, dict) or process_number(document) not in found.pids:
        return Claimed(found, "unknown", uid, None)
    return Claimed(found, mark.engine, uid, document)


def _container(system: System, host: HostView, claimed: Claimed) -> dict[str, Any]:
    document = claimed.document if isinstance(claimed.document, dict) else {}
    recorded = bool(document) and not is_unreadable(document)
    mark = claimed.found.mark
    sandbox = sandbox_of(system, claimed.found)
    believed = claimed.engine != "unknown" and mark is not None
    return {
        "id": mark.id if mark and believed else None,
        "short_id": mark.id[:12] if mark and mark.id and believed else None,
        "name": container_name(document) if recorded else _own_name(claimed),
        "image": image_name(document) if recorded else None,
        "engine": claimed.engine,
        "user": printable(system.account_name(claimed.uid)),
        "uid": claimed.uid,
        "unlisted_by": claimed.unlisted_by,
        "sandbox": sandbox,
        **measure(
            system,
            host,
            claimed.found,
            sandbox=sandbox,
            binds=bind_sources(document) if recorded and claimed.uid == 0 else {},
        ),
        "record": record_of(document) if recorded else claimed.document,
    }


def _own_name(claimed: Claimed) -> str | None:
    """The name that LXC and systemd-nspawn give to the cgroup."""
    mark = claimed.found.mark
    return printable(mark.name) if mark and mark.name and claimed.engine != "unknown" else None


def _in_virtual_machines(records: Records, containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The containers of Kata: their processes run in a virtual machine, so that /proc shows none of them."""
    if is_unreadable(records):
        return []
    seen = {container["id"] for container in containers}
    hidden = not_applicable("Kata Containers: the container runs in a virtual machine of its own")
    return [
        {
            "id": identity,
            "short_id": identity[:12],
            "name": container_name(document),
            "image": image_name(document),
            "engine": "docker",
            "user": "root",
            "uid": 0,
            "unlisted_by": None,
            "sandbox": "kata",
            **dict.fromkeys(("init", "cgroup", "limits", *HIDDEN_BY_A_SANDBOX), hidden),
            "record": record_of(document),
        }
        for identity, document in sorted(records.items())
        if identity not in seen
        and isinstance(document, dict)
        and process_number(document)
        and "kata" in runtime_name(document)
    ]
