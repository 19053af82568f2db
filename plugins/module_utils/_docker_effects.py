# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a changed key of daemon.json does to a running engine and its containers: the table of effects.

Sources: moby ``daemon/reload.go`` and ``reload_unix.go`` (what SIGHUP applies; read at 20.10, 25.0 and 29.7),
``daemon/create.go``, ``daemon/oci_linux.go`` and ``daemon/seccomp_linux.go`` (what is stored when a container
is created, what is looked up when it starts), ``daemon/daemon_unix.go`` initNetworkController (the default
bridge is left alone while containers run). Observed on real engines by
tests/integration/test_effects.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import (
    DOCKER_KEYS,
    parse_version,
)

__all__ = [
    "EFFECTS",
    "MOVES_DATA",
    "UNIT_KEY",
    "EngineState",
    "Loss",
    "RunningContainer",
    "WrittenKey",
    "activation_of",
    "losses_of_restart",
    "need_of",
    "reach_of",
    "upgrade_pending",
]

# What a key can cost, from the least to the most; impossible: a rule forbids it here, and it is not written.
EFFECTS = (
    "none",
    "reload",
    "restart",
    "new_containers",
    "without_containers",
    "stop_containers",
    "move_data",
    "impossible",
)

# The name under which a change of the unit's own files (drop-ins, environment) stands among the keys.
UNIT_KEY = "docker.service"

# Options of the default bridge: with live-restore and running containers they survive a restart unchanged.
_WITHOUT_CONTAINERS = frozenset(
    {
        "bip",
        "bip6",
        "bridge",
        "default-address-pools",
        "default-gateway",
        "default-gateway-v6",
        "fixed-cidr",
        "fixed-cidr-v6",
        "icc",
        "ip",
        "ip-masq",
        "ipv6",
        "mtu",
    }
)

# Another value is another place for images, volumes and containers, or another view on what runs: what is
# there stays behind, and a container that runs on is managed by nobody.
MOVES_DATA = frozenset(
    {
        "containerd-namespace",
        "data-root",
        "exec-root",
        "features.containerd-snapshotter",
        "graph",
        "storage-driver",
        "userns-remap",
    }
)

# Stored in a container when it is created: an existing one keeps what it has, through every restart.
_AT_CREATION = frozenset(
    {
        "default-cgroupns-mode",
        "default-ipc-mode",
        "default-runtime",
        "default-shm-size",
        "log-driver",
        "log-opts",
        "no-new-privileges",
        "selinux-enabled",
    }
)
# Looked up each time a container starts.
_AT_START = frozenset(
    {
        "cgroup-parent",
        "cpu-rt-period",
        "cpu-rt-runtime",
        "default-ulimits",
        "dns",
        "dns-opts",
        "dns-search",
        "host-gateway-ip",
        "host-gateway-ips",
        "init",
        "init-path",
        "seccomp-profile",
    }
)
# Stored in a network when it is created.
_AT_NETWORK = frozenset({"default-network-opts"})

# A reload puts these back to their default when the file does not name them any more; it leaves the others as
# they are (reload.go: IsValueSet), so that their removal takes a restart.
_RESET_BY_RELOAD = frozenset(
    {
        "features",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
    }
)
# A reload applies it, and the daemon ends there when it does not find a plugin (daemon/command/daemon.go).
_DANGEROUS_BY_RELOAD = frozenset({"authorization-plugins"})
# systemd's stamps are whole seconds: a reload counts to the end of its second.
_RELOAD_STAMP_SECONDS = 1.0


@dataclass(frozen=True)
class WrittenKey:
    """A key in the file.

    :ivar since: when it was written (seconds since the epoch); ``None``: by this run
    :ivar in_force: its value was in force already before it was written
    :ivar differs: another value was measured, whenever the daemon was started
    :ivar removed: the file does not name it any more
    :ivar parts: the members that changed, where the key is an object
    :ivar foreign: somebody else wrote it: it is not ours to bring into force, but a restart would
    """

    name: str
    since: Optional[float]
    in_force: bool
    differs: bool
    removed: bool = False
    parts: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True)
class RunningContainer:
    """A running container, by what tells whether it survived: its first process and when that began.

    :ivar auto_remove: run with ``--rm``: it is gone when it stops
    :ivar restart_policy: ``no``, ``on-failure``, ``always`` or ``unless-stopped``
    :ivar swarm_task: a service of the swarm owns it and starts its successor
    :ivar started_at: seconds since the epoch; ``None``: not known
    """

    id: str
    name: str
    pid: int
    start_ticks: Optional[int]
    auto_remove: bool
    restart_policy: str = "no"
    swarm_task: bool = False
    started_at: Optional[float] = None


@dataclass(frozen=True)
class EngineState:
    """The engine before activation; the times are seconds since the epoch, ``None`` when it does not run.

    :ivar installed_version: of the program that the next start runs; ``None``: not known
    :ivar needs_daemon_reload: the unit's files changed after systemd read them
    """

    version: str
    started_at: Optional[float]
    reloaded_at: Optional[float]
    live_restore: bool
    swarm: bool
    containers: tuple[RunningContainer, ...]
    installed_version: Optional[str] = None
    needs_daemon_reload: bool = False


@dataclass(frozen=True)
class Loss:
    """A container that a restart of the engine ends, and why."""

    container: RunningContainer
    why: str


def activation_of(name: str, version: str, *, removed: bool = False, parts: tuple[str, ...] = ()) -> str:
    """What brings a changed key into force: ``reload``, ``restart``, ``without_containers`` or ``move_data``.

    :param name: the key in daemon.json, or `UNIT_KEY`
    :param version: of the running engine
    :param removed: the file does not name the key any more
    :param parts: the members that changed, where the key is an object
    """
    if name in MOVES_DATA or any(f"{name}.{part}" in MOVES_DATA for part in parts):
        return "move_data"
    if name in _WITHOUT_CONTAINERS:
        return "without_containers"
    row = DOCKER_KEYS.get(name)
    if row is None or not row.reloadable or name in _DANGEROUS_BY_RELOAD:
        return "restart"
    if name == "network-diagnostic-port":
        # since 29.0 a reload starts the diagnostic server and does not stop it any more
        return "restart" if removed and parse_version(version) >= (29,) else "reload"
    return "restart" if removed and name not in _RESET_BY_RELOAD else "reload"


def reach_of(name: str) -> str:
    """What a value that the engine has read reaches: ``engine``, ``created``, ``started`` or ``networks``.

    ``created``: only containers created afterwards; ``started``: containers at their next start;
    ``networks``: networks created afterwards.
    """
    if name in _AT_CREATION:
        return "created"
    if name in _AT_START:
        return "started"
    return "networks" if name in _AT_NETWORK else "engine"


def need_of(key: WrittenKey, state: EngineState) -> str:
    """What is still needed to bring a key into force: ``none``, or as `activation_of` says."""
    if key.in_force or state.started_at is None:
        return "none"
    kind = activation_of(key.name, state.version, removed=key.removed, parts=key.parts)
    if key.since is None:
        return kind
    if kind == "reload":
        read_at = state.started_at
        if state.reloaded_at is not None:
            read_at = max(read_at, state.reloaded_at + _RELOAD_STAMP_SECONDS)
        return kind if key.since > read_at else "none"
    if key.differs or key.since > state.started_at:
        return kind
    return kind if kind == "without_containers" and _began_under_containers(state) else "none"


def _began_under_containers(state: EngineState) -> bool:
    """Whether the daemon may have found a running container when it started."""
    return any(
        container.started_at is None or state.started_at is None or container.started_at < state.started_at
        for container in state.containers
    )


def losses_of_restart(state: EngineState, *, live_restore: bool) -> tuple[Loss, ...]:
    """The containers that a restart ends, by name.

    :param live_restore: it is in force when the daemon stops, and configured when it starts again. Without
        one of the two every container ends (tried on 20.10 and 26.1)
    """
    containers = sorted(state.containers, key=lambda container: container.name)
    if state.swarm:
        return tuple(Loss(container, "the engine is in a swarm") for container in containers)
    if not live_restore:
        return tuple(Loss(container, "live-restore is off") for container in containers)
    if upgrade_pending(state):
        why = (
            f"Docker Engine {state.installed_version} is installed and {state.version} runs, and "
            "live-restore does not hold across minor versions"
        )
        return tuple(Loss(container, why) for container in containers)
    if parse_version(state.version) < (23,):
        why = f"Docker Engine {state.version} loses containers run with --rm"
        return tuple(Loss(container, why) for container in containers if container.auto_remove)
    return ()


def upgrade_pending(state: EngineState) -> bool:
    """Whether the next start runs another minor version.

    docs.docker.com/engine/daemon/live-restore: only upgrades of the patch level keep containers.
    """
    if state.installed_version is None or state.started_at is None:
        return False
    return parse_version(state.installed_version)[:2] != parse_version(state.version)[:2]
