# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the role: defaults, argument specs, README and the table of keys say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import RULES_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host import (
    NEEDRESTART_PATH,
    UPGRADES_PATH,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_listeners import SERVICE_DROP_IN
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import PROFILES
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_surroundings import SOCKET_DROP_IN
from jinja2.nativetypes import NativeEnvironment

ROLE = Path(__file__).parents[3] / "roles" / "docker_engine"
DOCUMENT = ROLE.parents[1] / "docs" / "docker-engine.md"

# kind in the table of keys -> type and elements of the option
TYPES = {
    "bool": ("bool", None),
    "int": ("int", None),
    "str": ("str", None),
    "ip": ("str", None),
    "size": ("raw", None),
    "list": ("list", "str"),
    "ip_list": ("list", "str"),
    "object_list": ("list", "dict"),
    "object": ("dict", None),
    "map": ("dict", None),
    "bool_map": ("dict", None),
    "map_map": ("dict", None),
    "ulimit_map": ("dict", None),
    "object_map": ("dict", None),
}


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def _options() -> dict[str, Any]:
    options: dict[str, Any] = _yaml("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def test_defaults_and_argument_specs_agree() -> None:
    assert _yaml("defaults/main.yml") == {name: option["default"] for name, option in _options().items()}


def test_the_readme_s_table_agrees() -> None:
    rows = re.findall(
        r"^\| `(docker_engine_\w+)` \| (.+?) \| `(.+?)` \|", (ROLE / "README.md").read_text(), re.M
    )
    defaults = {name: option["default"] for name, option in _options().items()}
    assert {name: yaml.safe_load(default) for name, _type, default in rows} == defaults
    for name, kind, _default in rows:
        option = _options()[name]
        expected = ", ".join(f"`{choice}`" for choice in option.get("choices", [])) or option["type"]
        assert kind == expected


def test_every_key_of_the_engine_is_a_typed_setting_and_nothing_else_is() -> None:
    assert list(_options()["docker_engine_settings"]["options"]) == list(DOCKER_KEYS)


@pytest.mark.parametrize("name", list(DOCKER_KEYS))
def test_a_setting_has_the_type_of_its_key(name: str) -> None:
    option, row = _options()["docker_engine_settings"]["options"][name], DOCKER_KEYS[name]
    assert (option["type"], option.get("elements")) == TYPES[row.kind]
    assert tuple(option.get("choices", ())) == row.choices
    assert option.get("no_log", False) == row.secret
    text = " ".join(
        option["description"] if isinstance(option["description"], list) else [option["description"]]
    )
    if row.since is not None:
        assert f"Docker Engine {row.since} and later." in text
    if row.until is not None:
        assert f"Removed in Docker Engine {row.until}." in text


def test_every_key_of_the_profiles_has_its_reasoning() -> None:
    headings = re.findall(r"^### `([\w-]+)`", DOCUMENT.read_text(encoding="utf-8"), re.M)
    keys = {entry.key[0] for entries in PROFILES.values() for entry in entries} | {"userns-remap"}
    assert sorted(headings) == sorted(keys)


def test_every_file_that_the_role_writes_is_in_its_checkpoint() -> None:
    files = _yaml("vars/managed.yml")["managed"]["files"]
    assert files == [
        "/etc/docker/daemon.json",
        SERVICE_DROP_IN,
        SOCKET_DROP_IN,
        RULES_PATH,
        NEEDRESTART_PATH,
        UPGRADES_PATH,
    ]


def test_what_remapping_leaves_behind_is_looked_at_before_anything_is_written() -> None:
    tasks = _yaml("tasks/configure.yml")
    modules = [(module, task.get("check_mode")) for task in tasks for module in task if "bulkhead" in module]
    assert modules == [
        ("bulkhead.hardening.owned_config", True),
        ("bulkhead.hardening.docker_engine_activate", True),
        ("bulkhead.hardening.owned_config", None),
    ]


@pytest.mark.parametrize(
    ("effect", "pending", "remaps"),
    [
        ({"key": "userns-remap", "effect": "move_data"}, {}, True),
        ({"key": "userns-remap", "effect": "move_data"}, {"userns-remap": "not allowed"}, False),
        ({"key": "userns-remap", "effect": "none"}, {}, False),
        ({"key": "data-root", "effect": "move_data"}, {}, False),
    ],
)
def test_it_is_looked_at_where_the_run_remaps(
    effect: dict[str, str], pending: dict[str, str], *, remaps: bool
) -> None:
    expression = NativeEnvironment().from_string(_yaml("vars/main.yml")["__docker_engine_remaps"])
    assert expression.render(__docker_engine_plan={"effects": [effect], "pending": pending}) is remaps
