# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of Docker Engine's ``daemon.json``: one row each, and the checks that follow from the rows.

Source: moby ``daemon/config/config.go``, ``config_linux.go``, ``builder.go``, ``daemon/command/config*.go``
and ``daemon/reload*.go`` at docker-v29.7.2; ``since`` and ``until`` from the difference of the JSON tags, tag
by tag. Keys that the engine's file parser lets through without any effect are not in the table.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Any, Callable, NamedTuple, Optional

__all__ = [
    "DOCKER_KEYS",
    "DockerKey",
    "check_key",
    "key_of_flag",
    "known_keys",
    "nearest_key",
    "parse_version",
]


class DockerKey(NamedTuple):
    """One key of ``daemon.json``.

    :ivar kind: how its value is written, a key of ``_KINDS``
    :ivar default: what the engine takes when the key is absent; ``None``: computed by the engine, or nothing
    :ivar since: first release (``major.minor``) that knows it; ``None``: older than 20.10
    :ivar until: first release that does not know it any more; ``None``: still there
    :ivar reloadable: applied to a running daemon by ``SIGHUP``
    :ivar audited: the posture holds it: it bears on the security of the host, or on what a change does to
        containers (what moves data, and the options of the default bridge)
    :ivar choices: the only texts accepted; empty: any
    :ivar flag: long name of the ``dockerd`` flag for the same setting, ``None``: there is none
    :ivar secret: its value can carry credentials, so that it is never shown
    """

    name: str
    kind: str
    default: Any
    since: Optional[str]
    until: Optional[str]
    reloadable: bool
    audited: bool
    choices: tuple[str, ...]
    flag: Optional[str]
    secret: bool

    @property
    def composite(self) -> bool:
        """True where the value holds several settings of its own (lists, maps, objects)."""
        return self.kind not in _SCALAR


def parse_version(text: str) -> tuple[int, ...]:
    """``26.1.5+dfsg1`` -> ``(26, 1, 5)``; only the leading numbers count.

    :raises ValueError: when the text does not begin with a number
    """
    match = re.match(r"\d+(?:\.\d+)*", text)
    if match is None:
        raise ValueError(f"{text!r} is not a version")
    return tuple(int(part) for part in match.group().split("."))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_size(value: Any) -> bool:
    if _is_integer(value):
        return bool(value >= 0)
    return isinstance(value, str) and re.fullmatch(r"(?i)\d+(\.\d+)?\s?([kmgtp]i?b?|b)?", value) is not None


def _list_of(element: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(element(item) for item in value)


def _map_of(element: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) and element(item) for name, item in value.items())
    )


def _is_ulimit(value: Any) -> bool:
    if not isinstance(value, dict) or not {"Hard", "Soft"} <= set(value) <= {"Name", "Hard", "Soft"}:
        return False
    return _is_integer(value["Hard"]) and _is_integer(value["Soft"]) and _is_text(value.get("Name", ""))


_is_object = _map_of(lambda item: True)

# kind -> (test, what a reader is told to write)
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "int": (_is_integer, "a whole number"),
    "str": (_is_text, "a text"),
    "ip": (_is_address, "an IP address as text"),
    "size": (_is_size, 'a size such as "64M", or a number of bytes'),
    "list": (_list_of(_is_text), "a list of texts"),
    "ip_list": (_list_of(_is_address), "a list of IP addresses"),
    "object_list": (_list_of(_is_object), "a list of objects"),
    "map": (_map_of(_is_text), 'an object of texts (numbers and booleans in quotes, such as "3")'),
    "bool_map": (_map_of(lambda item: isinstance(item, bool)), "an object of true and false"),
    "map_map": (_map_of(_map_of(_is_text)), "an object of objects of texts"),
    "ulimit_map": (
        _map_of(_is_ulimit),
        'an object such as {"nofile": {"Name": "nofile", "Hard": 1048576, "Soft": 1024}}',
    ),
    "object": (_is_object, "an object"),
    "object_map": (_map_of(_is_object), "an object of objects"),
}
_SCALAR = {"bool", "int", "str", "ip", "size"}


def _key(
    name: str,
    kind: str,
    default: Any = None,
    *,
    since: Optional[str] = None,
    until: Optional[str] = None,
    reloadable: bool = False,
    audited: bool = False,
    choices: tuple[str, ...] = (),
    flag: Optional[str] = "",
    secret: bool = False,
) -> DockerKey:
    """A row; an empty ``flag`` stands for the usual case, the flag named like the key."""
    known_flag = name if flag == "" else flag
    return DockerKey(name, kind, default, since, until, reloadable, audited, choices, known_flag, secret)


_LOG_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug", "trace")

_ROWS: tuple[DockerKey, ...] = (
    _key("allow-direct-routing", "bool", False, since="28.0", audited=True),
    _key("allow-nondistributable-artifacts", "list", [], until="28.0", reloadable=True),
    _key("api-cors-header", "str", "", until="29.0", audited=True),
    _key("authorization-plugins", "list", [], reloadable=True, audited=True, flag="authorization-plugin"),
    _key("bip", "str", "", audited=True),
    _key("bip6", "str", "", since="28.0", audited=True),
    _key("bridge", "str", "", audited=True),
    _key("bridge-accept-fwmark", "str", "", since="29.0", audited=True),
    _key("builder", "object", {}, audited=True, flag=None),
    _key("cdi-spec-dirs", "list", ["/etc/cdi", "/var/run/cdi"], since="25.0", flag="cdi-spec-dir"),
    _key("cgroup-parent", "str", "", audited=True),
    _key("cluster-advertise", "str", "", until="24.0"),
    _key("cluster-store", "str", "", until="24.0"),
    _key("cluster-store-opts", "map", {}, until="24.0", flag="cluster-store-opt"),
    _key("containerd", "str", ""),
    _key("containerd-namespace", "str", "moby", audited=True),
    _key("cpu-rt-period", "int", 0),
    _key("cpu-rt-runtime", "int", 0),
    _key("cri-containerd", "bool", False),
    _key("data-root", "str", "/var/lib/docker", audited=True),
    _key("debug", "bool", False, reloadable=True),
    _key("default-address-pools", "object_list", None, audited=True, flag="default-address-pool"),
    _key(
        "default-cgroupns-mode",
        "str",
        since="20.10",
        reloadable=True,
        audited=True,
        choices=("private", "host"),
    ),
    _key("default-gateway", "ip", audited=True),
    _key("default-gateway-v6", "ip", audited=True),
    _key(
        "default-ipc-mode",
        "str",
        "private",
        reloadable=True,
        audited=True,
        choices=("private", "shareable"),
    ),
    _key("default-network-opts", "map_map", {}, since="24.0", flag="default-network-opt"),
    _key("default-runtime", "str", "runc", reloadable=True, audited=True),
    _key("default-shm-size", "size", "64M", reloadable=True),
    _key("default-stop-timeout", "int", 10, since="29.7", reloadable=True),
    _key("default-ulimits", "ulimit_map", {}, audited=True, flag="default-ulimit"),
    _key("dns", "ip_list", []),
    _key("dns-opts", "list", [], flag="dns-opt"),
    _key("dns-search", "list", []),
    _key("exec-opts", "list", [], audited=True, flag="exec-opt"),
    _key("exec-root", "str", "/var/run/docker", audited=True),
    _key("experimental", "bool", False, audited=True),
    _key("features", "bool_map", {}, reloadable=True, audited=True, flag="feature"),
    _key("firewall-backend", "str", "", since="29.0", audited=True, choices=("", "iptables", "nftables")),
    _key("fixed-cidr", "str", "", audited=True),
    _key("fixed-cidr-v6", "str", "", audited=True),
    _key("graph", "str", "", until="24.0", audited=True),
    _key("group", "str", "docker", audited=True),
    _key("host-gateway-ip", "ip", since="20.10"),
    _key("host-gateway-ips", "ip_list", [], since="28.0", flag="host-gateway-ip"),
    _key("hosts", "list", [], audited=True, flag="host"),
    _key("http-proxy", "str", "", since="23.0", secret=True),
    _key("https-proxy", "str", "", since="23.0", secret=True),
    _key("icc", "bool", True, audited=True),
    _key("init", "bool", False),
    _key("init-path", "str", ""),
    _key("insecure-registries", "list", [], reloadable=True, audited=True, flag="insecure-registry"),
    _key("ip", "ip", "0.0.0.0", audited=True),
    _key("ip-forward", "bool", True, audited=True),
    _key("ip-forward-no-drop", "bool", False, since="28.0", audited=True),
    _key("ip-masq", "bool", True, audited=True),
    _key("ip6tables", "bool", None, since="20.10", audited=True),
    _key("iptables", "bool", True, audited=True),
    _key("ipv6", "bool", False, audited=True),
    _key("labels", "list", [], reloadable=True, flag="label"),
    _key("live-restore", "bool", False, reloadable=True, audited=True),
    _key("log-driver", "str", "json-file", audited=True),
    _key("log-format", "str", "text", since="25.0", choices=("text", "json")),
    _key("log-level", "str", "info", audited=True, choices=_LOG_LEVELS),
    _key("log-opts", "map", {}, audited=True, flag="log-opt", secret=True),
    _key("max-concurrent-downloads", "int", 3, reloadable=True),
    _key("max-concurrent-uploads", "int", 5, reloadable=True),
    _key("max-download-attempts", "int", 5, since="20.10", reloadable=True),
    _key("metrics-addr", "str", "", audited=True),
    _key("min-api-version", "str", None, since="29.0", audited=True, flag=None),
    _key("mtu", "int", 0, audited=True),
    _key("network-control-plane-mtu", "int", 1500),
    _key("network-diagnostic-port", "int", 0, reloadable=True, audited=True),
    _key("no-new-privileges", "bool", False, audited=True),
    _key("no-proxy", "str", "", since="23.0"),
    _key("node-generic-resources", "list", [], flag="node-generic-resource"),
    _key("nri-opts", "object", None, since="29.2", reloadable=True, audited=True),
    _key("oom-score-adjust", "int", 0, until="26.0"),
    _key("pidfile", "str", "/var/run/docker.pid", audited=True),
    _key("proxies", "map", {}, since="23.0", flag=None, secret=True),
    _key("raw-logs", "bool", False),
    _key("registry-mirrors", "list", [], reloadable=True, audited=True, flag="registry-mirror", secret=True),
    _key("rootless", "bool", False, audited=True),
    _key("runtimes", "object_map", {}, reloadable=True, audited=True, flag="add-runtime"),
    _key("seccomp-profile", "str", "builtin", audited=True),
    _key("selinux-enabled", "bool", False, audited=True),
    _key("shutdown-timeout", "int", 15, reloadable=True),
    _key("storage-driver", "str", "", audited=True),
    _key("storage-opts", "list", [], audited=True, flag="storage-opt"),
    _key("swarm-default-advertise-addr", "str", ""),
    _key("tls", "bool", None, audited=True),
    _key("tlscacert", "str", "", audited=True),
    _key("tlscert", "str", "", audited=True),
    _key("tlskey", "str", "", audited=True),
    _key("tlsverify", "bool", None, audited=True),
    _key("userland-proxy", "bool", True, audited=True),
    _key("userland-proxy-path", "str", ""),
    _key("userns-remap", "str", "", audited=True),
)

DOCKER_KEYS: dict[str, DockerKey] = {row.name: row for row in _ROWS}

_SHORT_FLAGS = {
    "D": "debug",
    "G": "group",
    "H": "host",
    "b": "bridge",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
}


def known_keys(version: str) -> dict[str, DockerKey]:
    """The rows that an engine of this version (``26.1.5``) accepts in its file, by name."""
    return {name: row for name, row in DOCKER_KEYS.items() if _refusal(row, version) is None}


def nearest_key(name: str) -> Optional[str]:
    """The known key that is spelled most like ``name``, or ``None`` when none is close."""
    folded = name.lower().replace("_", "-")
    close = difflib.get_close_matches(folded, DOCKER_KEYS, n=1, cutoff=0.6)
    return close[0] if close else None


def key_of_flag(flag: str) -> Optional[str]:
    """``--log-opt``, ``log-opt`` or ``-l`` -> the key of the same setting, or ``None``."""
    short = len(flag) == 2 and flag.startswith("-")
    name = _SHORT_FLAGS.get(flag[1]) if short else flag.lstrip("-")
    return next((row.name for row in _ROWS if name is not None and row.flag == name), None)


def check_key(name: str, value: Any, version: Optional[str]) -> Optional[str]:
    """What is wrong with setting ``name`` to ``value`` in the file of an engine of this version.

    :param version: ``26.1.5``, or ``None`` where no engine is installed: then any release's key is accepted
    :returns: a sentence for the reader, or ``None`` when nothing is wrong; never quotes a possible secret
    """
    row = DOCKER_KEYS.get(name)
    if row is None:
        near = nearest_key(name)
        return f"{name}: daemon.json has no such key" + (f"; did you mean {near}?" if near else ".")
    if version is not None:
        refusal = _refusal(row, version)
        if refusal is not None:
            return refusal
    matches, wanted = _KINDS[row.kind]
    if not matches(value):
        return f"{name}: found {_describe(value, row)}, accepted is {wanted}."
    if row.choices and value not in row.choices:
        return f"{name}: found {_describe(value, row)}, accepted is one of: {_listed(row.choices)}."
    return None


def _refusal(row: DockerKey, version: str) -> Optional[str]:
    """Why an engine of this version does not know the key, or ``None``."""
    engine = parse_version(version)
    if row.since is not None and engine < parse_version(row.since):
        return f"{row.name}: Docker Engine {row.since} brings this key, the installed engine is {version}."
    if row.until is not None and engine >= parse_version(row.until):
        return f"{row.name}: Docker Engine {row.until} removed this key, the installed engine is {version}."
    return None


# In this order: a boolean is an int too. Ansible hands over subclasses of these types.
_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "an object"),
    (type(None), "nothing"),
)


def _describe(value: Any, row: DockerKey) -> str:
    kind = next((name for known, name in _TYPE_NAMES if isinstance(value, known)), type(value).__name__)
    if row.secret or value is None or isinstance(value, (list, dict)):
        return kind
    return f"{kind} ({value!r})"


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(choice or '""' for choice in choices)
