# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a reboot nobody logged in, and the daemon and its container are back."""

from __future__ import annotations

from rootless import as_user
from testinfra.host import Host


def test_the_container_with_a_restart_policy_is_back(host: Host) -> None:
    assert as_user(host, "basil", "docker ps --format '{{.Names}}'").split() == ["keeper"]
