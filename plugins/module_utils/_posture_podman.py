# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture of root's Podman: version, and the policy files that are in effect for it.

Which files those are, and in which order: containers.conf(5), containers-registries.conf(5),
containers-storage.conf(5), containers-policy.json(5); Podman 6 pools the drop-ins of /usr/share and /etc
(containers-config(5)).
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    octal_mode,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import Reader
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_image_trust import (
    collect_image_trust,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman_settings import (
    ConfigurationFiles,
    settings_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._registries_conf import (
    Registries,
    merge_registries,
)

__all__ = ["collect_podman", "podman_version"]

_ETC, _USR = "/etc/containers", "/usr/share/containers"
_VERSION_SECONDS = 30.0
# From the one that lets everything in to the one that lets nothing in (containers-policy.json(5)).
_REQUIREMENTS = ("insecureAcceptAnything", "signedBy", "sigstoreSigned", "reject")


def collect_podman(system: System) -> dict[str, Any]:
    """The posture's `podman`. Runs `podman --version`, which makes no file; reads nothing of users."""
    program = system.find_program("podman")
    text = attempt(lambda: _version_text(system, program)) if program else None
    version = _numbers(text)
    pooled = isinstance(version, str) and int(version.split(".")[0]) >= 6
    registries = attempt(lambda: _registries(system, pooled=pooled))
    known = isinstance(registries, Registries)
    return {
        "installed": program is not None,
        "version": version,
        "version_text": text,
        "policy_files": attempt(
            lambda: [_file(system, path) for path in _policy_files(system, pooled=pooled)]
        ),
        "image_policy_default": attempt(lambda: _policy_default(system)),
        "unqualified_search_registries": registries.unqualified_search if known else registries,
        "insecure_registries": registries.insecure if known else registries,
        "short_name_mode": registries.short_name_mode if known else registries,
        "settings": attempt(lambda: _settings(system, version)) if program else None,
        "image_trust": attempt(lambda: collect_image_trust(system)) if program else None,
    }


def podman_version(system: System) -> Any:
    """The numeric part of Podman's version; None: it is not installed. An `unreadable` object otherwise."""
    program = system.find_program("podman")
    return _numbers(attempt(lambda: _version_text(system, program))) if program else None


def _numbers(text: Any) -> Any:
    match = re.match(r"\d+(?:\.\d+)*", text) if isinstance(text, str) else None
    return text if match is None else match[0]


def _settings(system: System, version: Any) -> dict[str, Any]:
    if not isinstance(version, str):
        raise PortError("the version of Podman is not known, and with it which files are read")
    files = ConfigurationFiles(system, "containers")
    return settings_of(files, Reader(version, storage_drop_ins=False))


def _version_text(system: System, program: str) -> str:
    completed = system.run([program, "--version"], timeout=_VERSION_SECONDS)
    match = re.fullmatch(r"podman version (\d\S*)\s*", completed.stdout)
    if completed.returncode or match is None:
        raise PortError(f"{program} --version: it did not say a version")
    return match[1]


def _policy_files(system: System, *, pooled: bool) -> list[str]:
    """The files that are read, and of each kind the one in /etc even when it is not there."""
    files = [f"{_ETC}/policy.json"]
    for name in ("containers.conf", "storage.conf"):
        present = [path for path in (f"{_USR}/{name}", f"{_ETC}/{name}") if system.exists(path)]
        merged = name == "containers.conf" and not pooled
        files += (present if merged else present[-1:]) or [f"{_ETC}/{name}"]
        files += _drop_ins(system, name, pooled=pooled) if name == "containers.conf" or pooled else []
    return files + (_registries_files(system, pooled=pooled) or [f"{_ETC}/registries.conf"])


def _registries_files(system: System, *, pooled: bool) -> list[str]:
    main = [path for path in (f"{_USR}/registries.conf", f"{_ETC}/registries.conf") if system.exists(path)]
    return (main if pooled else main[-1:])[-1:] + _drop_ins(system, "registries.conf", pooled=pooled)


def _drop_ins(system: System, name: str, *, pooled: bool) -> list[str]:
    """The drop-ins of a file in the order in which they are read; /etc's hides one of the same name."""
    paths: dict[str, str] = {}
    directories = [f"{_ETC}/{name}.d"]
    if pooled:
        directories = [f"{base}/{name}{kind}.d" for base in (_USR, _ETC) for kind in ("", ".rootful")]
        directories = [path.replace(".conf.rootful.d", ".rootful.conf.d") for path in directories]
    for directory in directories:
        try:
            entries = system.list_directory(directory)
        except NotThere:
            continue
        paths.update({entry: f"{directory}/{entry}" for entry in entries if entry.endswith(".conf")})
    return [paths[entry] for entry in sorted(paths)]


def _registries(system: System, *, pooled: bool) -> Registries:
    paths = _registries_files(system, pooled=pooled)
    merged = merge_registries((path, system.read_text(path)) for path in paths)
    search = [printable(name) for name in merged.unqualified_search]
    return Registries(search, merged.insecure, printable(merged.short_name_mode, limit=100))


def _file(system: System, path: str) -> dict[str, Any]:
    try:
        facts = system.stat(path)
    except NotThere:
        return {"path": path, "exists": False, "owner": None, "group": None, "mode": None}
    except PortError as error:
        return {"path": path, "exists": True, **dict.fromkeys(("owner", "group", "mode"), unreadable(error))}
    return {
        "path": path,
        "exists": True,
        "owner": printable(system.account_name(facts.uid)),
        "group": printable(system.group_name(facts.gid)),
        "mode": octal_mode(facts.mode),
    }


def _policy_default(system: System) -> str | None:
    """The strictest requirement of the default (they all have to hold); null without a policy.json."""
    path = f"{_ETC}/policy.json"
    try:
        policy = json.loads(system.read_text(path))
    except NotThere:
        return None
    except (ValueError, RecursionError) as error:
        raise PortError(f"{path}: it is not JSON") from error
    default = policy.get("default") if isinstance(policy, dict) else None
    if not isinstance(default, list) or not default:
        raise PortError(f"{path}: it has no default")
    types = [entry.get("type") for entry in default if isinstance(entry, dict)]
    if len(types) != len(default) or not all(name in _REQUIREMENTS for name in types):
        raise PortError(f"{path}: its default has a requirement of an unknown type")
    return max((str(name) for name in types), key=_REQUIREMENTS.index)
