# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The port to a host: what it reads, and what a hostile host cannot make it do."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _port_commands, _ports
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    System,
    TimeLimitExceeded,
    parse_start_ticks,
    time_limit,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


def test_reads_a_file_up_to_its_limit(system: FakeSystem) -> None:
    system.write("/etc/hostname", "web1\n")
    assert system.read_text("/etc/hostname", limit=5) == "web1\n"
    with pytest.raises(PortError, match="/etc/hostname: longer than 4 bytes"):
        system.read_text("/etc/hostname", limit=4)


def test_an_endless_file_ends() -> None:
    with pytest.raises(PortError, match="not a regular file"):
        System().read_text("/dev/zero")


def test_a_fifo_without_a_writer_does_not_block(system: FakeSystem) -> None:
    os.mkfifo(system.directory / "pipe")
    with pytest.raises(PortError, match="/pipe: not a regular file"):
        system.read_text("/pipe")


def test_a_missing_file_is_told_from_an_unreadable_one(system: FakeSystem) -> None:
    system.write("/etc/hostname")
    with pytest.raises(NotThere, match="/etc/nothing: No such file or directory"):
        system.read_text("/etc/nothing")
    with pytest.raises(NotThere):
        system.read_text("/etc/hostname/below")
    with pytest.raises(PortError) as caught:
        system.list_directory("/etc", limit=0)
    assert not isinstance(caught.value, NotThere)


@pytest.mark.parametrize(
    "path",
    [
        "/proc/{pid}/root/etc/passwd",
        "/proc/{pid}/cwd/x",
        "/proc/{pid}/exe",
        "/proc//{pid}//root/etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/{pid}/task/{pid}/root/etc/passwd",
        "/proc/{pid}/fd/0",
    ],
)
def test_no_path_leads_into_a_process(path: str) -> None:
    with pytest.raises(PortError, match="own view of the file system"):
        System().read_text(path.format(pid=os.getpid()))
    with pytest.raises(PortError, match="own view of the file system"):
        System().stat(path.format(pid=os.getpid()))


def test_no_symbolic_link_leads_into_a_process(tmp_path: Path) -> None:
    """Needs openat2 (Linux 5.6): a link that a user planted points at /proc/PID/root."""
    (tmp_path / "policy.json").symlink_to(f"/proc/{os.getpid()}/root/etc/hostname")
    with pytest.raises(PortError, match="Too many levels of symbolic links"):
        System().read_text(f"{tmp_path}/policy.json")
    with pytest.raises(PortError, match="Too many levels of symbolic links"):
        System().stat(f"{tmp_path}/policy.json")


def test_links_are_followed_only_where_that_is_wanted(system: FakeSystem) -> None:
    system.write("/etc/real", "content")
    system.link("/etc/link", "real")
    assert system.read_text("/etc/link") == "content"
    assert system.read_link("/etc/link") == "real"
    assert (system.stat("/etc/link").type, system.stat("/etc/link", follow=False).type) == ("file", "link")
    with pytest.raises(PortError):
        system.read_text("/etc/link", follow=False)


def test_the_facts_of_a_file(system: FakeSystem) -> None:
    system.write("/etc/secret", "four").chmod(0o640)
    facts = system.stat("/etc/secret")
    assert (facts.type, facts.mode, facts.size, facts.uid) == ("file", 0o640, 4, os.getuid())


def test_a_process_is_read_through_its_handle() -> None:
    with System().process(os.getpid()) as process:
        assert process.read_text("comm").strip()
        assert process.read_link("ns/net").startswith("net:[")
        assert process.read_bytes("cmdline").split(b"\0")[0]
        assert "0" in process.list_directory("fd")
        with pytest.raises(PortError, match="own view"):
            process.read_text("root/etc/hostname")
        with pytest.raises(PortError, match="own view"):
            process.read_link("root/etc/os-release")


def test_a_process_that_ends_meanwhile_is_not_believed() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    with pytest.raises(NotThere), System().process(child.pid):
        child.kill()
        child.wait()


def test_a_reused_process_number_is_not_believed(system: FakeSystem) -> None:
    system.add_process(7, start_ticks=100)
    with pytest.raises(NotThere, match="given to another process"), system.process(7):
        system.add_process(7, start_ticks=101)


@given(
    comm=st.text(st.characters(codec="utf-8"), max_size=15), ticks=st.integers(min_value=0, max_value=2**63)
)
def test_no_command_name_moves_the_start_time(comm: str, ticks: int) -> None:
    rest = ["S", *["1"] * 18, str(ticks), *["0"] * 30]
    assert parse_start_ticks(f"12 ({comm}) {' '.join(rest)}\n") == ticks


def test_a_command_runs_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    completed = System().run(["env"], environment={"HOME": "/nonexistent"})
    assert sorted(line.split("=")[0] for line in completed.stdout.splitlines()) == [
        "HOME",
        "LANG",
        "LC_ALL",
        "PATH",
    ]
    failed = System().run(["sh", "-c", "echo no >&2; exit 3"])
    assert (failed.returncode, failed.stdout, failed.stderr) == (3, "", "no\n")


def test_a_command_reads_only_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("given")
    with (tmp_path / "input").open("rb") as stream:
        assert System().run(["cat"], stdin=stream.fileno()).stdout == "given"
    assert System().run(["cat"]).stdout == ""


@pytest.mark.parametrize(
    ("home", "clear"),
    [("/home/alice/", "/home/alice"), ("/home//alice/.", "/home/alice"), ("/", "/"), ("", "")],
)
def test_a_home_is_a_path_that_others_are_built_from(
    monkeypatch: pytest.MonkeyPatch, home: str, clear: str
) -> None:
    record: Any = ("alice", "x", 1000, 1001, "", home, "/bin/sh")
    for name in ("getpwnam", "getpwuid"):
        monkeypatch.setattr(_ports.pwd, name, lambda _key: pwd.struct_passwd(record))
    for account in (System().account(1000), System().account_named("alice")):
        assert account.pw_dir == clear
        assert (account.pw_name, account.pw_uid, account.pw_gid) == ("alice", 1000, 1001)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(NotThere, match="no-such-program: No such file or directory"):
        System().run(["no-such-program"])


def test_a_command_that_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(_port_commands.os, "killpg", lambda pid, _signal: left.append(pid))
    monkeypatch.setattr(_port_commands, "_END_SECONDS", 0.2)
    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match="sleep: no end after 0.2 s"):
        System().run(["sleep", "30"], timeout=0.2)
    assert time.monotonic() - begun < 20
    monkeypatch.undo()
    os.kill(left[0], signal.SIGKILL)
    os.waitpid(left[0], 0)


def test_a_command_ends_at_its_time_limit_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match="sh: no end after 1 s"):
        System().run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait"], timeout=1)
    child = int((tmp_path / "pid").read_text())
    while is_alive(child) and time.monotonic() - begun < 10:
        time.sleep(0.01)
    assert time.monotonic() - begun < 10


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_closes_its_output_and_stays_ends_too() -> None:
    with pytest.raises(TimeLimitExceeded):
        System().run(["sh", "-c", "exec >/dev/null 2>&1; sleep 60"], timeout=0.3)


def test_a_command_that_writes_too_much_ends() -> None:
    with pytest.raises(PortError, match="yes: wrote more than 1000 bytes"):
        System().run(["yes"], output_limit=1000)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop to another user")
def test_a_command_drops_to_a_user_with_all_its_groups() -> None:
    completed = System().run(["id"], uid=65534, gid=65534)
    assert "uid=65534" in completed.stdout
    assert "groups=65534" in completed.stdout
    assert "(root)" not in completed.stdout


def test_time_limits_nest() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match="outer"), time_limit(0.2, "outer"), time_limit(30, "inner"):
        time.sleep(10)
    with time_limit(30, "outer"), pytest.raises(TimeLimitExceeded, match="inner"), time_limit(0.1, "inner"):
        time.sleep(10)
    assert time.monotonic() - begun < 5


def test_an_outer_time_limit_survives_an_inner_one() -> None:
    with pytest.raises(TimeLimitExceeded, match="outer"), time_limit(0.3, "outer"):
        with time_limit(0.1, "inner"):
            pass
        time.sleep(10)
