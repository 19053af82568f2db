# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's rootless Docker: its unit, socket and configuration file, and what the daemon says of itself.

Sources: docs.docker.com/engine/security/rootless, moby ``contrib/dockerd-rootless.sh`` (29.7.2) for the
variables of the unit, and dockerd(8) for the defaults. All of it is the user's word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_survey import Survey
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = [
    "DOCKER_DROP_INS",
    "DOCKER_FILES",
    "DOCKER_PLACES",
    "ROOTLESS_DOCKER_SETTINGS",
    "rootless_docker",
]

_STORAGE = ".local/share/docker"
_DAEMON = ".config/docker/daemon.json"
_UNIT = ".config/systemd/user/docker.service"
_WANTED = ".config/systemd/user/default.target.wants/docker.service"
DOCKER_FILES = (_DAEMON, _UNIT)
DOCKER_PLACES = (_STORAGE, _WANTED)
DOCKER_DROP_INS = {f"{_UNIT}.d": ".conf"}

ROOTLESS_DOCKER_SETTINGS: Mapping[str, Any] = {
    "debug": False,
    "default-ipc-mode": "private",
    "default-ulimits": {},
    "experimental": False,
    "hosts": [],
    "icc": True,
    "insecure-registries": [],
    "live-restore": False,
    "log-driver": "json-file",
    "log-opts": {},
    "no-new-privileges": False,
    "seccomp-profile": "",
    "tlsverify": False,
    "userland-proxy": True,
}
_VARIABLE = re.compile(r"DOCKERD_ROOTLESS_ROOTLESSKIT_([A-Z0-9_]+)=([A-Za-z0-9_.,:-]{0,100})")
_TEXT_LENGTH = 300
_LIST_LENGTH = 100


def rootless_docker(home: Survey, socket: Any, ask: Callable[[], Optional[dict[str, Any]]]) -> dict[str, Any]:
    """The fact `docker` of an account.

    :param socket: what is at the daemon's socket, as a fact
    :param ask: what the daemon says; None when there is no socket
    """
    answer = attempt(ask)
    info = _info(answer) if isinstance(answer, dict) and not is_unreadable(answer) else answer
    file = attempt(lambda: _daemon_file(home))
    values = file.pop("values") if not is_unreadable(file) else {}
    return {
        "storage": attempt(lambda: home.exists(_STORAGE)),
        "unit": attempt(lambda: _unit(home)),
        "socket": socket,
        "running": unreadable(info["unreadable"]) if is_unreadable(info) else info is not None,
        "configuration_file": file,
        "settings": _settings(file, values, info),
        "info": info,
    }


def _unit(home: Survey) -> dict[str, Any]:
    """Whether it is there and enabled, and what its variables set for RootlessKit; the last one counts."""
    texts = [home.text(_UNIT), *(home.text(path) for path in home.below(f"{_UNIT}.d"))]
    lines = [line for text in texts if text for line in text.splitlines() if line.startswith("Environment=")]
    variables: dict[str, str] = {name: value for line in lines for name, value in _VARIABLE.findall(line)}
    return {
        "exists": texts[0] is not None,
        "enabled": home.exists(_WANTED),
        "host_loopback": variables.get("DISABLE_HOST_LOOPBACK", "true") == "false",
        "network": variables.get("NET") or None,
        "port_driver": variables.get("PORT_DRIVER") or None,
    }


def _daemon_file(home: Survey) -> dict[str, Any]:
    text = home.text(_DAEMON)
    facts: dict[str, Any] = {"path": _DAEMON, "exists": text is not None, "valid": None, "error": None}
    facts.update(keys=[], values={})
    if text is None:
        return facts
    try:
        document = parse_json(text) if text.strip() else {}
    except PortError as error:
        return {**facts, "valid": False, "error": printable(str(error), limit=_TEXT_LENGTH)}
    if not isinstance(document, dict):
        return {**facts, "valid": False, "error": "it is no JSON object"}
    keys = sorted(printable(key, limit=100) for key in document)[:_LIST_LENGTH]
    return {**facts, "valid": True, "keys": keys, "values": document}


def _settings(file: Any, values: Mapping[str, Any], info: Any) -> dict[str, Any]:
    """Key -> `{value, configured, proof, file}`; what the daemon shows is in force, and not the file."""
    reason = _why_unknown(file)
    if reason is not None:
        return dict.fromkeys(ROOTLESS_DOCKER_SETTINGS, unreadable(reason))
    live = _shown_by(info) if isinstance(info, dict) and not is_unreadable(info) else {}
    settings: dict[str, Any] = {}
    for key, default in ROOTLESS_DOCKER_SETTINGS.items():
        configured = values.get(key, default)
        if type(configured) is not type(default):
            settings[key] = unreadable(f"{_DAEMON}: {key} has a value of another type than it takes")
            continue
        configured = _bounded(configured)
        value = live.get(key, configured)
        proof = "configured" if key not in live else "proven" if value == configured else "pending"
        settings[key] = {
            "value": value,
            "configured": configured,
            "proof": proof,
            "file": _DAEMON if key in values else None,
        }
    return settings


def _why_unknown(file: Any) -> Optional[str]:
    if is_unreadable(file):
        return str(file["unreadable"])
    return f"{_DAEMON}: {file['error']}" if file["valid"] is False else None


def _shown_by(info: Mapping[str, Any]) -> dict[str, Any]:
    options = info["security_options"]
    shown: dict[str, Any] = {}
    if isinstance(options, list):
        shown["no-new-privileges"] = any(option == "name=no-new-privileges" for option in options)
    if isinstance(info["live_restore"], bool):
        shown["live-restore"] = info["live_restore"]
    if isinstance(info["logging_driver"], str):
        shown["log-driver"] = info["logging_driver"]
    return shown


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value, limit=_TEXT_LENGTH)
    if isinstance(value, list):
        return [printable(str(item), limit=_TEXT_LENGTH) for item in value[:_LIST_LENGTH]]
    if isinstance(value, dict):
        return sorted(printable(str(key), limit=100) for key in list(value)[:_LIST_LENGTH])
    return value


def _info(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": _field(answer, "ServerVersion", str),
        "security_options": _texts(answer, "SecurityOptions"),
        "cgroup_driver": _field(answer, "CgroupDriver", str),
        "cgroup_version": _field(answer, "CgroupVersion", str),
        "storage_driver": _field(answer, "Driver", str),
        "logging_driver": _field(answer, "LoggingDriver", str),
        "live_restore": _field(answer, "LiveRestoreEnabled", bool),
        "containers_running": _field(answer, "ContainersRunning", int),
        "data_root": _field(answer, "DockerRootDir", str),
        "warnings": _texts(answer, "Warnings"),
    }


def _field(answer: Mapping[str, Any], name: str, kind: type) -> Any:
    value = answer.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return unreadable(f"the daemon's answer has no {name} of the expected type")
    return printable(value, limit=_TEXT_LENGTH) if isinstance(value, str) else value


def _texts(answer: Mapping[str, Any], name: str) -> Any:
    value = answer.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return unreadable(f"the daemon's answer has no {name} that is a list of texts")
    return [printable(item, limit=_TEXT_LENGTH) for item in value[:_LIST_LENGTH]]
