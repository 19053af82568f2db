# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role docker_rootless: its variables say the same everywhere, and its files are in the checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_rootless import (
    PROFILES,
    REFUSED,
    paths_of,
)
from unit.fake_system import FakeSystem

ROLE = Path(__file__).parents[3] / "roles" / "docker_rootless"
DOCUMENT = (ROLE.parents[1] / "docs" / "docker-rootless.md").read_text(encoding="utf-8")


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def _options() -> dict[str, Any]:
    options: dict[str, Any] = _yaml("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def _rendered(text: str, **variables: Any) -> Any:
    return Templar(loader=DataLoader(), variables=variables).template(trust_as_template(text))


def test_defaults_and_argument_specs_agree() -> None:
    assert _yaml("defaults/main.yml") == {name: option["default"] for name, option in _options().items()}


def test_the_readme_s_table_agrees() -> None:
    rows = re.findall(
        r"^\| `(docker_rootless_\w+)` \| (.+?) \| `(.+?)` \|", (ROLE / "README.md").read_text(), re.M
    )
    assert {name: yaml.safe_load(default) for name, _type, default in rows} == {
        name: option["default"] for name, option in _options().items()
    }
    for name, kind, _default in rows:
        option = _options()[name]
        assert kind == (", ".join(f"`{choice}`" for choice in option.get("choices", [])) or option["type"])


def test_every_file_that_the_role_writes_is_in_its_checkpoint(tmp_path: Path) -> None:
    host = FakeSystem(tmp_path)
    host.add_account("alice", 1000, home="/srv/alice")
    declared = _rendered(_yaml("vars/managed.yml")["managed"]["files"], docker_rootless_users=["alice"])
    (taken,) = with_accounts(host, [{"files": declared}])
    enabling = "/srv/alice/.config/systemd/user/default.target.wants/docker.service"
    assert sorted(taken["files"]) == sorted([*paths_of("/srv/alice"), enabling])


def test_every_key_that_is_refused_is_documented() -> None:
    listed = DOCUMENT.partition("These keys are refused")[2].partition("\n\n")[0]
    assert re.findall(r"`([\w-]+)`", listed) == list(REFUSED)


def test_every_key_of_a_profile_is_documented() -> None:
    part = DOCUMENT.partition("## The profiles")[2].partition("These keys")[0]
    for entries in PROFILES.values():
        for path, *_rest in entries:
            assert path[0].partition("-profile")[0] in part


def test_who_has_to_wait_is_not_proven() -> None:
    text = _yaml("vars/main.yml")["__docker_rootless_provable"]
    after = {"pending": {"basil": "no ids"}}
    assert _rendered(text, docker_rootless_users=["basil", "amber"], __docker_rootless_after=after) == [
        "amber"
    ]
