# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbooks harden and rollback say of a restore, and which roles the inventory can choose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

COLLECTION = Path(__file__).parents[3]


def _play(name: str) -> dict[str, Any]:
    (play,) = yaml.safe_load((COLLECTION / "playbooks" / name).read_text(encoding="utf-8"))
    assert isinstance(play, dict)
    return play


def test_the_roles_are_the_inventory_s_choice() -> None:
    # Variables of a play win over those of the inventory.
    assert "bulkhead_roles" not in _play("harden.yml").get("vars", {})
    roles = yaml.safe_load((COLLECTION / "roles/checkpoint/defaults/main.yml").read_text(encoding="utf-8"))
    assert roles["checkpoint_roles"] == _play("harden.yml")["vars"]["__bulkhead_roles"]


def test_every_role_of_a_run_is_chosen_taken_and_told() -> None:
    """One that is not in the checkpoint is not undone, and one whose result is not told stays unseen."""
    play = _play("harden.yml")
    block = next(task for task in play["tasks"] if "block" in task)["block"]
    names = [task["ansible.builtin.include_role"]["name"].rpartition(".")[2] for task in block[:-1]]
    assert re.findall(r"'(\w+)'", play["vars"]["__bulkhead_roles"]) == names
    for name, task in zip(names, block, strict=False):
        assert f"'{name}' in __bulkhead_roles" in task["when"]
        assert (COLLECTION / "roles" / name / "vars/managed.yml").is_file()
        assert f"'{name}': {name}_result.pending" in block[-1]["vars"]["checkpoint_pending"]


def test_a_failed_run_says_of_its_restore_what_the_module_says() -> None:
    rescue = next(task for task in _play("harden.yml")["tasks"] if "block" in task)["rescue"]
    told = rescue[-1]
    assert told["vars"]["__bulkhead_restored"] == "{{ checkpoint_restored.summary }}"
    assert "proven" not in str(told)


def test_a_rollback_says_it_and_fails_where_it_is_not_proven() -> None:
    _restore, said, proven = _play("rollback.yml")["tasks"]
    assert said["ansible.builtin.debug"] == {"var": "checkpoint_restored.summary"}
    assert proven["ansible.builtin.assert"]["that"] == "checkpoint_restored.unproven | length == 0"
