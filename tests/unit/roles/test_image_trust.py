# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of image_trust: defaults, argument specs, README, filter and checkpoint say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import TRANSPORTS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust import (
    IDENTITIES,
    REQUIRES,
    Trust,
)

ROLE = Path(__file__).parents[3] / "roles" / "image_trust"


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def _options() -> dict[str, Any]:
    options: dict[str, Any] = _yaml("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def test_defaults_and_argument_specs_agree() -> None:
    assert _yaml("defaults/main.yml") == {name: option["default"] for name, option in _options().items()}


def test_the_readme_s_table_agrees() -> None:
    rows = re.findall(
        r"^\| `(image_trust_\w+)` \| (.+?) \| `(.+?)` \|", (ROLE / "README.md").read_text(), re.M
    )
    assert {name: yaml.safe_load(default) for name, _type, default in rows} == _yaml("defaults/main.yml")
    for name, kind, _default in rows:
        option = _options()[name]
        assert kind == (", ".join(f"`{choice}`" for choice in option.get("choices", [])) or option["type"])


def test_the_choices_of_a_scope_are_those_that_the_filter_knows() -> None:
    scope = _options()["image_trust_scopes"]["options"]
    assert tuple(scope["requires"]["choices"]) == REQUIRES
    assert tuple(scope["identity"]["choices"]) == tuple(IDENTITIES)
    assert tuple(scope["transport"]["choices"]) == TRANSPORTS


def test_every_file_that_the_role_writes_is_in_its_checkpoint() -> None:
    assert _yaml("vars/managed.yml")["managed"]["files"] == [file["path"] for file in Trust().files()]
