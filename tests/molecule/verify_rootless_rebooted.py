# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a reboot the user who had to wait has everything, and containers with a restart policy are back."""

from __future__ import annotations

import pytest
from rootless import CONTROLLERS, USERS, controllers_of, wait_for_keeper
from testinfra.host import Host


@pytest.mark.parametrize("user", USERS)
def test_the_container_with_a_restart_policy_is_back(host: Host, user: str) -> None:
    assert wait_for_keeper(host, user) == "running"


def test_the_user_who_had_to_wait_has_every_controller(host: Host) -> None:
    assert controllers_of(host, "amber") >= CONTROLLERS


def test_user_namespaces_are_there_though_an_earlier_file_forbids_them(host: Host) -> None:
    assert host.file("/etc/sysctl.d/99-stig.conf").content_string == "user.max_user_namespaces = 0\n"
    assert host.sysctl("user.max_user_namespaces") == 28633
