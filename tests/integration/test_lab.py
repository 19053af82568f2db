# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab with real machines: start, reboot, power cut, end, interruption, containers, boot loader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.laboratory import Laboratory, Wanted
from lab.machine import Machine
from lab.platforms import PLATFORMS, recipe_for
from lab.progress import Progress

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    laboratory = Laboratory(tmp_path_factory.mktemp("lab"), Progress())
    yield laboratory
    laboratory.down([instance.name for instance in laboratory.instances()])


def _processes_of(laboratory: Laboratory) -> list[str]:
    """The command lines of all processes that mention the lab directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            cmdline = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(laboratory.directory) in cmdline:
            found.append(cmdline)
    return found


def _up(laboratory: Laboratory, platform: str, *, cold: bool = False) -> Machine:
    laboratory.up([Wanted(platform, recipe_for(platform))], cold=cold)
    return laboratory.machine(platform)


def test_the_life_of_a_machine(laboratory: Laboratory) -> None:
    machine = _up(laboratory, "debian-13")

    facts = machine.run("hostname; date +%s; cat /etc/machine-id; cat /proc/sys/kernel/osrelease\n").split()
    assert facts[0] == "debian-13"
    assert abs(int(facts[1]) - time.time()) < 30
    assert len(facts[2]) == 32
    inventory = laboratory.inventory
    answer = subprocess.run(
        ["ansible", "-i", str(inventory), "lab", "-m", "ansible.builtin.ping"],
        env={**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "true", "ANSIBLE_TIMEOUT": "60"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"ping": "pong"' in answer.stdout, answer.stdout + answer.stderr

    first = machine.boot_id()
    machine.reboot()
    second = machine.boot_id()
    assert second != first

    machine.run("echo kept > /root/kept; sync; echo lost > /root/lost\n")
    machine.power_cut()
    assert machine.instance.pid() is None
    machine.power_on()
    assert machine.boot_id() not in (first, second)
    assert machine.run("cat /root/kept; cat /root/lost 2>/dev/null || true\n").split() == ["kept"]
    assert machine.run("hostname\n").strip() == "debian-13"

    assert _processes_of(laboratory)
    laboratory.down(["debian-13"])
    assert _processes_of(laboratory) == []
    assert not machine.instance.directory.exists()
    assert "hosts: {}" in inventory.read_text()


def test_two_machines_of_one_saved_state_differ(laboratory: Laboratory) -> None:
    laboratory.up([Wanted("a", recipe_for("debian-13")), Wanted("b", recipe_for("debian-13"))])
    script = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | base64\n"
    facts = [laboratory.machine(name).run(script).split() for name in ("a", "b")]
    assert facts[0][0] == "a"
    assert facts[1][0] == "b"
    assert not set(facts[0]) & set(facts[1])
    laboratory.down(["a", "b"])


def test_an_interrupted_start_leaves_nothing(laboratory: Laboratory) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--cold", "debian-13"],
        env={**os.environ, "BULKHEAD_LAB_DIRECTORY": str(laboratory.directory)},
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores SIGINT, and what it starts would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert command.stderr is not None
    for line in command.stderr:
        if "booting" in line:
            break
    assert _processes_of(laboratory)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "interrupted" in errors
    assert _processes_of(laboratory) == []
    assert laboratory.instances() == []


@pytest.mark.all_platforms  # every scenario runs containers
@pytest.mark.parametrize("platform", [platform.name for platform in PLATFORMS])
def test_a_full_machine_runs_containers(platform: str, laboratory: Laboratory) -> None:
    machine = _up(laboratory, platform)
    machine.run(
        "mkdir -p /tmp/image/bin && cp /bin/busybox /tmp/image/bin/\n"
        "ln -sf busybox /tmp/image/bin/sh\ntar -C /tmp/image -cf /tmp/image.tar bin\n"
        "chmod 644 /tmp/image.tar\n"
        "docker import /tmp/image.tar box >/dev/null\n"
        "useradd --create-home --shell /bin/bash rootless && loginctl enable-linger rootless\n",
        limit=180,
    )
    docker = machine.run("docker run --rm box /bin/busybox cat /proc/self/attr/current\n", limit=180)
    assert docker.strip() == "docker-default (enforce)"
    podman = machine.run(
        "cd /tmp && su - rootless -c 'export XDG_RUNTIME_DIR=/run/user/$(id -u)\n"
        "podman import --quiet /tmp/image.tar box >/dev/null\n"
        "podman run --rm box /bin/busybox cat /proc/self/uid_map'\n",
        limit=300,
    )
    inside, outside, _ = podman.splitlines()[0].split()
    assert (inside, int(outside) > 0) == ("0", True)
    laboratory.down([platform])


@pytest.mark.all_platforms  # its image and its real boots take minutes
def test_a_machine_with_a_boot_loader_takes_a_changed_command_line(laboratory: Laboratory) -> None:
    machine = _up(laboratory, "debian-13-bootloader")
    assert "bulkhead.test=1" not in machine.run("cat /proc/cmdline\n")
    machine.run(
        "sed -i 's/^GRUB_CMDLINE_LINUX=.*/GRUB_CMDLINE_LINUX=\"console=ttyS0 bulkhead.test=1\"/'"
        " /etc/default/grub\n"
        "update-grub 2>/dev/null\n",
        limit=180,
    )
    machine.reboot()
    assert "bulkhead.test=1" in machine.run("cat /proc/cmdline\n").split()
    laboratory.down(["debian-13-bootloader"])
