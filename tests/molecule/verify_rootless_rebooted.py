# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a reboot the user who had to wait has everything, and containers with a restart policy are back."""

from __future__ import annotations

import time

import pytest
from rootless import CONTROLLERS, USERS, as_user, controllers_of
from testinfra.host import Host

# podman-user-wait-network-online.service of Podman 5 comes before it.
WAIT_SECONDS = 240


@pytest.mark.parametrize("user", USERS)
def test_the_container_with_a_restart_policy_is_back(host: Host, user: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    state = ""
    while state != "running" and time.monotonic() < deadline:
        state = as_user(host, user, "podman inspect --format '{{.State.Status}}' keeper")
        time.sleep(2)
    assert state == "running"


def test_the_user_who_had_to_wait_has_every_controller(host: Host) -> None:
    assert controllers_of(host, "amber") >= CONTROLLERS
