# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore does to containers: foreseen before it, and compared with what became of them behind it.

A rollback is planned like an apply, and says which containers it ends. What runs is counted by the kernel's
cgroups, whatever the engine lists.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import (
    DOCKER_FILE,
    DOCKER_UNIT,
    docker_installed,
    docker_socket,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
    HostState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_cgroups import docker_cgroups
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    losses_of_restart,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_restore import (
    Stage,
    situation_of,
    stages,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    parse_flags,
)

__all__ = ["ALLOW", "Outlook", "foresee", "in_the_dark", "refuse", "unproven"]

# What a restore of the engine can cost, from the least to the most; the names of docker_engine_allow.
ALLOW = ("reload", "restart", "stop_containers", "move_data")
_ENGINE_SECONDS = 60.0
SETTLE_SECONDS = 10.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Outlook:
    """What a restore costs.

    :ivar cost: one of `ALLOW`
    :ivar names: every container that runs, by its id
    :ivar losses: why a container ends, by its id
    """

    cost: str = "reload"
    names: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Each container that ends, and why."""
        return [f"container {self.names[identifier]} ends: {why}" for identifier, why in self.losses.items()]


def foresee(
    system: System,
    wanted: HostState,
    found: HostState,
    contents: Mapping[str, bytes],
    *,
    needed: bool,
    unit_changed: bool,
    taken_at: Optional[float],
) -> Outlook:
    """What bringing the engine from `found` to `wanted` costs.

    :param contents: by checksum, of the files of `wanted`
    :param needed: the engine has a part in the restore
    :param unit_changed: files of its unit are among what is put back
    :param taken_at: when the host was in the wanted state; ``None``: not known
    :raises DockerServiceError: the engine is there and does not say what runs
    """
    running = {identifier: identifier[:12] for identifier in docker_cgroups(system)}
    if not docker_installed(system):
        return Outlook(names=running)
    service = DockerService(system, socket=docker_socket(system), timeout=_ENGINE_SECONDS)
    state = service.state()
    names = {**running, **{container.id: container.name for container in state.containers}}
    if _is_stopped(wanted, found):
        why = "docker.service did not run then, and is stopped"
        return Outlook("stop_containers" if names else "restart", names, dict.fromkeys(names, why))
    file = wanted.files.get(DOCKER_FILE)
    if not needed or file is None:
        return Outlook(names=names)
    old = None if file.sha256 is None else contents[file.sha256]
    situation = situation_of(
        system, service, state, DOCKER_FILE, old, unit_changed=unit_changed, taken_at=taken_at
    )
    flag = parse_flags(service.service().command).get("live-restore")
    return _outlook(stages(situation), state, names, live_restore=flag is not False)


def in_the_dark(system: System, reason: str) -> Outlook:
    """The outlook where the engine does not say what runs: whatever the cgroups hold may end."""
    names = {identifier: identifier[:12] for identifier in docker_cgroups(system)}
    why = f"the engine does not say what it would keep: {reason}"
    return Outlook("stop_containers" if names else "restart", names, dict.fromkeys(names, why))


def _is_stopped(wanted: HostState, found: HostState) -> bool:
    then, now = wanted.units.get(DOCKER_UNIT), found.units.get(DOCKER_UNIT)
    return then is not None and now is not None and (then.active, now.active) == ("inactive", "active")


def _outlook(
    plan: Sequence[Stage], state: EngineState, names: Mapping[str, str], *, live_restore: bool
) -> Outlook:
    """The stages keep live-restore in force over a restart, unless a flag of the unit says otherwise."""
    for stage in plan:
        if stage.action == "stop_containers":
            return Outlook("move_data", names, dict.fromkeys(names, stage.why))
    if not any(stage.action == "restart" for stage in plan):
        return Outlook("reload", names)
    losses = {loss.container.id: loss.why for loss in losses_of_restart(state, live_restore=live_restore)}
    return Outlook("stop_containers" if losses else "restart", names, losses)


def refuse(outlook: Outlook, allow: str) -> None:
    """Raise `CheckpointError` when a restore costs more than is allowed."""
    if ALLOW.index(outlook.cost) <= ALLOW.index(allow):
        return
    what = "; ".join(outlook.sentences()) or "the engine is restarted, and every container runs on"
    raise CheckpointError(
        f"allow: found {allow}, and this restore takes {outlook.cost}: {what}. {UNCHANGED} "
        f"Say allow: {outlook.cost} (checkpoint_allow) when that may be."
    )


def unproven(system: System, outlook: Outlook, containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the containers is not as it should be after a restore, a sentence each.

    The engine takes its containers over after it answers, and has some time for it.

    :param outlook: from before it
    :param containers: those that ran before a run that did not end well
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        wrong = _wrong(system, outlook, containers)
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(POLL_SECONDS)


def _wrong(system: System, outlook: Outlook, containers: Sequence[Mapping[str, Any]]) -> list[str]:
    running = docker_cgroups(system)
    wrong = [
        f"container {name} ended, and the plan did not say so"
        for identifier, name in outlook.names.items()
        if identifier not in running and identifier not in outlook.losses
    ]
    wrong += [
        f"container {entry['name']} ran before the run and does not run"
        for entry in containers
        if entry["id"] not in running and entry["id"] not in outlook.names
    ]
    if not docker_installed(system):
        return wrong
    service = DockerService(system, socket=docker_socket(system), timeout=_ENGINE_SECONDS)
    try:
        engine_runs = service.state().started_at is not None
        unlisted = service.unlisted_containers() if engine_runs else sorted(running)
    except DockerServiceError as error:
        return [*wrong, f"the engine does not say which containers run: {error}"]
    return [
        *wrong,
        *(
            f"container {outlook.names.get(name, name[:12])} runs, and no engine lists it"
            for name in unlisted
        ),
    ]
