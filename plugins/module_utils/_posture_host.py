# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `host`: which machine this is, what runs it, and since when."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable, rfc3339
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    System,
)

__all__ = ["HOST_WITNESSES", "boot_time", "collect_host", "parse_os_release"]

HOST_WITNESSES = {
    "host.hostname": "/proc/sys/kernel/hostname",
    "host.distribution": "/etc/os-release",
    "host.virtualization": "systemd-detect-virt",
    "host.init": "/proc/1/comm and /run/systemd/system",
    "host.boot_time": "/proc/stat (btime)",
}

_ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")
_ESCAPED = re.compile(r"\\(.)")


def collect_host(system: System) -> dict[str, Any]:
    """The `host` part of the posture."""
    return {
        "hostname": attempt(lambda: printable(system.read_text("/proc/sys/kernel/hostname").strip())),
        "distribution": attempt(lambda: _distribution(system)),
        "virtualization": attempt(lambda: _virtualization(system)),
        "init": attempt(lambda: _init(system)),
        "boot_time": attempt(lambda: rfc3339(boot_time(system))),
    }


def parse_os_release(text: str) -> dict[str, str]:
    """os-release(5): `NAME=value` lines, values in shell quoting, comments and anything else left out."""
    fields = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line.strip())
        if match:
            fields[match[1]] = _unquote(match[2].strip())
    return fields


def boot_time(system: System) -> float:
    """When the kernel booted, in seconds since the epoch (proc_stat(5), btime)."""
    match = re.search(r"^btime (\d+)$", system.read_text("/proc/stat"), re.MULTILINE)
    if match is None:
        raise PortError("/proc/stat: no btime in it")
    return float(match[1])


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return _ESCAPED.sub(r"\1", value)


def _distribution(system: System) -> dict[str, Any]:
    try:
        text = system.read_text("/etc/os-release")
    except NotThere:
        text = system.read_text("/usr/lib/os-release")
    fields = parse_os_release(text)
    return {
        "id": fields.get("ID", "linux"),  # the default of os-release(5)
        "version_id": fields.get("VERSION_ID"),
        "codename": fields.get("VERSION_CODENAME"),
        "name": fields.get("PRETTY_NAME", fields.get("NAME", "Linux")),
    }


def _virtualization(system: System) -> str:
    completed = system.run(["systemd-detect-virt"])
    # "none" ends with status 1 (systemd-detect-virt(1)), so that the answer counts and not the status
    answer = completed.stdout.strip()
    if not re.fullmatch(r"[a-z0-9-]+", answer):
        raise PortError(f"systemd-detect-virt: no answer, exit status {completed.returncode}")
    return answer


def _init(system: System) -> dict[str, Any]:
    booted = system.exists("/run/systemd/system")  # sd_booted(3)
    name = "systemd" if booted else printable(system.read_text("/proc/1/comm").strip())
    return {"name": name, "booted": booted}
