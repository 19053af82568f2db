# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the roles with one entry point: defaults, argument specs and README say the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from unit.role_files import Role

ALL = [
    Role(name)
    for name in ("docker_engine", "docker_rootless", "image_trust", "podman_policy", "rootless_users")
]

every_role = pytest.mark.parametrize("role", ALL, ids=lambda role: role.name)


def _kind(option: dict[str, Any]) -> str:
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices", []))
    return f"list of {choices}" if choices and option["type"] == "list" else choices or option["type"]


@every_role
def test_defaults_and_argument_specs_agree(role: Role) -> None:
    defaults = {name: option["default"] for name, option in role.options().items()}
    assert role.yaml("defaults/main.yml") == defaults


@every_role
def test_every_variable_has_the_role_s_name(role: Role) -> None:
    assert [name for name in role.options() if not name.startswith(f"{role.name}_")] == []


@every_role
def test_the_readme_s_table_agrees(role: Role) -> None:
    readme = (role.path / "README.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `({role.name}_\w+)` \| (.+?) \| `(.*?)` \|", readme, re.M)
    assert {name: yaml.safe_load(default) for name, _kind, default in rows} == role.yaml("defaults/main.yml")
    assert {name: kind for name, kind, _default in rows} == {
        name: _kind(option) for name, option in role.options().items()
    }


@every_role
def test_every_variable_is_used(role: Role) -> None:
    """A variable that nothing reads changes nothing, and says nothing of it."""
    files = [*role.path.glob("tasks/*.yml"), *role.path.glob("vars/*.yml")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [name for name in role.options() if not re.search(rf"\b{name}\b", text)] == []
