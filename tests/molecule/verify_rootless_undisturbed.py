# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that was not allowed to end anything, and did not."""

from __future__ import annotations

import json

from observations import assert_converged, assert_predicted
from rootless import as_user
from testinfra.host import Host

MOST_REMOTE_CALLS = 7  # the checkpoint's two, three of rootless_users, two of podman_policy


def test_the_container_that_ran_lived_on(host: Host) -> None:
    pid = as_user(host, "amber", "podman inspect --format '{{.State.Pid}}' keeper")
    stat = host.check_output(f"cat /proc/{pid}/stat")
    now = f"{pid} {stat.rpartition(')')[2].split()[19]}"
    assert now == host.file("/root/keeper.process").content_string.strip()


def test_what_waits_is_written_down_with_the_container_s_name(host: Host) -> None:
    """On Debian 12 too, where a reload fills the manager's cgroup, and the manager hands nothing of it on."""
    pending = json.loads(host.file("/var/lib/bulkhead/pending.json").content_string)
    reasons = pending["roles"]["rootless_users"]["pending"]
    assert "container keeper" in reasons["amber: delegation"]
    assert [key for key in reasons if key.startswith(("basil", "cedar", "host"))] == []
    policy = pending["roles"].get("podman_policy", {"pending": {}})["pending"]
    # Podman 4.3 makes a container's IPC namespace shareable whatever a file says.
    assert bool(policy) == (host.check_output("hostname") == "debian-12")
    assert [key for key in policy if not key.endswith(": containers.ipcns")] == []


def test_check_mode_predicted_what_was_changed(host: Host) -> None:
    assert_predicted(host)


def test_a_converged_run_changes_nothing_and_makes_few_remote_calls(host: Host) -> None:
    assert_converged(host, most_calls=MOST_REMOTE_CALLS)
