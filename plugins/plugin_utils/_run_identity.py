# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which run this is: one process of ansible-playbook on one controller, named to be looked for later."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["run_identity", "verdict_on"]


def run_identity(pid: int) -> dict[str, Any]:
    """The run of the process `pid`, as the lock on a host names its holder.

    The same process has the same identity for as long as it lives, so that each of its tasks finds it again.
    """
    process = {
        "machine": _text(Path("/etc/machine-id")),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")),
        "namespace": _namespace(),
        "started": _started(pid),
    }
    controller = socket.gethostname()
    name = "\n".join([controller, str(pid), *(str(value) for value in process.values())])
    return {
        "run": hashlib.sha256(name.encode()).hexdigest()[:16],
        "controller": controller,
        "user": getpass.getuser(),
        "pid": pid,
        "process": process,
    }


def verdict_on(holder: Mapping[str, Any]) -> str:
    """Whether the run that holds a lock lives: `gone`, `alive`, or `unknown` where it cannot be told here.

    A process is looked for on the same machine, in the same boot and process namespace only; after another
    boot of the same machine it is gone.
    """
    mine, process = run_identity(os.getpid()), holder["process"]
    if holder["controller"] != mine["controller"] or process.get("machine") != mine["process"]["machine"]:
        return "unknown"
    if process.get("boot") != mine["process"]["boot"]:
        return "gone"
    if process.get("namespace") != mine["process"]["namespace"]:
        return "unknown"
    return "alive" if _started(holder["pid"]) == process.get("started") else "gone"


def _text(path: Path) -> str | None:
    return path.read_text(encoding="ascii").strip() if path.is_file() else None


def _namespace() -> str | None:
    link = Path("/proc/self/ns/pid")
    return str(link.readlink()) if link.is_symlink() else None


def _started(pid: int) -> str | None:
    """When a process started: clock ticks since boot (proc_pid_stat(5)), or what ps says on other systems."""
    if Path("/proc/self/stat").is_file():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        return text.rpartition(")")[2].split()[19]
    completed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return completed.stdout.strip() or None
