# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What /proc/PID/status and its neighbours say of a process: capabilities, seccomp, LSM label, id maps."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    ProcessHandle,
    System,
)

__all__ = [
    "CapabilitySets",
    "ProcessStatus",
    "capability_names",
    "id_map",
    "lsm_confinement",
    "parse_status",
    "read_lsm",
    "read_status",
    "resource_limits",
    "root_outside",
    "selinux_enforcing",
]

# fmt: off
# Numbered from 0 as in include/uapi/linux/capability.h (Linux 6.12; the last one is 40).
_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
    "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)
# fmt: on
_SECCOMP_MODES = {"0": "disabled", "1": "strict", "2": "filter"}  # prctl(2), PR_GET_SECCOMP
_ID_MAP_LIMIT = 64 * 1024  # 340 lines at most, user_namespaces(7)

# The names of /proc/PID/limits (fs/proc/base.c, lnames), as ulimits are called.
_RESOURCES = {
    "cpu time": "cpu",
    "file size": "fsize",
    "data size": "data",
    "stack size": "stack",
    "core file size": "core",
    "resident set": "rss",
    "processes": "nproc",
    "open files": "nofile",
    "locked memory": "memlock",
    "file locks": "locks",
    "pending signals": "sigpending",
    "msgqueue size": "msgqueue",
    "nice priority": "nice",
    "realtime priority": "rtprio",
    "realtime timeout": "rttime",
}
_RESOURCE = re.compile(r"Max ([a-z ]+?) +(\d+|unlimited) +(\d+|unlimited) *\w*")

# Domains that container-selinux and the reference policy leave unconfined.
_UNCONFINED_DOMAINS = {
    "container_runtime_t",
    "init_t",
    "initrc_t",
    "kernel_t",
    "spc_t",
    "unconfined_service_t",
    "unconfined_t",
}


@dataclass(frozen=True)
class CapabilitySets:
    """The five sets of a process as bit masks (capabilities(7))."""

    effective: int
    permitted: int
    bounding: int
    inheritable: int
    ambient: int

    def names(self) -> dict[str, list[str]]:
        """The sets by name, each list in the kernel's order."""
        return {name: capability_names(mask) for name, mask in vars(self).items()}


@dataclass(frozen=True)
class ProcessStatus:
    """The part of /proc/PID/status that the posture needs; ids are those that the reader sees.

    `namespace_pids` holds the process's number in each PID namespace, the reader's first (`NSpid`).
    """

    comm: str
    parent: int
    uid: int
    namespace_pids: tuple[int, ...]
    capabilities: CapabilitySets
    seccomp_mode: str
    seccomp_filters: int | None
    no_new_privileges: bool

    def seccomp(self) -> dict[str, Any]:
        """Mode and number of filters (null on kernels before 5.9, which do not count them)."""
        return {"mode": self.seccomp_mode, "filters": self.seccomp_filters}


def capability_names(mask: int) -> list[str]:
    """`CAP_…` names of the bits in `mask`; a bit that is newer than this table is named by its number."""
    return [_capability_name(bit) for bit in range(mask.bit_length()) if mask >> bit & 1]


def _capability_name(bit: int) -> str:
    return f"CAP_{_CAPABILITIES[bit]}" if bit < len(_CAPABILITIES) else f"CAP_{bit}"


def parse_status(text: str) -> ProcessStatus:
    """Parse the text of /proc/PID/status (proc_pid_status(5)); raises `PortError` when a line is missing.

    The kernel escapes newlines in the command name, so that the name cannot forge a line.
    """
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    try:
        return ProcessStatus(
            comm=printable(lines["Name"].strip()),
            parent=int(lines["PPid"]),
            uid=int(lines["Uid"].split()[0]),
            namespace_pids=tuple(int(number) for number in lines["NSpid"].split()),
            capabilities=CapabilitySets(
                effective=int(lines["CapEff"], 16),
                permitted=int(lines["CapPrm"], 16),
                bounding=int(lines["CapBnd"], 16),
                inheritable=int(lines["CapInh"], 16),
                ambient=int(lines["CapAmb"], 16),
            ),
            seccomp_mode=_SECCOMP_MODES[lines["Seccomp"].strip()],
            seccomp_filters=int(lines["Seccomp_filters"]) if "Seccomp_filters" in lines else None,
            no_new_privileges=lines["NoNewPrivs"].strip() == "1",
        )
    except (KeyError, ValueError, IndexError) as error:
        raise PortError(f"/proc/PID/status: {error} is missing or not understood") from error


def read_status(process: ProcessHandle) -> ProcessStatus:
    """The status of the process behind the handle."""
    return parse_status(process.read_text("status"))


def id_map(process: ProcessHandle) -> list[dict[str, int]]:
    """The user id map as `{inside, outside, count}`, outside as the reader sees it (user_namespaces(7))."""
    ranges = []
    for line in process.read_text("uid_map", limit=_ID_MAP_LIMIT).splitlines():
        fields = line.split()
        if len(fields) != 3 or not all(field.isdigit() for field in fields):
            raise PortError("/proc/PID/uid_map: a line is not three numbers")
        ranges.append({"inside": int(fields[0]), "outside": int(fields[1]), "count": int(fields[2])})
    return ranges


def root_outside(ranges: list[dict[str, int]]) -> int | None:
    """The host's id of the container's root, or None when its root is mapped to nobody."""
    return next((entry["outside"] for entry in ranges if entry["inside"] == 0 and entry["count"]), None)


def resource_limits(process: ProcessHandle) -> dict[str, dict[str, int | None]]:
    """The soft and hard limits of /proc/PID/limits by the names of ulimits; None: unlimited."""
    rows = (_RESOURCE.fullmatch(line) for line in process.read_text("limits").splitlines())
    return {
        _RESOURCES[row[1]]: {"soft": _number_of(row[2]), "hard": _number_of(row[3])}
        for row in rows
        if row is not None and row[1] in _RESOURCES
    }


def _number_of(text: str) -> int | None:
    return None if text == "unlimited" else int(text)


def selinux_enforcing(system: System) -> bool | None:
    """Whether SELinux denies what its policy does not let; None: it is off."""
    with contextlib.suppress(NotThere):
        return system.read_text("/sys/fs/selinux/enforce").strip() == "1"
    return None


def read_lsm(process: ProcessHandle, *, selinux_enforcing: bool | None) -> dict[str, Any]:
    """The process's LSM label and mode, from attr/apparmor/current or attr/current (proc_pid_attr(5)).

    `selinux_enforcing` is None where SELinux is off. attr/current belongs to the first major LSM, so that
    AppArmor's own file is read first; a kernel without a major LSM answers EINVAL.
    """
    if selinux_enforcing is None:
        try:
            return lsm_confinement("apparmor", process.read_text("attr/apparmor/current"))
        except NotThere:
            pass
    try:
        label = process.read_text("attr/current")
    except NotThere:
        label = ""
    except PortError as error:
        if "Invalid argument" not in str(error):
            raise
        label = ""
    if selinux_enforcing is None:
        return lsm_confinement("apparmor" if label.strip("\0\n ") else "none", label)
    return lsm_confinement("selinux", label, enforcing=selinux_enforcing)


def lsm_confinement(name: str, text: str, *, enforcing: bool = True) -> dict[str, Any]:
    """What a label text means: `docker-default (enforce)`, `unconfined`, `system_u:system_r:spc_t:s0`."""
    label = printable(text.strip("\0\n "))
    if name == "none":
        return {"name": "none", "label": None, "mode": "unconfined"}
    if name == "selinux":
        domain = (label.split(":") + ["", "", ""])[2]
        if domain in _UNCONFINED_DOMAINS:
            return {"name": name, "label": label, "mode": "unconfined"}
        return {"name": name, "label": label, "mode": "enforce" if enforcing else "permissive"}
    with_mode = re.fullmatch(r"(.*) \((\w+)\)", label)
    if with_mode:
        return {"name": name, "label": with_mode[1], "mode": with_mode[2]}
    return {"name": name, "label": label, "mode": "unconfined" if label == "unconfined" else "unknown"}
