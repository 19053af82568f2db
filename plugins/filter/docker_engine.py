# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role docker_engine: what an engine should have, and what of it is in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import ALLOWED
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import DOCKER_PATTERNS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import (
    DockerEngineError,
    Engine,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_listeners import (
    SERVICE_DROP_IN,
    service_drop_in,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_plan import (
    engine_plan,
    plan_table,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import (
    PROFILES,
    Wanted,
    validation_command,
    wanted_settings,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_surroundings import (
    SOCKET_DROP_IN,
    Surroundings,
    host_options,
    refuse_socket,
    socket_drop_in,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_verdict import (
    activation_keys,
    judge,
    live_restore_configured,
    units_changed,
    units_owned,
)


def docker_engine_wanted(
    posture: Mapping[str, Any],
    *,
    profile: str = "baseline",
    allow: str = "restart",
    settings: Mapping[str, Any] | None = None,
    unmanaged: Sequence[str] = (),
    unauthenticated_tcp: bool = False,
    socket: Mapping[str, Any] | None = None,
    file_permissions: str = "profile",
    audit_rules: str = "profile",
    group_members_removed: Sequence[str] = (),
    restarts: Mapping[str, str] | None = None,
    check_mode: bool = False,
) -> dict[str, Any]:
    """See docker_engine_wanted.yml."""
    if profile not in PROFILES:
        raise AnsibleFilterError(f"profile: found {profile!r}, accepted are: {', '.join(PROFILES)}")
    hardens = profile != "none"
    surroundings = Surroundings(
        hardened={"profile": hardens}.get(file_permissions, file_permissions == "hardened"),
        audited={"profile": hardens}.get(audit_rules, audit_rules == "present"),
        socket=socket or {},
        members_removed=group_members_removed,
        restarts=restarts or {},
    )
    try:
        engine = Engine.from_posture(posture)
        wanted = wanted_settings(
            engine,
            profile=profile,
            settings=settings or {},
            unmanaged=unmanaged,
            allow=allow,
            unauthenticated_tcp=unauthenticated_tcp,
        )
        refuse_socket(surroundings.socket)
    except DockerEngineError as error:
        raise AnsibleFilterError(str(error)) from error
    validate, notice = validation_command(engine, wanted, check_mode=check_mode)
    daemon_json = _daemon_json(engine, wanted, validate)
    service, socket_unit = service_drop_in(engine, wanted.keys), socket_drop_in(surroundings.socket)
    return {
        **daemon_json,
        "files": [
            {"format": "json", "look": "docker_daemon", **daemon_json},
            {"path": SERVICE_DROP_IN, "format": "keyfile", "keys": service},
            {"path": SOCKET_DROP_IN, "format": "keyfile", "keys": socket_unit},
        ],
        "host": host_options(
            posture["docker"],
            replace(surroundings, keys=wanted.keys, written=bool(wanted.keys or _makes_a_file(wanted))),
        ),
        "notices": [*wanted.notices, *([notice] if notice else [])],
        "pending": wanted.pending,
        "impossible": wanted.impossible,
    }


def _makes_a_file(wanted: Wanted) -> bool:
    """Whether a floor is set in an empty file too; one with weak values is not."""
    return any(floor.weak is None for floor in wanted.floors)


def _daemon_json(engine: Engine, wanted: Wanted, validate: Sequence[str]) -> dict[str, Any]:
    floors = [
        {name: item for name, item in asdict(floor).items() if item is not None} for floor in wanted.floors
    ]
    return {
        "path": engine.path,
        "keys": wanted.keys,
        "at_least": [{**floor, "key": list(floor["key"])} for floor in floors],
        "secret": list(DOCKER_PATTERNS),
        "validate": list(validate),
    }


def docker_engine_activation(
    wanted: Mapping[str, Any], *, posture: Mapping[str, Any], configured: Mapping[str, Any]
) -> dict[str, Any]:
    """See docker_engine_activation.yml."""
    docker = posture["docker"]
    return {
        "keys": activation_keys(docker, wanted, configured),
        "live_restore": live_restore_configured(docker, wanted, configured),
        "units_changed": units_changed(configured),
        "units_owned": units_owned(configured),
    }


def docker_engine_plan(
    posture: Mapping[str, Any],
    *,
    wanted: Mapping[str, Any],
    configured: Mapping[str, Any],
    allow: str = "restart",
) -> dict[str, Any]:
    """See docker_engine_plan.yml."""
    if allow not in ALLOWED:
        raise AnsibleFilterError(f"allow: found {allow!r}, accepted are: {', '.join(ALLOWED)}")
    return engine_plan(posture, wanted, configured, allow=allow)


def docker_engine_plan_table(plan: Mapping[str, Any]) -> str:
    """See docker_engine_plan_table.yml."""
    return plan_table(plan)


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
            "docker_engine_plan": docker_engine_plan,
            "docker_engine_plan_table": docker_engine_plan_table,
            "docker_engine_verdict": docker_engine_verdict,
            "docker_engine_wanted": docker_engine_wanted,
        }
