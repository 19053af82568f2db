# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/rootless-in-ten-minutes.md: its variables are what the roles take, and its commands start a play."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "rootless-in-ten-minutes.md").read_text(encoding="utf-8")
VARIABLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
ROLES = ("rootless_users", "podman_policy", "docker_rootless", "image_trust", "posture_audit")


def role_of(variable: str) -> str:
    (role,) = [name for name in ROLES if variable.startswith(f"{name}_")]
    return role


def options_of(role: str) -> dict[str, Any]:
    """The variables of a role."""
    specs = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    options: dict[str, Any] = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"][
        "options"
    ]
    return options


@pytest.mark.parametrize("variables", VARIABLES, ids=lambda variables: next(iter(variables)))
def test_the_roles_accept_what_the_page_sets(variables: dict[str, Any]) -> None:
    for role in {role_of(name) for name in variables}:
        options = options_of(role)
        mine = {name: value for name, value in variables.items() if role_of(name) == role}
        assert not set(mine) - set(options)
        specification = {name: {**option, "required": False} for name, option in options.items()}
        assert ArgumentSpecValidator(specification).validate(mine).error_messages == []


def test_every_variable_that_the_text_names_exists() -> None:
    pattern = rf"\b((?:{'|'.join(ROLES)})_\w+)"
    named = set(re.findall(pattern, PAGE))
    assert {"rootless_users_names", "rootless_users_allow", "posture_audit_users"} <= named
    for variable in named:
        options = options_of(role_of(variable))
        assert options is None or variable in options, variable


def test_every_page_that_it_leads_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_starts_a_play(command: str, tmp_path: Path) -> None:
    """As it is written, but for the syntax check in the place of a host."""
    (tmp_path / "inventory.yml").write_text(
        yaml.safe_dump({"all": {"hosts": {"h": {"ansible_connection": "local"}}}}), encoding="utf-8"
    )
    program, *arguments = shlex.split(command)
    assert program == "ansible-playbook"
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or program
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible")}
    completed = subprocess.run(  # noqa: S603  # the page's own commands
        [found, "--syntax-check", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
