# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What waited for a permission is there: ids that Podman uses, controllers; and the container is back."""

from __future__ import annotations

import pytest
from rootless import CONTROLLERS, as_user, controllers_of, limits_of_new_container, wait_for_keeper
from testinfra.host import Host

USER = "dora"


@pytest.mark.parametrize("kind", ["uid", "gid"])
def test_podman_uses_all_the_ids(host: Host, kind: str) -> None:
    lines = as_user(host, USER, f"podman unshare cat /proc/self/{kind}_map").splitlines()
    assert sum(int(line.split()[2]) for line in lines) > 65536


def test_the_manager_has_every_controller(host: Host) -> None:
    assert controllers_of(host, USER) >= CONTROLLERS


def test_limits_are_enforced(host: Host) -> None:
    assert limits_of_new_container(host, USER) == ["50000 100000", "67108864", "32"]


def test_the_container_with_a_restart_policy_is_back(host: Host) -> None:
    assert wait_for_keeper(host, USER) == "running"
