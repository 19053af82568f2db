# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the role checkpoint: defaults, argument specs and README say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import Managed
from unit.fake_system import FakeSystem
from unit.role_files import ROLES, rendered

ROLE = ROLES / "checkpoint"


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def _options() -> dict[str, tuple[set[str], dict[str, Any]]]:
    """Each variable with its entry points; the same variable is the same everywhere."""
    options: dict[str, tuple[set[str], dict[str, Any]]] = {}
    for entry, specification in _yaml("meta/argument_specs.yml")["argument_specs"].items():
        for name, option in specification["options"].items():
            entries, first = options.setdefault(name, (set(), option))
            assert first == option
            entries.add(entry)
    return options


def test_defaults_and_argument_specs_agree() -> None:
    assert _yaml("defaults/main.yml") == {
        name: option["default"] for name, (_entries, option) in _options().items()
    }


def test_every_entry_point_is_specified() -> None:
    tasks = {path.stem for path in (ROLE / "tasks").iterdir()}
    assert tasks == set(_yaml("meta/argument_specs.yml")["argument_specs"])


def test_the_readme_s_table_agrees() -> None:
    rows = re.findall(
        r"^\| (`.+?`) \| `(checkpoint_\w+)` \| (.+?) \| `(.+?)` \|", (ROLE / "README.md").read_text(), re.M
    )
    assert {name for _entries, name, _kind, _default in rows} == set(_options())
    for entries, name, kind, default in rows:
        specified, option = _options()[name]
        assert set(re.findall(r"`(\w+)`", entries)) == specified
        assert yaml.safe_load(default.replace("\\|", "|")) == option["default"]
        assert kind == (", ".join(f"`{choice}`" for choice in option.get("choices", [])) or option["type"])


@pytest.mark.parametrize("entry", ["open", "commit", "restore"])
def test_the_module_is_told_every_variable_of_its_entry_point(entry: str) -> None:
    specified = _yaml("meta/argument_specs.yml")["argument_specs"][entry]["options"]
    arguments = next(
        task["bulkhead.hardening.checkpoint"]
        for task in _yaml(f"tasks/{entry}.yml")
        if "bulkhead.hardening.checkpoint" in task
    )
    assert arguments["state"] == entry
    for variable in specified.keys() - {"checkpoint_roles"}:  # their declarations are read, see below
        assert variable in str(arguments[variable.removeprefix("checkpoint_")]), variable


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/vars/managed.yml")), ids=lambda path: path.parts[-3])
def test_what_a_role_manages_can_be_taken(path: Path, tmp_path: Path) -> None:
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))["managed"]
    host = FakeSystem(tmp_path)
    host.add_account("alice", 1000)
    # As include_vars does for a play that names no user, and for one that does.
    for users in ({}, {f"{path.parts[-3]}_{what}": ["alice"] for what in ("names", "users")}):
        given = {name: dict.fromkeys(value) if "podman" in name else value for name, value in users.items()}
        taken = Managed.merged(with_accounts(host, [rendered(declared, **given)]))
    assert taken.files


@pytest.mark.parametrize("end", ["commit", "restore"])
def test_a_role_that_comes_after_the_run_names_no_checkpoint(end: str) -> None:
    last = _yaml(f"tasks/{end}.yml")[-1]["ansible.builtin.set_fact"]["checkpoint_opened"]
    opened = {"id": "20261125T050000Z-0a1b", "engines": ["docker"]}
    in_the_run = {"checkpoint_opened": opened, "omit": "OMITTED"}
    after = {**in_the_run, "checkpoint_opened": rendered(last, **in_the_run)}
    told = [
        option
        for path in ROLES.glob("*/tasks/*.yml")
        for option in re.findall(r'^ +checkpoint: "(.+)"$', path.read_text(encoding="utf-8"), re.M)
    ]
    assert told
    assert {rendered(option, **in_the_run) for option in told} == {"20261125T050000Z-0a1b"}
    assert {rendered(option, **after) for option in told} == {"OMITTED"}
