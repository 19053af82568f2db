# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disruption plan: how written keys of daemon.json come into force with the least loss, at which cost.

Pure: from the engine's state, the keys and what is allowed to the steps, the containers that stop, and what
stays pending with its reason. The facts about single keys are in `_docker_effects`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    Loss,
    RunningContainer,
    WrittenKey,
    activation_of,
    losses_of_restart,
    need_of,
    reach_of,
)

__all__ = ["ALLOWED", "Activation", "Effect", "Stop", "decide"]

# What a run may cost, from the least to the most.
ALLOWED = ("reload", "restart", "stop_containers", "move_data")

_REACH = {
    "engine": "",
    "created": "only containers created afterwards get it",
    "started": "containers get it at their next start",
    "networks": "only networks created afterwards get it",
}


@dataclass(frozen=True)
class Effect:
    """What one key costs.

    :ivar effect: one of `_docker_effects.EFFECTS`
    :ivar reason: what it does to the engine and its containers, for the reader
    :ivar containers: names of the containers that bringing it into force stops
    """

    key: str
    effect: str
    reason: str
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stop:
    """A container that the steps stop.

    :ivar started_again: by the steps, after the restart
    """

    container: RunningContainer
    why: str
    started_again: bool


@dataclass(frozen=True)
class Activation:
    """The plan.

    :ivar steps: what to do, in this order: daemon_reload, reload, await_live_restore, stop_containers,
        prove_none_left, restart, start_containers
    :ivar stops: the containers that the steps stop
    :ivar settled: keys that are in force, or come into force by the steps
    :ivar pending: keys that do not, each with the reason
    """

    steps: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    stops: tuple[Stop, ...] = ()
    settled: tuple[str, ...] = ()
    pending: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The plan as the module and the filter give it."""
        return {
            "effects": [
                {
                    "key": effect.key,
                    "effect": effect.effect,
                    "reason": effect.reason,
                    "containers": list(effect.containers),
                }
                for effect in self.effects
            ],
            "steps": list(self.steps),
            "stops": [
                {"name": stop.container.name, "why": stop.why, "started_again": stop.started_again}
                for stop in self.stops
            ],
            "pending": dict(self.pending),
        }


def decide(
    state: EngineState,
    keys: Sequence[WrittenKey],
    *,
    live_restore_wanted: bool,
    allow: str = "restart",
    withheld: Optional[Mapping[str, str]] = None,
    impossible: Optional[Mapping[str, str]] = None,
) -> Activation:
    """Plan the activation.

    :param live_restore_wanted: whether live-restore is configured for the next start
    :param allow: one of `ALLOWED`
    :param withheld: keys that were asked for and not written, each with the reason
    :param impossible: keys that a rule forbids here, dotted, each with the rule; they were not written either
    """
    planning = _Planning(state, keys, live_restore_wanted, ALLOWED.index(allow), withheld or {})
    activation = planning.activation() if state.started_at is not None else planning.not_running()
    forbidden = (
        Effect(name, "impossible", f"not written: {rule}")
        for name, rule in sorted((impossible or {}).items())
    )
    return replace(activation, effects=(*activation.effects, *forbidden))


class _Planning:
    """One plan in the making; every method is a question about the same state and keys."""

    def __init__(
        self,
        state: EngineState,
        keys: Sequence[WrittenKey],
        live_restore_wanted: bool,
        level: int,
        withheld: Mapping[str, str],
    ) -> None:
        self.state = state
        self.withheld = withheld
        self.keys = [key for key in keys if not key.foreign]
        self.level = level
        self.needs = {key.name: need_of(key, state) for key in self.keys if key.name not in withheld}
        foreign = {key.name: need_of(key, state) for key in keys if key.foreign}
        self.movers = _of_kind("move_data", {**foreign, **self.needs})
        switch = self.needs.get("live-restore", foreign.get("live-restore"))
        self.switching = live_restore_wanted and not state.live_restore and switch == "reload"
        survives = live_restore_wanted and (state.live_restore or self.switching)
        self.losses = losses_of_restart(state, live_restore=survives)

    def not_running(self) -> Activation:
        """Nothing is started by being planned."""
        reason = "the engine does not run; it takes effect when it starts"
        return Activation(
            effects=tuple(Effect(name, "none", reason) for name in self.needs),
            pending={**dict.fromkeys(self.needs, reason), **self.withheld},
        )

    def activation(self) -> Activation:
        """Steps, effects, and what is left."""
        pending = {name: reason for name in self.needs for reason in [self._obstacle(name)] if reason}
        restart = any(
            need not in ("none", "reload") and name not in pending for name, need in self.needs.items()
        )
        stops = self._stops(pending) if restart else ()
        return Activation(
            steps=self._steps(restart, stops),
            effects=(
                *(self._effect(name, need) for name, need in self.needs.items()),
                *(self._effect(name, activation_of(name, self.state.version)) for name in self.withheld),
            ),
            stops=stops,
            settled=tuple(name for name in self.needs if name not in pending),
            pending={**pending, **self.withheld},
        )

    def _steps(self, restart: bool, stops: Sequence[Stop]) -> tuple[str, ...]:
        reload = "reload" in self.needs.values() or (restart and self.switching)
        moves = bool(self.movers)
        planned = (
            ("daemon_reload", self.state.needs_daemon_reload and (reload or restart)),
            ("reload", reload),
            ("await_live_restore", reload and self.switching),
            ("stop_containers", bool(stops)),
            ("prove_none_left", restart and moves),
            ("restart", restart),
            ("start_containers", any(stop.started_again for stop in stops)),
        )
        return tuple(step for step, done in planned if done)

    def _obstacle(self, name: str) -> Optional[str]:
        """Why a key is not brought into force by this run, or ``None``."""
        need = self.needs[name]
        if need in ("none", "reload"):
            return None
        if need == "move_data" and self.level < ALLOWED.index("move_data"):
            return f"moves the engine's data; {_permits('move_data')}"
        if need in ("move_data", "without_containers") and self.state.swarm and self.state.containers:
            return (
                "takes effect at a start without containers, and the swarm starts its tasks again: "
                "leave the swarm first"
            )
        if self.movers and self.level < ALLOWED.index("move_data"):
            return (
                f"needs a restart, which would also bring {', '.join(self.movers)} into force and move the "
                f"engine's data; {_permits('move_data')}"
            )
        if self.level < ALLOWED.index("restart"):
            return f"needs a restart of the engine; {_permits('restart')}"
        if self.level >= ALLOWED.index("stop_containers"):
            return None
        if self.losses:
            return f"needs a restart, and {_losses(self.losses)}; {_permits('stop_containers')}"
        if need == "without_containers" and self.state.containers:
            return (
                f"takes effect at the engine's next start without containers; running: "
                f"{_names(self.state.containers)}; {_permits('stop_containers')}"
            )
        return None

    def _stops(self, pending: dict[str, str]) -> tuple[Stop, ...]:
        """The containers that end by a restart, for whatever reason there is first."""
        if self.movers:
            why = f"{', '.join(self.movers)} moves the engine's data, and no container may stay behind"
            return tuple(Stop(container, why, started_again=False) for container in self._sorted())
        waiting = [
            name for name, need in self.needs.items() if need == "without_containers" and name not in pending
        ]
        if waiting and self.state.containers:
            why = f"{', '.join(waiting)} takes effect only at a start without containers"
            return tuple(_stop(container, why) for container in self._sorted())
        return tuple(_stop(loss.container, loss.why) for loss in self.losses)

    def _sorted(self) -> list[RunningContainer]:
        return sorted(self.state.containers, key=lambda container: container.name)

    def _effect(self, name: str, need: str) -> Effect:
        reach = _REACH[reach_of(name)]
        everything = tuple(container.name for container in self._sorted())
        if need == "none":
            return Effect(name, "none", _joined("in force already", reach))
        if need == "reload":
            return Effect(name, "reload", _joined("read by a reload, no container is touched", reach))
        if need == "move_data":
            reason = (
                "images, volumes and containers stay behind in the old place; every container stops first"
            )
            return Effect(name, "move_data", reason, everything)
        if self.losses:
            lost = tuple(loss.container.name for loss in self.losses)
            return Effect(
                name, "stop_containers", _joined(f"read by a restart; {_losses(self.losses)}", reach), lost
            )
        if need == "without_containers" and everything:
            reason = "read by a restart, and left aside by the engine while a container runs"
            return Effect(name, "without_containers", reason, everything)
        kept = "containers run on through the restart" if everything else "no container runs"
        effect = "new_containers" if reach_of(name) in ("created", "started") else "restart"
        return Effect(name, effect, _joined(f"read by a restart; {kept}", reach))


def _of_kind(kind: str, needs: dict[str, str]) -> list[str]:
    return sorted(name for name, need in needs.items() if need == kind)


def _stop(container: RunningContainer, why: str) -> Stop:
    """A container run with --rm is gone when it stops; a swarm starts the successor of its task by itself."""
    return Stop(container, why, started_again=not (container.auto_remove or container.swarm_task))


def _losses(losses: Sequence[Loss]) -> str:
    whys = list(dict.fromkeys(loss.why for loss in losses))
    names = ", ".join(loss.container.name for loss in losses)
    return f"{' and '.join(whys)}, so that a restart would stop: {names}"


def _names(containers: Iterable[RunningContainer]) -> str:
    return ", ".join(sorted(container.name for container in containers))


def _permits(level: str) -> str:
    return f"docker_engine_allow: {level} permits it"


def _joined(first: str, second: str) -> str:
    return f"{first}; {second}" if second else first
