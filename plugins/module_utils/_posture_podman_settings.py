# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What containers.conf gives new containers: the value of each key that matters, and the file that says it.

Defaults: containers.conf(5) and ``pkg/config/default.go`` of the containers' common library. A value that no
file has and that depends on the build or the release is None. What a command line says is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable, unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import (
    ETC,
    ROOT,
    USR,
    Account,
    Reader,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._registries_conf import Value, read_tables

__all__ = ["PODMAN_SETTINGS", "ConfigurationFiles", "effective_settings", "settings_of"]

PODMAN_SETTINGS: Mapping[str, Any] = {
    "containers.cgroupns": "private",
    "containers.cgroups": "enabled",
    "containers.default_capabilities": None,
    "containers.devices": [],
    "containers.env_host": False,
    "containers.ipcns": "shareable",
    "containers.keyring": True,
    "containers.label": True,
    "containers.log_driver": None,
    "containers.log_size_max": -1,
    "containers.mounts": [],
    "containers.netns": "private",
    "containers.pidns": "private",
    "containers.pids_limit": 2048,
    "containers.privileged": False,
    "containers.read_only": False,
    "containers.seccomp_profile": None,
    "containers.apparmor_profile": None,
    "containers.userns": None,
    "containers.utsns": "private",
    "containers.volumes": [],
    "engine.cgroup_manager": None,
    "engine.no_pivot_root": False,
    "engine.runtime": None,
}
_TEXT_LENGTH = 300
_LIST_LENGTH = 100
_DIRECTORIES = 50


class ConfigurationFiles:
    """The host's own files of one kind, each read once however many accounts ask."""

    def __init__(self, system: System, kind: str) -> None:
        self.kind = kind
        self._system = system
        self._texts: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}

    def paths(self, uid: int) -> list[str]:
        """The files that are there for an account, in whatever order."""
        special = "rootful" if uid == 0 else "rootless"
        found = []
        for place in (USR, ETC):
            mains = [f"{place}/{self.kind}.conf", f"{place}/{self.kind}.{special}.conf"]
            found += [path for path in mains if self._has(path)]
            directories = [f"{main}.d" for main in mains]
            directories += [f"{directories[-1]}/{uid}"] if uid != 0 else []
            for directory in directories:
                found += [f"{directory}/{name}" for name in self._list(directory) if name.endswith(".conf")]
        return found

    def text(self, path: str) -> str:
        """The text of one of these; raises `PortError`."""
        if path not in self._texts:
            self._texts[path] = self._system.read_text(path)
        return self._texts[path]

    def _has(self, path: str) -> bool:
        directory, _slash, name = path.rpartition("/")
        return name in self._list(directory)

    def _list(self, directory: str) -> list[str]:
        if directory not in self._names:
            try:
                self._names[directory] = self._system.list_directory(directory)
            except NotThere:
                self._names[directory] = []
        return self._names[directory]


def settings_of(
    files: ConfigurationFiles,
    reader: Reader,
    account: Account = ROOT,
    own: Optional[Mapping[str, str]] = None,
) -> dict[str, Any]:
    """`effective_settings` for an account; raises `PortError`.

    :param own: path -> text of the files in the account's home
    """
    texts = own or {}
    order = reader.reading_order("containers", [*files.paths(account.uid), *texts], account)
    return effective_settings((path, texts[path] if path in texts else files.text(path)) for path in order)


def effective_settings(files: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Key -> `{value, configured, proof, file}`; `file` is None for a default.

    :param files: `(path, text)` in the order in which Podman reads them
    :returns: `unreadable` in the place of a value of another form than the key has
    :raises PortError: a file is not understood
    """
    found: dict[str, Any] = {name: _entry(default, None) for name, default in PODMAN_SETTINGS.items()}
    for path, text in files:
        for table, values in read_tables(path, text):
            for key, value in values.items():
                name = f"{table}.{key}"
                if name in PODMAN_SETTINGS:
                    found[name] = _merged(name, value, path, found[name])
    return found


def _entry(value: Any, path: Optional[str]) -> dict[str, Any]:
    return {"value": value, "configured": value, "proof": "configured", "file": path}


def _merged(name: str, value: Value, path: str, before: Any) -> Any:
    default = PODMAN_SETTINGS[name]
    where = printable(path)
    if name == "containers.default_capabilities" or isinstance(default, list):
        return _merged_list(name, value, where, before)
    kinds: tuple[type, ...] = (str,) if default is None else (type(default),)
    if type(value) not in kinds:
        return unreadable(f"{where}: {name} has a value of another type than it takes")
    return _entry(printable(value, limit=_TEXT_LENGTH) if isinstance(value, str) else value, where)


def _merged_list(name: str, value: Value, path: str, before: Any) -> Any:
    """A list replaces the one before, or is appended to it where its last member is `{append = true}`."""
    if not isinstance(value, list) or len(value) > _LIST_LENGTH:
        return unreadable(f"{path}: {name} is no list of at most {_LIST_LENGTH} texts")
    items = [item for item in value if not isinstance(item, dict)]
    attributes = [item for item in value if isinstance(item, dict)]
    if not all(isinstance(item, str) for item in items):
        return unreadable(f"{path}: {name} is no list of texts")
    texts = [printable(str(item), limit=_TEXT_LENGTH) for item in items]
    if any(item.get("append") is True for item in attributes):
        if not isinstance(before, dict) or not isinstance(before.get("value"), list):
            return unreadable(f"{path}: {name} is appended to a list that is not known")
        texts = [*before["value"], *texts]
    return _entry(texts, path)
