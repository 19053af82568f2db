"""Containers by the name of their cgroup, and limits of both cgroup versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import (
    CgroupLimits,
    marks_of,
    parse_cgroup_file,
    user_of_path,
    weight_of_shares,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import parse_mountinfo
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

ID = "0123456789abcdef" * 4
ALICE = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    "path, engine, name",
    [
        (f"/system.slice/docker-{ID}.scope", "docker", None),
        (f"/docker/{ID}", "docker", None),
        (f"/my.slice/docker-{ID}.scope", "docker", None),
        (f"/machine.slice/libpod-{ID}.scope", "podman", None),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman", None),
        (f"/libpod_parent/libpod-{ID}", "podman", None),
        (f"{ALICE}/user.slice/libpod-{ID}.scope", "podman", None),
        (f"{ALICE}/app.slice/web.service/libpod-payload-{ID}", "podman", None),
        (f"/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID}.scope", "containerd", None),
        (f"/kubepods/burstable/pod2c48913c-b29f-11e7-9350-020968147796/{ID}", "containerd", None),
        (f"/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", "crio", None),
        (f"/system.slice/nerdctl-{ID}.scope", "containerd", None),
        ("/lxc.payload.web", "lxc", "web"),
        ("/lxc.payload/web", "lxc", "web"),
        ("/lxc/web", "lxc", "web"),
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "systemd-nspawn", "web"),
        ("/machine.slice/machine-a\\x2db.scope/payload", "systemd-nspawn", "a-b"),
    ],
)
def test_engines_by_their_names(path: str, engine: str, name: str | None) -> None:
    (mark,) = marks_of({"": path})
    assert (mark.engine, mark.name, mark.certain) == (engine, name, True)
    assert mark.id == (None if name else ID)
    assert path.startswith(mark.path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/init.scope",
        "/system.slice/docker.service",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/system.slice/docker-{ID}x.scope",
        f"/system.slice/docker-{ID[:63]}.scope",
        f"/system.slice/{ID}",
        "/lxc.monitor.web",
        "/system.slice/containerd.service",
    ],
)
def test_what_is_no_container(path: str) -> None:
    assert marks_of({"": path}) == ()


def test_a_machine_scope_alone_is_no_proof() -> None:
    (mark,) = marks_of({"": "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"})
    assert not mark.certain


def test_the_outermost_container_comes_first() -> None:
    inner = "f" * 64
    outer_mark, inner_mark = marks_of({"": f"/docker/{ID}/docker/{inner}"})
    assert (outer_mark.id, inner_mark.id) == (ID, inner)
    assert outer_mark.path == f"/docker/{ID}"


def test_version_1_hierarchies() -> None:
    paths = parse_cgroup_file(
        f"11:cpu,cpuacct:/docker/{ID}\n5:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/x\n"
    )
    assert paths["cpu"] == paths["cpuacct"] == f"/docker/{ID}"
    assert marks_of(paths)[0].engine == "docker"


def test_the_user_of_a_path() -> None:
    assert user_of_path(ALICE + "/x") == 1000
    assert user_of_path("/system.slice/user-1000.slice") is None


@given(st.text())
def test_no_text_of_a_cgroup_file_breaks_the_parser(text: str) -> None:
    marks_of(parse_cgroup_file(text))


@pytest.mark.parametrize("shares, weight", [(2, 1), (1024, 100), (262144, 10000), (1, 1), (10**9, 10000)])
def test_shares_become_weights(shares: int, weight: int) -> None:
    assert weight_of_shares(shares) == weight


V1 = """\
40 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 30 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
42 30 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
"""


def test_limits_of_version_1(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    own = f"/docker/{ID}"
    for place, text in {
        "memory{}/memory.limit_in_bytes": "1048576",
        "pids{}/pids.max": "max",
        "cpu,cpuacct{}/cpu.cfs_quota_us": "150000",
        "cpu,cpuacct{}/cpu.cfs_period_us": "100000",
        "cpu,cpuacct{}/cpu.shares": "1024",
    }.items():
        system.write("/sys/fs/cgroup/" + place.format(own), text + "\n")
    limits = CgroupLimits(system, parse_mountinfo(V1))
    paths = {"memory": own, "pids": own, "cpu": own, "cpuacct": own}
    assert limits.read(paths, own) == {
        "memory_bytes": 1048576,
        "pids": None,
        "cpu_cores": 1.5,
        "cpu_weight": 100,
    }
    system.write(f"/sys/fs/cgroup/memory{own}/memory.limit_in_bytes", "9223372036854771712\n")
    system.write(f"/sys/fs/cgroup/cpu,cpuacct{own}/cpu.cfs_quota_us", "-1\n")
    unlimited = limits.read(paths, own)
    assert (unlimited["memory_bytes"], unlimited["cpu_cores"]) == (None, None)
