# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `kernel`."""

from __future__ import annotations

import errno
import gzip
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _posture_kernel
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_kernel import (
    collect_kernel,
    parse_apparmor_profiles,
    parse_kernel_config,
    parse_lockdown,
    parse_release,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_namespace_trial import (
    UserNamespaceTrial,
    try_user_namespace,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

RELEASE = "6.12.41+deb13-amd64"
CONFIG = "# comment\nCONFIG_SECCOMP_FILTER=y\nCONFIG_VETH=m\n# CONFIG_USER_NS is not set\n"


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write("/proc/sys/kernel/osrelease", f"{RELEASE}\n")
    system.write(f"/boot/config-{RELEASE}", CONFIG)
    system.write("/sys/kernel/security/lsm", "lockdown,capability,landlock,yama,apparmor")
    system.write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    system.write("/sys/module/apparmor/parameters/enabled", "Y\n")
    system.write(
        "/sys/kernel/security/apparmor/profiles", "docker-default (enforce)\nlsb_release (complain)\n"
    )
    system.write("/sys/kernel/btf/vmlinux")
    system.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    system.write("/sys/module/br_netfilter/refcnt", "0\n")
    system.write(f"/lib/modules/{RELEASE}/modules.builtin", "kernel/net/ipv4/netfilter/nf-nat.ko\n")
    system.write("/proc/sys/kernel/kptr_restrict", "0\n")
    system.write("/proc/sys/net/ipv4/ping_group_range", "1\t0\n")
    return system


def test_an_ordinary_kernel(system: FakeSystem) -> None:
    kernel = collect_kernel(system)
    assert kernel["release"] == RELEASE
    assert kernel["version"] == {"major": 6, "minor": 12, "patch": 41}
    assert kernel["config"]["source"] == f"/boot/config-{RELEASE}"
    assert kernel["config"]["options"]["CONFIG_SECCOMP_FILTER"] == "y"
    assert kernel["config"]["options"]["CONFIG_USER_NS"] is None
    assert kernel["lsm"] == ["lockdown", "capability", "landlock", "yama", "apparmor"]
    assert kernel["apparmor"] == {
        "enabled": True,
        "profiles": {"enforce": 1, "complain": 1, "unconfined": 0},
    }
    assert kernel["selinux"] == {"enabled": False, "mode": "disabled"}
    assert (kernel["lockdown"], kernel["btf"]) == ("none", True)
    assert kernel["cgroup"] == {"version": 2, "controllers": ["cpuset", "cpu", "io", "memory", "pids"]}
    assert {name for name, there in kernel["modules"].items() if there} == {"br_netfilter", "nf_nat"}
    assert kernel["sysctls"]["kernel.kptr_restrict"] == "0"
    assert kernel["sysctls"]["net.ipv4.ping_group_range"] == "1 0"
    assert kernel["sysctls"]["kernel.unprivileged_userns_clone"] is None


def test_a_kernel_whose_configuration_is_compressed_in_proc(system: FakeSystem) -> None:
    system.write("/proc/config.gz", gzip.compress(b"CONFIG_VETH=y\n"))
    config = collect_kernel(system)["config"]
    assert (config["source"], config["options"]["CONFIG_VETH"]) == ("/proc/config.gz", "y")


def test_a_compressed_configuration_without_end_is_unreadable(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_posture_kernel, "CONFIG_LIMIT", 10_000)
    system.write("/proc/config.gz", gzip.compress(b"x" * 1_000_000))
    assert "longer than 10000 bytes" in collect_kernel(system)["config"]["unreadable"]


def test_a_kernel_without_its_configuration(system: FakeSystem) -> None:
    system.local(f"/boot/config-{RELEASE}").unlink()
    assert "no kernel configuration" in collect_kernel(system)["config"]["unreadable"]


def test_no_securityfs_is_no_answer_instead_of_no_lsm(system: FakeSystem) -> None:
    system.local("/sys/kernel/security/lsm").unlink()
    system.local("/sys/kernel/security/lockdown").unlink()
    kernel = collect_kernel(system)
    assert "securityfs is not mounted" in kernel["lsm"]["unreadable"]
    assert "securityfs is not mounted" in kernel["lockdown"]["unreadable"]


def test_a_kernel_without_lockdown(system: FakeSystem) -> None:
    system.write("/sys/kernel/security/lsm", "capability,selinux")
    system.local("/sys/kernel/security/lockdown").unlink()
    assert collect_kernel(system)["lockdown"] is None


@pytest.mark.parametrize(("text", "mode"), [("1", "enforcing"), ("0", "permissive")])
def test_selinux(system: FakeSystem, text: str, mode: str) -> None:
    system.write("/sys/fs/selinux/enforce", text)
    assert collect_kernel(system)["selinux"] == {"enabled": True, "mode": mode}


def test_an_old_cgroup_hierarchy(system: FakeSystem) -> None:
    system.local("/sys/fs/cgroup/cgroup.controllers").unlink()
    system.write(
        "/proc/cgroups",
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t66\t1\nmemory\t0\t97\t0\n",
    )
    assert collect_kernel(system)["cgroup"] == {"version": 1, "controllers": ["cpu"]}


@pytest.mark.parametrize(
    ("release", "numbers"),
    [
        ("6.12.41+deb13-amd64", (6, 12, 41)),
        ("6.1.0-39-amd64", (6, 1, 0)),
        ("7.2-rc1", (7, 2, 0)),
        ("4.18.0-553.el8_10.x86_64", (4, 18, 0)),
        ("5.14.0-570.12.1.el9_6.x86_64", (5, 14, 0)),
    ],
)
def test_releases(release: str, numbers: tuple[int, int, int]) -> None:
    assert tuple(parse_release(release).values()) == numbers


def test_a_release_that_is_none() -> None:
    with pytest.raises(PortError, match="does not begin with two numbers"):
        parse_release("custom")


def test_a_lockdown_level() -> None:
    assert parse_lockdown("none [integrity] confidentiality\n") == "integrity"
    with pytest.raises(PortError):
        parse_lockdown("none integrity\n")


@given(st.lists(st.tuples(st.text("ab /().", min_size=1), st.sampled_from(["enforce", "complain", "kill"]))))
def test_every_profile_is_counted_whatever_its_name(profiles: list[tuple[str, str]]) -> None:
    text = "".join(f"{name} ({mode})\n" for name, mode in profiles)
    assert sum(parse_apparmor_profiles(text).values()) == len(profiles)


@given(
    st.dictionaries(st.sampled_from(["CONFIG_A", "CONFIG_B", "CONFIG_AB"]), st.sampled_from(["y", "m", '""']))
)
def test_options_are_found_by_their_whole_name(options: dict[str, str]) -> None:
    text = "".join(f"{name}={value}\n" for name, value in options.items())
    wanted = ("CONFIG_A", "CONFIG_B")
    assert parse_kernel_config(text, wanted) == {name: options.get(name) for name in wanted}


def test_user_namespaces_are_tried_here() -> None:
    trial = try_user_namespace()
    assert trial.step in (0, 2, 3)
    assert trial.as_fact()["unprivileged"] is (trial.step == 0)


@pytest.mark.parametrize(
    ("trial", "unprivileged", "words"),
    [
        (UserNamespaceTrial(65534, 0, 0), True, "as uid 65534 succeeded"),
        (UserNamespaceTrial(65534, 2, errno.ENOSPC), False, "failed: ENOSPC"),
        (UserNamespaceTrial(65534, 3, errno.EPERM), False, "without its capabilities: EPERM"),
    ],
)
def test_what_the_trial_means(trial: UserNamespaceTrial, unprivileged: bool, words: str) -> None:
    fact = trial.as_fact()
    assert fact["unprivileged"] is unprivileged
    assert words in fact["witness_detail"]


def test_a_trial_that_never_took_place_is_no_answer() -> None:
    with pytest.raises(PortError, match="could not become uid 65534: EPERM"):
        UserNamespaceTrial(65534, 1, errno.EPERM).as_fact()
