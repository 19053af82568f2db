# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On which TCP addresses a process listens."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_evidence import api_listeners
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_listeners import (
    Listener,
    parse_tcp_table,
    tcp_listeners,
)
from unit.fake_system import FakeSystem

# /proc/net/tcp of a Debian 13 machine
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7926 1 00000000d0386fba 100 0 0 10 0
   2: 00000000:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7909 1 00000000b6a9ba33 100 0 0 10 0
   4: 0F02000A:0016 0202000A:D5DC 01 00000000:00000000 02:000AD2F1 00000000     0        0 6959 3 00000000b2a9bedd 20 4 29 10 -1
"""  # noqa: E501 - as it was printed
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0947 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4593 1 00000000a63c97e9 100 0 0 10 0
   1: 00000000000000000000000001000000:0947 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4594 1 00000000a63c97e9 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:0947 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4595 1 00000000a63c97e9 100 0 0 10 0
"""  # noqa: E501 - as it was printed


@pytest.mark.skipif(os.sys.byteorder != "little", reason="recorded on a little-endian machine")
def test_the_kernel_tables() -> None:
    assert parse_tcp_table(TCP) == [
        ("7926", Listener("127.0.0.1", 8080)),
        ("7909", Listener("0.0.0.0", 9090)),
    ]
    assert [listener for _inode, listener in parse_tcp_table(TCP6)] == [
        Listener("::", 2375),
        Listener("::1", 2375),
        Listener("::ffff:127.0.0.1", 2375),
    ]


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.53", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_only_this_host_reaches(address: str, loopback: bool) -> None:
    assert Listener(address, 2375).loopback is loopback


def test_only_the_process_own_sockets_count(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.add_process(7, comm="dockerd")
    system.write("/proc/7/net/tcp", TCP)
    system.link("/proc/7/fd/3", "socket:[7909]")
    system.link("/proc/7/fd/4", "/dev/null")
    with system.process(7) as process:
        assert tcp_listeners(process) == [Listener("0.0.0.0", 9090)]


def test_a_real_socket_of_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, System().process(os.getpid()) as process:
        assert Listener("127.0.0.1", server.getsockname()[1]) in tcp_listeners(process)


def records(*, ports: dict[str, list[dict[str, str]] | None], swarm: str = "inactive") -> DockerRecords:
    container = {"State": {"Pid": 1}, "NetworkSettings": {"Ports": ports}}
    return DockerRecords({}, {"Swarm": {"LocalNodeState": swarm}}, [], ["a"], {"a": container})


def test_published_ports_metrics_and_swarm_are_no_api() -> None:
    listeners = [Listener("0.0.0.0", port) for port in (2375, 2377, 9090, 9323)]
    published = records(ports={"90/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9090"}], "80/tcp": None})
    assert [listener.port for listener in api_listeners(listeners, published, {9323})] == [2375, 2377]
    swarm = records(ports={}, swarm="active")
    assert [listener.port for listener in api_listeners(listeners, swarm, set())] == [2375, 9090, 9323]
    assert api_listeners(listeners, None, set()) == listeners
