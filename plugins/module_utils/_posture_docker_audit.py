# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of Docker's files the kernel's audit watches, by its own list (CIS Docker Benchmark, 1.1.3 to 18)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System

__all__ = ["Watch", "audit_fact", "docker_watch_paths", "parse_rules"]

_PROGRAMS = ("containerd", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2", "runc")
_WRITES = frozenset("wa")
_ALL_PERMISSIONS = "rwxa"
_OLD_RUN = re.compile(r"^/var/run(?=/|$)")


@dataclass(frozen=True)
class Watch:
    """A rule that watches a path; one for a directory watches all below it (auditctl(8))."""

    path: str
    directory: bool
    permissions: frozenset[str]

    def covers(self, path: str) -> bool:
        """Whether writes and changes of attributes to the path leave a record."""
        if not self.permissions >= _WRITES:
            return False
        own, other = _normal(self.path), _normal(path)
        return own == other or (self.directory and other.startswith(own.rstrip("/") + "/"))


def docker_watch_paths(
    system: System,
    *,
    binary: str,
    service_unit: Optional[str],
    configuration_path: str,
    socket_path: str,
    data_root: Any,
) -> dict[str, Optional[str]]:
    """Name -> path of what the benchmark wants watched, where it is here; None where there is none."""
    return {
        "dockerd": binary,
        "containerd_state": "/run/containerd",
        "data_root": data_root if isinstance(data_root, str) else "/var/lib/docker",
        "configuration_directory": configuration_path.rpartition("/")[0],
        "service_unit": service_unit,
        "containerd_socket": "/run/containerd/containerd.sock",
        "docker_socket": socket_path,
        "defaults_debian": "/etc/default/docker",
        "daemon_json": configuration_path,
        "containerd_configuration": "/etc/containerd/config.toml",
        "defaults_redhat": "/etc/sysconfig/docker",
        **{name.replace("-", "_"): system.find_program(name) for name in _PROGRAMS},
    }


def audit_fact(system: System, paths: Mapping[str, Optional[str]]) -> dict[str, Any]:
    """The posture's `docker.audit`.

    Without auditctl(8) nothing is taken to be watched: it comes with the daemon that loads and records rules.
    """
    program = system.find_program("auditctl")
    watches = attempt(lambda: _watches(system, program)) if program else []
    return {
        "installed": program is not None,
        "paths": {name: _path_fact(system, path, watches) for name, path in paths.items()},
    }


def parse_rules(text: str) -> list[Watch]:
    """The watches in what `auditctl -l` prints.

    Written as `-w PATH -p wa -k KEY`, or `-a always,exit … -F path=PATH -F perm=wa`, or with `-F dir=PATH`. A
    `-w` is for a file or a directory alike.
    """
    return [watch for line in text.splitlines() for watch in [_watch(line)] if watch is not None]


def _watches(system: System, program: str) -> list[Watch]:
    completed = system.run([program, "-l"])
    if completed.returncode != 0:
        raise PortError(f"auditctl -l: exit status {completed.returncode}")
    return parse_rules(completed.stdout)


def _watch(line: str) -> Optional[Watch]:
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    options = list(zip(words, words[1:]))
    fields = dict(value.partition("=")[::2] for name, value in options if name == "-F" and "=" in value)
    lists = [value for name, value in options if name in ("-a", "-A")]
    if any("never" in value for value in lists):
        return None
    for name, value in options:
        if name == "-w":
            permissions = next((text for option, text in options if option == "-p"), _ALL_PERMISSIONS)
            return Watch(value, True, frozenset(permissions))
    # a rule with further conditions records a part only
    if set(fields) - {"path", "dir", "perm", "key"} or not {"path", "dir"} & set(fields):
        return None
    path = fields.get("dir", fields.get("path", ""))
    return Watch(path, "dir" in fields, frozenset(fields.get("perm", _ALL_PERMISSIONS)))


def _path_fact(system: System, path: Optional[str], watches: Any) -> dict[str, Any]:
    if path is None:
        return {"path": None, "exists": False, "watched": False}
    return {
        "path": printable(path),
        "exists": attempt(lambda: system.exists(path)),
        "watched": watches if isinstance(watches, dict) else any(watch.covers(path) for watch in watches),
    }


def _normal(path: str) -> str:
    return _OLD_RUN.sub("/run", path)
