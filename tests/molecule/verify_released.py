# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After every key was given back."""

from __future__ import annotations

import json

import pytest
from observations import admins_rule_is_in_force, info, status_of_new_container
from testinfra.host import Host


def test_the_file_is_as_before_byte_for_byte(host: Host) -> None:
    assert host.file("/etc/docker/daemon.json").content == host.file("/root/daemon.json.before").content


def test_nothing_is_owned_any_more(host: Host) -> None:
    ledger = json.loads(host.file("/var/lib/bulkhead/ledger.json").content_string)
    assert ledger["keys"] == []
    assert ledger["files"] == {}


def test_the_engine_has_its_former_settings(host: Host) -> None:
    assert "name=userns" not in info(host)["SecurityOptions"]
    assert status_of_new_container(host)["NoNewPrivs"] == "0"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/system/docker.service.d",
        "/etc/systemd/system/docker.socket.d",
        "/etc/audit/rules.d/50-bulkhead-docker.rules",
        "/etc/apt/apt.conf.d/52bulkhead-docker",
    ],
)
def test_nothing_of_ours_is_left(host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_the_kernel_has_none_of_our_audit_rules(host: Host) -> None:
    assert "bulkhead-docker" not in host.check_output("auditctl -l")


def test_the_admin_s_rule_in_the_firewall_is_in_force(host: Host) -> None:
    assert admins_rule_is_in_force(host)
