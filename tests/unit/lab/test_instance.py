# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which process is a machine, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.errors import LabError
from lab.instance import Instance, Record, checked_name
from lab.qemu import drive_option


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    directory = tmp_path / "web"
    directory.mkdir()
    return Instance(directory)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def _pretend(argv0: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A sleeping process with the given command line."""
    sleep = "import time; print(flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [argv0, "-c", sleep, *arguments], executable=sys.executable, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_the_machine_is_recognised_by_program_and_disk(
    instance: Instance, started: list[subprocess.Popen[bytes]]
) -> None:
    process = _pretend("/usr/bin/qemu-system-x86_64", "-drive", drive_option(instance.directory))
    started.append(process)
    (instance.directory / "qemu.pid").write_text(f"{process.pid}\n")
    assert instance.pid() == process.pid


@pytest.mark.parametrize(
    ("argv0", "disk_of"),
    [("/usr/bin/qemu-system-x86_64", "another"), ("/usr/bin/something-else", "web")],
)
def test_a_reused_process_id_is_neither_believed_nor_ended(
    argv0: str, disk_of: str, instance: Instance, started: list[subprocess.Popen[bytes]]
) -> None:
    process = _pretend(argv0, "-drive", drive_option(instance.directory.with_name(disk_of)))
    started.append(process)
    (instance.directory / "qemu.pid").write_text(f"{process.pid}\n")
    assert instance.pid() is None
    instance.end_process()
    assert process.poll() is None


@pytest.mark.parametrize("content", ["", "not a number", "999999999"])
def test_a_useless_pid_file_means_off(content: str, instance: Instance) -> None:
    (instance.directory / "qemu.pid").write_text(content)
    assert instance.pid() is None


def test_ending_ends_the_process(instance: Instance, started: list[subprocess.Popen[bytes]]) -> None:
    process = _pretend("/usr/bin/qemu-system-x86_64", "-drive", drive_option(instance.directory))
    started.append(process)
    (instance.directory / "qemu.pid").write_text(str(process.pid))
    instance.end_process()
    assert process.wait(timeout=5) != 0


def test_a_record_is_read_back(instance: Instance) -> None:
    record = Record("debian-13", "/cache/x", "tcg", 2201)
    assert not instance.is_complete()
    with pytest.raises(LabError, match="never started completely.*lab down web"):
        instance.read()
    instance.write(record)
    assert instance.read() == record
    assert [path.name for path in instance.directory.iterdir()] == ["instance.json"]


@pytest.mark.parametrize("name", ["debian-13", "a", "web.example-1"])
def test_host_names_are_accepted(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "A", "-a", ".", "a b", "a" * 64, "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(LabError, match="accepted are up to 63"):
        checked_name(name)
