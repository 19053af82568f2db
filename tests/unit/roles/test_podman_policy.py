# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role podman_policy: its variables say the same everywhere, and its files are in the checkpoint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.filter.podman_policy import podman_policy_files
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_policy import PROFILES
from unit.fake_system import FakeSystem
from unit.role_files import ROLES, Role, rendered

ROLE = Role("podman_policy")
DOCUMENT = ROLES.parent / "docs" / "podman-policy.md"
INFO = json.loads((Path(__file__).parents[1] / "fixtures" / "podman_info.json").read_text(encoding="utf-8"))
TABLES = ("containers", "engine", "network", "storage", "registries")


def test_the_settings_have_the_tables_of_podman_s_files() -> None:
    assert tuple(ROLE.options()["podman_policy_settings"]["options"]) == TABLES


def test_every_key_of_the_profiles_has_its_reasoning() -> None:
    headings = re.findall(r"^### `([\w.-]+)`", DOCUMENT.read_text(encoding="utf-8"), re.M)
    keys = {".".join(entry.path) for entries in PROFILES.values() for entry in entries}
    of_the_code = {"storage.options.overlay.mountopt", "short-name-mode"}
    assert sorted(headings) == sorted(keys | of_the_code)


@pytest.mark.parametrize("version", sorted(INFO))
@pytest.mark.parametrize("profile", ["none", "strict"])
def test_every_file_that_the_role_writes_is_in_its_checkpoint(
    version: str, profile: str, tmp_path: Path
) -> None:
    host = FakeSystem(tmp_path)
    host.add_account("alice", 1000)
    users = {"alice": {"containers": {"pids_limit": 10}}}
    declared = rendered(ROLE.yaml("vars/managed.yml")["managed"]["files"], podman_policy_users=users)
    (taken,) = with_accounts(host, [{"files": declared}])
    found = {"name": "alice", "uid": 1000, "home": "/home/alice", "info": INFO[version]}
    policy = podman_policy_files(
        {"info": INFO[version], "files": {}, "users": [found]}, profile=profile, users=users
    )
    assert {file["path"] for file in policy["files"]} <= set(taken["files"])


def test_without_users_only_root_s_files_are_taken() -> None:
    declared = rendered(ROLE.yaml("vars/managed.yml")["managed"]["files"])
    assert declared
    assert [path for path in declared if not path.startswith("/etc/containers/")] == []


def test_whose_podman_is_looked_at() -> None:
    text = ROLE.yaml("vars/main.yml")["__podman_policy_looked_at"]
    assert rendered(text, podman_policy_users={}) == []
    both = rendered(text, podman_policy_users={"amber": {}}, rootless_users_names=["amber", "basil"])
    assert both == ["amber", "basil"]


def test_what_was_read_is_not_printed() -> None:
    """Podman's files can hold credentials."""
    found = [
        task
        for path in (ROLES / "podman_policy" / "tasks").glob("*.yml")
        for task in ROLE.yaml(f"tasks/{path.name}")
        if "bulkhead.hardening.podman_policy_info" in task
    ]
    assert [task["no_log"] for task in found] == ["{{ podman_policy_no_log }}"]


def test_why_it_could_not_be_read_is_said() -> None:
    read, fail = ROLE.yaml("tasks/read.yml")
    assert read["failed_when"] is False
    for outcome, fails in (({"msg": "nobody: no account"}, True), ({"podman": {}}, False)):
        assert rendered("{{ " + fail["when"] + " }}", __podman_policy_found=outcome) is fails
    assert rendered(fail["ansible.builtin.fail"]["msg"], __podman_policy_found={"msg": "why"}) == "why"
