# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container has mounted from the host, which devices it has, and what of /proc and /sys is closed."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable, unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import (
    HostMounts,
    Mount,
    MountTable,
    read_mounts,
    sensitive_kind,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    ProcessHandle,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._process_objects import (
    STANDARD_DEVICES,
    device_nodes,
)

__all__ = ["mount_facts"]

_MOUNT_LIMIT = 1000
# File systems that a runtime mounts afresh into every container; what they show is the container's own.
_OWN_FILESYSTEMS = {"cgroup", "cgroup2", "devpts", "mqueue"}


def mount_facts(
    system: System,
    host_mounts: HostMounts,
    process: ProcessHandle,
    *,
    namespaces: Mapping[str, str],
    identity: str,
    binds: Mapping[str, str],
) -> dict[str, Any]:
    """`mounts`, `devices`, `masked_paths`, `read_only_paths` and `read_only_root` of the posture.

    `namespaces` says which are the host's; `identity` is the container's id, by which the engine's own files
    are known; `binds` is what the engine says it has mounted, destination -> source.
    """
    names = ("mounts", "devices", "masked_paths", "read_only_paths", "read_only_root")
    try:
        table = read_mounts(process)
    except NotThere:
        raise
    except PortError as error:
        return dict.fromkeys(names, unreadable(error))
    root = table.at("/")
    shared = _from_host(host_mounts, table, namespaces=namespaces, identity=identity, binds=binds)
    return {
        "mounts": attempt(lambda: _binds(table, shared)),
        "devices": attempt(lambda: _devices(system, process.pid, table, shared, namespaces)),
        "masked_paths": [printable(path) for path in table.masked_paths()],
        "read_only_paths": [printable(path) for path in table.read_only_paths()],
        "read_only_root": root.read_only if root else unreadable("the root of the container is not a mount"),
    }


def _from_host(
    host_mounts: HostMounts,
    table: MountTable,
    *,
    namespaces: Mapping[str, str],
    identity: str,
    binds: Mapping[str, str],
) -> dict[int, str]:
    """Mount id -> the host's path, of the mounts that show a part of the host's file systems.

    Without what the engine itself put there. The host's own table is the witness; the engine's word counts
    for a mount that this table does not show.
    """
    sources = {}
    for mount in table.visible():
        if not _is_own(mount, namespaces):
            source = host_mounts.path_of(mount) or binds.get(mount.mountpoint)
            if source is not None and not (identity and identity in source):
                sources[mount.id] = source
    root = table.at("/")
    if root and sensitive_kind(sources.get(root.id, "/none"), read_only=False) is None:
        sources.pop(root.id, None)  # the host sees the container's root file system too
    return sources


def _binds(table: MountTable, shared: Mapping[int, str]) -> list[dict[str, Any]]:
    """The binds; of what a recursive bind brings along only that which is sensitive itself."""
    listed = []
    for mount in table.visible():
        source = shared.get(mount.id)
        if source is None or _is_a_device_in_its_place(mount, source):
            continue
        kind = sensitive_kind(source, read_only=mount.read_only)
        if kind is None and mount.parent in shared:
            continue
        listed.append(
            {
                "source": printable(source),
                "destination": printable(mount.mountpoint),
                "read_only": mount.read_only,
                "propagation": mount.propagation,
                "sensitive": kind,
            }
        )
        if len(listed) > _MOUNT_LIMIT:
            raise PortError(f"more than {_MOUNT_LIMIT} mounts from the host")
    return sorted(listed, key=lambda entry: str(entry["destination"]))


def _is_own(mount: Mount, namespaces: Mapping[str, str]) -> bool:
    if mount.filesystem in _OWN_FILESYSTEMS and mount.mountpoint.startswith(("/sys/fs/cgroup", "/dev/")):
        return True
    # A container in the host's network (or PID) namespace gets the host's sysfs (or proc, before Linux 5.8).
    if mount.filesystem == "sysfs" and mount.mountpoint == "/sys":
        return namespaces["net"] == "host"
    below_proc = mount.mountpoint == "/proc" or mount.mountpoint.startswith("/proc/")
    return mount.filesystem == "proc" and below_proc and namespaces["pid"] == "host"


def _is_a_device_in_its_place(mount: Mount, source: str) -> bool:
    """Listed under `devices` (or harmless), like the nodes that a runtime makes; or it masks a path."""
    if source == "/dev/null":
        return True
    return mount.filesystem == "devtmpfs" and mount.root != "/" and mount.mountpoint == source


def _devices(
    system: System,
    pid: int,
    table: MountTable,
    shared: Mapping[int, str],
    namespaces: Mapping[str, str],
) -> list[str]:
    """Device nodes beyond the standard ones: nodes in /dev, and nodes of the host mounted one by one.

    Within a user namespace of its own a container cannot make nodes that open (mknod(2)), so that the mounts
    are all there is.
    """
    mounted = {
        mount.mountpoint
        for mount in table.visible()
        if mount.filesystem == "devtmpfs"
        and mount.root != "/"
        and mount.parent not in shared
        and posixpath.basename(mount.root) not in STANDARD_DEVICES
    }
    dev = table.at("/dev")
    whole = dev is not None and dev.filesystem == "devtmpfs"
    nodes = device_nodes(system, pid, table) if namespaces["user"] == "host" or whole else []
    return sorted(printable(path) for path in mounted.union(nodes))
