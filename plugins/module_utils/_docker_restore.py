# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put an older daemon.json back into a running engine with the least loss.

A rollback is planned like an apply. Observed on real engines (tests/integration/test_effects.py): an
older file without live-restore and a restart ends every container, and a reload does not switch off a key
that the file does not name any more. What keeps every container: the old settings with live-restore on,
reload until it is in force, restart; the same with live-restore written out as it was, reload; then the
original bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    MOVES_DATA,
    EngineState,
    RunningContainer,
    activation_of,
    losses_of_restart,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_file_note import note_what_was_read
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    parse_flags,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = ["Situation", "Stage", "restore_engine", "situation_of", "stages"]

_LIVE_RESTORE = "live-restore"


@dataclass(frozen=True)
class Situation:
    """What a rollback of the engine starts from.

    :ivar current: the file as it is now; ``None``: there is none
    :ivar old: the file as it shall be
    :ivar running: whether the daemon runs
    :ivar live_restore: whether live-restore is in force
    :ivar swarm: whether the engine is in a swarm, where live-restore is refused
    :ivar containers: whether containers run (or may run, where the daemon is down and cannot be asked)
    :ivar flag_live_restore: the flag of the unit for it; ``None``: there is no such flag
    :ivar version: of the running engine
    :ivar unit_changed: drop-ins or environment files of the unit were put back
    :ivar read_since: the daemon started or reloaded since the old state was taken, or that is not known
    """

    current: Optional[bytes]
    old: Optional[bytes]
    running: bool
    live_restore: bool
    swarm: bool
    containers: bool
    flag_live_restore: Optional[bool]
    version: str
    unit_changed: bool
    read_since: bool


@dataclass(frozen=True)
class Stage:
    """One step: what stands in the file, and what the daemon is then asked to do.

    :ivar content: the bytes; ``None``: no file
    :ivar action: ``start``, ``restart``, ``reload``, ``stop_containers`` or ``none``
    :ivar await_live_restore: go on only once live-restore is in force
    """

    content: Optional[bytes]
    action: str
    why: str
    await_live_restore: bool = False


def stages(situation: Situation) -> list[Stage]:
    """The stages with the least loss. Their last content is always the old file, byte for byte."""
    old, current = _settings(situation.old), _settings(situation.current)
    if old is None:
        return [
            Stage(
                situation.old,
                "none",
                "the file from before is not a JSON object, and no engine starts with it; put back as it was",
            )
        ]
    if situation.running and not situation.read_since:
        return [Stage(situation.old, "none", "the daemon has read nothing since then")]
    kinds = _kinds(current, old, situation.version)
    if situation.running and kinds <= {"reload"} and not situation.unit_changed:
        return _by_reload(situation, current, old)
    if "move_data" in kinds and situation.containers:
        return _moving_back(situation, current or {}, old)
    return _by_restart(situation, current, old)


def _moving_back(situation: Situation, current: Mapping[str, Any], old: Mapping[str, Any]) -> list[Stage]:
    """Every container is stopped by the engine in whose place it is, before the old place is used again."""
    content, first = situation.current, []
    if not situation.running:
        content = _bytes(_in_the_place_of(current, old, keeping=situation.flag_live_restore is None))
        why = "only the engine in the present place can stop the containers that are there"
        first = [Stage(content, "start", why)]
    return [
        *first,
        Stage(content, "stop_containers", "the data moves back, and no container may stay behind"),
        Stage(situation.old, "restart", "no container is left"),
    ]


def _in_the_place_of(current: Mapping[str, Any], old: Mapping[str, Any], *, keeping: bool) -> dict[str, Any]:
    """The old settings, which the engine started with, and the place of the data that it has now."""
    movers = {name.partition(".")[0] for name in MOVES_DATA}
    settings = {name: value for name, value in old.items() if name not in movers}
    settings.update((name, value) for name, value in current.items() if name in movers)
    return {**settings, _LIVE_RESTORE: True} if keeping else settings


def _by_reload(
    situation: Situation, current: Optional[Mapping[str, Any]], old: Mapping[str, Any]
) -> list[Stage]:
    """Only keys differ that a reload applies; those that the old file does not name are written out first."""
    explicit = _explicit(current or {}, old)
    if not explicit:
        return [Stage(situation.old, "reload", "only keys differ that a reload applies")]
    names = ", ".join(sorted(explicit))
    return [
        Stage(_bytes({**old, **explicit}), "reload", f"a reload sees {names} only while the file names it"),
        Stage(situation.old, "none", "the original bytes"),
    ]


def _by_restart(
    situation: Situation, current: Optional[Mapping[str, Any]], old: Mapping[str, Any]
) -> list[Stage]:
    action = "restart" if situation.running else "start"
    kept_by_flag = situation.flag_live_restore is not None
    if situation.swarm:
        return [Stage(situation.old, action, "the original bytes; a swarm starts its containers again")]
    if not situation.containers or kept_by_flag or old.get(_LIVE_RESTORE) is True:
        waits = action == "restart" and situation.containers and not kept_by_flag
        first = (
            [Stage(situation.old, "reload", "live-restore first", await_live_restore=True)]
            if waits and not situation.live_restore
            else []
        )
        return [*first, Stage(situation.old, action, "the original bytes")]
    kept = _bytes({**old, _LIVE_RESTORE: True})
    off = {**old, _LIVE_RESTORE: old.get(_LIVE_RESTORE, False)}
    first = (
        [Stage(kept, "reload", "live-restore first, so that the restart keeps containers", True)]
        if action == "restart" and not situation.live_restore
        else []
    )
    return [
        *first,
        Stage(kept, action, "the old settings with live-restore, so that containers run on"),
        Stage(_bytes(off), "reload", "a reload switches live-restore off only while the file says so"),
        Stage(situation.old, "none", "the original bytes"),
    ]


def _explicit(current: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of the keys that the current file names and the old one does not."""
    return {
        name: DOCKER_KEYS[name].default
        for name in current
        if name not in old and name in DOCKER_KEYS and DOCKER_KEYS[name].default is not None
    }


def _kinds(current: Optional[Mapping[str, Any]], old: Mapping[str, Any], version: str) -> set[str]:
    """What the difference between the two files takes, as `activation_of` says."""
    if current is None:
        return {"restart"}  # what it held is not known
    kinds = set()
    for name in current.keys() | old.keys():
        if name in current and name in old and current[name] == old[name]:
            continue
        moved = any(part.startswith(f"{name}.") for part in MOVES_DATA) and _moved(current, old, name)
        default = DOCKER_KEYS[name].default if name in DOCKER_KEYS else None
        removed = name not in old and default is None
        kinds.add("move_data" if moved else activation_of(name, version, removed=removed))
    return kinds


def _losses(
    containers: Sequence[RunningContainer], state: EngineState, situation: Situation, actions: Sequence[str]
) -> dict[str, str]:
    """The containers that the stages ended, by id, and a sentence why."""
    if "stop_containers" in actions:
        return {container.id: f"{container.name} was stopped" for container in containers}
    if not {"restart", "start"} & set(actions):
        return {}
    losses = losses_of_restart(
        replace(state, containers=tuple(containers)), live_restore=situation.flag_live_restore is not False
    )
    return {loss.container.id: f"{loss.container.name} ended with the restart: {loss.why}" for loss in losses}


def _pending(situation: Situation) -> dict[str, str]:
    """Keys whose old value the engine takes up only at a start without containers."""
    old, current = _settings(situation.old) or {}, _settings(situation.current) or {}
    reason = "in force again at the engine's next start without containers"
    return {
        name: reason
        for name in sorted(current.keys() | old.keys())
        if activation_of(name, situation.version) == "without_containers"
        and (name in current, current.get(name)) != (name in old, old.get(name))
    }


def _moved(current: Mapping[str, Any], old: Mapping[str, Any], name: str) -> bool:
    """Whether a member changed that moves the data (``features.containerd-snapshotter``)."""
    members = [key.partition(".")[2] for key in MOVES_DATA if key.startswith(f"{name}.")]
    before, after = current.get(name), old.get(name)
    return any(
        (before or {}).get(member) != (after or {}).get(member)
        for member in members
        if isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping)
    )


def _settings(content: Optional[bytes]) -> Optional[dict[str, Any]]:
    """The file as the engine reads it, no file and an empty one as no settings; ``None``: no JSON object."""
    if content is None or not content.strip():
        return {}
    try:
        document = parse_json(content.decode("utf-8-sig"))
    except (PortError, UnicodeDecodeError):
        return None
    return document if isinstance(document, dict) else None


def _bytes(settings: Mapping[str, Any]) -> bytes:
    return (json.dumps(settings, indent=2) + "\n").encode()


def restore_engine(
    system: System,
    *,
    socket: str,
    path: str,
    old: Optional[bytes],
    write: Callable[[Optional[bytes]], None],
    other_files_changed: bool,
    timeout: float = 120,
    before: Sequence[Mapping[str, Any]] = (),
    taken_at: Optional[float] = None,
) -> dict[str, Any]:
    """Bring the engine back to an older daemon.json; the file holds `old` when this returns, or raises.

    :param path: of the file
    :param old: its bytes then; ``None``: it was absent
    :param write: puts bytes (or absence) in place, atomically
    :param other_files_changed: the unit's drop-ins or environment files were put back on the disk already
    :param before: the containers that ran at that time (``id``, ``name``): those that are there and do not
        run any more are started again
    :param taken_at: when that was, in seconds since the epoch. A daemon that has neither started nor reloaded
        since then has still in force what it had, and is left alone; ``None``: that is not known
    :returns: ``actions`` done, ``survivors`` (names of containers that ran on as the same process),
        ``reasons`` (a sentence for each stage) and ``pending`` (keys whose old value waits for something,
        with the reason)
    :raises DockerServiceError: the engine does not come back, a container was lost that no stage names, or
        one runs that the engine does not list; the file is put back
    """
    service = DockerService(system, socket=socket, timeout=timeout)
    actions = []
    if other_files_changed or service.service().need_daemon_reload:
        service.daemon_reload()
        actions.append("daemon_reload")
    state = service.state_of_a_troubled_engine()
    containers = state.containers if state.started_at is not None else _known_by_cgroup(service)
    situation = situation_of(
        system, service, state, path, old, unit_changed=other_files_changed, taken_at=taken_at
    )
    plan = stages(situation)
    try:
        for stage in plan:
            write(stage.content)
            actions += _carry_out(service, stage)
    finally:
        write(old)
    started, again = [], []
    planned = _losses(containers, state, situation, actions)
    started_at = service.state().started_at
    if started_at is not None and {"start", "restart"} & set(actions):
        note_what_was_read(system, old, started_at=started_at)
    if started_at is not None:
        started = _start_missing(service, before)
        again = _compared(service, containers, planned, actions)
    return {
        "actions": actions + (["start_containers"] if started else []),
        "survivors": _survivors(service, state.containers),
        "reasons": [
            *(stage.why for stage in plan),
            *planned.values(),
            *(f"{name} was started again" for name in dict.fromkeys([*started, *again])),
        ],
        "pending": _pending(situation) if state.containers and "stop_containers" not in actions else {},
    }


def _known_by_cgroup(service: DockerService) -> tuple[RunningContainer, ...]:
    """The containers of an engine that is down; of these only the ids are known."""
    return tuple(
        RunningContainer(identifier, identifier[:12], 0, None, auto_remove=False)
        for identifier in service.containers_in_cgroups()
    )


def _compared(
    service: DockerService,
    containers: Sequence[RunningContainer],
    planned: Mapping[str, str],
    actions: Sequence[str],
) -> list[str]:
    """Names of the containers that run again as another process; raises for one that is lost or unmanaged.

    :param planned: the losses that the stages name, by id
    """
    listed = {container.id: container for container in service.state().containers}
    unplanned = [container for container in containers if actions and container.id not in planned]
    lost = [container.name for container in unplanned if container.id not in listed]
    what = f"after {' and '.join(actions) or 'the file was put back'}"
    if lost:
        raise DockerServiceError(f"{what} these containers do not run any more: {', '.join(lost)}")
    unlisted = service.unlisted_containers()
    if unlisted:
        raise DockerServiceError(
            f"{what} these containers run and the engine does not list them: {', '.join(unlisted)}"
        )
    return [
        container.name
        for container in unplanned
        if container.pid and not _is_same(container, listed[container.id])
    ]


def situation_of(
    system: System,
    service: DockerService,
    state: EngineState,
    path: str,
    old: Optional[bytes],
    *,
    unit_changed: bool,
    taken_at: Optional[float],
) -> Situation:
    """What a rollback of the engine starts from; raises `DockerServiceError` for an unreadable file."""
    current: Optional[bytes] = None
    try:
        current = system.read_bytes(path)
    except NotThere:
        pass  # no file is no settings
    except PortError as error:
        raise DockerServiceError(f"{path}: {error}. Nothing was changed.") from error
    running = state.started_at is not None
    # systemd's stamps are whole seconds: a reload counts to the end of its second
    read_at = max(state.started_at or 0.0, (state.reloaded_at or 0.0) + 1.0)
    return Situation(
        current=current,
        old=old,
        running=running,
        live_restore=state.live_restore,
        swarm=state.swarm,
        containers=bool(state.containers) if running else bool(service.containers_in_cgroups()),
        flag_live_restore=parse_flags(service.service().command).get(_LIVE_RESTORE),
        version=state.version,
        unit_changed=unit_changed,
        read_since=taken_at is None or read_at > taken_at,
    )


def _carry_out(service: DockerService, stage: Stage) -> list[str]:
    if stage.action == "none":
        return []
    if stage.action == "stop_containers":
        service.stop_containers(service.state().containers)
        service.prove_none_left()
        return [stage.action]
    {"start": service.start, "restart": service.restart, "reload": service.reload}[stage.action]()
    service.await_answer()
    if stage.await_live_restore:
        service.await_live_restore()
    return [stage.action]


def _start_missing(service: DockerService, before: Sequence[Mapping[str, Any]]) -> list[str]:
    running = {container.id for container in service.state().containers}
    missing = [container for container in before if container["id"] not in running]
    return service.start_known(
        [
            RunningContainer(str(entry["id"]), str(entry["name"]), 0, None, auto_remove=False)
            for entry in missing
        ]
    )


def _survivors(service: DockerService, containers: Sequence[RunningContainer]) -> list[str]:
    listed = {container.id: container for container in service.state().containers}
    return [
        container.name
        for container in containers
        if container.id in listed and _is_same(container, listed[container.id])
    ]


def _is_same(before: RunningContainer, after: RunningContainer) -> bool:
    return (before.pid, before.start_ticks) == (after.pid, after.start_ticks)
