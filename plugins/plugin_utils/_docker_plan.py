# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disruption plan on the controller: before anything is written, from a posture and a prediction.

The decision is the same function that the module docker_engine_activate calls on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import decide
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    UNIT_KEY,
    EngineState,
    RunningContainer,
    WrittenKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_plan_text import plan_lines
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_verdict import (
    activation_keys,
    live_restore_configured,
    settings_after,
    units_changed,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._side_effects import side_effects

__all__ = ["engine_plan", "engine_state", "plan_table"]


def engine_plan(
    posture: Mapping[str, Any],
    wanted: Mapping[str, Any],
    configured: Mapping[str, Any],
    *,
    allow: str,
) -> dict[str, Any]:
    """What the change would do to the engine and its containers.

    :param posture: with ``docker`` and ``containers``, from before the change
    :param wanted: result of the filter docker_engine_wanted
    :param configured: result of owned_config, best of check mode
    :param allow: one of `_docker_activation.ALLOWED`
    :returns: ``effects``, ``steps``, ``stops``, ``pending`` as the module returns them, and ``side_effects``
    """
    docker = posture["docker"]
    keys = [
        WrittenKey(
            name=key["name"],
            since=None if key["since"] is None else _seconds(key["since"]),
            in_force=key["in_force"],
            differs=key["differs"],
            removed=key["removed"],
            parts=tuple(key["parts"]),
            foreign=key["foreign"],
        )
        for key in activation_keys(docker, wanted, configured)
    ]
    state = engine_state(posture)
    if units_changed(configured):
        keys.append(WrittenKey(UNIT_KEY, None, in_force=False, differs=True))
        state = replace(state, needs_daemon_reload=True)
    activation = decide(
        state,
        keys,
        live_restore_wanted=live_restore_configured(docker, wanted, configured),
        allow=allow,
        withheld=wanted["pending"],
        impossible=wanted["impossible"],
    )
    changed = [effect.key for effect in activation.effects if effect.effect not in ("none", "impossible")]
    reactions = side_effects(
        settings_after(docker, wanted, configured),
        changed,
        version=parse_version(docker["version"]),
        docker=docker,
    )
    return {**activation.as_json(), "side_effects": reactions}


def plan_table(plan: Mapping[str, Any]) -> str:
    """The plan as text: one line per key (key, effect, what it does to containers), steps, stops, pending."""
    lines = plan_lines(plan)
    return "\n".join(lines) if lines else "Nothing changes, and no container is touched."


def engine_state(posture: Mapping[str, Any]) -> EngineState:
    """The engine's state as the decision takes it."""
    docker = posture["docker"]
    info = docker["info"] if isinstance(docker["info"], Mapping) else {}
    live_restore = ((docker["settings"] or {}).get("live-restore") or {}).get("value")
    return EngineState(
        version=docker["version"],
        started_at=_seconds(docker["started_at"]) if docker["running"] else None,
        reloaded_at=_seconds(docker["last_reload_at"]) if docker.get("last_reload_at") else None,
        live_restore=live_restore is True,
        swarm=info.get("swarm") not in (None, "", "inactive"),
        containers=tuple(
            _container(container)
            for container in posture["containers"]
            if container["engine"] == "docker" and container["uid"] == 0
        ),
        installed_version=_known_text(docker.get("installed_version")),
        needs_daemon_reload=docker.get("needs_daemon_reload") is True,
    )


def _container(container: Mapping[str, Any]) -> RunningContainer:
    record = container["record"] if isinstance(container["record"], Mapping) else {}
    policy = record.get("restart_policy")
    init = container["init"] if isinstance(container["init"], Mapping) else {}
    return RunningContainer(
        id=str(container["id"]),
        name=str(container["name"] or container["short_id"]),
        pid=int(init.get("pid") or 0),
        start_ticks=init.get("start_ticks"),
        auto_remove=record.get("auto_remove") is True,
        restart_policy=str(policy["name"]) if isinstance(policy, Mapping) else "no",
        swarm_task=record.get("swarm_task") is True,
        started_at=_seconds(init["started_at"]) if isinstance(init.get("started_at"), str) else None,
    )


def _known_text(fact: Any) -> str | None:
    """``None`` where the posture could not read it."""
    return fact if isinstance(fact, str) else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
