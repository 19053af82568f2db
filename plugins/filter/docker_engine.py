# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role docker_engine: what an engine should have, and what of it is in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import (
    DockerEngineError,
    Engine,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import (
    PROFILES,
    SECRET_KEYS,
    validation_command,
    wanted_settings,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_verdict import (
    activation_keys,
    judge,
    live_restore_configured,
)


def docker_engine_wanted(
    posture: Mapping[str, Any],
    *,
    profile: str = "baseline",
    settings: Mapping[str, Any] | None = None,
    unmanaged: Sequence[str] = (),
    userns_remap_allowed: bool = False,
    check_mode: bool = False,
) -> dict[str, Any]:
    """See docker_engine_wanted.yml."""
    if profile not in PROFILES:
        raise AnsibleFilterError(f"profile: found {profile!r}, accepted are: {', '.join(PROFILES)}")
    try:
        engine = Engine.from_posture(posture)
        wanted = wanted_settings(
            engine,
            profile=profile,
            settings=settings or {},
            unmanaged=unmanaged,
            userns_remap_allowed=userns_remap_allowed,
        )
    except DockerEngineError as error:
        raise AnsibleFilterError(str(error)) from error
    validate, notice = validation_command(engine, wanted, check_mode=check_mode)
    floors = [
        {name: item for name, item in asdict(floor).items() if item is not None} for floor in wanted.floors
    ]
    return {
        "path": engine.path,
        "keys": wanted.keys,
        "at_least": [{**floor, "key": list(floor["key"])} for floor in floors],
        "secret": list(SECRET_KEYS),
        "validate": validate,
        "notices": [*wanted.notices, *([notice] if notice else [])],
        "pending": wanted.pending,
    }


def docker_engine_activation(
    wanted: Mapping[str, Any], *, posture: Mapping[str, Any], configured: Mapping[str, Any]
) -> dict[str, Any]:
    """See docker_engine_activation.yml."""
    docker = posture["docker"]
    return {
        "keys": activation_keys(docker, wanted, configured),
        "live_restore": live_restore_configured(docker, wanted, configured),
    }


def docker_engine_verdict(
    posture: Mapping[str, Any],
    *,
    wanted: Mapping[str, Any],
    configured: Mapping[str, Any],
    activated: Mapping[str, Any],
    predicted: bool = False,
) -> dict[str, Any]:
    """See docker_engine_verdict.yml."""
    return asdict(judge(posture["docker"], wanted, configured, activated, predicted=predicted))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "docker_engine_activation": docker_engine_activation,
            "docker_engine_verdict": docker_engine_verdict,
            "docker_engine_wanted": docker_engine_wanted,
        }
