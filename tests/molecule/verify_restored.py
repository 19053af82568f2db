# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the playbook rollback put the host back to before the collection."""

from __future__ import annotations

import json

import pytest
from observations import info, process_of_web, status_of_new_container
from testinfra.host import Host


def test_the_file_is_as_before_byte_for_byte(host: Host) -> None:
    after = host.file("/etc/docker/daemon.json")
    assert after.content == host.file("/root/daemon.json.before").content
    assert after.mode == 0o640


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/system/docker.service.d/zz-bulkhead.conf",
        "/etc/systemd/system/docker.socket.d/zz-bulkhead.conf",
        "/etc/audit/rules.d/50-bulkhead-docker.rules",
    ],
)
def test_no_file_of_ours_stays(host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_no_audit_rule_of_ours_is_loaded(host: Host) -> None:
    assert "/etc/docker" not in host.check_output("auditctl -l")


def test_nothing_is_owned_any_more(host: Host) -> None:
    ledger = host.file("/var/lib/bulkhead/ledger.json")
    assert not ledger.exists or json.loads(ledger.content_string)["keys"] == []


def test_the_engine_has_its_former_settings_in_force(host: Host) -> None:
    assert info(host)["LiveRestoreEnabled"] is False
    assert status_of_new_container(host)["NoNewPrivs"] == "0"


def test_the_ordinary_container_lived_through_all_of_it(host: Host) -> None:
    assert process_of_web(host) == host.file("/root/web.process").content_string.strip()
