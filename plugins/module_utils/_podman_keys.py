# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of containers.conf, storage.conf and registries.conf that a policy sets: one row each, and checks.

Source: the TOML tags of the structures that each program decodes its files into, as Debian ships them: Podman
3.0.1 (common 0.33.4, storage 1.24.8, image 5.10.3), 4.3.1 (0.50.1, 1.43.0, 5.23.1), 5.4.2 (0.62.2, 1.57.2,
5.34.2), 5.8.6 (0.67.1, 1.64.0, 5.39.2) and 6.1.1 (0.69.1, 1.64.0, 5.41.1). Between two of these, ``since`` is
what Podman's RELEASE_NOTES.md names; where they name nothing, it is the later of the two. What each says to a
bad value was tried with the five: ``podman info`` accepts most, and the next container fails.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import capability_names

__all__ = [
    "PODMAN_KEYS",
    "MOVES_DATA",
    "NEW_CONTAINERS",
    "PodmanKey",
    "check_key",
    "unknown_to",
]

KeyPath = tuple[str, ...]

# What a changed value reaches.
NEW_CONTAINERS = "new_containers"  # kept in a container's own record when it is made; a restart keeps it
NEXT_COMMAND = "next_command"  # every command of the engine reads it anew
NEXT_PULL = "next_pull"
MOVES_DATA = "moves_data"  # images, volumes or containers are left behind, or the database


class PodmanKey(NamedTuple):
    """One key of a file.

    :ivar file: ``containers``, ``storage`` or ``registries``: the name of the file without ``.conf``
    :ivar path: the table and the key, as in the file
    :ivar kind: how its value is written, a key of ``_KINDS``
    :ivar since: first release (``major.minor``) known to have it; ``None``: 3.0 has it
    :ivar until: first release without it; ``None``: 6.1 has it
    :ivar secure: the value that hardens, whether a profile has it or not; ``None``: that depends on the host
    :ivar reach: one of the four above
    :ivar choices: the only texts accepted; empty: any
    """

    file: str
    path: KeyPath
    kind: str
    since: Optional[str]
    until: Optional[str]
    secure: Any
    reach: str
    choices: tuple[str, ...]

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


_CAPABILITY_NAMES = frozenset(name[len("CAP_") :] for name in capability_names((1 << 41) - 1))
# github.com/docker/go-units ulimit.go, which validates the list when the file is read
_ULIMITS = frozenset(
    (
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
        *("rtprio", "rttime", "sigpending", "stack"),
    )
)
_NAMESPACED_SYSCTL = re.compile(r"(kernel\.(shm|msg|sem)|fs\.mqueue\.|net\.)\S*\s*=.*")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\n" not in value and "\0" not in value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_path(value: Any) -> bool:
    return _is_text(value) and value.startswith("/")


def _is_capability(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    name = value.upper()
    return (name[len("CAP_") :] if name.startswith("CAP_") else name) in _CAPABILITY_NAMES


def _is_ulimit(value: Any) -> bool:
    match = re.fullmatch(r"(\w+)=(-1|\d+)(?::(-1|\d+))?", value) if isinstance(value, str) else None
    if match is None or match[1] not in _ULIMITS:
        return False
    soft, hard = int(match[2]), int(match[3] or match[2])
    return hard == -1 or (soft != -1 and soft <= hard)


def _is_sysctl(value: Any) -> bool:
    return isinstance(value, str) and _NAMESPACED_SYSCTL.fullmatch(value) is not None


def _is_namespace(*words: str) -> Callable[[Any], bool]:
    """One of the words, or one followed by a colon and more (``keep-id:uid=1``)."""
    return lambda value: _is_text(value) and value.split(":", 1)[0] in words


def _list_of(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(test(item) for item in value)


def _is_runtimes(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        _is_text(name) and _is_texts(item) for name, item in value.items()
    )


# kind -> (test, what a reader is told to write)
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "str": (_is_text, "a text"),
    "path": (_is_path, "an absolute path"),
    "texts": (_is_texts, "a list of texts"),
    "pids": (lambda value: _is_integer(value) and value >= 1, "a whole number from 1"),
    "log_size": (
        lambda value: _is_integer(value) and (value == -1 or value >= 8192),
        "-1 (no limit), or a number of bytes from 8192",
    ),
    "capabilities": (_list_of(_is_capability), "a list of capabilities such as [CHOWN, SETUID]"),
    "ulimits": (_list_of(_is_ulimit), 'a list such as ["nofile=1024:1048576"], soft limit first'),
    "sysctls": (
        _list_of(_is_sysctl),
        'a list such as ["net.ipv4.ping_group_range=0 0"], of kernel.shm*, kernel.msg*, kernel.sem, '
        "fs.mqueue.* and net.*",
    ),
    "userns": (
        _is_namespace("host", "private", "auto", "keep-id", "nomap"),
        "host, private, auto, keep-id or nomap",
    ),
    "netns": (
        _is_namespace("bridge", "none", "host", "private", "pasta", "slirp4netns"),
        "bridge, none, host, private, pasta or slirp4netns",
    ),
    "runtimes": (_is_runtimes, 'an object such as {"runsc": ["/usr/bin/runsc"]}'),
    "umask": (
        lambda value: isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value) is not None,
        'such as "0022"',
    ),
    "flag": (lambda value: value in ("true", "false"), '"true" or "false", as a text'),
}


def _key(
    file: str,
    path: str,
    kind: str,
    *,
    since: Optional[str] = None,
    until: Optional[str] = None,
    secure: Any = None,
    reach: str = NEW_CONTAINERS,
    choices: tuple[str, ...] = (),
) -> PodmanKey:
    return PodmanKey(file, tuple(path.split(".")), kind, since, until, secure, reach, choices)


_STRICT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")

_ROWS: tuple[PodmanKey, ...] = (
    _key("containers", "containers.apparmor_profile", "str"),
    _key("containers", "containers.cgroupns", "str", secure="private", choices=("private", "host")),
    _key(
        "containers",
        "containers.cgroups",
        "str",
        secure="enabled",
        choices=("enabled", "disabled", "no-conmon"),
    ),
    _key("containers", "containers.default_capabilities", "capabilities", secure=_STRICT_CAPABILITIES),
    _key("containers", "containers.default_sysctls", "sysctls"),
    _key("containers", "containers.default_ulimits", "ulimits"),
    _key("containers", "containers.devices", "texts", secure=()),
    _key("containers", "containers.env_host", "bool", secure=False),
    _key("containers", "containers.http_proxy", "bool", secure=False),
    _key("containers", "containers.init", "bool"),
    _key(
        "containers",
        "containers.ipcns",
        "str",
        secure="private",
        choices=("private", "shareable", "none", "host"),
    ),
    _key("containers", "containers.keyring", "bool", secure=True),
    _key("containers", "containers.label", "bool", secure=True),
    _key("containers", "containers.label_users", "bool", since="5.4"),
    _key(
        "containers",
        "containers.log_driver",
        "str",
        choices=("k8s-file", "journald", "none", "passthrough", "passthrough-tty"),
    ),
    _key("containers", "containers.log_size_max", "log_size", secure=10485760),
    _key("containers", "containers.mounts", "texts", since="4.7", secure=()),
    _key("containers", "containers.netns", "netns"),
    _key("containers", "containers.no_hosts", "bool"),
    _key("containers", "containers.pidns", "str", secure="private", choices=("private", "host")),
    _key("containers", "containers.pids_limit", "pids", secure=2048),
    _key("containers", "containers.privileged", "bool", since="4.8", secure=False),
    _key("containers", "containers.read_only", "bool", since="5.4", secure=True),
    _key("containers", "containers.seccomp_profile", "path"),
    _key("containers", "containers.umask", "umask"),
    _key("containers", "containers.userns", "userns"),
    _key("containers", "containers.utsns", "str", secure="private", choices=("private", "host")),
    _key("containers", "containers.volumes", "texts", secure=()),
    _key("containers", "engine.cgroup_manager", "str", choices=("systemd", "cgroupfs")),
    _key("containers", "engine.compat_api_enforce_docker_hub", "bool", since="4.0", reach=NEXT_PULL),
    _key(
        "containers",
        "engine.database_backend",
        "str",
        since="4.5",
        reach=MOVES_DATA,
        choices=("boltdb", "sqlite"),
    ),
    _key(
        "containers",
        "engine.events_logger",
        "str",
        reach=NEXT_COMMAND,
        choices=("journald", "file", "none"),
    ),
    _key("containers", "engine.hooks_dir", "texts"),
    _key("containers", "engine.no_pivot_root", "bool", secure=False),
    _key(
        "containers",
        "engine.pull_policy",
        "str",
        reach=NEXT_PULL,
        choices=("always", "missing", "never", "newer"),
    ),
    _key("containers", "engine.runtime", "str"),
    _key("containers", "engine.runtimes", "runtimes"),
    _key("containers", "engine.runtimes_flags", "runtimes", since="5.7"),
    _key("containers", "engine.static_dir", "path", reach=MOVES_DATA),
    _key("containers", "engine.tmp_dir", "path", reach=MOVES_DATA),
    _key("containers", "engine.volume_path", "path", reach=MOVES_DATA),
    _key("containers", "network.default_host_ips", "texts", since="6.0", secure=("127.0.0.1",)),
    _key("containers", "network.default_network", "str"),
    _key(
        "containers",
        "network.default_rootless_network_cmd",
        "str",
        since="5.4",
        choices=("pasta", "slirp4netns"),
    ),
    _key("containers", "network.default_subnet", "str", since="4.3", reach=NEXT_COMMAND),
    _key(
        "containers",
        "network.firewall_driver",
        "str",
        since="5.4",
        reach=NEXT_COMMAND,
        choices=("nftables", "iptables", "firewalld", "none"),
    ),
    _key(
        "containers",
        "network.network_backend",
        "str",
        since="4.0",
        reach=MOVES_DATA,
        choices=("netavark", "cni"),
    ),
    _key("containers", "network.pasta_options", "texts", since="4.6"),
    _key("storage", "storage.driver", "str", reach=MOVES_DATA, choices=("overlay", "vfs", "btrfs", "zfs")),
    _key("storage", "storage.graphroot", "path", reach=MOVES_DATA),
    _key("storage", "storage.runroot", "path", reach=MOVES_DATA),
    _key("storage", "storage.imagestore", "path", since="4.6", reach=MOVES_DATA),
    _key("storage", "storage.rootless_storage_path", "path", reach=MOVES_DATA),
    _key("storage", "storage.transient_store", "bool", since="5.4", reach=MOVES_DATA),
    _key("storage", "storage.options.additionalimagestores", "texts", secure=()),
    _key("storage", "storage.options.root-auto-userns-user", "str"),
    _key("storage", "storage.options.overlay.mountopt", "str", secure="nodev", reach=NEXT_COMMAND),
    _key(
        "storage", "storage.options.overlay.ignore_chown_errors", "flag", secure="false", reach=NEXT_COMMAND
    ),
    _key("storage", "storage.options.overlay.mount_program", "path", reach=NEXT_COMMAND),
    _key("storage", "storage.options.overlay.force_mask", "str", reach=NEXT_COMMAND),
    _key("registries", "unqualified-search-registries", "texts", reach=NEXT_PULL),
    _key(
        "registries",
        "short-name-mode",
        "str",
        secure="enforcing",
        reach=NEXT_PULL,
        choices=("enforcing", "permissive", "disabled"),
    ),
)

PODMAN_KEYS: dict[KeyPath, PodmanKey] = {row.path: row for row in _ROWS}

# Values that releases read and a policy is not for: found in a file, they are left alone.
_REMOVED_CHOICES: dict[KeyPath, dict[str, str]] = {
    ("network", "firewall_driver"): {"iptables": "6.0"},
    ("network", "network_backend"): {"cni": "6.0"},
    ("network", "default_rootless_network_cmd"): {"slirp4netns": "6.0"},
    ("engine", "database_backend"): {"boltdb": "6.0"},
    ("containers", "netns"): {"slirp4netns": "6.0"},
}


def unknown_to(version: str, row: PodmanKey) -> Optional[str]:
    """Why Podman of this version does not know the key, or ``None``."""
    engine = parse_version(version)
    if row.since is not None and engine < parse_version(row.since):
        return f"Podman {version} does not know it ({row.since} does)"
    if row.until is not None and engine >= parse_version(row.until):
        return f"Podman {row.until} removed it, and {version} is installed"
    return None


def check_key(path: Sequence[str], value: Any, version: str) -> Optional[str]:
    """What is wrong with setting the key to this value, for Podman of this version.

    :param path: the table and the key
    :returns: "NAME: found X, accepted is Y." or ``None``. A key that the version does not know is not wrong
    """
    row = PODMAN_KEYS.get(tuple(path))
    if row is None:
        return f"{'.'.join(path)}: found no such key in the table of this role{_near(path)}"
    if row.choices and value not in row.choices:
        return f"{row.dotted}: found {_shown(value)}, accepted is one of: {', '.join(row.choices)}."
    matches, wanted = _KINDS[row.kind]
    if not matches(value):
        return f"{row.dotted}: found {_shown(value)}, accepted is {wanted}."
    gone = _REMOVED_CHOICES.get(row.path, {}).get(str(value).partition(":")[0])
    if gone is not None and parse_version(version) >= parse_version(gone):
        return f"{row.dotted}: found {_shown(value)}, which Podman {gone} removed; installed is {version}."
    return None


def _near(path: Sequence[str]) -> str:
    if tuple(path)[-1:] in (("no_new_privileges",), ("no-new-privileges",)):
        return (
            "; no release of Podman has a default for it. Give each container "
            "--security-opt=no-new-privileges, or NoNewPrivileges=true in its Quadlet file."
        )
    if path[-1] in ("no_new_keyring", "no-new-keyring"):
        return "; did you mean containers.keyring?"
    close = difflib.get_close_matches(".".join(path), [row.dotted for row in _ROWS], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "."


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
