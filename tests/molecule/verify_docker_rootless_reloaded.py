# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a reload each daemon has the new value, and a container that ran before runs on."""

from __future__ import annotations

import pytest
from rootless import USERS, as_user
from testinfra.host import Host


@pytest.mark.parametrize("user", USERS)
def test_the_running_daemon_has_the_value(host: Host, user: str) -> None:
    assert as_user(host, user, "docker info --format '{{.Labels}}'").strip() == "[reloaded=yes]"


def test_the_container_was_not_started_anew(host: Host) -> None:
    began = as_user(
        host, "basil", "docker inspect --format '{{.State.Pid}} {{.State.Running}}' keeper"
    ).split()
    assert began[1] == "true"
    started = float(host.check_output(f"stat --format %Y /proc/{began[0]}"))
    reloads = as_user(
        host,
        "basil",
        "docker events --since 60m --until 0s --filter event=reload --format '{{.Time}}'",
    ).split()
    assert reloads
    assert started < min(map(float, reloads))
