# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has for the rootless engines of all its users: id programs, sysctls, delegation, ids.

Sources: newuidmap(1), capabilities(7) for ``security.capability``, sysctl.d(5) by `_sysctl_files`,
systemd.resource-control(5) for ``Delegate=``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    not_applicable,
    octal_mode,
    printable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._id_programs import ID_PROGRAMS, rights_of
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import SubidFiles
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_collisions import find_collisions
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_files import winners
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_port import read_sysctl_files

__all__ = ["ROOTLESS_SYSCTLS", "collect_rootless_host"]

# Whether users can make user namespaces, and what they may do to the host's network.
NAMESPACE_SYSCTLS = (
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.unprivileged_userns_clone",
    "user.max_user_namespaces",
)
ROOTLESS_SYSCTLS = (
    *NAMESPACE_SYSCTLS,
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
)
_UNIT = "user@.service"
# From the one whose file is taken to the one whose is hidden (systemd.unit(5)).
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
_ALL_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_FALSE, _TRUE = ("no", "false", "off", "0"), ("yes", "true", "on", "1")
_SHOWN = 100


def collect_rootless_host(system: System, subid_files: Any) -> dict[str, Any]:
    """The facts of `rootless` that are not an account's.

    :param subid_files: `SubidFiles`, or why they are not known
    """
    sysctls = attempt(lambda: _sysctls(system))
    known = isinstance(subid_files, SubidFiles)
    return {
        "id_programs": [_id_program(system, name) for name in ID_PROGRAMS],
        "sysctls": sysctls,
        "changed_at_boot": sysctls if is_unreadable(sysctls) else attempt(lambda: _changed(sysctls)),
        "cgroup_version": attempt(lambda: 2 if system.exists("/sys/fs/cgroup/cgroup.controllers") else 1),
        "delegation": attempt(lambda: _delegation(system)),
        "subids": attempt(lambda: _subids(subid_files)) if known else subid_files,
    }


def _id_program(system: System, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "path": None, "owner": None, "mode": None, "rights": None}
    path = attempt(lambda: system.find_program(name))
    if path is None:
        return facts
    if is_unreadable(path):
        return {**facts, "path": path, "owner": path, "mode": path, "rights": path}
    status = attempt(lambda: system.stat(path))
    if is_unreadable(status):
        return {**facts, "path": path, "owner": status, "mode": status, "rights": status}
    return {
        **facts,
        "path": path,
        "owner": printable(system.account_name(status.uid)),
        "mode": octal_mode(status.mode),
        "rights": attempt(lambda: rights_of(system, name, path, status)),
    }


def _sysctls(system: System) -> dict[str, Any]:
    """Name -> `{value, boot_value, boot_file}`; None for one that this kernel does not have."""
    texts = read_sysctl_files(system)
    unread = sorted(path for path, text in texts.items() if text is None)
    if unread:
        raise PortError(f"{', '.join(unread)}: cannot be read")
    decided = winners(texts, ROOTLESS_SYSCTLS)
    found: dict[str, Any] = {}
    for name in ROOTLESS_SYSCTLS:
        value = attempt(partial(_value, system, name))
        winner = decided.get(name.replace(".", "/"))
        boot = None if winner is None else winner.value
        found[name] = (
            None
            if value is None
            else {
                "value": value,
                "boot_value": None if boot is None else printable(" ".join(boot.split()), limit=_SHOWN),
                "boot_file": None if winner is None else winner.by.path,
            }
        )
    return found


def _changed(sysctls: Mapping[str, Any]) -> list[str]:
    """The sysctls of user namespaces that a file gives another value at boot than they have now."""
    changed = []
    for name in NAMESPACE_SYSCTLS:
        sysctl = sysctls[name]
        if sysctl is None or sysctl["boot_value"] is None:
            continue
        if is_unreadable(sysctl["value"]):
            raise PortError(str(sysctl["value"]["unreadable"]))
        if sysctl["boot_value"] != sysctl["value"]:
            changed.append(name)
    return changed


def _value(system: System, name: str) -> Optional[str]:
    try:
        return " ".join(system.read_text(f"/proc/sys/{name.replace('.', '/')}").split())
    except NotThere:
        return None


def _delegation(system: System) -> dict[str, Any]:
    """What the unit of users' managers delegates when it starts: lines unite, an empty one resets."""
    fragment = next(
        (f"{place}/{_UNIT}" for place in _UNIT_DIRECTORIES if system.exists(f"{place}/{_UNIT}")), None
    )
    if fragment is None:
        return {"controllers": [], "files": []}
    drop_ins: dict[str, str] = {}
    for place in reversed(_UNIT_DIRECTORIES):
        names = system.names_in(f"{place}/{_UNIT}.d")
        drop_ins.update({name: f"{place}/{_UNIT}.d/{name}" for name in names if name.endswith(".conf")})
    controllers: set[str] = set()
    files = []
    for path in [fragment, *(drop_ins[name] for name in sorted(drop_ins))]:
        values = re.findall(r"^[ \t]*Delegate[ \t]*=[ \t]*(.*?)[ \t]*$", system.read_text(path), re.MULTILINE)
        for value in values:
            if value == "" or value.lower() in _FALSE:
                controllers = set()
            elif value.lower() in _TRUE:
                controllers = set(_ALL_CONTROLLERS)
            else:
                controllers |= set(value.split())
        if values:
            files.append(path)
    return {"controllers": [printable(name, limit=_SHOWN) for name in sorted(controllers)], "files": files}


def _subids(found: SubidFiles) -> dict[str, Any]:
    """Collisions of all entries, whoever has them, and lines that programs read in different ways.

    A directory that gives the ids does not list them: what collides there it has to know itself.
    """
    if found.source != "files":
        marker = not_applicable(f"subordinate ids come from {found.source}, which does not list them")
        return {"source": printable(found.source), "collisions": marker, "unusable_lines": marker}
    names = {str(uid): text.partition(" ")[2] for uid, text in found.real.get("uid", {}).items()}
    collisions = [
        collision
        for kind, file in found.files.items()
        for collision in find_collisions(
            file, real=found.real[kind], reserved=(), owner_of=lambda owner: names.get(owner, owner)
        )
    ]
    return {
        "source": found.source,
        "collisions": [collision.text() for collision in collisions][:_SHOWN],
        "unusable_lines": [
            f"{file.path}, line {line.line}" for file in found.files.values() for line in file.unusable
        ][:_SHOWN],
    }
