# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the role: defaults, argument specs and README say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import PROFILES

ROLE = Path(__file__).parents[3] / "roles" / "docker_engine"


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


def test_every_key_of_the_profiles_has_its_reasoning() -> None:
    text = (ROLE.parents[1] / "docs" / "docker-engine.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### `([\w-]+)`", text, re.M)
    keys = {entry.key[0] for entries in PROFILES.values() for entry in entries} | {"userns-remap"}
    assert sorted(headings) == sorted(keys)
