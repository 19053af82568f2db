# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host looks like from outside the collection: files byte for byte, containers, the engine's settings.

Nothing of the collection is used for it, so that a mistake in the collection cannot hide here too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lab.machine import Machine

__all__ = ["Sight", "look", "wait_for_engine"]

# Runs on the host. Everything that a run may change, and everything that it must not.
_SCRIPT = r"""
import glob, hashlib, json, os, stat, subprocess

PATHS = ["/etc/docker", "/etc/docker/**", "/etc/systemd/system/docker.service.d/**",
         "/etc/systemd/system/docker.socket.d/**", "/etc/audit/rules.d/**", "/etc/sysctl.d/**",
         "/etc/needrestart/**", "/etc/apt/apt.conf.d/**", "/etc/default/docker", "/run/docker.sock",
         "/home/rootless/.config/**", "/var/lib/docker", "/usr/lib/systemd/system/docker.service",
         "/usr/lib/systemd/system/docker.socket"]
SYSCTLS = ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables",
           "net/ipv4/conf/docker0/route_localnet"]


def facts(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    content = None
    if kind == stat.S_IFREG:
        with open(path, "rb") as stream:
            content = hashlib.sha256(stream.read()).hexdigest()
    elif kind == stat.S_IFLNK:
        content = os.readlink(path)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False).hex()
                  for name in os.listxattr(path, follow_symlinks=False)}
    return [oct(status.st_mode), status.st_uid, status.st_gid, content, attributes]


def ticks(pid):
    with open("/proc/%s/stat" % pid) as stream:
        return stream.read().rpartition(")")[2].split()[19]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout


def containers(*command):
    running = output(*command, "ps", "--quiet").split()
    rows = output(*command, "inspect", "--format", "{{.Name}} {{.State.Pid}}", *running) if running else ""
    pairs = [row.lstrip("/").split() for row in rows.splitlines()]
    return {name: [pid, ticks(pid)] for name, pid in pairs}


def sysctl(name):
    try:
        with open("/proc/sys/" + name) as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return None


# Docker 20.10 does not tell of it in its options.
status = output("docker", "run", "--rm", "--network", "none", "localhost/busybox:1",
                "/bin/busybox", "grep", "NoNewPrivs", "/proc/self/status")
info = json.loads(output("docker", "info", "--format", "{{json .}}"))
runtime = "XDG_RUNTIME_DIR=/run/user/" + output("id", "-u", "rootless").strip()
user = ["runuser", "--user", "rootless", "--", "env", runtime]
# "directory/**" matches its own name even where there is no such directory
found = {path.rstrip("/") for pattern in PATHS
         for path in glob.glob(pattern, recursive=True, include_hidden=True)}
files = sorted(path for path in found if os.path.lexists(path))
shims = [cgroup for cgroup in glob.glob("/sys/fs/cgroup/system.slice/docker-*.scope")]
print(json.dumps({
    "files": {path: facts(path) for path in files},
    "docker": containers("docker"),
    "podman": containers(*user, "podman"),
    "engine": {"live_restore": info["LiveRestoreEnabled"], "security": sorted(info["SecurityOptions"]),
               "root": info["DockerRootDir"], "driver": info["LoggingDriver"],
               "no_new_privileges": status.split()[1]},
    "bridge": output("docker", "network", "inspect", "bridge", "--format", "{{json .Options}}"),
    "sysctls": {name: sysctl(name) for name in SYSCTLS},
    "cgroups": len(shims),
}))
"""


@dataclass(frozen=True)
class Sight:
    """One look at a host."""

    files: dict[str, Any]
    docker: dict[str, list[str]]
    podman: dict[str, list[str]]
    engine: dict[str, Any]
    bridge: str
    sysctls: dict[str, str | None]
    cgroups: int

    def differences(self, later: Sight) -> list[str]:
        """What is not the same in a later look, one line each."""
        found = []
        for part in ("files", "docker", "podman", "engine", "sysctls"):
            before, after = getattr(self, part), getattr(later, part)
            found += [
                f"{part}: {name}: {before.get(name)} -> {after.get(name)}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
        if self.bridge != later.bridge:
            found.append(f"bridge: {self.bridge} -> {later.bridge}")
        if later.cgroups != len(later.docker):
            found.append(f"{later.cgroups} containers have a cgroup, the engine lists {len(later.docker)}")
        return found


def look(machine: Machine) -> Sight:
    """Look at the host now; its engine has to answer."""
    return Sight(**json.loads(machine.run(f"python3 - <<'END'\n{_SCRIPT}\nEND\n", limit=180)))


def wait_for_engine(machine: Machine) -> None:
    """Return when the engine answers."""
    waiting = "for i in $(seq 120); do docker version >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1\n"
    machine.run(waiting, limit=240)
