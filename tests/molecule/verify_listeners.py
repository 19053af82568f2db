# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a TCP listener was opened with client certificates, and the surroundings narrowed by name."""

from __future__ import annotations

from testinfra.host import Host

DROP_IN = "/etc/systemd/system/docker.service.d/zz-bulkhead.conf"
URL = "https://127.0.0.1:2376/version"
TLS = "/etc/docker/tls"


def test_only_a_client_with_a_certificate_gets_in(host: Host) -> None:
    assert host.run(f"curl --silent --fail --cacert {TLS}/ca.pem {URL}").rc != 0
    assert host.run("curl --silent --fail http://127.0.0.1:2376/version").rc != 0
    client = f"--cert {TLS}/client.pem --key {TLS}/client-key.pem"
    assert '"Version"' in host.check_output(f"curl --silent --fail --cacert {TLS}/ca.pem {client} {URL}")


def test_the_local_socket_answers_and_is_root_s_alone(host: Host) -> None:
    host.check_output("docker info")
    assert host.file("/run/docker.sock").mode == 0o600
    assert "SocketMode=0600" in host.check_output("systemctl show docker.socket --property SocketMode")


def test_the_package_s_unit_is_untouched(host: Host) -> None:
    verified = host.run("dpkg --verify docker.io").stdout
    assert [line for line in verified.splitlines() if "/systemd/system/" in line] == []
    unit = host.check_output("cat /usr/lib/systemd/system/docker.service /lib/systemd/system/docker.service")
    assert "-H fd://" in unit
    assert "-H" not in host.file(DROP_IN).content_string
    assert "$DOCKER_OPTS" in host.file(DROP_IN).content_string


def test_the_private_key_lost_the_rights_of_others(host: Host) -> None:
    assert host.file(f"{TLS}/server-key.pem").mode == 0o400


def test_the_named_member_alone_is_out_of_the_group(host: Host) -> None:
    assert "docker" not in host.user("ops").groups
    assert "docker" in host.user("nagios").groups


def test_apt_leaves_the_engine_alone(host: Host) -> None:
    dumped = host.check_output("apt-config dump Unattended-Upgrade::Package-Blacklist")
    assert 'Unattended-Upgrade::Package-Blacklist:: "docker\\.io$";' in dumped
