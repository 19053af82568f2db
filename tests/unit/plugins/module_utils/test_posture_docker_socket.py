# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who reaches the engine's socket: access control lists as the kernel gives them, and containers."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_socket import (
    holders_of_the_socket,
    parse_acl,
    socket_access,
)
from unit.fake_system import FakeSystem

NOBODY = 0xFFFFFFFF
OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Version 2 and rows of tag, permissions and id, as setfacl(1) leaves them."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


BASE = ((OWNER, 6, NOBODY), (OWNING_GROUP, 6, NOBODY), (OTHERS, 0, NOBODY))


def entries(value: bytes) -> list[tuple[str, int, bool]]:
    return [(entry.kind, entry.number, entry.writes) for entry in parse_acl(value)]


def test_named_users_and_groups_are_found() -> None:
    value = acl(*BASE, (USER, 6, 1001), (GROUP, 2, 50), (MASK, 7, NOBODY))
    assert entries(value) == [("user", 1001, True), ("group", 50, True)]


@pytest.mark.parametrize(("permissions", "mask", "writes"), [(6, 4, False), (4, 7, False), (7, 2, True)])
def test_the_mask_limits_them(permissions: int, mask: int, writes: bool) -> None:
    assert entries(acl(*BASE, (USER, permissions, 1001), (MASK, mask, NOBODY))) == [("user", 1001, writes)]


def test_a_list_without_named_entries_opens_nothing() -> None:
    assert entries(acl(*BASE)) == []


@pytest.mark.parametrize("value", [b"", b"\x02", acl(*BASE)[:-1], struct.pack("<I", 1), b"\xff" * 12])
def test_what_is_no_list_is_refused(value: bytes) -> None:
    with pytest.raises(PortError, match="not an access control list of version 2"):
        parse_acl(value)


class ListedSystem(FakeSystem):
    """A host whose socket has an access control list."""

    value: bytes | None = None

    def extended_attribute(self, path: str, name: str) -> bytes | None:
        self.stat(path)
        assert (path, name) == ("/run/docker.sock", "system.posix_acl_access")
        return self.value


@pytest.fixture
def system(tmp_path: Path) -> ListedSystem:
    system = ListedSystem(tmp_path)
    system.write("/run/docker.sock").chmod(0o660)
    system.add_account("ci", 1001)
    return system


def test_those_who_may_connect_are_named(system: ListedSystem) -> None:
    system.value = acl(*BASE, (USER, 6, 1001), (USER, 4, 1002), (GROUP, 6, 77), (MASK, 6, NOBODY))
    assert socket_access(system, "/run/docker.sock") == {
        "acl": [{"kind": "user", "name": "ci", "id": 1001}, {"kind": "group", "name": "77", "id": 77}],
        "everybody": False,
        "containers": None,
    }


def test_a_socket_without_a_list_and_one_that_is_not_there(system: ListedSystem) -> None:
    assert socket_access(system, "/run/docker.sock")["acl"] == []
    system.local("/run/docker.sock").unlink()
    assert socket_access(system, "/run/docker.sock") == {"acl": [], "everybody": False, "containers": None}


def test_a_socket_that_everybody_may_write(system: ListedSystem) -> None:
    system.local("/run/docker.sock").chmod(0o666)
    assert socket_access(system, "/run/docker.sock")["everybody"] is True


def test_a_list_that_is_damaged_is_unreadable(system: ListedSystem) -> None:
    system.value = b"?"
    assert "unreadable" in socket_access(system, "/run/docker.sock")["acl"]


def test_an_attribute_that_a_file_does_not_have_is_none(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.write("/file")
    assert system.extended_attribute("/file", "user.none") is None
    with pytest.raises(PortError, match="No such file"):
        system.extended_attribute("/absent", "user.none")
    with pytest.raises(PortError, match="not followed"):
        system.extended_attribute("/proc/1/root/file", "user.none")


def container(sensitive: str | None = "engine_socket", **other: Any) -> dict[str, Any]:
    return {
        "name": "agent",
        "short_id": "2e9c42ea36cf",
        "engine": "docker",
        "user": "root",
        "mounts": [{"sensitive": sensitive}],
        "namespaces": {"net": "private"},
        "record": {"ports": []},
        **other,
    }


def test_a_container_with_the_socket_is_listed_with_the_ports_on_which_it_is_reached() -> None:
    port = {"host_address": "0.0.0.0", "host_port": 2375, "container_port": 2375, "protocol": "tcp"}
    holders = holders_of_the_socket(
        [container(record={"ports": [port, port]}), container(None), container(namespaces={"net": "host"})]
    )
    assert [(holder["name"], holder["published"], holder["host_network"]) for holder in holders] == [
        ("agent", ["0.0.0.0:2375/tcp"], False),
        ("agent", [], True),
    ]


@pytest.mark.parametrize("record", [None, {"unreadable": "no answer"}])
def test_without_a_record_it_is_not_known_where_it_is_reached(record: Any) -> None:
    assert holders_of_the_socket([container(record=record)])[0]["published"] is None


def test_a_sandbox_that_hides_its_mounts_and_namespaces_is_no_error() -> None:
    hidden = {"not_applicable": "Kata"}
    assert holders_of_the_socket([container(mounts=hidden, namespaces=hidden)]) == []
    assert holders_of_the_socket([container(namespaces=hidden)])[0]["host_network"] == hidden


def test_without_the_containers_nothing_is_said() -> None:
    assert "not gathered" in holders_of_the_socket(None)["unreadable"]
    assert holders_of_the_socket({"unreadable": "x"}) == {"unreadable": "x"}
