# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Owner and mode of the files that decide on the Docker daemon (CIS Docker Benchmark, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, octal_mode, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["docker_files", "file_fact", "socket_fact"]

CERTIFICATE_DIRECTORY = "/etc/docker/certs.d"
CERTIFICATE_LIMIT = 1000

_ABSENT = {"exists": False, "type": None, "owner": None, "group": None, "mode": None}


def file_fact(system: System, path: Optional[str]) -> dict[str, Any]:
    """`{path, exists, type, owner, group, mode}` of what a path leads to; `path` None when there is none.

    Raises `PortError` for trouble other than absence.
    """
    if path is None:
        return {"path": None, **_ABSENT}
    try:
        facts = system.stat(path)
    except NotThere:
        return {"path": printable(path), **_ABSENT}
    return {
        "path": printable(path),
        "exists": True,
        "type": facts.type,
        "owner": printable(system.account_name(facts.uid)),
        "group": printable(system.group_name(facts.gid)),
        "mode": octal_mode(facts.mode),
    }


def socket_fact(system: System, path: str) -> dict[str, Any]:
    """`{path, exists, owner, group, mode}` of the engine's socket."""
    return {name: value for name, value in file_fact(system, path).items() if name != "type"}


def docker_files(
    system: System,
    *,
    service_unit: Optional[str],
    configuration_path: str,
    tls_paths: Mapping[str, Optional[str]],
    socket_path: str,
) -> dict[str, Any]:
    """The posture's `docker.files`; `tls_paths` has `tlscacert`, `tlscert`, `tlskey`, None where not set."""
    paths = {
        "service_unit": service_unit,
        "socket_unit": _socket_unit(system, service_unit),
        "configuration_directory": configuration_path.rpartition("/")[0],
        "daemon_json": configuration_path,
        "defaults_debian": "/etc/default/docker",
        "defaults_redhat": "/etc/sysconfig/docker",
        "docker_socket": socket_path,
        "containerd_socket": "/run/containerd/containerd.sock",
        "tls_ca": tls_paths["tlscacert"],
        "tls_certificate": tls_paths["tlscert"],
        "tls_key": tls_paths["tlskey"],
    }
    facts: dict[str, Any] = {name: _attempt_file(system, path) for name, path in paths.items()}
    facts["registry_certificates"] = attempt(lambda: _registry_certificates(system))
    return facts


def _attempt_file(system: System, path: Optional[str]) -> Any:
    return attempt(lambda: file_fact(system, path))


def _socket_unit(system: System, service_unit: Optional[str]) -> Optional[str]:
    """docker.socket is looked for in systemd's order (systemd.unit(5)), then beside the service."""
    beside = [service_unit.rpartition("/")[0]] if service_unit else []
    for directory in ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", *beside]:
        path = f"{directory}/docker.socket"
        if system.exists(path):
            return path
    return None


def _registry_certificates(system: System) -> list[dict[str, Any]]:
    """Every file below /etc/docker/certs.d, which has one directory per registry."""
    try:
        registries = system.list_directory(CERTIFICATE_DIRECTORY, limit=CERTIFICATE_LIMIT)
    except NotThere:
        return []
    found = []
    for registry in registries:
        directory = f"{CERTIFICATE_DIRECTORY}/{registry}"
        try:
            names = system.list_directory(directory, limit=CERTIFICATE_LIMIT)
        except NotThere:
            continue  # a file beside the registries' directories
        found += [f"{directory}/{name}" for name in names]
        if len(found) > CERTIFICATE_LIMIT:
            raise PortError(f"{CERTIFICATE_DIRECTORY}: more than {CERTIFICATE_LIMIT} files")
    return [file_fact(system, path) for path in found]
