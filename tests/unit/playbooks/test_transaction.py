# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbooks harden and rollback say of a restore, and which roles the inventory can choose."""

from __future__ import annotations

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
    block = next(task for task in _play("harden.yml")["tasks"] if "block" in task)["block"]
    (default,) = [
        condition.partition(" in ")[2] for condition in block[0]["when"] if "bulkhead_roles" in condition
    ]
    roles = yaml.safe_load((COLLECTION / "roles/checkpoint/defaults/main.yml").read_text(encoding="utf-8"))
    assert roles["checkpoint_roles"] == f"{{{{ {default} }}}}"


def test_a_failed_run_says_of_its_restore_what_the_module_says() -> None:
    rescue = next(task for task in _play("harden.yml")["tasks"] if "block" in task)["rescue"]
    told = rescue[-1]
    assert told["vars"]["__bulkhead_restored"] == "{{ checkpoint_restored.summary }}"
    assert "proven" not in str(told)


def test_a_rollback_says_it_and_fails_where_it_is_not_proven() -> None:
    _restore, said, proven = _play("rollback.yml")["tasks"]
    assert said["ansible.builtin.debug"] == {"var": "checkpoint_restored.summary"}
    assert proven["ansible.builtin.assert"]["that"] == "checkpoint_restored.unproven | length == 0"
