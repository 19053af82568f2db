# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a report says about the system and its engines, taken from a posture that may lack any of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["engines_of", "system_of"]


def engines_of(posture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The engines of root and of the users that run containers, each with the number of its containers."""
    counts = Counter(
        (container.get("engine"), container.get("user"))
        for container in _list(posture.get("containers"))
        if isinstance(container, Mapping)
    )
    engines: list[dict[str, Any]] = []
    for name in ("docker", "podman"):
        engine = _mapping(posture.get(name))
        if engine.get("installed") is True:
            # Podman has no daemon: there is nothing of it to run between two commands.
            running = engine.get("running") if name == "docker" else None
            engines.append(
                {
                    "engine": name,
                    "version": engine.get("version"),
                    "user": "root",
                    "running": running,
                    "containers": counts.pop((name, "root"), 0),
                }
            )
    engines.extend(
        {"engine": engine, "version": None, "user": user, "running": True, "containers": count}
        for (engine, user), count in sorted(counts.items(), key=lambda item: str(item[0]))
    )
    return engines


def system_of(posture: Mapping[str, Any]) -> dict[str, Any]:
    """Distribution, kernel release, virtualisation and LSMs; what is unreadable is shown as that."""
    host, kernel = _mapping(posture.get("host")), _mapping(posture.get("kernel"))
    distribution = host.get("distribution")
    return {
        "distribution": distribution.get("name", distribution)
        if isinstance(distribution, Mapping)
        else distribution,
        "kernel": kernel.get("release"),
        "virtualization": host.get("virtualization"),
        "lsm": kernel.get("lsm"),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
