# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys whose change leaves images, volumes and containers behind in the old place.

Sources: docs.docker.com/engine/security/userns-remap (a store per range of ids below the data root); moby
``daemon/command/daemon.go`` at docker-v29.7.2 (data root, exec root).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import MOVES_DATA
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import ABSENT, Absent

__all__ = ["moving_keys", "with_keys", "without_moving_keys"]


def moving_keys(
    engine: Engine,
    *,
    settings: Mapping[str, Any],
    profile: str,
    unmanaged: Sequence[str],
    allow: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Which of these keys the file should hold, and which are withheld and why, by their dotted names.

    A key that the role set and that is not wanted any more stays without the permission: giving it back moves
    data as well. One that is unmanaged from now on stays as it is. A remapping of somebody else stays,
    whoever it is for, unless another one is asked for by name.

    :param settings: what the user asks for by name
    :param allow: value of docker_engine_allow
    """
    kept: dict[str, Any] = {}
    withheld: dict[str, str] = {}
    for dotted in sorted(MOVES_DATA):
        name, path = dotted.partition(".")[0], dotted.split(".")
        if name in engine.flags:
            continue
        now = _at({name: engine.configured(name)}, path)
        comes_back = not same(now, _at({name: engine.unowned(name)}, path))
        if name in unmanaged:
            if comes_back:
                kept[dotted] = now
            continue
        asked = _at(settings, path)
        if isinstance(asked, Absent):
            asked = _of_profile(dotted, profile, now)
        moves = not isinstance(asked, Absent) and not same(asked, now)
        obstacle = _obstacle(engine, dotted, asked, allow) if moves else None
        permitted = obstacle is None
        if permitted and not isinstance(asked, Absent):
            kept[dotted] = asked
        elif comes_back and (allow != "move_data" or obstacle is not None):
            kept[dotted] = now
        if obstacle is not None:
            withheld[dotted] = f"{obstacle}; it was not written"
    return kept, withheld


def _obstacle(engine: Engine, dotted: str, asked: Any, allow: str) -> str | None:
    """Why the key is not changed, or ``None``."""
    if allow != "move_data":
        return (
            "it leaves images, volumes and containers behind in the old place, which needs "
            f"docker_engine_allow: move_data (found {allow})"
        )
    if dotted == "userns-remap" and asked and engine.refused_by_remap:
        found = ", ".join(f"{name} ({reason})" for name, reason in engine.refused_by_remap.items())
        return (
            f"a remapped engine refuses containers that run now: {found}; stop them, or run them with "
            "--userns=host"
        )
    return None


def without_moving_keys(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a user's settings without these keys."""
    copy: dict[str, Any] = deepcopy(dict(settings))
    for name, _dot, member in (dotted.partition(".") for dotted in MOVES_DATA):
        if not member:
            copy.pop(name, None)
        elif isinstance(copy.get(name), dict) and member in copy[name]:
            del copy[name][member]
            if not copy[name]:
                del copy[name]
    return copy


def with_keys(keys: dict[str, Any], dotted: Mapping[str, Any]) -> dict[str, Any]:
    """The keys with further ones, given by their dotted names."""
    for name, _dot, member in (item.partition(".") for item in dotted):
        if member:
            keys[name] = {**(keys.get(name) or {}), member: dotted[f"{name}.{member}"]}
        else:
            keys[name] = dotted[name]
    return keys


def _at(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(document, Mapping) or name not in document:
            return ABSENT
        document = document[name]
    return document


def _of_profile(name: str, profile: str, now: Any) -> Any:
    """What a profile asks for; `ABSENT` when nothing."""
    if name != "userns-remap" or profile != "strict":
        return ABSENT
    return now if now and not isinstance(now, Absent) else "default"
