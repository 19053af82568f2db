# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role docker_rootless: its variables say the same everywhere, and its files are in the checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_rootless import (
    PROFILES,
    REFUSED,
    paths_of,
)
from unit.fake_system import FakeSystem
from unit.role_files import ROLES, Role, rendered

ROLE = Role("docker_rootless")
NOTE = "/var/lib/bulkhead/rootful-docker.json"
DOCUMENT = (ROLES.parent / "docs" / "docker-rootless.md").read_text(encoding="utf-8")


def test_every_file_that_the_role_writes_is_in_its_checkpoint(tmp_path: Path) -> None:
    host = FakeSystem(tmp_path)
    host.add_account("alice", 1000, home="/srv/alice")
    declared = rendered(ROLE.yaml("vars/managed.yml")["managed"]["files"], docker_rootless_users=["alice"])
    (taken,) = with_accounts(host, [{"files": declared}])
    enabling = "/srv/alice/.config/systemd/user/default.target.wants/docker.service"
    assert sorted(taken["files"]) == sorted([*paths_of("/srv/alice"), enabling, NOTE])


def test_every_key_that_is_refused_is_documented() -> None:
    listed = DOCUMENT.partition("These keys are refused")[2].partition("\n\n")[0]
    assert re.findall(r"`([\w-]+)`", listed) == list(REFUSED)


def test_every_key_of_a_profile_is_documented() -> None:
    part = DOCUMENT.partition("## The profiles")[2].partition("These keys")[0]
    for entries in PROFILES.values():
        for path, *_rest in entries:
            assert path[0].partition("-profile")[0] in part


def test_who_has_to_wait_is_not_proven() -> None:
    text = ROLE.yaml("vars/main.yml")["__docker_rootless_provable"]
    after = {"pending": {"basil": "no ids"}}
    assert rendered(text, docker_rootless_users=["basil", "amber"], __docker_rootless_after=after) == [
        "amber"
    ]
