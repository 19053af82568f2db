# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Owner and mode of the files that decide on the daemon."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_files import (
    docker_files,
    socket_fact,
)
from unit.fake_system import FakeSystem

UNIT = "/usr/lib/systemd/system/docker.service"
NO_TLS = {"tlscacert": None, "tlscert": None, "tlskey": None}


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


def files(system: FakeSystem, **tls: str) -> dict[str, Any]:
    return docker_files(
        system,
        service_unit=UNIT,
        configuration_path="/etc/docker/daemon.json",
        tls_paths={**NO_TLS, **tls},
        socket_path="/run/docker.sock",
    )


def test_files_that_are_there(system: FakeSystem) -> None:
    system.write(UNIT).chmod(0o644)
    system.write("/etc/systemd/system/docker.socket").chmod(0o600)
    system.write("/etc/docker/daemon.json").chmod(0o640)
    system.write("/tls/key.pem").chmod(0o400)
    facts = files(system, tlskey="/tls/key.pem")
    assert facts["service_unit"] == {
        "path": UNIT,
        "exists": True,
        "type": "file",
        "owner": "root",
        "group": "root",
        "mode": "0644",
    }
    assert facts["socket_unit"]["path"] == "/etc/systemd/system/docker.socket"
    assert facts["daemon_json"]["mode"] == "0640"
    assert facts["configuration_directory"]["type"] == "directory"
    assert (facts["tls_key"]["mode"], facts["tls_ca"]["path"]) == ("0400", None)


def test_files_that_are_absent(system: FakeSystem) -> None:
    facts = files(system)
    assert facts["defaults_redhat"] == {
        "path": "/etc/sysconfig/docker",
        "exists": False,
        "type": None,
        "owner": None,
        "group": None,
        "mode": None,
    }
    assert facts["registry_certificates"] == []
    assert facts["socket_unit"]["path"] is None


def test_certificates_of_registries(system: FakeSystem) -> None:
    system.write("/etc/docker/certs.d/registry:5000/ca.crt").chmod(0o444)
    system.write("/etc/docker/certs.d/registry:5000/client.key").chmod(0o644)
    system.write("/etc/docker/certs.d/README")
    found = files(system)["registry_certificates"]
    assert [(fact["path"].rpartition("/")[2], fact["mode"]) for fact in found] == [
        ("ca.crt", "0444"),
        ("client.key", "0644"),
    ]


def test_a_file_that_leads_into_a_process_is_unreadable_and_not_followed(system: FakeSystem) -> None:
    assert "own view of the file system" in files(system, tlskey="/proc/1/root/key")["tls_key"]["unreadable"]


def test_the_socket(system: FakeSystem) -> None:
    system.local("/run").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(system.local("/run/docker.sock")))
    system.local("/run/docker.sock").chmod(0o666)
    assert socket_fact(system, "/run/docker.sock") == {
        "path": "/run/docker.sock",
        "exists": True,
        "owner": "root",
        "group": "root",
        "mode": "0666",
    }
