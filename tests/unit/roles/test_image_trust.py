# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of image_trust: defaults, argument specs, README, filter and checkpoint say the same."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import TRANSPORTS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust import (
    IDENTITIES,
    REQUIRES,
    Trust,
)
from unit.role_files import Role

ROLE = Role("image_trust")


def test_the_choices_of_a_scope_are_those_that_the_filter_knows() -> None:
    scope = ROLE.options()["image_trust_scopes"]["options"]
    assert tuple(scope["requires"]["choices"]) == REQUIRES
    assert tuple(scope["identity"]["choices"]) == tuple(IDENTITIES)
    assert tuple(scope["transport"]["choices"]) == TRANSPORTS


def test_every_file_that_the_role_writes_is_in_its_checkpoint() -> None:
    assert ROLE.yaml("vars/managed.yml")["managed"]["files"] == [file["path"] for file in Trust().files()]
