# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first runs: what was predicted was done, once; then a container that has to come back is started."""

from __future__ import annotations

from observations import assert_converged, assert_predicted
from rootless import IMAGE, as_user
from testinfra.host import Host
from verify_docker_rootless import engine_of_root

# The checkpoint's two, three of rootless_users, two of podman_policy, and three of docker_rootless.
MOST_REMOTE_CALLS = 10


def test_check_mode_predicted_what_was_changed(host: Host) -> None:
    assert_predicted(host)


def test_a_converged_run_changes_nothing_and_makes_few_remote_calls(host: Host) -> None:
    assert_converged(host, most_calls=MOST_REMOTE_CALLS)


def test_the_engine_of_root_runs_on_as_the_same_process(host: Host) -> None:
    assert engine_of_root(host) == host.file("/var/tmp/root-engine").content_string


def test_a_container_is_started_that_comes_back(host: Host) -> None:
    """Looked for after the reboot."""
    command = f"run --detach --name keeper --restart always {IMAGE} /bin/busybox sleep 1000000"
    as_user(host, "basil", f"docker import /var/tmp/image.tar {IMAGE}")
    assert as_user(host, "basil", f"docker {command}")
