# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each container can do to its host, in short statements that follow from measured facts.

The statements say what the kernel lets the container do, not what it does. Sources: capabilities(7),
user_namespaces(7), mount_namespaces(7), and Docker's and Podman's documentation of the engine socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["DEFAULT_CAPABILITIES", "container_summaries", "reach"]

# What Docker gives a container that asks for nothing (moby daemon/pkg/oci/caps/defaults.go, v29.7.2).
# Podman's default set lies within it.
DEFAULT_CAPABILITIES = frozenset(
    {
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SETFCAP",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    }
)

# Held over the host's user namespace, each of these reaches the host by itself.
_CAPABILITY_REACH = {
    "CAP_SYS_ADMIN": "can mount file systems and administer most of the kernel (CAP_SYS_ADMIN)",
    "CAP_SYS_MODULE": "can load code into the host's kernel (CAP_SYS_MODULE)",
    "CAP_SYS_RAWIO": "can reach raw memory and I/O ports where a device node allows it (CAP_SYS_RAWIO)",
    "CAP_DAC_READ_SEARCH": "can open files of a mounted host file system by handle (CAP_DAC_READ_SEARCH)",
    "CAP_BPF": "can load BPF programs into the host's kernel (CAP_BPF)",
    "CAP_PERFMON": "can trace the host's kernel (CAP_PERFMON)",
    "CAP_SYSLOG": "can read the kernel's log and addresses (CAP_SYSLOG)",
    "CAP_SYS_TIME": "can set the host's clock (CAP_SYS_TIME)",
    "CAP_SYS_BOOT": "can ask the kernel to reboot the host or to load another kernel (CAP_SYS_BOOT)",
    "CAP_MAC_ADMIN": "can change the LSM's policy (CAP_MAC_ADMIN)",
}

_MOUNT_REACH = {
    "root": "the host's root directory",
    "boot": "the host's boot files",
    "dev": "the host's device nodes",
    "etc": "the host's configuration",
    "lib": "the host's libraries",
    "proc": "the host's /proc",
    "sys": "the host's /sys",
    "usr": "the host's programs",
    "device": "a device of the host",
}


def container_summaries(posture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers as a report shows them; facts that could not be read stay what they are."""
    containers = posture.get("containers")
    if not isinstance(containers, list):
        return []
    return [_summary(container) for container in containers if isinstance(container, Mapping)]


def reach(container: Mapping[str, Any]) -> list[str]:
    """What the container can do to the host; a fact that could not be read gives a statement that says so."""
    if "unreadable" in container:
        return [f"unknown: {container['unreadable']}"]
    return [statement for rule in _RULES for statement in rule(container)]


def _summary(container: Mapping[str, Any]) -> dict[str, Any]:
    privileged = container.get("privileged")
    namespace = container.get("user_namespace")
    return {
        "name": container.get("name") or container.get("short_id"),
        "image": container.get("image"),
        "engine": container.get("engine"),
        "user": container.get("user"),
        "init": container.get("init"),
        "privileged": _field(privileged, "in_force"),
        "root_is_host_root": _field(namespace, "root_is_host_root"),
        "reach": reach(container),
        "capabilities": sorted(_capabilities(container) - DEFAULT_CAPABILITIES),
    }


def _field(fact: Any, key: str) -> Any:
    """``fact[key]``, or the marker that stands in the place of ``fact``."""
    return fact.get(key, fact) if isinstance(fact, Mapping) else None


def _capabilities(container: Mapping[str, Any]) -> frozenset[str]:
    """What any process of the container can come to hold: the bounding set, capabilities(7)."""
    bounding = _field(container.get("capabilities"), "bounding")
    return (
        frozenset(name for name in bounding if isinstance(name, str))
        if isinstance(bounding, list)
        else frozenset()
    )


def _is_host_root(container: Mapping[str, Any]) -> bool:
    return _field(container.get("user_namespace"), "root_is_host_root") is True


def _unknown(container: Mapping[str, Any]) -> Iterator[str]:
    for fact in ("capabilities", "user_namespace", "namespaces", "mounts", "privileged"):
        value = container.get(fact)
        if isinstance(value, Mapping) and "unreadable" in value:
            yield f"unknown: {fact} could not be read ({value['unreadable']})"
    if container.get("sandbox"):
        yield f"runs in a {container['sandbox']} sandbox: what that lets through to the host is not read"


def _privileged(container: Mapping[str, Any]) -> Iterator[str]:
    if _field(container.get("privileged"), "in_force") is True:
        if _is_host_root(container):
            yield "is privileged: whoever is root in it is root on the host"
        else:
            yield "is privileged inside its own user namespace: it is bounded by the rights of its user"


def _mounts(container: Mapping[str, Any]) -> Iterator[str]:
    mounts = container.get("mounts")
    for mount in mounts if isinstance(mounts, list) else []:
        kind, source = mount.get("sensitive"), mount.get("source")
        if kind == "engine_socket":
            yield f"can give orders to the engine over {source}: as powerful as the engine's user"
        elif kind in _MOUNT_REACH:
            verb = "can read" if mount.get("read_only") else "can write to"
            yield f"{verb} {_MOUNT_REACH[kind]} ({source}), as far as file permissions allow"


def _devices(container: Mapping[str, Any]) -> Iterator[str]:
    devices = container.get("devices")
    if isinstance(devices, list) and devices:
        shown = ", ".join(str(device) for device in devices[:4])
        rest = f" and {len(devices) - 4} more" if len(devices) > 4 else ""
        yield f"has device nodes of the host: {shown}{rest}"


def _held_capabilities(container: Mapping[str, Any]) -> Iterator[str]:
    if _field(container.get("user_namespace"), "host") is not True:
        return  # held over its own user namespace, a capability does not govern the host
    held = _capabilities(container)
    for name, statement in _CAPABILITY_REACH.items():
        if name in held:
            yield statement


def _namespaces(container: Mapping[str, Any]) -> Iterator[str]:
    held = _capabilities(container)
    shares = {
        "pid": "sees the host's processes",
        "net": "uses the host's network: its interfaces, its loopback services and abstract sockets",
        "ipc": "shares memory segments and queues with the host's processes",
        "uts": "shares the host's name",
        "cgroup": "sees the host's whole cgroup tree",
        "mnt": "lives in the host's own mount namespace",
    }
    for name, statement in shares.items():
        if _field(container.get("namespaces"), name) == "host":
            yield statement
    if _field(container.get("namespaces"), "pid") == "host" and "CAP_SYS_PTRACE" in held:
        yield "can read and change the memory of the host's processes (CAP_SYS_PTRACE)"
    if _field(container.get("namespaces"), "net") == "host" and "CAP_NET_ADMIN" in held:
        yield "can change the host's addresses, routes and packet filter (CAP_NET_ADMIN)"


def _root(container: Mapping[str, Any]) -> Iterator[str]:
    if _is_host_root(container):
        yield "root in it has the host's user id 0, should it get out"


def _confinement(container: Mapping[str, Any]) -> Iterator[str]:
    if _field(container.get("seccomp"), "mode") == "disabled":
        yield "can make every system call (no seccomp filter)"
    if _field(container.get("lsm"), "mode") in ("unconfined", "complain", "permissive"):
        yield "is confined by no LSM"


_RULES: tuple[Callable[[Mapping[str, Any]], Iterator[str]], ...] = (
    _unknown,
    _privileged,
    _mounts,
    _devices,
    _held_capabilities,
    _namespaces,
    _root,
    _confinement,
)
