# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of one container, measured on its first process."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import CgroupLimits
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_discovery import FoundContainer
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_mounts import mount_facts
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    not_applicable,
    printable,
    rfc3339,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import HostMounts, read_mounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    ProcessHandle,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._privilege import (
    Confinement,
    privileged_verdict,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import (
    ProcessStatus,
    capability_names,
    id_map,
    read_lsm,
    read_status,
    root_outside,
    selinux_enforcing,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._process_objects import program_is

__all__ = ["HIDDEN_BY_A_SANDBOX", "HostView", "measure", "sandbox_of", "view_host"]

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
HIDDEN_BY_A_SANDBOX = (
    "capabilities",
    "seccomp",
    "no_new_privileges",
    "lsm",
    "user_namespace",
    "namespaces",
    "mounts",
    "devices",
    "masked_paths",
    "read_only_paths",
    "read_only_root",
    "privileged",
    "extra_privilege_processes",
    "processes",
)
_MEMBER_LIMIT = 2000


@dataclass(frozen=True)
class HostView:
    """What containers are compared with: the first process of the host and what belongs to it."""

    namespaces: Mapping[str, str]
    mounts: HostMounts
    limits: CgroupLimits
    every_capability: int
    selinux_enforcing: bool | None
    boot_time: float


def view_host(system: System) -> HostView:
    """Look at process 1; raises `PortError`, for example without the right to."""
    with system.process(1) as first:
        namespaces = {name: _link(first, name) for name in _NAMESPACES}
        mounts = read_mounts(first)
    last = system.read_text("/proc/sys/kernel/cap_last_cap").strip()
    booted = [line for line in system.read_text("/proc/stat").splitlines() if line.startswith("btime ")]
    if not last.isdigit() or not booted:
        raise PortError("/proc: the kernel's last capability or its boot time is not there")
    return HostView(
        namespaces=namespaces,
        mounts=HostMounts(mounts),
        limits=CgroupLimits(system, mounts.mounts),
        every_capability=(1 << (int(last) + 1)) - 1,
        selinux_enforcing=selinux_enforcing(system),
        boot_time=float(booted[0].split()[1]),
    )


def _link(process: ProcessHandle, namespace: str) -> str:
    try:
        return process.read_link(f"ns/{namespace}")
    except NotThere:
        return ""  # a kernel without that kind of namespace: then it is the host's


def _init_facts(
    system: System, host: HostView, found: FoundContainer, status: ProcessStatus
) -> dict[str, Any]:
    started = host.boot_time + found.init.start_ticks / os.sysconf("SC_CLK_TCK")
    return {
        "pid": found.init.pid,
        "started_at": rfc3339(started),
        "start_ticks": found.init.start_ticks,
        "comm": status.comm,
        "uid": status.uid,
    }


def measure(
    system: System, host: HostView, found: FoundContainer, *, sandbox: str | None, binds: Mapping[str, str]
) -> dict[str, Any]:
    """Every fact of the container that comes from the kernel.

    `binds` is what the engine says it has mounted, destination -> source: it names the source of a mount that
    the host's own table does not show. Raises `NotThere` when the container ended while it was read.
    """
    with system.process(found.init.pid) as process:
        if process.start_ticks != found.init.start_ticks:
            raise NotThere(f"process {found.init.pid}: it is another process now")
        status = read_status(process)
        own = found.mark.path if found.mark else None
        facts: dict[str, Any] = {
            "init": _init_facts(system, host, found, status),
            "cgroup": printable(_cgroup_of(found)),
            "limits": attempt(lambda: host.limits.read(found.init.cgroup, own)),
        }
        if sandbox is not None:
            name = {"gvisor": "gVisor", "kata": "Kata Containers"}[sandbox]
            hidden = not_applicable(f"{name}: /proc shows the sandbox, not the container")
            return {**facts, **dict.fromkeys(HIDDEN_BY_A_SANDBOX, hidden)}
        facts.update(_identity_facts(host, process, status))
        identity = (found.mark.id if found.mark else None) or ""
        facts.update(
            mount_facts(
                system, host.mounts, process, namespaces=facts["namespaces"], identity=identity, binds=binds
            )
        )
    facts["privileged"] = _verdict(host, status, facts)
    facts.update(_member_facts(system, found, status))
    return facts


def _cgroup_of(found: FoundContainer) -> str:
    if found.mark is not None:
        return found.mark.path
    return (
        next(iter(found.init.cgroup.values()), "/") if "" not in found.init.cgroup else found.init.cgroup[""]
    )


def _identity_facts(host: HostView, process: ProcessHandle, status: ProcessStatus) -> dict[str, Any]:
    links = {name: _link(process, name) for name in _NAMESPACES}
    shared = {name: links[name] == host.namespaces[name] for name in _NAMESPACES}
    return {
        "capabilities": status.capabilities.names(),
        "seccomp": status.seccomp(),
        "no_new_privileges": status.no_new_privileges,
        "lsm": attempt(lambda: read_lsm(process, selinux_enforcing=host.selinux_enforcing)),
        "user_namespace": attempt(lambda: _user_namespace(process, shared["user"])),
        "namespaces": {name: "host" if same else "private" for name, same in shared.items()},
    }


def _user_namespace(process: ProcessHandle, shared: bool) -> dict[str, Any]:
    ranges = id_map(process)
    return {"host": shared, "root_is_host_root": root_outside(ranges) == 0, "uid_map": ranges}


def _verdict(host: HostView, status: ProcessStatus, facts: Mapping[str, Any]) -> dict[str, Any]:
    if is_unreadable(facts["masked_paths"]) or is_unreadable(facts["lsm"]):
        return unreadable("the LSM label or the mounts of the container could not be read")
    return privileged_verdict(
        Confinement(
            bounding=status.capabilities.bounding,
            permitted=status.capabilities.permitted,
            every_capability=host.every_capability,
            no_new_privileges=status.no_new_privileges,
            host_user_namespace=facts["namespaces"]["user"] == "host",
            seccomp_mode=status.seccomp_mode,
            lsm_mode=facts["lsm"]["mode"],
            masked_paths=facts["masked_paths"],
            read_only_paths=facts["read_only_paths"],
            devices=[] if is_unreadable(facts["devices"]) else facts["devices"],
        )
    )


def _member_facts(system: System, found: FoundContainer, init: ProcessStatus) -> dict[str, Any]:
    """How many processes there are, whether one is an ssh server, and which hold more than the init."""
    processes: dict[str, Any] = {"count": len(found.members)}
    if len(found.members) > _MEMBER_LIMIT:
        many = unreadable(f"{len(found.members)} processes, more than the {_MEMBER_LIMIT} that are looked at")
        return {"processes": {**processes, "sshd": many}, "extra_privilege_processes": many}
    extra, ssh = [], False
    user_namespace = None
    for pid in [found.init.pid, *(pid for pid in found.pids if pid != found.init.pid)]:
        with contextlib.suppress(PortError), system.process(pid) as process:
            status = read_status(process)
            ssh = ssh or status.comm == "sshd" or status.comm.startswith("sshd-")
            namespace = _link(process, "user")
            user_namespace = user_namespace or namespace
            # In a user namespace that it made itself a process holds everything, over nothing else.
            if namespace == user_namespace:
                extra += _extra_privilege(pid, status, init)
    return {"processes": {**processes, "sshd": ssh}, "extra_privilege_processes": extra}


def _extra_privilege(pid: int, status: ProcessStatus, init: ProcessStatus) -> list[dict[str, Any]]:
    held, limits = status.capabilities, init.capabilities
    gained = (held.permitted & ~limits.permitted) | (held.bounding & ~limits.bounding)
    freed = init.no_new_privileges and not status.no_new_privileges
    unfiltered = init.seccomp_mode != "disabled" and status.seccomp_mode == "disabled"
    if not (gained or freed or unfiltered):
        return []
    return [
        {
            "pid": pid,
            "comm": status.comm,
            "gained": capability_names(gained),
            "no_new_privileges": status.no_new_privileges,
            "seccomp": status.seccomp(),
        }
    ]


def sandbox_of(system: System, found: FoundContainer) -> str | None:
    """`gvisor` when the container's first process is the host's own runsc, else None.

    A container can call its program runsc to be passed over: only the inode of root's file counts.
    """
    with contextlib.suppress(PortError), system.process(found.init.pid) as process:
        program = process.read_link("exe")
        if posixpath.basename(program).startswith("runsc") and program_is(system, found.init.pid, program):
            return "gvisor"
    return None
