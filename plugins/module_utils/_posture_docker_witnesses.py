# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can witness a daemon setting that is in force, beside the file that asks for it.

A witness gives the value that it saw, or None when it cannot tell. Most keys of daemon.json have none:
`GET /info` shows few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_listeners import Listener

__all__ = ["WITNESSES", "EngineEvidence", "Seen"]

_NAMES_NO_NEW_PRIVILEGES = (26, 1)
_BUILTIN_RUNTIMES = frozenset({"runc", "io.containerd.runc.v2", "io.containerd.runtime.v1.linux"})
# what the engine takes where neither is configured
_BRIDGE, _MTU = "docker0", 1500
_ALWAYS_INSECURE = frozenset({"127.0.0.0/8", "::1/128"})


class Seen(NamedTuple):
    """A value in force, and where it was seen."""

    value: Any
    witness: str


@dataclass(frozen=True)
class EngineEvidence:
    """All that the witnesses look at.

    :ivar info: the object of `GET /info`, empty when it could not be read
    :ivar version: the object of `GET /version`, empty when it could not be read
    :ivar engine: the engine's version as numbers
    :ivar networks: the posture's `docker.networks` (empty when unreadable)
    :ivar bridge: the engine's record of the network `bridge`, empty when there is none
    :ivar listeners: the daemon's TCP listeners but those of published ports, None when unreadable
    :ivar proxies: whether the daemon runs docker-proxy processes, None when unreadable
    :ivar holds_published: whether the daemon itself listens on a published port
    :ivar pid: the daemon's process id
    :ivar pidfile_pid: what its pid file says
    :ivar created_since: NoNewPrivs of the first process of each container that was created after the daemon
        started, by the engine's default (no `no-new-privileges` option of its own)
    """

    info: Mapping[str, Any]
    version: Mapping[str, Any]
    engine: tuple[int, ...]
    networks: list[dict[str, Any]]
    bridge: Mapping[str, Any]
    listeners: Optional[list[Listener]]
    proxies: Optional[bool]
    holds_published: bool
    pid: Optional[int]
    pidfile_pid: Optional[int]
    created_since: list[bool]

    def bridge_option(self, name: str) -> Optional[str]:
        """An option of the network `bridge`; with running containers a start of the daemon leaves them."""
        options = self.bridge.get("Options")
        value = options.get(f"com.docker.network.{name}") if isinstance(options, dict) else None
        return None if value is None else str(value)

    def security_option(self, name: str) -> Optional[str]:
        """`profile=builtin` for `name=seccomp,profile=builtin`, "" for a bare option, None for none."""
        for option in self.info.get("SecurityOptions") or []:
            head, _comma, rest = str(option).partition(",")
            if head == f"name={name}":
                return rest
        return None


Witness = Callable[[EngineEvidence, Any], Optional[Seen]]


def _from_info(field: str) -> Witness:
    def see(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
        value = evidence.info.get(field)
        return None if value is None else Seen(value, f"GET /info: {field}")

    return see


def _from_security_options(name: str) -> Witness:
    def see(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
        if not isinstance(evidence.info.get("SecurityOptions"), list):
            return None
        return Seen(evidence.security_option(name) is not None, "GET /info: SecurityOptions")

    return see


def _authorization_plugins(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    plugins = evidence.info.get("Plugins")
    if not isinstance(plugins, dict):
        return None
    return Seen(plugins.get("Authorization") or [], "GET /info: Plugins.Authorization")


def _cgroup_driver(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    driver = evidence.info.get("CgroupDriver")
    if driver is None:
        return None
    seen = [f"native.cgroupdriver={driver}"]
    # without the option the engine chooses by itself: what it chose is what holds
    return Seen(seen if configured else [], "GET /info: CgroupDriver")


def _cgroupns_mode(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    if not isinstance(evidence.info.get("SecurityOptions"), list):
        return None
    private = evidence.security_option("cgroupns") is not None
    return Seen("private" if private else "host", "GET /info: SecurityOptions")


def _data_root(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    root = evidence.info.get("DockerRootDir")
    if not isinstance(root, str):
        return None
    if evidence.security_option("userns") is not None:
        root = root.rpartition("/")[0]  # a remapped engine keeps its files in a directory UID.GID
    return Seen(root, "GET /info: DockerRootDir")


def _firewall_backend(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    backend = evidence.info.get("FirewallBackend")
    driver = backend.get("Driver") if isinstance(backend, dict) else None
    if not isinstance(driver, str):
        return None
    name = driver.partition("+")[0]
    return Seen(name if configured else "", f"GET /info: FirewallBackend ({name})")


def _hosts(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    """Addresses can be written in many ways (names, no port), so that the ports are compared."""
    if evidence.listeners is None or not isinstance(configured, list):
        return None
    wanted = [str(host) for host in configured if str(host).startswith("tcp://")]
    wanted_ports = {host.rpartition(":")[2].partition("/")[0] for host in wanted}
    apart = [listener for listener in evidence.listeners if str(listener.port) not in wanted_ports]
    if not apart and len(wanted_ports) == len({listener.port for listener in evidence.listeners}):
        return Seen(configured, "/proc/PID/fd and /proc/PID/net/tcp")
    others = [host for host in configured if host not in wanted]
    seen = [f"tcp://{listener.address}:{listener.port}" for listener in evidence.listeners]
    return Seen(others + seen, "/proc/PID/fd and /proc/PID/net/tcp")


def _icc(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    for network in evidence.networks:
        if network["default"] and isinstance(network["icc"], bool):
            return Seen(network["icc"], f"network bridge: {network['icc_witness']}")
    return None


def _insecure_registries(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    registries = evidence.info.get("RegistryConfig")
    if not isinstance(registries, dict):
        return None
    ranges = {str(cidr) for cidr in registries.get("InsecureRegistryCIDRs") or []} - _ALWAYS_INSECURE
    indexes = registries.get("IndexConfigs") or {}
    names = {
        name for name, index in indexes.items() if isinstance(index, dict) and index.get("Secure") is False
    }
    return Seen(sorted(ranges | names), "GET /info: RegistryConfig")


def _registry_mirrors(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    registries = evidence.info.get("RegistryConfig")
    if not isinstance(registries, dict):
        return None
    mirrors = [str(mirror).rstrip("/") for mirror in registries.get("Mirrors") or []]
    return Seen(mirrors, "GET /info: RegistryConfig.Mirrors")


def _ip(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    address = evidence.bridge_option("bridge.host_binding_ipv4")
    return None if address is None else Seen(address, "network bridge: option host_binding_ipv4")


def _bridge(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    name = evidence.bridge_option("bridge.name")
    if name is None:
        return None
    return Seen(configured if not configured and name == _BRIDGE else name, "network bridge: option name")


def _ip_masq(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    masquerades = evidence.bridge_option("bridge.enable_ip_masquerade")
    if masquerades is None:
        return None
    return Seen(masquerades == "true", "network bridge: option enable_ip_masquerade")


def _ipv6(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    enabled = evidence.bridge.get("EnableIPv6")
    return Seen(enabled, "network bridge: EnableIPv6") if isinstance(enabled, bool) else None


def _mtu(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    text = evidence.bridge_option("driver.mtu")
    if text is None or not text.isdigit():
        return None
    return Seen(
        configured if not configured and int(text) == _MTU else int(text), "network bridge: option mtu"
    )


def _metrics(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    if evidence.listeners is None:
        return None
    ports = {listener.port for listener in evidence.listeners}
    port = str(configured or "").rpartition(":")[2]
    if not ports:
        return Seen("", "no TCP listener in /proc/PID/fd and /proc/PID/net/tcp")
    if port.isdigit() and int(port) in ports:
        return Seen(configured, "/proc/PID/fd and /proc/PID/net/tcp")
    return None


def _diagnostic_port(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    if evidence.listeners is None:
        return None
    if not evidence.listeners:
        return Seen(0, "no TCP listener in /proc/PID/fd and /proc/PID/net/tcp")
    if configured and any(listener.port == configured for listener in evidence.listeners):
        return Seen(configured, "/proc/PID/fd and /proc/PID/net/tcp")
    return None


def _min_api_version(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    version = evidence.version.get("MinAPIVersion")
    return None if version is None else Seen(version, "GET /version: MinAPIVersion")


def _no_new_privileges(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    """SecurityOptions names it on 26.1 and never on 20.10 (both tried), so that there containers are asked.

    A process can set the flag by itself: it confirms the option where it is configured, and its absence in a
    container that was made since speaks against the option anywhere.
    """
    in_containers = "NoNewPrivs in /proc of the containers created since the daemon started"
    if not all(evidence.created_since):
        return Seen(False, in_containers)
    seen = _from_security_options("no-new-privileges")(evidence, configured)
    if seen is not None and (seen.value or evidence.engine >= _NAMES_NO_NEW_PRIVILEGES):
        return seen
    return Seen(True, in_containers) if configured is True and evidence.created_since else None


def _pidfile(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    if evidence.pid is None or evidence.pidfile_pid != evidence.pid:
        return None
    return Seen(configured, "the daemon's process id is in it")


def _runtimes(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    runtimes = evidence.info.get("Runtimes")
    if not isinstance(runtimes, dict):
        return None
    return Seen(sorted(set(runtimes) - _BUILTIN_RUNTIMES), "GET /info: Runtimes")


def _seccomp_profile(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    if not isinstance(evidence.info.get("SecurityOptions"), list):
        return None
    option = evidence.security_option("seccomp")
    if option is None:
        return Seen("unconfined", "GET /info: SecurityOptions has no seccomp")
    profile = option.partition("profile=")[2]
    return Seen("builtin" if profile in ("", "default") else profile, "GET /info: SecurityOptions")


def _storage_driver(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    driver = evidence.info.get("Driver")
    if driver is None:
        return None
    return Seen(driver if configured else "", f"GET /info: Driver ({driver})")


def _userland_proxy(evidence: EngineEvidence, _configured: Any) -> Optional[Seen]:
    if evidence.proxies:
        return Seen(True, "the daemon runs docker-proxy processes")
    if evidence.proxies is False and evidence.holds_published:
        return Seen(False, "the daemon itself listens on published ports, and runs no docker-proxy")
    return None


def _userns_remap(evidence: EngineEvidence, configured: Any) -> Optional[Seen]:
    if not isinstance(evidence.info.get("SecurityOptions"), list):
        return None
    remapped = evidence.security_option("userns") is not None
    if not remapped:
        return Seen("", "GET /info: SecurityOptions")
    range_name = str(evidence.info.get("DockerRootDir", "")).rpartition("/")[2]
    return Seen(configured or range_name, f"GET /info: SecurityOptions (data in {range_name})")


WITNESSES: Mapping[str, Witness] = {
    "authorization-plugins": _authorization_plugins,
    "bridge": _bridge,
    "data-root": _data_root,
    "default-cgroupns-mode": _cgroupns_mode,
    "default-runtime": _from_info("DefaultRuntime"),
    "exec-opts": _cgroup_driver,
    "experimental": _from_info("ExperimentalBuild"),
    "firewall-backend": _firewall_backend,
    "hosts": _hosts,
    "icc": _icc,
    "insecure-registries": _insecure_registries,
    "ip": _ip,
    "ip-masq": _ip_masq,
    "ipv6": _ipv6,
    "live-restore": _from_info("LiveRestoreEnabled"),
    "log-driver": _from_info("LoggingDriver"),
    "metrics-addr": _metrics,
    "min-api-version": _min_api_version,
    "mtu": _mtu,
    "network-diagnostic-port": _diagnostic_port,
    "no-new-privileges": _no_new_privileges,
    "pidfile": _pidfile,
    "registry-mirrors": _registry_mirrors,
    "rootless": _from_security_options("rootless"),
    "runtimes": _runtimes,
    "seccomp-profile": _seccomp_profile,
    "selinux-enabled": _from_security_options("selinux"),
    "storage-driver": _storage_driver,
    "userland-proxy": _userland_proxy,
    "userns-remap": _userns_remap,
}
