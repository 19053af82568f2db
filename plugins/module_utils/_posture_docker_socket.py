# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who reaches the engine's socket beside root and its group: by an ACL, as anybody, or through a container.

Connecting to a unix socket takes the permission to write it (unix(7)).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["AclEntry", "holders_of_the_socket", "parse_acl", "socket_access"]

ACL_ATTRIBUTE = "system.posix_acl_access"
# include/uapi/linux/posix_acl_xattr.h and posix_acl.h
_ACL_VERSION = 2
_USER, _GROUP, _MASK = 0x02, 0x08, 0x10
_WRITE = 0x02
_ENTRY = struct.Struct("<HHI")
_ALL_WRITE = 0o002


class AclEntry:
    """A named entry of an access control list (acl(5)): a user or group beyond the owner and its group.

    :ivar kind: `user` or `group`
    :ivar number: its id
    :ivar writes: whether it may write, within the list's mask
    """

    def __init__(self, kind: str, number: int, *, writes: bool) -> None:
        self.kind = kind
        self.number = number
        self.writes = writes

    def as_fact(self, system: System) -> dict[str, Any]:
        """`{kind, name, id}`."""
        look_up = system.account_name if self.kind == "user" else system.group_name
        return {
            "kind": self.kind,
            "name": printable(look_up(self.number), limit=255),
            "id": self.number,
        }


def parse_acl(value: bytes) -> list[AclEntry]:
    """The named entries of an access control list as the kernel gives it; raises `PortError`."""
    if len(value) < 4 or (len(value) - 4) % _ENTRY.size or struct.unpack_from("<I", value)[0] != _ACL_VERSION:
        raise PortError(f"{ACL_ATTRIBUTE}: not an access control list of version {_ACL_VERSION}")
    rows = list(_ENTRY.iter_unpack(value[4:]))
    mask = next((permissions for tag, permissions, _id in rows if tag == _MASK), 0o7)
    return [
        AclEntry("user" if tag == _USER else "group", number, writes=bool(permissions & mask & _WRITE))
        for tag, permissions, number in rows
        if tag in (_USER, _GROUP)
    ]


def socket_access(system: System, path: str) -> dict[str, Any]:
    """The posture's `docker.socket_access` but for the containers, which are joined later."""
    return {
        "acl": attempt(lambda: _acl(system, path)),
        "everybody": attempt(lambda: _everybody(system, path)),
        "containers": None,
    }


def holders_of_the_socket(containers: Any) -> Any:
    """The containers that have an engine's socket mounted, and on which ports of the host they are reached.

    `containers` is that part of the posture. `published` is null where the engine's record could not be read.
    """
    if containers is None:
        return unreadable("the containers were not gathered")
    if is_unreadable(containers):
        return containers
    return [
        {
            "name": container["name"] or container["short_id"],
            "id": container["short_id"],
            "engine": container["engine"],
            "user": container["user"],
            "host_network": _host_network(container),
            "published": _published(container["record"]),
        }
        for container in containers
        if _holds_socket(container["mounts"])
    ]


def _acl(system: System, path: str) -> list[dict[str, Any]]:
    """Those who may connect by a named entry."""
    try:
        value = system.extended_attribute(path, ACL_ATTRIBUTE)
    except NotThere:
        return []
    entries = [] if value is None else parse_acl(value)
    return [entry.as_fact(system) for entry in entries if entry.writes]


def _everybody(system: System, path: str) -> bool:
    try:
        return bool(system.stat(path).mode & _ALL_WRITE)
    except NotThere:
        return False


def _holds_socket(mounts: Any) -> bool:
    return isinstance(mounts, list) and any(mount["sensitive"] == "engine_socket" for mount in mounts)


def _host_network(container: Mapping[str, Any]) -> Any:
    namespaces = container["namespaces"]
    if not isinstance(namespaces, Mapping) or "net" not in namespaces:
        return namespaces  # an object that says why it is not known
    network = namespaces["net"]
    return network if isinstance(network, Mapping) else network == "host"


def _published(record: Any) -> Optional[list[str]]:
    if not isinstance(record, Mapping) or not isinstance(record.get("ports"), list):
        return None
    return sorted(set(_texts(record["ports"])))


def _texts(ports: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"{port['host_address']}:{port['host_port']}/{port['protocol']}" for port in ports]
