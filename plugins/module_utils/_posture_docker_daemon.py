# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker daemon's process: which one it is, since when it runs, what it was started with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    ProcessHandle,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_listeners import (
    Listener,
    tcp_listeners,
)

__all__ = ["Daemon", "find_daemon", "packaging_of", "pid_in_file"]

PIDFILES = ("/run/docker.pid", "/var/run/docker.pid")
_DPKG_LISTS = tuple(f"/var/lib/dpkg/info/{name}.list" for name in ("docker.io", "docker-ce", "moby-engine"))
_UID_LINE = re.compile(r"^Uid:\s+\d+\s+(\d+)\b", re.MULTILINE)


@dataclass(frozen=True)
class Daemon:
    """The running rootful daemon.

    :ivar executable: where its /proc/PID/exe leads
    :ivar argv: its command line
    :ivar started_at: seconds since the epoch
    :ivar listeners: its TCP listeners, or the reason (a text) why they are not known
    :ivar proxies: whether it runs docker-proxy processes, None when that is not known
    """

    pid: int
    executable: str
    argv: list[str]
    started_at: float
    listeners: list[Listener] | str
    proxies: Optional[bool]


def find_daemon(system: System, main_pid: int) -> Optional[Daemon]:
    """The process that systemd names, else the one in the pid file, else the first `dockerd` of root."""
    candidates = [main_pid] if main_pid else []
    candidates += [pid for path in PIDFILES for pid in [pid_in_file(system, path)] if pid]
    for pid in candidates:
        daemon = _daemon(system, pid)
        if daemon is not None:
            return daemon
    for pid in system.pids():
        if pid not in candidates and _comm(system, pid) == "dockerd":
            daemon = _daemon(system, pid)
            if daemon is not None:
                return daemon
    return None


def pid_in_file(system: System, path: str) -> Optional[int]:
    """The process id in a pid file, None when there is none."""
    try:
        text = system.read_text(path, limit=64).strip()
    except PortError:
        return None
    return int(text) if text.isdigit() else None


def packaging_of(system: System, executable: str) -> str:
    """Who put the daemon there: `deb`, `rpm`, `snap` or `other`."""
    if executable.startswith("/snap/"):
        return "snap"
    if any(system.exists(path) for path in _DPKG_LISTS):
        return "deb"
    if system.find_program("rpm"):
        completed = system.run(["rpm", "--query", "--file", executable])
        if completed.returncode == 0:
            return "rpm"
    return "other"


def _daemon(system: System, pid: int) -> Optional[Daemon]:
    """The process when it is a dockerd of root in the first user namespace's eyes, else None."""
    try:
        with system.process(pid) as process:
            executable = process.read_link("exe").removesuffix(" (deleted)")
            owner = _UID_LINE.search(process.read_text("status"))
            if executable.rpartition("/")[2] != "dockerd" or owner is None or owner[1] != "0":
                return None
            return Daemon(
                pid=pid,
                executable=executable,
                argv=_argv(process),
                started_at=system.started_at(process.start_ticks),
                listeners=_listeners(process),
                proxies=_runs_proxies(system, process),
            )
    except NotThere:
        return None


def _argv(process: ProcessHandle) -> list[str]:
    words = process.read_bytes("cmdline").split(b"\0")
    return [word.decode("utf-8", "surrogateescape") for word in words[:-1]]


def _listeners(process: ProcessHandle) -> list[Listener] | str:
    try:
        return tcp_listeners(process)
    except PortError as error:
        return str(error)


def _runs_proxies(system: System, process: ProcessHandle) -> Optional[bool]:
    try:
        children = [
            int(child)
            for thread in process.list_directory("task")
            for child in process.read_text(f"task/{thread}/children").split()
        ]
    except PortError:
        return None  # a thread ended meanwhile, or a kernel without these files
    return any(_comm(system, child) == "docker-proxy" for child in children)


def _comm(system: System, pid: int) -> Optional[str]:
    try:
        return system.read_text(f"/proc/{pid}/comm", limit=64).strip()
    except NotThere:
        return None
