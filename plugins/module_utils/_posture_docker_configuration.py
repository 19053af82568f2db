# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the Docker daemon is configured: its flags, its file, and where the two contradict each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS, key_of_flag
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable, rfc3339
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = [
    "ConfigurationFile",
    "conflicts",
    "configuration_path",
    "parse_flags",
    "read_configuration_file",
    "shown",
]

DEFAULT_CONFIGURATION_FILE = "/etc/docker/daemon.json"
_SAME_MOMENT = 0.1  # seconds
NOT_SHOWN = "set (not shown)"

# What a log driver's options may show; the others can hold tokens and addresses with credentials.
_SHOWN_LOG_OPTIONS = frozenset({"max-size", "max-file", "max-buffer-size", "compress", "mode"})
# Of the keys that do not bear on security, what cannot hold a text of somebody's own (labels can).
_SHOWN_KINDS = frozenset({"bool", "int", "ip", "ip_list"})
_USER_INFORMATION = re.compile(r"//[^/@]*@")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # Go's strconv.ParseBool
_SHORT_FLAG = re.compile(r"-([A-Za-z])=?(.*)", re.DOTALL)


class ConfigurationFile:
    """The daemon's file: `settings` is what is in it (empty when it is absent or invalid)."""

    def __init__(
        self,
        path: str,
        *,
        exists: bool,
        changed_at: Optional[float],
        settings: Mapping[str, Any],
        error: Optional[str] = None,
    ) -> None:
        self.path = path
        self.exists = exists
        self.changed_at = changed_at
        self.settings = settings
        self.error = error

    def as_fact(self) -> dict[str, Any]:
        """The posture's `docker.configuration_file`: names of keys, no values."""
        return {
            "path": self.path,
            "exists": self.exists,
            "changed_at": rfc3339(self.changed_at) if self.exists and self.changed_at else None,
            "valid": self.error is None if self.exists else None,
            "error": self.error,
            "keys": sorted(printable(key, limit=100) for key in self.settings),
        }


def configuration_path(argv: list[str]) -> str:
    """The value of `--config-file`, or the default (dockerd(8))."""
    for index, word in enumerate(argv):
        if word.startswith("--config-file="):
            return word.partition("=")[2]
        if word == "--config-file" and index + 1 < len(argv):
            return argv[index + 1]
    return DEFAULT_CONFIGURATION_FILE


def read_configuration_file(system: System, path: str) -> ConfigurationFile:
    """Read daemon.json; a file that is not valid is reported in `error`, without any of its content.

    For an absent file `changed_at` is when it may have been removed (see `_removed_at`), else None.
    Raises `PortError` when it is there and cannot be read.
    """
    try:
        changed_at = system.stat(path).changed_at
        text = system.read_text(path).removeprefix("\ufeff")
    except NotThere:
        return ConfigurationFile(path, exists=False, changed_at=_removed_at(system, path), settings={})
    try:
        settings = parse_json(text) if text.strip() else {}
        error = None if isinstance(settings, dict) else "not a JSON object"
    except PortError as parse_error:
        settings, error = {}, str(parse_error)
    if error is not None:
        settings = {}
    return ConfigurationFile(path, exists=True, changed_at=changed_at, settings=settings, error=error)


def _removed_at(system: System, path: str) -> Optional[float]:
    """When a file may have been removed: its directory's last change, unless what is in it explains that.

    (Docker 20.10 itself puts a key.json there at its first start.)
    """
    directory = path.rpartition("/")[0] or "/"
    try:
        changed_at = system.stat(directory).modified_at
        entries = [f"{directory}/{name}" for name in system.list_directory(directory)]
        explained = any(
            abs(system.stat(entry, follow=False).changed_at - changed_at) < _SAME_MOMENT for entry in entries
        )
    except NotThere:
        return None
    return None if explained else changed_at


def parse_flags(argv: list[str]) -> dict[str, Any]:
    """The settings in a dockerd command line, by the name of their key in daemon.json.

    Written as dockerd's flag parser accepts them: `--flag=value`, `--flag value`, `-Hvalue`, `-H=value`; a
    boolean flag takes no separate value. Unknown flags are left out.
    """
    settings: dict[str, Any] = {}
    words = iter(argv[1:])
    for word in words:
        flag, value = _split_flag(word)
        key = key_of_flag(flag)
        if key is None:
            continue
        if value is None:
            value = "true" if DOCKER_KEYS[key].kind == "bool" else next(words, "")
        settings[key] = _typed(DOCKER_KEYS[key].kind, value, settings.get(key))
    return settings


def _split_flag(word: str) -> tuple[str, Optional[str]]:
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    short = _SHORT_FLAG.fullmatch(word)
    if short:
        return f"-{short[1]}", short[2] or None
    return word, None


def _typed(kind: str, text: str, before: Any) -> Any:
    """A flag's text as the value that daemon.json would have; flags of composite kinds add up."""
    if kind == "bool":
        return text in _TRUE
    if kind == "int":
        return _number(text)
    if kind in ("list", "ip_list", "object_list"):
        return [*(before or []), text]
    if kind in ("map", "bool_map", "map_map", "ulimit_map", "object_map"):
        name, _equals, value = text.partition("=")
        return {**(before or {}), name: _map_value(kind, name, value)}
    return text


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _map_value(kind: str, name: str, value: str) -> Any:
    if kind == "bool_map":
        return value in _TRUE
    if kind == "object_map":
        return {"path": value}
    if kind == "ulimit_map":
        soft, _colon, hard = value.partition(":")
        return {"Name": name, "Soft": _number(soft), "Hard": _number(hard or soft)}
    return value


def conflicts(file_settings: Mapping[str, Any], flags: Mapping[str, Any]) -> list[str]:
    """Keys that are in the file and among the flags: the daemon refuses to start (`runtimes` excepted)."""
    return sorted((set(file_settings) & set(flags)) - {"runtimes"})


def shown(key: str, value: Any) -> Any:
    """A setting's value as the posture may hold it: what can carry credentials becomes `set (not shown)`."""
    if key == "log-opts" and isinstance(value, dict):
        return {
            printable(str(name), limit=100): text if name in _SHOWN_LOG_OPTIONS else NOT_SHOWN
            for name, text in value.items()
        }
    if key == "registry-mirrors" and isinstance(value, list):
        return [_without_credentials(mirror) for mirror in value]
    if key == "runtimes" and isinstance(value, dict):
        return sorted(printable(str(name), limit=100) for name in value)
    return _bounded(value) if value in (None, "", [], {}) or _harmless(key) else NOT_SHOWN


def _harmless(key: str) -> bool:
    row = DOCKER_KEYS.get(key)
    if row is None or row.secret:
        return False
    return row.audited or row.kind in _SHOWN_KINDS or key == "containerd"


def _without_credentials(text: Any) -> Any:
    if isinstance(text, str) and not _USER_INFORMATION.search(text):
        return printable(text, limit=1000)
    return NOT_SHOWN


def _bounded(value: Any) -> Any:
    """The value with bounded texts, and without the user information that an address may hold."""
    if isinstance(value, str):
        return _without_credentials(value)
    if isinstance(value, list):
        return [_bounded(item) for item in value[:1000]]
    if isinstance(value, dict):
        return {printable(str(name), limit=100): _bounded(item) for name, item in list(value.items())[:1000]}
    return value
