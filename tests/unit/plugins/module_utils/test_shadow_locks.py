# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The locks of shadow's programs: who holds them, who waits, and what a dead holder leaves."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _shadow_locks
from ansible_collections.bulkhead.hardening.plugins.module_utils._shadow_locks import (
    ShadowLockError,
    shadow_locks,
)

FILES = ("/etc/subuid", "/etc/subgid")
PYTHON = sys.executable


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def _names(etc: Path) -> set[str]:
    return {entry.name for entry in etc.iterdir()}


def _hold(etc: Path, seconds: float = 0.3) -> None:
    with shadow_locks(FILES, seconds=seconds, root=str(etc.parent)):
        assert _names(etc) == {".pwd.lock", "subuid.lock", "subgid.lock"}


@contextmanager
def _another_process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code`, which prints a line when it is ready, and ends when its input ends."""
    process = subprocess.Popen([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def _password_lock_held(etc: Path) -> str:
    return (
        f"import fcntl, sys; file = open({str(etc / '.pwd.lock')!r}, 'w'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )


def test_they_are_held_and_given_back(etc: Path) -> None:
    with shadow_locks(FILES, seconds=1, root=str(etc.parent)):
        for name in ("subuid.lock", "subgid.lock"):
            assert (etc / name).read_bytes() == b"%d\0" % os.getpid()  # as shadow writes it
            assert (etc / name).stat().st_mode & 0o777 == 0o600
        asked = (
            f"import fcntl; fcntl.lockf(open({str(etc / '.pwd.lock')!r}, 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        found = subprocess.run([PYTHON, "-c", asked], check=False, stderr=subprocess.PIPE, text=True)
        assert "BlockingIOError" in found.stderr
    assert _names(etc) == {".pwd.lock"}
    subprocess.run([PYTHON, "-c", asked], check=True)


def test_they_are_given_back_after_an_error(etc: Path) -> None:
    with pytest.raises(RuntimeError), shadow_locks(FILES, seconds=1, root=str(etc.parent)):
        raise RuntimeError
    _hold(etc)
    assert _names(etc) == {".pwd.lock"}


def test_a_holder_of_the_password_lock_is_named(etc: Path) -> None:
    with _another_process(_password_lock_held(etc)) as holder:
        said = rf"/etc/\.pwd\.lock: still held .*, by process {holder.pid} \(python.*Nothing was changed"
        with pytest.raises(ShadowLockError, match=said):
            _hold(etc)
        with pytest.raises(ShadowLockError):
            _hold(etc, 0)
    _hold(etc)


def test_it_waits_for_the_password_lock(etc: Path) -> None:
    code = _password_lock_held(etc).replace("sys.stdin.read()", "import time; time.sleep(0.5)")
    begun = time.monotonic()
    with _another_process(code):
        _hold(etc, 20)
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("name", ["subuid", "subgid"])
def test_a_living_holder_of_a_pid_lock_is_named_and_left(etc: Path, name: str) -> None:
    lock = etc / f"{name}.lock"
    with _another_process("import sys; print('ready', flush=True); sys.stdin.read()") as holder:
        lock.write_bytes(b"%d\0" % holder.pid)
        said = rf"/etc/{name}\.lock: still held .*, by process {holder.pid} \(python.*raise lock_timeout"
        with pytest.raises(ShadowLockError, match=said):
            _hold(etc)
        assert _names(etc) == {".pwd.lock", f"{name}.lock"}
    _hold(etc)


def test_it_waits_for_a_pid_lock(etc: Path) -> None:
    with _another_process("import sys, time; print('ready', flush=True); time.sleep(0.5)") as holder:
        (etc / "subgid.lock").write_bytes(b"%d\0" % holder.pid)
        reaper = subprocess.Popen(["sh", "-c", f"sleep 0.5; rm {etc / 'subgid.lock'}"])
        _hold(etc, 20)
        assert reaper.wait() == 0


def _dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("ending", [b"\0", b"", b"\n"])
def test_a_dead_holder_is_taken_away(etc: Path, ending: bytes) -> None:
    for name in ("subuid", "subgid"):
        (etc / f"{name}.lock").write_bytes(b"%d" % _dead_pid() + ending)
    _hold(etc)


def test_a_number_that_no_process_has(etc: Path) -> None:
    (etc / "subuid.lock").write_bytes(b"9999999999\0")
    _hold(etc)


@pytest.mark.parametrize("content", [b"", b"junk", b"-1\0", b"0\0", b"12x", b"1" * 40])
def test_a_lock_that_names_nobody_is_never_taken_away(etc: Path, content: bytes) -> None:
    (etc / "subuid.lock").write_bytes(content)
    with pytest.raises(ShadowLockError, match="a file that names no process; remove it when no useradd"):
        _hold(etc)
    assert (etc / "subuid.lock").read_bytes() == content


def test_what_a_crash_of_the_same_pid_left_is_not_written_into(etc: Path) -> None:
    """Killed between link and unlink, the lock has two names, and one is the name of our own file."""
    left = etc / f"subuid.{os.getpid()}"
    with _another_process("import sys; print('ready', flush=True); sys.stdin.read()") as holder:
        left.write_bytes(b"%d\0" % holder.pid)
        (etc / "subuid.lock").hardlink_to(left)
        with pytest.raises(ShadowLockError, match=f"process {holder.pid}"):
            _hold(etc)
        assert (etc / "subuid.lock").read_bytes() == b"%d\0" % holder.pid
    _hold(etc)


def test_a_link_in_the_place_of_a_lock_is_not_followed(etc: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (etc / f"subuid.{os.getpid()}").symlink_to(kept)
    _hold(etc)
    (etc / "subuid.lock").symlink_to(kept)
    with pytest.raises(ShadowLockError, match=r"/etc/subuid\.lock: .*symbolic links.*Nothing was changed"):
        _hold(etc)
    (etc / ".pwd.lock").unlink()
    (etc / ".pwd.lock").symlink_to(kept)
    with pytest.raises(ShadowLockError, match=r"/etc/\.pwd\.lock"):
        _hold(etc)
    assert kept.read_text() == "kept"


def test_one_of_ours_excludes_another(etc: Path) -> None:
    """Many processes count in a file under the locks, and lose nothing."""
    counter = etc / "counter"
    counter.write_text("0")
    code = (
        "import sys, time\n"
        f"from {_shadow_locks.__name__} import shadow_locks\n"
        f"for _ in range(5):\n"
        f"    with shadow_locks({FILES!r}, seconds=50, root={str(etc.parent)!r}):\n"
        f"        file = {str(counter)!r}\n"
        "        number = int(open(file).read()); time.sleep(0.01); open(file, 'w').write(str(number + 1))\n"
    )
    processes = [subprocess.Popen([PYTHON, "-W", "ignore", "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "15"
    assert _names(etc) == {".pwd.lock", "counter"}


def test_the_descriptor_is_closed(etc: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    _hold(etc)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with (etc / ".pwd.lock").open("w", encoding="ascii") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
