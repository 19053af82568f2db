# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the playbook harden ran in check mode, for real, and again."""

from __future__ import annotations

import json

from observations import assert_predicted, changes, converges, info, process_of_web, status_of_new_container
from testinfra.host import Host

STATE = "/var/lib/bulkhead"
MOST_REMOTE_CALLS = 8


def test_check_mode_predicted_what_was_changed(host: Host) -> None:
    assert_predicted(host)


def test_a_converged_run_changes_nothing(host: Host) -> None:
    _check, _converge, again = converges()
    assert changes(again, host.backend.get_hostname()) == {}


def test_a_converged_run_makes_few_remote_calls(host: Host) -> None:
    """Counted by the callback, and by the host: every module logs how it was invoked."""
    _check, _converge, again = converges()
    tasks = again["hosts"][host.backend.get_hostname()]
    assert 0 < sum(task["remote"] for task in tasks) <= MOST_REMOTE_CALLS

    log = host.check_output("journalctl --boot --output cat --no-pager --grep 'Invoked with'").splitlines()
    begun = max(number for number, line in enumerate(log) if "state=open" in line)
    calls = [line for line in log[begun:] if "testinfra" not in line]
    assert 0 < len(calls) <= MOST_REMOTE_CALLS, calls


def test_the_state_directory_is_for_root_only(host: Host) -> None:
    modes = host.check_output(f"find {STATE} -type d ! -perm 700 -o -type f -perm /077").split()
    assert modes == []


def test_the_state_from_before_the_collection_is_kept(host: Host) -> None:
    manifests = host.check_output(f"cat {STATE}/checkpoints/*/manifest.json")
    assert json.dumps("/etc/docker/daemon.json") in manifests
    assert "/root/" not in manifests


def test_no_module_of_ours_logs_a_secret(host: Host) -> None:
    lines = host.check_output("journalctl --boot --no-pager --output short").splitlines()
    ours = [line for line in lines if "ansible-bulkhead." in line]
    assert ours
    assert [line for line in ours if "hunter2-planted" in line] == []


def test_a_commit_left_no_timer_of_the_dead_man_s_switch(host: Host) -> None:
    assert host.check_output("journalctl --boot --output cat --no-pager --grep 'bulkhead-deadman-.*timer'")
    assert host.check_output("systemctl list-units --all --plain --no-legend 'bulkhead-deadman-*'") == ""


def test_the_strict_profile_is_in_force(host: Host) -> None:
    assert info(host)["LiveRestoreEnabled"] is True
    assert status_of_new_container(host)["NoNewPrivs"] == "1"


def test_the_health_check_started_a_container(host: Host) -> None:
    """The engine still knows of it: the check comes after the last restart."""
    filters = "--filter event=die --filter label=bulkhead.probe=true"
    probes = host.check_output(f"docker events --since 1h --until 0s {filters}").splitlines()
    assert probes
    assert all("exitCode=0" in probe for probe in probes)
    assert host.check_output("docker ps --all --quiet --filter label=bulkhead.probe=true") == ""


def test_the_listeners_come_from_the_file(host: Host) -> None:
    """The first run brought live-restore and `hosts`: in one restart, and the container lived on."""
    daemon = host.check_output("pgrep --exact --list-full dockerd")
    assert " -H" not in daemon
    assert json.loads(host.file("/etc/docker/daemon.json").content_string)["hosts"] == ["fd://"]


def test_the_ordinary_container_lived_on(host: Host) -> None:
    assert process_of_web(host) == host.file("/root/web.process").content_string.strip()
