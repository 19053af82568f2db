# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide how keys of daemon.json that were written come into force with the least loss.

Sources: moby ``daemon/reload.go`` at docker-v29.7.2 (what SIGHUP applies); tried on 20.10 and 26.1:
live-restore switched on by reload lets containers survive the restart, bridge options do not change while
containers run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import (
    DOCKER_KEYS,
    parse_version,
)

__all__ = ["Activation", "EngineState", "RunningContainer", "WrittenKey", "decide"]

# Options of the default bridge: with live-restore and running containers they survive a restart unchanged.
BRIDGE_KEYS = frozenset(
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
        "ipv6",
        "mtu",
    }
)
# systemd's stamps are whole seconds: a reload counts to the end of its second.
_RELOAD_STAMP_SECONDS = 1.0


@dataclass(frozen=True)
class WrittenKey:
    """A key in the file.

    :ivar since: when it was written (seconds since the epoch); ``None``: by this run
    :ivar in_force: its value was in force already before it was written
    :ivar differs: another value was measured, whenever the daemon was started
    """

    name: str
    since: Optional[float]
    in_force: bool
    differs: bool


@dataclass(frozen=True)
class RunningContainer:
    """A running container, by what tells whether it survived: its first process and when that began."""

    id: str
    name: str
    pid: int
    start_ticks: Optional[int]
    auto_remove: bool


@dataclass(frozen=True)
class EngineState:
    """The engine before activation; the times are seconds since the epoch, ``None`` when it does not run."""

    version: str
    started_at: Optional[float]
    reloaded_at: Optional[float]
    live_restore: bool
    swarm: bool
    containers: tuple[RunningContainer, ...]


@dataclass(frozen=True)
class Activation:
    """What to do, in this order: reload, wait for live-restore, restart.

    :ivar settled: keys that are in force, or come into force by these steps
    :ivar pending: keys that do not, each with the reason
    """

    reload: bool
    await_live_restore: bool
    restart: bool
    settled: tuple[str, ...]
    pending: dict[str, str]


def decide(state: EngineState, keys: Sequence[WrittenKey], *, live_restore_wanted: bool) -> Activation:
    """Plan the activation.

    :param live_restore_wanted: whether live-restore is configured. A restart without it ends every container,
        also where the running daemon still has it (tried on 20.10 and 26.1)
    """
    if state.started_at is None:
        reason = "the engine does not run; it takes effect when it starts"
        return Activation(False, False, False, (), {key.name: reason for key in keys})
    reload_keys = [key.name for key in keys if _needs_reload(key, state)]
    restart_keys = [key.name for key in keys if _needs_restart(key, state)]
    names = ", ".join(sorted(container.name for container in state.containers))
    bridge = [name for name in restart_keys if name in BRIDGE_KEYS and state.containers]
    pending = {
        name: f"takes effect at the engine's next start without containers; running: {names}"
        for name in bridge
    }
    restart_keys = [name for name in restart_keys if name not in pending]
    switching = "live-restore" in reload_keys and live_restore_wanted
    survives = live_restore_wanted and (state.live_restore or switching)
    obstacle = _obstacle(state, live_restore=survives) if restart_keys else None
    if obstacle is not None:
        pending.update({name: obstacle for name in restart_keys})
    return Activation(
        reload=bool(reload_keys),
        await_live_restore=switching,
        restart=bool(restart_keys) and obstacle is None,
        settled=tuple(key.name for key in keys if key.name not in pending),
        pending=pending,
    )


def _reloadable(name: str) -> bool:
    return name in DOCKER_KEYS and DOCKER_KEYS[name].reloadable


def _needs_reload(key: WrittenKey, state: EngineState) -> bool:
    if not _reloadable(key.name) or key.in_force:
        return False
    read_at = state.started_at or 0.0
    if state.reloaded_at is not None:
        read_at = max(read_at, state.reloaded_at + _RELOAD_STAMP_SECONDS)
    return key.since is None or key.since > read_at


def _needs_restart(key: WrittenKey, state: EngineState) -> bool:
    if _reloadable(key.name) or key.in_force:
        return False
    return key.differs or key.since is None or key.since > (state.started_at or 0.0)


def _obstacle(state: EngineState, *, live_restore: bool) -> Optional[str]:
    """Why a restart would end containers, or ``None``."""
    names = ", ".join(sorted(container.name for container in state.containers))
    if not names:
        return None
    if state.swarm:
        return f"needs a restart, and the engine is in a swarm, so that a restart would stop: {names}"
    if not live_restore:
        return f"needs a restart, and live-restore is off, so that a restart would stop: {names}"
    removed = sorted(container.name for container in state.containers if container.auto_remove)
    if removed and parse_version(state.version) < (23,):
        return (
            f"needs a restart, at which Docker Engine {state.version} loses containers run with --rm: "
            + ", ".join(removed)
        )
    return None
