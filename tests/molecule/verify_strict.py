# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After the strict profile, with a container running since before."""

from __future__ import annotations

from observations import IMAGE, admins_rule_is_in_force, info, process_of_web, status_of_new_container
from testinfra.host import Host


def test_new_containers_gain_no_privileges_and_have_a_limit_of_open_files(host: Host) -> None:
    status = status_of_new_container(host)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["limits"].split()[3:5] == ["1024", "1048576"]


def test_published_ports_need_no_proxy_process(host: Host) -> None:
    container = host.check_output(f"docker run --detach --publish 18080:80 {IMAGE} /bin/busybox sleep 100")
    try:
        assert host.run("pidof docker-proxy").rc == 1
    finally:
        host.check_output(f"docker rm --force {container}")


def test_live_restore_is_still_in_force(host: Host) -> None:
    assert info(host)["LiveRestoreEnabled"] is True


def test_the_default_bridge_is_as_it_was_while_a_container_runs(host: Host) -> None:
    option = '{{index .Options "com.docker.network.bridge.enable_icc"}}'
    assert host.check_output(f"docker network inspect bridge --format '{option}'") == "true"


def test_the_ordinary_container_lives_on(host: Host) -> None:
    assert process_of_web(host) == host.file("/root/web.process").content_string.strip()


def test_the_admin_s_rule_in_the_firewall_is_in_force(host: Host) -> None:
    assert admins_rule_is_in_force(host)
