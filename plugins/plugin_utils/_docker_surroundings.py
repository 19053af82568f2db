# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role wants around an engine: its socket, modes and owners, audit rules, group members.

Source: CIS Docker Benchmark 1.8, sections 1.1 and 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import (
    DockerEngineError,
    is_unreadable,
)

__all__ = ["SOCKET_DROP_IN", "Surroundings", "host_options", "refuse_socket", "socket_drop_in"]

# Sorts behind an administrator's override.conf.
SOCKET_DROP_IN = "/etc/systemd/system/docker.socket.d/zz-bulkhead.conf"

_SOCKET_MODE = 0o660
_OCTAL = re.compile(r"0?[0-7]{3}")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")

# fact in the posture's docker.files -> the bits it may have at most (CIS 3.2 to 3.24, the even ones)
_MODES = {
    "service_unit": "0644",
    "socket_unit": "0644",
    "configuration_directory": "0755",
    "daemon_json": "0644",
    "defaults_debian": "0644",
    "defaults_redhat": "0644",
    "containerd_socket": "0660",
}
# fact -> (key of daemon.json that names the file, the bits it may have at most)
_TLS_MODES = {
    "tls_ca": ("tlscacert", "0444"),
    "tls_certificate": ("tlscert", "0444"),
    "tls_key": ("tlskey", "0400"),
}
_REGISTRY_CERTIFICATE_MODE = "0444"


@dataclass(frozen=True)
class Surroundings:
    """The role's variables about what surrounds the engine.

    :ivar hardened: whether modes and owners are hardened
    :ivar audited: whether audit rules are wanted
    :ivar socket: owner, group and mode of the socket, as far as they are named
    :ivar members_removed: accounts to take out of the socket's group
    :ivar restarts: ``needrestart`` and ``unattended_upgrades``
    :ivar keys: what the run puts into daemon.json
    :ivar written: whether daemon.json is there after the run, also where it was not before
    """

    hardened: bool = True
    audited: bool = True
    socket: Mapping[str, str] = field(default_factory=dict)
    members_removed: Sequence[str] = ()
    restarts: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    written: bool = False


def refuse_socket(socket: Mapping[str, Any]) -> None:
    """Raise `DockerEngineError` for a value of docker_engine_socket that is not accepted."""
    problems = [
        f"docker_engine_socket: {name}: found {socket[name]!r}, accepted is the name of an account."
        for name in ("owner", "group")
        if name in socket and not _NAME.fullmatch(str(socket[name]))
    ]
    mode = socket.get("mode")
    if mode is not None and not _is_socket_mode(mode):
        problems.append(
            f"docker_engine_socket: mode: found {mode!r}, accepted is an octal text up to "
            '"0660": whoever can write to the socket is root on this host.'
        )
    if problems:
        raise DockerEngineError(f"{' '.join(problems)} Nothing was changed.")


def _is_socket_mode(mode: Any) -> bool:
    return isinstance(mode, str) and bool(_OCTAL.fullmatch(mode)) and int(mode, 8) & ~_SOCKET_MODE == 0


def socket_drop_in(socket: Mapping[str, str]) -> dict[str, Any]:
    """What the drop-in of docker.socket has to hold (systemd.socket(5))."""
    names = {"mode": "SocketMode", "owner": "SocketUser", "group": "SocketGroup"}
    section = {names[name]: str(value) for name, value in socket.items() if value is not None}
    return {"Socket": section} if section else {}


def host_options(docker: Mapping[str, Any], wanted: Surroundings) -> dict[str, Any]:
    """The options of the module docker_engine_host for the posture's ``docker``."""
    files, socket = docker["files"] or {}, docker["socket"]
    path = socket["path"] if isinstance(socket, Mapping) and "path" in socket else "/run/docker.sock"
    group = socket.get("group") if isinstance(socket, Mapping) else None
    permissions = (
        [*_file_limits(files), *_tls_limits(files, wanted.keys), *_registry_limits(files)]
        if wanted.hardened
        else []
    )
    permissions += _socket_limit(path, wanted)
    return {
        "permissions": permissions,
        "audit": _watched(docker, written=wanted.written) if wanted.audited else [],
        "group": wanted.socket.get("group") or (group if isinstance(group, str) else "docker"),
        "members_removed": list(wanted.members_removed),
        "needrestart": wanted.restarts.get("needrestart") or "left_alone",
        "unattended_upgrades": wanted.restarts.get("unattended_upgrades") or "left_alone",
    }


def _file_limits(files: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"path": files[name]["path"], "mode": mode, "owner": "root", "group": "root"}
        for name, mode in _MODES.items()
        if _is_there(files.get(name))
    ]


def _tls_limits(files: Mapping[str, Any], keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the files that the engine has now, and of those that the run names."""
    found = {
        files[fact]["path"]: mode for fact, (_key, mode) in _TLS_MODES.items() if _is_there(files.get(fact))
    }
    named = {str(keys[key]): mode for key, mode in _TLS_MODES.values() if keys.get(key)}
    return [
        {"path": path, "mode": mode, "owner": "root", "group": "root"}
        for path, mode in {**found, **named}.items()
    ]


def _registry_limits(files: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = files.get("registry_certificates")
    return [
        {"path": fact["path"], "mode": _REGISTRY_CERTIFICATE_MODE, "owner": "root", "group": "root"}
        for fact in (found if isinstance(found, list) else ())
        if _is_there(fact)
    ]


def _socket_limit(path: str, wanted: Surroundings) -> list[dict[str, Any]]:
    """What is named is set exactly; besides, nobody but owner and group may have a right."""
    socket = wanted.socket
    if socket:
        named = {name: str(socket[name]) for name in ("mode", "owner", "group") if socket.get(name)}
        return [{"path": path, **named, "exact": "mode" in named}]
    return [{"path": path, "mode": "0660", "owner": "root"}] if wanted.hardened else []


def _watched(docker: Mapping[str, Any], *, written: bool) -> list[dict[str, Any]]:
    """What the module watches where it is there; what the run itself makes counts in check mode already."""
    audit = docker.get("audit")
    paths = audit.get("paths") if isinstance(audit, Mapping) else None
    if not isinstance(paths, Mapping):
        return []
    return [
        {
            "path": fact["path"],
            "recursive": name == "configuration_directory",
            "expected": written and name in ("configuration_directory", "daemon_json"),
        }
        for name, fact in paths.items()
        if isinstance(fact, Mapping) and fact.get("path")
    ]


def _is_there(fact: Any) -> bool:
    return isinstance(fact, Mapping) and not is_unreadable(fact) and fact.get("exists") is True
