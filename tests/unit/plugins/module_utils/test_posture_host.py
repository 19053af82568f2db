# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `host`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_host import (
    collect_host,
    parse_os_release,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

DEBIAN_13 = """PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
VERSION_CODENAME=trixie
DEBIAN_VERSION_FULL=13.1
ID=debian
HOME_URL="https://www.debian.org/"
"""


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write("/proc/sys/kernel/hostname", "web1\n")
    system.write("/etc/os-release", DEBIAN_13)
    system.write("/proc/1/comm", "systemd\n")
    system.write("/proc/stat", "cpu  1 2 3\nbtime 1763911200\nprocesses 5\n")
    system.local("/run/systemd/system").mkdir(parents=True)
    system.answers["systemd-detect-virt",] = "kvm\n"
    return system


def test_an_ordinary_host(system: FakeSystem) -> None:
    assert collect_host(system) == {
        "hostname": "web1",
        "distribution": {
            "id": "debian",
            "version_id": "13",
            "codename": "trixie",
            "name": "Debian GNU/Linux 13 (trixie)",
        },
        "virtualization": "kvm",
        "init": {"name": "systemd", "booted": True},
        "boot_time": "2025-11-23T15:20:00Z",
    }


def test_metal_is_an_answer_although_the_command_fails(system: FakeSystem) -> None:
    command = ("systemd-detect-virt",)
    system.answers[command] = Completed(argv=command, returncode=1, stdout="none\n", stderr="")
    assert collect_host(system)["virtualization"] == "none"


def test_each_fact_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert collect_host(FakeSystem(tmp_path)) == {
        "hostname": {"unreadable": "/proc/sys/kernel/hostname: No such file or directory"},
        "distribution": {"unreadable": "/usr/lib/os-release: No such file or directory"},
        "virtualization": {"unreadable": "systemd-detect-virt: No such file or directory"},
        "init": {"unreadable": "/proc/1/comm: No such file or directory"},
        "boot_time": {"unreadable": "/proc/stat: No such file or directory"},
    }


def test_another_init(system: FakeSystem) -> None:
    system.local("/run/systemd/system").rmdir()
    system.write("/proc/1/comm", "runit\n")
    assert collect_host(system)["init"] == {"name": "runit", "booted": False}


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30))
def test_os_release_values_are_read_as_a_shell_reads_them(value: str) -> None:
    quoted = '"' + "".join("\\" + c if c in '"\\$`' else c for c in value) + '"'
    assert parse_os_release(f"# comment\nNAME={quoted}\n")["NAME"] == value
