# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root's own Docker Engine beside the users' daemons: disabled on request, and given back as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import docker_socket
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import (
    read_units,
    systemctl,
    unit_steps,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import UnitState
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import RunningContainer
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import (
    UNCHANGED,
    DockerRootlessError,
    end_of_containers,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    UNIT,
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import (
    replace_file,
    sync_directory,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import STATE_DIRECTORY

__all__ = [
    "NAME",
    "ROOTFUL",
    "UNITS",
    "RootfulEngine",
    "RootfulPlan",
    "act_on_rootful",
    "decide_rootful",
    "look_at_rootful",
]

# The socket too: it would start the service when somebody connects (systemd.socket(5)).
UNITS = ("docker.socket", UNIT)
ROOTFUL = ("left_alone", "disabled")
_ANSWER_SECONDS = 60.0
# How the units were before this role disabled them.
_RECORD = "rootful-docker.json"
# No account has such a name.
NAME = "root's engine"


@dataclass(frozen=True)
class RootfulEngine:
    """The engine that the system's manager runs.

    :ivar units: the units that there are, and their states
    :ivar containers: those that run
    :ivar swarm: whether it is part of a swarm
    :ivar silence: why a running engine does not say what runs, or ""
    :ivar before: the units as they were before they were disabled by us; None where they were not
    """

    units: Mapping[str, UnitState]
    containers: tuple[RunningContainer, ...] = ()
    swarm: bool = False
    silence: str = ""
    before: Optional[Mapping[str, UnitState]] = None

    @property
    def is_off(self) -> bool:
        """No unit runs, and none starts with the host."""
        return all(
            unit.enabled in ("disabled", "masked") and unit.active in ("inactive", "failed")
            for unit in self.units.values()
        )

    def steps_back(self) -> list[list[str]]:
        """What makes the units, as far as there still are, what they were before they were disabled by us."""
        before = {name: unit for name, unit in (self.before or {}).items() if name in self.units}
        return unit_steps(before, self.units)


def look_at_rootful(system: System) -> RootfulEngine:
    """The engine of root; one that is stopped is not asked, because its socket would start it."""
    found = read_units(system, UNITS)
    units = {name: state for name, state in found.items() if state.enabled}
    before = _recorded()
    if UNIT not in units or units[UNIT].active != "active":
        return RootfulEngine(units, before=before)
    try:
        state = _service(system).state()
    except (DockerServiceError, PortError) as error:
        return RootfulEngine(units, silence=printable(str(error), limit=200), before=before)
    return RootfulEngine(units, state.containers, swarm=state.swarm, before=before)


def _service(system: System) -> DockerService:
    return DockerService(system, socket=docker_socket(system), timeout=_ANSWER_SECONDS)


@dataclass(frozen=True)
class RootfulPlan:
    """What is done about root's engine.

    :ivar engine: None where it was not looked at
    :ivar steps: systemctl commands, as lists of words
    :ivar pending: why what was asked for has to wait, or ""
    """

    engine: Optional[RootfulEngine] = None
    steps: Sequence[Sequence[str]] = ()
    pending: str = ""

    def lines(self) -> list[str]:
        """Each step for a reader."""
        return [f"{' '.join(words)}, of {NAME}" for words in self.steps]

    def is_off(self, state: str) -> bool:
        """Whether the engine is off afterwards."""
        if self.steps:
            return state == "present"
        return self.engine is not None and self.engine.is_off


def decide_rootful(
    engine: RootfulEngine, *, rootful: str, state: str, allow: str, waiting: Sequence[str]
) -> RootfulPlan:
    """What is done, and what has to wait.

    :param rootful: one of `ROOTFUL`
    :param state: with ``absent``, and nobody who asks for it to be disabled, what we disabled is given back
    :param allow: as for the users' daemons
    :param waiting: users whose own daemon does not run as it should
    """
    if rootful == "left_alone":
        return RootfulPlan(engine, engine.steps_back() if state == "absent" else ())
    if state == "absent" or engine.is_off:
        return RootfulPlan(engine)
    if waiting:
        reason = f"it stays until every user's daemon runs; waiting: {', '.join(waiting)}"
        return RootfulPlan(engine, pending=reason)
    reason = ""
    if engine.swarm:
        reason = "it is part of a swarm; docker swarm leave takes it out"
    elif engine.units.get(UNIT, UnitState("", "")).active == "active":
        names = sorted(printable(container.name) for container in engine.containers)
        reason = end_of_containers(names, engine.silence, allow)
    if reason:
        return RootfulPlan(engine, pending=f"it stays, because {reason}")
    return RootfulPlan(engine, [["disable", "--now", *engine.units]])


def act_on_rootful(system: System, plan: RootfulPlan, state: str) -> None:
    """Carry it out; how the units were is on the disk before the first of them changes.

    :raises BulkheadError: systemd does not do it, or it did not help
    """
    engine = plan.engine
    if engine is None or not plan.steps:
        return
    if state == "present" and engine.before is None:
        _record(engine.units)
    if state == "present" and engine.containers:
        # With live-restore they would run on, and no engine would list them.
        _service(system).stop_containers(engine.containers)
        _service(system).prove_none_left()
    for words in plan.steps:
        systemctl(system, *words)
    after = look_at_rootful(system)
    holds = after.is_off if state == "present" else not after.steps_back()
    if not holds:
        shown = "; ".join(f"{name}: {unit.enabled}, {unit.active}" for name, unit in after.units.items())
        raise DockerRootlessError(f"{'; '.join(plan.lines())} was done, yet {shown}.")
    if state == "absent":
        os.unlink(_path())
        sync_directory(STATE_DIRECTORY)


def _path() -> str:
    return os.path.join(STATE_DIRECTORY, _RECORD)


def _record(units: Mapping[str, UnitState]) -> None:
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    text = json.dumps({name: asdict(unit) for name, unit in units.items()}, indent=2, sort_keys=True) + "\n"
    replace_file(_path(), text.encode(), lambda descriptor: os.fchmod(descriptor, 0o600))


def _recorded() -> Optional[Mapping[str, UnitState]]:
    try:
        with open(_path(), encoding="utf-8") as stream:
            value = json.load(stream)
        return {str(name): UnitState(**unit) for name, unit in value.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DockerRootlessError(
            f"{_path()}: it does not say how the units of {NAME} were ({type(error).__name__}); accepted is "
            f"what this role wrote. Take the file away to go on without. {UNCHANGED}"
        ) from error
