# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `kernel`: what the kernel was built with, what it enforces, what it is set to."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from functools import partial
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_kernel_tables import (
    KERNEL_MODULES,
    KERNEL_OPTIONS,
    SYSCTLS,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_namespace_trial import (
    try_user_namespace,
)

__all__ = [
    "KERNEL_WITNESSES",
    "collect_kernel",
    "parse_apparmor_profiles",
    "parse_kernel_config",
    "parse_lockdown",
    "parse_release",
]

KERNEL_WITNESSES = {
    "kernel.release": "/proc/sys/kernel/osrelease",
    "kernel.version": "/proc/sys/kernel/osrelease",
    "kernel.machine": "uname(2)",
    "kernel.config": "/proc/config.gz or the configuration beside the kernel in /boot",
    "kernel.lsm": "/sys/kernel/security/lsm",
    "kernel.apparmor": "/sys/module/apparmor/parameters/enabled and /sys/kernel/security/apparmor/profiles",
    "kernel.selinux": "/sys/fs/selinux/enforce",
    "kernel.lockdown": "/sys/kernel/security/lockdown",
    "kernel.btf": "/sys/kernel/btf/vmlinux",
    "kernel.cgroup": "/sys/fs/cgroup/cgroup.controllers or /proc/cgroups",
    "kernel.user_namespaces": "unshare(2), tried by a child process without privileges",
    "kernel.modules": "/sys/module and modules.builtin",
    "kernel.sysctls": "/proc/sys",
}

CONFIG_LIMIT = 4 * 1024 * 1024
PROFILES_LIMIT = 4 * 1024 * 1024


def collect_kernel(system: System) -> dict[str, Any]:
    """The `kernel` part of the posture."""
    release = attempt(lambda: system.read_text("/proc/sys/kernel/osrelease").strip())
    lsm = attempt(lambda: _lsm(system))
    return {
        "release": release,
        "version": attempt(lambda: parse_release(release)) if isinstance(release, str) else release,
        "machine": system.machine(),
        "config": attempt(lambda: _config(system, release)) if isinstance(release, str) else release,
        "lsm": lsm,
        "apparmor": attempt(lambda: _apparmor(system)),
        "selinux": attempt(lambda: _selinux(system)),
        "lockdown": attempt(lambda: _lockdown(system)),
        "btf": attempt(lambda: system.exists("/sys/kernel/btf/vmlinux")),
        "cgroup": attempt(lambda: _cgroup(system)),
        "user_namespaces": attempt(lambda: try_user_namespace().as_fact()),
        "modules": attempt(lambda: _modules(system, str(release))),
        "sysctls": {name: attempt(partial(_sysctl, system, name)) for name in SYSCTLS},
    }


def parse_release(release: str) -> dict[str, int]:
    """`6.12.41+deb13-amd64` -> major, minor and patch (0 where a release has only two numbers)."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if match is None:
        raise PortError(f"kernel release {release!r}: does not begin with two numbers")
    return {"major": int(match[1]), "minor": int(match[2]), "patch": int(match[3] or 0)}


def parse_kernel_config(text: str, wanted: tuple[str, ...] = KERNEL_OPTIONS) -> dict[str, Optional[str]]:
    """Value of each wanted option in a kernel's .config; None when it is not set or not known."""
    found = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))
    return {name: found.get(name) for name in wanted}


def parse_apparmor_profiles(text: str) -> dict[str, int]:
    """Number of loaded profiles per mode, from lines `name (mode)`; a name may hold parentheses itself."""
    modes = Counter(match[1] for match in re.finditer(r" \(([a-z_]+)\)$", text, re.MULTILINE))
    return {"enforce": 0, "complain": 0, "unconfined": 0, **modes}


def parse_lockdown(text: str) -> str:
    """`none [integrity] confidentiality` -> the one in brackets (kernel_lockdown(7))."""
    match = re.search(r"\[(\w+)\]", text)
    if match is None:
        raise PortError("/sys/kernel/security/lockdown: no level in brackets")
    return match[1]


def _config(system: System, release: str) -> dict[str, Any]:
    for path in (
        "/proc/config.gz",
        f"/boot/config-{release}",
        f"/lib/modules/{release}/config",
        f"/usr/lib/modules/{release}/config",
    ):
        try:
            content = system.read_bytes(path, limit=CONFIG_LIMIT)
        except NotThere:
            continue
        text = _gunzip(content, path) if path.endswith(".gz") else content
        return {"source": path, "options": parse_kernel_config(text.decode("utf-8", "replace"))}
    raise PortError(f"no kernel configuration: neither /proc/config.gz nor /boot/config-{release} is there")


def _gunzip(content: bytes, path: str) -> bytes:
    inflater = zlib.decompressobj(wbits=31)  # a gzip header
    try:
        text = inflater.decompress(content, CONFIG_LIMIT)
    except zlib.error as error:
        raise PortError(f"{path}: {error}") from error
    if not inflater.eof:
        raise PortError(f"{path}: longer than {CONFIG_LIMIT} bytes, or cut short")
    return text


def _lsm(system: System) -> list[str]:
    try:
        return system.read_text("/sys/kernel/security/lsm").strip().split(",")
    except NotThere as error:
        raise PortError("/sys/kernel/security/lsm: not there; securityfs is not mounted") from error


def _apparmor(system: System) -> dict[str, Any]:
    try:
        enabled = system.read_text("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    except NotThere:
        enabled = False
    if not enabled:
        return {"enabled": False, "profiles": None}
    path = "/sys/kernel/security/apparmor/profiles"
    return {
        "enabled": True,
        "profiles": attempt(lambda: parse_apparmor_profiles(system.read_text(path, limit=PROFILES_LIMIT))),
    }


def _selinux(system: System) -> dict[str, Any]:
    try:
        enforcing = system.read_text("/sys/fs/selinux/enforce").strip() == "1"
    except NotThere:
        return {"enabled": False, "mode": "disabled"}
    return {"enabled": True, "mode": "enforcing" if enforcing else "permissive"}


def _lockdown(system: System) -> Optional[str]:
    try:
        return parse_lockdown(system.read_text("/sys/kernel/security/lockdown"))
    except NotThere:
        if "lockdown" in _lsm(system):
            raise
        return None


def _cgroup(system: System) -> dict[str, Any]:
    try:
        controllers = system.read_text("/sys/fs/cgroup/cgroup.controllers").split()
    except NotThere:
        rows = [line.split() for line in system.read_text("/proc/cgroups").splitlines()]
        enabled = [row[0] for row in rows if len(row) == 4 and row[3] == "1"]
        return {"version": 1, "controllers": enabled}
    return {"version": 2, "controllers": controllers}


def _modules(system: System, release: str) -> dict[str, bool]:
    there = {name.replace("-", "_") for name in system.list_directory("/sys/module")}
    try:
        builtin = system.read_text(f"/lib/modules/{release}/modules.builtin")
    except NotThere:
        builtin = ""
    there |= {name.replace("-", "_") for name in re.findall(r"([^/\n]+)\.ko$", builtin, re.MULTILINE)}
    return {name: name in there for name in KERNEL_MODULES}


def _sysctl(system: System, name: str) -> Optional[str]:
    # "net.bridge.bridge-nf-call-iptables": the dots separate, the names themselves hold none here
    try:
        return " ".join(system.read_text(f"/proc/sys/{name.replace('.', '/')}").split())
    except NotThere:
        return None
