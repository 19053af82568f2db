# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disruption plan as lines of text: keys, steps, containers that stop, and what stays pending."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["plan_lines"]

_STEPS = {
    "daemon_reload": "let systemd read the unit's files again",
    "reload": "reload docker.service",
    "await_live_restore": "wait until the engine says that live-restore is on",
    "stop_containers": "stop containers",
    "prove_none_left": "look into /proc that no container is left",
    "restart": "restart docker.service",
    "start_containers": "start the stopped containers again",
}


def plan_lines(plan: Mapping[str, Any], *, unchanged: bool = False) -> list[str]:
    """The lines, in columns.

    :param plan: as `_docker_activation.Activation.as_json` gives it, perhaps with ``side_effects``
    :param unchanged: name also the keys without any effect
    """
    rows = [entry for entry in plan["effects"] if unchanged or entry["effect"] != "none"]
    widths = [max((len(entry[column]) for entry in rows), default=0) for column in ("key", "effect")]
    lines = [
        f"{entry['key']:<{widths[0]}}  {entry['effect']:<{widths[1]}}  {entry['reason']}" for entry in rows
    ]
    lines += [f"step {number}: {_STEPS[step]}" for number, step in enumerate(plan["steps"], 1)]
    lines += [f"stops {stop['name']}: {stop['why']}; {_afterwards(stop)}" for stop in plan["stops"]]
    lines += [f"pending {key}: {reason}" for key, reason in sorted(plan["pending"].items())]
    lines += [
        f"side effect of {', '.join(effect['keys'])} on {', '.join(effect['reaches'])}: {effect['reason']}"
        for effect in plan.get("side_effects", ())
    ]
    return lines


def _afterwards(stop: Mapping[str, Any]) -> str:
    return "it is started again" if stop["started_again"] else "it is not started again by this run"
