# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No remedy fails another control: each is applied to a model of a host, with what the engine does by itself.

The model is the base document of the catalogue's cases, in which everything that applies passes. What the
engine sets beside the setting comes from `SIDE_EFFECTS`; a control that this may fail has to be named there,
with the reason why that is accepted.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import Control
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import PROFILES
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_surroundings import (
    Surroundings,
    host_options,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import evaluate
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_remedy import merged_yaml, remedy
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._side_effects import (
    SIDE_EFFECTS,
    agreeing,
    side_effects,
)
from unit.catalogue.test_controls import CASES, CONTROLS, NOW, patched

ENGINES = {"20.10.24": (20, 10, 24), "26.1.5": (26, 1, 5), "28.5.2": (28, 5, 2), "29.7.2": (29, 7, 2)}
_SETTING = re.compile(r"docker_engine_settings\['([a-z-]+)'\]")

HARDENED = Surroundings(hardened=True, audited=False)

Results = Mapping[tuple[str, str], str]


def results(posture: Mapping[str, Any]) -> Results:
    controls = list(CONTROLS.values())
    report = evaluate(posture, host="h", controls=controls, waivers=[], now=NOW, collection_version="0")
    return {
        (finding["id"], f"{finding['subject']['kind']} {finding['subject']['name']}"): finding["result"]
        for finding in report["findings"]
    }


def apply_settings(posture: dict[str, Any], settings: Mapping[str, Any], version: tuple[int, ...]) -> None:
    """What is in force once the engine has read these settings, and what it has set besides."""
    docker = posture["docker"]
    for key, value in settings.items():
        docker["settings"][key] = {
            "value": value,
            "configured": value,
            "origin": "file",
            "proof": "proven",
            "witness": "the model",
        }
    in_force = {
        key: setting["value"] for key, setting in docker["settings"].items() if isinstance(setting, dict)
    }
    docker["info"]["logging_driver"] = in_force["log-driver"]
    docker["networks"][0]["icc"] = in_force["icc"]
    for listener in docker["listeners"]:
        listener["client_certificate_required"] = in_force["tlsverify"] is True
    for effect in side_effects(in_force, settings, version=version, docker=docker):
        for name, value in effect["sysctls"].items():
            set_sysctl(posture, name, value)


def set_sysctl(posture: dict[str, Any], name: str, value: str) -> None:
    """A sysctl of the whole host reaches every bridge; one of a bridge that one only."""
    docker = posture["docker"]
    if name.startswith("net.bridge."):
        posture["kernel"]["sysctls"][name] = value
        for bridge in docker["other_bridges"]:
            bridge[name.removeprefix("net.bridge.bridge-").replace("-", "_")] = value == "1"
        return
    interface = name.removeprefix("net.ipv4.conf.").removesuffix(".route_localnet")
    (network,) = [network for network in docker["networks"] if network["interface"] == interface]
    network["route_localnet"] = value == "1"


def watch_everything(posture: dict[str, Any]) -> None:
    posture["docker"]["audit"]["installed"] = True
    for path in posture["docker"]["audit"]["paths"].values():
        path["watched"] = path["exists"]


def defer_restarts(posture: dict[str, Any]) -> None:
    posture["docker"]["restarts"]["needrestart"]["docker"] = "deferred"


def harden_files(posture: dict[str, Any]) -> None:
    """What `_docker_surroundings.host_options` asks for: rights are taken away, owners become root."""
    docker = posture["docker"]
    limits = {limit["path"]: limit for limit in host_options(docker, HARDENED)["permissions"]}
    for fact in docker["files"].values():
        for entry in fact if isinstance(fact, list) else [fact]:
            limit = limits.get(entry["path"])
            if limit is not None and entry["exists"]:
                entry["mode"] = f"{int(entry['mode'], 8) & int(limit['mode'], 8):04o}"
                entry.update({name: limit[name] for name in ("owner", "group") if name in limit})


def close_socket(posture: dict[str, Any]) -> None:
    posture["docker"]["files"]["docker_socket"]["mode"] = posture["docker"]["socket"]["mode"] = "0660"


def each_user(posture: dict[str, Any], **facts: Any) -> None:
    for user in posture["rootless"]["users"]:
        user.update(facts)


def hand_controllers_down(posture: dict[str, Any]) -> None:
    posture["rootless"]["delegation"]["controllers"] = ["cpu", "cpuset", "io", "memory", "pids"]


def restart_sessions(posture: dict[str, Any]) -> None:
    hand_controllers_down(posture)
    each_user(posture, controllers=["cpu", "cpuset", "io", "memory", "pids"])


def keep_namespaces(posture: dict[str, Any]) -> None:
    posture["rootless"]["changed_at_boot"] = []
    posture["kernel"]["sysctls"]["user.max_user_namespaces"] = "11841"
    posture["kernel"]["user_namespaces"]["unprivileged"] = True


def keep_ports(posture: dict[str, Any]) -> None:
    posture["rootless"]["sysctls"]["net.ipv4.ip_unprivileged_port_start"]["value"] = "1024"


def reject_images(posture: dict[str, Any]) -> None:
    posture["podman"]["image_policy_default"] = posture["podman"]["image_trust"]["default"] = "reject"
    for user in posture["rootless"]["users"]:
        if not user["podman"]["own_image_policy"]:
            user["podman"]["image_policy_default"] = "reject"


def in_force(value: Any) -> dict[str, Any]:
    return {"value": value, "configured": value, "proof": "configured", "file": "the model"}


def set_podman(posture: dict[str, Any], table: str, key: str, value: Any) -> None:
    """A policy of the host reaches every user who has no file that says otherwise."""
    for podman in (posture["podman"], *(user["podman"] for user in posture["rootless"]["users"])):
        if table == "registries":
            podman[{"search": "unqualified_search_registries"}.get(key, key)] = value
        else:
            podman["settings"][f"{table}.{key}"] = in_force(value)


def set_rootless_docker(posture: dict[str, Any], key: str, value: Any) -> None:
    for user in posture["rootless"]["users"]:
        user["docker"]["settings"][key] = in_force(value)


OTHER_VARIABLES: dict[str, Callable[[dict[str, Any]], None]] = {
    "docker_engine_audit_rules": watch_everything,
    "docker_engine_restarts['needrestart']": defer_restarts,
    "docker_engine_file_permissions": harden_files,
    "docker_engine_socket['mode']": close_socket,
    "image_trust_default": reject_images,
    "rootless_users_allow": restart_sessions,
    "rootless_users_delegate": hand_controllers_down,
    "rootless_users_linger": lambda posture: each_user(posture, linger=True),
    "rootless_users_namespaces": keep_namespaces,
    "rootless_users_unprivileged_port": keep_ports,
}
SETTINGS_OF_ROLES: dict[str, Callable[..., None]] = {
    "podman_policy_settings": set_podman,
    "docker_rootless_settings": set_rootless_docker,
}


def key_of(control: Control) -> str | None:
    match = _SETTING.fullmatch(str(control.remedy.get("variable")))
    return match[1] if match else None


def new_containers_only(control: Control) -> bool:
    """Whether the remedy reaches what is made afterwards: a failed container has to be made anew."""
    return control.subject == "container"


def remedied(
    posture: dict[str, Any], controls: Iterable[Control], version: tuple[int, ...]
) -> dict[str, Any]:
    after = copy.deepcopy(posture)
    wanted = [control for control in controls if "value" in control.remedy]
    settings = {
        key: control.remedy["value"] for control in wanted for key in [key_of(control)] if key is not None
    }
    apply_settings(after, agreeing(settings), version)
    for control in wanted:
        variable = control.remedy["variable"]
        name, *keys = re.findall(r"[A-Za-z0-9_-]+", variable)
        if name in SETTINGS_OF_ROLES:
            SETTINGS_OF_ROLES[name](after, *keys, control.remedy["value"])
        elif key_of(control) is None:
            OTHER_VARIABLES[variable](after)
    return after


def newly_failed(before: Results, after: Results) -> set[str]:
    return {
        control
        for (control, subject), result in after.items()
        if result in ("fail", "error") and before.get((control, subject)) == "pass"
    }


def accepted(keys: Iterable[str]) -> set[str]:
    return {control for effect in SIDE_EFFECTS if effect.key in set(keys) for control in effect.accepted}


WITH_VALUE = [control for control in CONTROLS.values() if "value" in control.remedy]


def failing_patches(control: Control) -> list[dict[str, Any]]:
    case = CASES[control.id]
    fails = case["fails"] if isinstance(case["fails"], list) else [case["fails"]]
    return [{**case.get("passes", {}), **patch} for patch in fails]


@pytest.mark.parametrize("version", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("control", WITH_VALUE, ids=lambda control: control.id)
def test_a_remedy_mends_its_control_and_fails_no_other(control: Control, version: tuple[int, ...]) -> None:
    for patch in failing_patches(control):
        broken = patched(patch)
        before, after = results(broken), results(remedied(broken, [control], version))
        own = {result for (name, _subject), result in after.items() if name == control.id}
        if not new_containers_only(control):
            assert own == {"pass"}, (patch, own)
        key = key_of(control)
        assert newly_failed(before, after) <= accepted([key] if key else []), patch


@pytest.mark.parametrize("version", ENGINES.values(), ids=ENGINES)
def test_all_remedies_together_fail_nothing_either(version: tuple[int, ...]) -> None:
    broken = patched({})
    for control in WITH_VALUE:
        if not new_containers_only(control):
            for path, value in failing_patches(control)[0].items():
                _put(broken, path, value)
    before, after = results(broken), results(remedied(broken, WITH_VALUE, version))
    keys = [key for control in WITH_VALUE for key in [key_of(control)] if key]
    assert newly_failed(before, after) <= accepted(keys)
    for control in WITH_VALUE:
        own = {result for (name, _subject), result in after.items() if name == control.id}
        assert own <= {"pass", "not_applicable"} or new_containers_only(control), control.id


def _put(posture: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = posture
    for step in steps:
        place = place[step]
    place[last] = value


@pytest.mark.parametrize("version", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_fails_nothing_that_passed(profile: str, version: tuple[int, ...]) -> None:
    """From the engine's defaults: what a profile sets may fail only what is accepted for its keys."""
    settings: dict[str, Any] = {}
    for entry in PROFILES[profile]:
        place = settings
        for name in entry.key[:-1]:
            place = place.setdefault(name, {})
        place[entry.key[-1]] = entry.value
    careless = patched(
        {
            "docker/settings/icc/value": True,
            "docker/settings/userland-proxy/value": True,
            "docker/settings/no-new-privileges/value": False,
            "docker/settings/live-restore/value": False,
            "docker/settings/log-driver/value": "json-file",
            "docker/settings/log-opts/value": {},
        }
    )
    after = copy.deepcopy(careless)
    apply_settings(after, settings, version)
    assert newly_failed(results(careless), results(after)) <= accepted(settings)


def test_every_accepted_side_effect_happens_in_the_model() -> None:
    """An entry that no remedy brings about any more has to go."""
    for effect in SIDE_EFFECTS:
        for control in effect.accepted:
            broken = patched({f"docker/settings/{effect.key}/value": not effect.value})
            settings = {effect.key: effect.value, "ipv6": True}
            after = copy.deepcopy(broken)
            apply_settings(after, settings, (29, 7, 2))
            assert control in newly_failed(results(broken), results(after)), (effect.key, control)
            assert effect.accepted[control].endswith(".")


def test_every_accepted_control_exists() -> None:
    assert {control for effect in SIDE_EFFECTS for control in effect.accepted} <= set(CONTROLS)


def test_the_variables_of_all_remedies_are_settings_that_the_engine_starts_with() -> None:
    """dockerd 26.1 does not start with the driver journald and max-size (tried)."""
    merged = yaml.safe_load(merged_yaml(remedy(control.remedy) for control in CONTROLS.values()))
    settings = merged["docker_engine_settings"]
    assert settings["log-driver"] == "journald"
    assert "log-opts" not in settings
