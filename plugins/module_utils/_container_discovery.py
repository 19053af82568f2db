# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds every running container in one pass over /proc, whatever started it.

A process is in a container when it has a mount namespace of its own and either lies in a cgroup that is named
as container engines name theirs, or has a PID namespace and a root file system of its own with a /proc in it.
The second rule finds what no engine made. It passes over services with PrivateTmp and the like (the host's
PID namespace or root) and over programs that lock themselves into an empty directory (browsers, pasta).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import (
    CgroupMark,
    marks_of,
    parse_cgroup_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import MountTable, read_mounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import read_status

__all__ = ["FoundContainer", "Member", "find_containers"]

PROCESS_LIMIT = 200_000


@dataclass(frozen=True)
class Member:
    """A process that does not share the host's mount namespace."""

    pid: int
    start_ticks: int
    mount_namespace: str
    pid_namespace: str
    namespace_pids: tuple[int, ...]
    cgroup: dict[str, str]
    marks: tuple[CgroupMark, ...]


@dataclass
class FoundContainer:
    """The processes of one container.

    `mark` is what its cgroup's name (or, found later, its monitor) claims, None when nothing is claimed;
    `nested` says that it runs within another container.
    """

    mark: CgroupMark | None
    members: list[Member]
    init: Member = field(init=False)
    nested: bool = False

    def __post_init__(self) -> None:
        self.init = _init_of(self.members)

    @property
    def pids(self) -> list[int]:
        return [member.pid for member in self.members]


def find_containers(system: System, *, host_mounts: MountTable) -> list[FoundContainer]:
    """The containers that run now, by the number of their first process; raises `PortError`."""
    host_pid_namespace = system.read_link("/proc/1/ns/pid")
    members = _members(system)
    by_cgroup: dict[str, list[Member]] = {}
    by_namespace: dict[str, list[Member]] = {}
    for member in members:
        private = member.pid_namespace != host_pid_namespace
        if member.marks and (member.marks[0].certain or private):
            by_cgroup.setdefault(member.marks[0].path, []).append(member)
        elif private:
            by_namespace.setdefault(member.pid_namespace, []).append(member)
    found = [FoundContainer(group[0].marks[0], group) for group in by_cgroup.values()]
    _bring_back_strays(found, by_namespace, host_pid_namespace)
    found += [nested for container in found for nested in _split_nested(container)]
    found += [FoundContainer(None, group) for group in by_namespace.values()]
    return sorted(
        (container for container in found if _is_one(system, container, host_mounts)),
        key=lambda container: container.init.pid,
    )


def _is_one(system: System, container: FoundContainer, host_mounts: MountTable) -> bool:
    """Only root's cgroups are proof of a container: any user can give a name to a cgroup of the own slice."""
    if container.mark is not None and container.mark.user is None:
        return True
    return _has_own_root(system, container.init, host_mounts)


def _members(system: System) -> list[Member]:
    host_mount_namespace = system.read_link("/proc/1/ns/mnt")
    pids = system.pids()
    if len(pids) > PROCESS_LIMIT:
        raise PortError(f"/proc: more than {PROCESS_LIMIT} processes")
    members = []
    for pid in pids:
        try:
            # Most processes are the host's own, and are passed over after this one call.
            if system.read_link(f"/proc/{pid}/ns/mnt") != host_mount_namespace:
                members.append(_member(system, pid))
        except PortError:
            continue  # it has ended meanwhile (a kernel thread or a zombie has no namespaces to read)
    return members


def _member(system: System, pid: int) -> Member:
    with system.process(pid) as process:
        cgroup = parse_cgroup_file(process.read_text("cgroup"))
        return Member(
            pid=pid,
            start_ticks=process.start_ticks,
            mount_namespace=process.read_link("ns/mnt"),
            pid_namespace=process.read_link("ns/pid"),
            namespace_pids=read_status(process).namespace_pids,
            cgroup=cgroup,
            marks=marks_of(cgroup),
        )


def _init_of(members: list[Member]) -> Member:
    """Process 1 of the outermost PID namespace in the group, or the oldest when it has none of its own."""
    leaders = [
        member for member in members if len(member.namespace_pids) > 1 and member.namespace_pids[-1] == 1
    ]
    if leaders:
        return min(leaders, key=lambda member: (len(member.namespace_pids), member.start_ticks, member.pid))
    return min(members, key=lambda member: (member.start_ticks, member.pid))


def _bring_back_strays(
    found: list[FoundContainer], by_namespace: dict[str, list[Member]], host_pid_namespace: str
) -> None:
    """A process that moved to another cgroup still belongs to the container whose PID namespace it is in."""
    for container in found:
        namespace = container.init.pid_namespace
        if namespace != host_pid_namespace and namespace in by_namespace:
            container.members += by_namespace.pop(namespace)


def _split_nested(container: FoundContainer) -> list[FoundContainer]:
    """Take the containers within a container out of it.

    A cgroup's name inside the container is its own choice. It is believed only for processes that left both
    the mount and the PID namespace of the container's init, so that no name hides a process of the container.
    """
    nested: dict[str, list[Member]] = {}
    own = []
    for member in container.members:
        left = (
            member.pid_namespace != container.init.pid_namespace
            and member.mount_namespace != container.init.mount_namespace
        )
        if left and len(member.marks) > 1:
            nested.setdefault(member.marks[-1].path, []).append(member)
        else:
            own.append(member)
    container.members = own
    return [FoundContainer(group[0].marks[-1], group, nested=True) for group in nested.values()]


def _has_own_root(system: System, init: Member, host_mounts: MountTable) -> bool:
    try:
        with system.process(init.pid) as process:
            mounts = read_mounts(process)
    except PortError:
        return False
    root, host_root = mounts.at("/"), host_mounts.at("/")
    same = root and host_root and (root.device, root.root) == (host_root.device, host_root.root)
    return not same and any(mount.filesystem == "proc" for mount in mounts.visible())
