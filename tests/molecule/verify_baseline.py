# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the baseline profile: what is in force, what is untouched, and that check mode said so."""

from __future__ import annotations

import json

import pytest
from observations import (
    changes,
    converges,
    info,
    process_of_web,
    status_of_new_container,
)
from testinfra.host import Host


def test_live_restore_is_in_force(host: Host) -> None:
    assert info(host)["LiveRestoreEnabled"] is True


def test_new_containers_rotate_their_logs_and_an_own_stronger_value_stays(host: Host) -> None:
    container = host.check_output("docker create localhost/busybox:1 /bin/busybox true")
    log = json.loads(
        host.check_output(f"docker inspect --format '{{{{json .HostConfig.LogConfig}}}}' {container}")
    )
    host.check_output(f"docker rm {container}")
    assert log == {"Type": "json-file", "Config": {"max-file": "2", "max-size": "10m"}}


def test_new_containers_are_under_seccomp(host: Host) -> None:
    assert status_of_new_container(host)["Seccomp"] == "2"


def test_the_ordinary_container_lives_on(host: Host) -> None:
    assert process_of_web(host) == host.file("/root/web.process").content_string.strip()


def test_the_admin_s_keys_and_layout_are_untouched(host: Host) -> None:
    lines = host.file("/root/daemon.json.before").content_string.splitlines()
    written = host.file("/etc/docker/daemon.json")
    assert written.content_string.splitlines()[:4] == lines[:4]
    assert '"log-opts": { "max-file": "2", "max-size": "10m" }' in written.content_string
    assert written.mode == 0o640


def test_the_ledger_is_for_root_only(host: Host) -> None:
    assert host.file("/var/lib/bulkhead").mode == 0o700
    ledger = host.file("/var/lib/bulkhead/ledger.json")
    assert ledger.mode == 0o600
    owned = {".".join(entry["key"]): entry["before"] for entry in json.loads(ledger.content_string)["keys"]}
    assert owned == {"live-restore": {"absent_from": 1}, "log-opts.max-size": {"absent_from": 2}}


def test_check_mode_predicted_what_converge_changed(host: Host) -> None:
    name = host.backend.get_hostname()
    check, converge, _again = converges()
    assert changes(converge, name)
    assert changes(check, name) == changes(converge, name)


def test_a_converged_run_changes_nothing_and_makes_few_remote_calls(host: Host) -> None:
    name = host.backend.get_hostname()
    _check, _converge, again = converges()
    assert changes(again, name) == {}
    assert sum(task["remote"] for task in again["hosts"][name]) <= 4


def test_the_kernel_watches_the_engine_s_files(host: Host) -> None:
    rules = [line for line in host.check_output("auditctl -l").splitlines() if "bulkhead-docker" in line]
    watched = {word.removeprefix("path=") for line in rules for word in line.split() if "/etc/docker" in word}
    assert "/etc/docker/daemon.json" in watched
    assert any("/dockerd" in line for line in rules)
    assert host.file("/etc/audit/rules.d/50-bulkhead-docker.rules").mode == 0o640


@pytest.mark.parametrize("directory", ["/etc/docker", "/var/lib/bulkhead"])
def test_no_temporary_file_stays(host: Host, directory: str) -> None:
    names = set(host.check_output(f"ls -A {directory}").split())
    of_the_registry_s_package = {"registry"}
    assert names <= {"daemon.json", "key.json", "ledger.json", "lock"} | of_the_registry_s_package
