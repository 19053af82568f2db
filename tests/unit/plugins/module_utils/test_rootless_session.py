"""What one account has of what a rootless engine needs."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import session_facts
from unit.fake_system import FakeSystem

UID = 1001
CGROUP = f"/sys/fs/cgroup/user.slice/user-{UID}.slice/user@{UID}.service"


@pytest.fixture
def host(tmp_path: Path) -> FakeSystem:
    """A host with one user who has everything but a bus."""
    system = FakeSystem(tmp_path)
    system.add_account("amber", UID)
    system.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    system.write(f"{CGROUP}/cgroup.events", "populated 1\nfrozen 0\n")
    system.write(f"{CGROUP}/cgroup.controllers", "cpu memory pids\n")
    system.write("/var/lib/systemd/linger/amber")
    system.write("/etc/passwd", f"root:x:0:0::/root:/bin/sh\namber:x:{UID}:{UID}::/home/amber:/bin/sh\n")
    system.write("/etc/subuid", "amber:100000:65536\n")
    system.write("/etc/subgid", "amber:100000:65536\n")
    return system


def facts_of(host: FakeSystem) -> dict[str, Any]:
    return session_facts(host, host.account(UID)).as_facts()


def test_a_running_manager_and_its_controllers(host: FakeSystem) -> None:
    facts = facts_of(host)
    assert (facts["linger"], facts["manager"], facts["controllers"]) == (
        True,
        True,
        ["cpu", "memory", "pids"],
    )
    assert session_facts(host, host.account(UID)).missing_controllers(["cpu", "io"]) == ["io"]


@pytest.mark.parametrize("events", [None, "populated 0\nfrozen 0\n", "", "populated\n"])
def test_a_manager_that_does_not_run_has_no_controllers(host: FakeSystem, events: str | None) -> None:
    host.local(f"{CGROUP}/cgroup.events").unlink()
    if events is not None:
        host.write(f"{CGROUP}/cgroup.events", events)
    facts = session_facts(host, host.account(UID))
    assert (facts.manager, facts.controllers) == (False, None)
    assert facts.missing_controllers(["cpu", "io"]) == []


def test_cgroup_v1_is_unreadable_and_not_false(host: FakeSystem) -> None:
    host.local("/sys/fs/cgroup/cgroup.controllers").unlink()
    facts = facts_of(host)
    assert "no unified cgroup hierarchy" in facts["manager"]["unreadable"]
    assert facts["controllers"] is None


def test_when_the_manager_began(host: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "started_at", lambda ticks: 1_763_911_200.0 + ticks / 100)
    assert session_facts(host, host.account(UID)).manager_since is None
    host.write(f"{CGROUP}/init.scope/cgroup.procs", "570\n569\n")
    host.add_process(569, comm="systemd", start_ticks=300)
    assert facts_of(host)["manager_since"] == "2025-11-23T15:20:03Z"


def test_without_linger(host: FakeSystem) -> None:
    host.local("/var/lib/systemd/linger/amber").unlink()
    assert facts_of(host)["linger"] is False


def test_no_bus(host: FakeSystem) -> None:
    bus = facts_of(host)["bus"]
    assert bus["usable"] is False
    assert f"/run/user/{UID}/bus is not there" in bus["reason"]


def test_a_bus_of_the_user_is_usable(host: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.getuid()
    host.add_account("owner", uid)
    place = host.local(f"/run/user/{uid}")
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind("bus")  # a short name: sun_path is limited
        assert session_facts(host, host.account(uid)).bus == ""


def test_a_bus_that_is_no_socket_is_not_usable(host: FakeSystem) -> None:
    host.write(f"/run/user/{UID}/bus")
    assert "found: a file" in facts_of(host)["bus"]["reason"]


def test_the_runtime_directory(host: FakeSystem) -> None:
    assert facts_of(host)["runtime_directory"]["exists"] is False
    host.local(f"/run/user/{UID}").mkdir(parents=True, mode=0o700)
    directory = facts_of(host)["runtime_directory"]
    assert (directory["exists"], directory["mode"]) == (True, "0700")


def test_subordinate_ids(host: FakeSystem) -> None:
    subids = facts_of(host)["subids"]
    assert subids["source"] == "files"
    assert subids["uid"] == {"count": 65536, "ranges": [{"start": 100000, "count": 65536}], "collisions": []}


def test_ids_in_two_of_the_users_ranges_count_once(host: FakeSystem) -> None:
    host.write("/etc/subuid", f"amber:100000:100\n{UID}:100050:100\namber:200000:10\n")
    assert facts_of(host)["subids"]["uid"]["count"] == 160


def test_an_overlap_with_somebody_else_is_told(host: FakeSystem) -> None:
    host.write("/etc/subuid", "amber:100000:65536\nbasil:165000:65536\n")
    collisions = facts_of(host)["subids"]["uid"]["collisions"]
    assert len(collisions) == 1
    assert "basil" in collisions[0]


def test_a_collision_of_others_is_not_this_users(host: FakeSystem) -> None:
    host.write("/etc/subuid", "amber:100000:65536\nbasil:265000:65536\ncedar:265000:65536\n")
    assert facts_of(host)["subids"]["uid"]["collisions"] == []


def test_a_real_id_in_a_range_is_told(host: FakeSystem) -> None:
    host.write("/etc/passwd", f"amber:x:{UID}:{UID}::/home/amber:/bin/sh\nbasil:x:100005:1::/:/bin/sh\n")
    assert "user basil" in facts_of(host)["subids"]["uid"]["collisions"][0]


def test_ids_from_a_directory_are_asked_for(host: FakeSystem) -> None:
    host.write("/etc/nsswitch.conf", "subid: sss\n")
    host.answers["getsubids", "amber"] = "0: amber 300000 65536\n"
    host.answers["getsubids", "-g", "amber"] = Completed(("getsubids",), 1, "", "")
    subids = facts_of(host)["subids"]
    assert (subids["source"], subids["uid"]["count"], subids["gid"]["count"]) == ("sss", 65536, 0)
    assert host.ran == [("getsubids", "amber"), ("getsubids", "-g", "amber")]


def test_ids_that_cannot_be_asked_for_are_unreadable(host: FakeSystem) -> None:
    host.write("/etc/nsswitch.conf", "subid: sss\n")
    facts = facts_of(host)
    assert "getsubids" in facts["subids"]["unreadable"]
    assert facts["linger"] is True
