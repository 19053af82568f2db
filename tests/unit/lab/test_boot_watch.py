# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for a boot: silence, panic, one second attempt, time limits, ports, interruption."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from lab import machine as machine_module
from lab.cache import Keys
from lab.console import Console
from lab.errors import LabError
from lab.image import Image
from lab.instance import Instance, Record
from lab.machine import Machine
from lab.ports import free_port
from lab.progress import Cancelled, Progress
from lab.qemu import TCG


@pytest.fixture
def booting(
    tmp_path: Path, image: Image, keys: Keys, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    instance = Instance(tmp_path / "web")
    instance.directory.mkdir()
    instance.write(Record("debian-13", str(image.directory), "tcg", 1))
    monkeypatch.setattr(Instance, "pid", lambda _self: 4242)
    monkeypatch.setattr(machine_module, "banner_answers", lambda _port: False)
    return Machine(instance, image, TCG, keys, progress)


def test_a_console_is_in_trouble_when_silent_or_panicking(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("Kernel panic - not syncing: of an earlier boot\n")
    console = Console(log, silence_limit=60)
    assert console.trouble() is None
    log.write_text(log.read_text() + "[ 1.0] Kernel panic - not syncing: VFS\n")
    assert console.trouble() == "the kernel panicked"
    console.follow_from_here()
    assert console.trouble() is None
    silent = Console(log, silence_limit=0)
    assert silent.trouble() == "the console has been silent for 0 s"


def test_a_boot_that_panics_is_started_again_once_and_says_so(
    booting: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    booting.instance.console.write_text("")
    resets: list[str] = []

    def reset(machine: Machine) -> None:
        resets.append(machine.name)

    def banner(_port: int) -> bool:
        with booting.instance.console.open("a") as console:
            console.write("Kernel panic - not syncing: VFS: no root\n")
        return False

    monkeypatch.setattr(machine_module, "banner_answers", banner)
    monkeypatch.setattr(Machine, "reset", reset)
    with pytest.raises(LabError, match=r"second boot fails like the first(?s:.*)no root"):
        booting.wait_for_ssh()
    assert resets == ["web"]
    assert "web: the kernel panicked; starting it again once" in capsys.readouterr().err


def test_a_server_that_closes_its_first_connections_has_not_booted(
    booting: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    booting.instance.console.write_text("")
    answers = [LabError("Connection closed by remote host"), None]

    def run(_machine: Machine, _script: str) -> str:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return ""

    monkeypatch.setattr(machine_module, "banner_answers", lambda _port: True)
    monkeypatch.setattr(Machine, "run", run)
    booting.wait_for_ssh()
    assert answers == []


def test_the_time_limit_shows_the_end_of_the_console(booting: Machine) -> None:
    booting.instance.console.write_text("one\ntwo\nWaiting for root device\n")
    hasty = replace(booting, accelerator=replace(TCG, boot_limit=0.1))
    with pytest.raises(LabError, match=r"did not answer within 0 s\n(?s:.*)\| Waiting for root device"):
        hasty.wait_for_ssh()


def test_a_process_that_ended_is_noticed(booting: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Instance, "pid", lambda _self: None)
    with pytest.raises(LabError, match="process ended while it booted"):
        booting.wait_for_ssh()


def test_an_interrupt_ends_the_wait(booting: Machine) -> None:
    booting.progress.cancelled.set()
    with pytest.raises(Cancelled):
        booting.wait_for_ssh()


def test_a_port_that_was_taken_meanwhile_is_replaced(
    booting: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = iter([1001, 1002, 1003])
    seen: list[str] = []

    def run(argv: list[str], *, limit: float, cwd: Path) -> str:
        assert (limit, cwd) == (machine_module.START_LIMIT, booting.instance.directory)
        seen.append(argv[argv.index("-netdev") + 1])
        if len(seen) < 3:
            raise LabError("qemu ended: Could not set up host forwarding rule 'tcp:127.0.0.1:1001-:22'")
        return ""

    monkeypatch.setattr(machine_module, "free_port", lambda: next(offered))
    monkeypatch.setattr(machine_module, "output_of", run)
    booting.start()
    assert [option.split(":")[2] for option in seen] == ["1001-", "1002-", "1003-"]
    assert booting.instance.read().port == 1003
    assert (booting.instance.directory / "known_hosts").read_text().startswith("[127.0.0.1]:1003 ")


def test_another_failure_of_qemu_is_not_tried_again(
    booting: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def run(_argv: list[str], *, limit: float, cwd: Path) -> str:
        attempts.append(1)
        raise LabError("qemu ended: out of memory")

    monkeypatch.setattr(machine_module, "output_of", run)
    with pytest.raises(LabError, match="out of memory"):
        booting.start()
    assert len(attempts) == 1


def test_a_free_port_can_be_bound() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        assert listener.getsockname()[1] > 0
