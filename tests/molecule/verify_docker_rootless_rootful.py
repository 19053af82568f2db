# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root's engine is off, no container of it was left running, and the users' daemons run on."""

from __future__ import annotations

import pytest
from rootless import USERS, as_user
from testinfra.host import Host


@pytest.mark.parametrize("unit", ["docker.service", "docker.socket"])
def test_the_unit_neither_runs_nor_starts(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert not service.is_running
    assert not service.is_enabled


def test_no_container_runs_on_without_it(host: Host) -> None:
    """live-restore was on."""
    assert host.run("pgrep --full 'busybox sleep 1000000' --uid 0").rc == 1


@pytest.mark.parametrize("user", USERS)
def test_the_user_s_daemon_answers(host: Host, user: str) -> None:
    assert as_user(host, user, "docker info --format '{{.DockerRootDir}}'").startswith(f"/home/{user}/")
