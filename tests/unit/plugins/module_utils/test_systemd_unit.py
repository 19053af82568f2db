# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service as systemd has it loaded."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import (
    expand_command,
    parse_environment_file,
    parse_properties,
    read_service,
    split_words,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

SHOW = (
    "systemctl",
    "show",
    "docker.service",
    "--property",
    "LoadState,ActiveState,MainPID,ExecStart,ExecReload,Environment,EnvironmentFiles,FragmentPath,DropInPaths,"
    "NeedDaemonReload",
)
# systemctl show docker.service on Debian 13, after one reload
DEBIAN_13 = """MainPID=549
ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS ; ignore_errors=no ; start_time=[Mon 2026-11-23 15:52:06 UTC] ; stop_time=[n/a] ; pid=549 ; code=(null) ; status=0/0 }
ExecReload={ path=/bin/kill ; argv[]=/bin/kill -s HUP $MAINPID ; ignore_errors=no ; start_time=[Mon 2026-11-23 15:56:34 UTC] ; stop_time=[Mon 2026-11-23 15:56:35 UTC] ; pid=1167 ; code=exited ; status=0 }
Environment=
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
LoadState=loaded
ActiveState=active
FragmentPath=/usr/lib/systemd/system/docker.service
DropInPaths=/etc/systemd/system/docker.service.d/a.conf /etc/systemd/system/docker.service.d/b.conf
NeedDaemonReload=no
"""  # noqa: E501 - as it was printed


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.answers[SHOW] = DEBIAN_13
    system.local("/run/systemd/system").mkdir(parents=True)
    for name in ("a", "b"):
        system.write(f"/etc/systemd/system/docker.service.d/{name}.conf", "[Service]\n")
    return system


def test_a_drop_in_that_systemd_has_not_read_is_seen_without_its_property(system: FakeSystem) -> None:
    system.link("/etc/systemd/system/docker.service.d/masked.conf", "/dev/null")
    system.link("/etc/systemd/system/docker.service.d/dangling.conf", "nowhere")
    system.write("/etc/systemd/system/docker.service.d/notes.txt", "")
    assert not read_service(system, "docker.service").need_daemon_reload
    new = system.write("/run/systemd/system/docker.service.d/new.conf", "[Service]\n")
    assert read_service(system, "docker.service").need_daemon_reload
    new.unlink()
    system.local("/etc/systemd/system/docker.service.d/b.conf").unlink()
    assert read_service(system, "docker.service").need_daemon_reload


def test_the_packaged_unit_with_its_environment_file(system: FakeSystem) -> None:
    system.write("/etc/default/docker", '# DOCKER_OPTS="--old"\nDOCKER_OPTS="--icc=false --log-level warn"\n')
    service = read_service(system, "docker.service")
    assert service.command == [
        "/usr/sbin/dockerd",
        "-H",
        "fd://",
        "--containerd=/run/containerd/containerd.sock",
        "--icc=false",
        "--log-level",
        "warn",
    ]
    assert service.main_pid == 549
    assert service.reloaded_at == 1795449394.0  # 2026-11-23T15:56:34Z
    assert not service.need_daemon_reload
    assert service.files == [
        "/usr/lib/systemd/system/docker.service",
        "/etc/systemd/system/docker.service.d/a.conf",
        "/etc/systemd/system/docker.service.d/b.conf",
        "/etc/default/docker",
    ]


def test_a_variable_that_is_not_set_leaves_no_word(system: FakeSystem) -> None:
    assert read_service(system, "docker.service").command[-1].startswith("--containerd=")


def test_a_unit_that_is_not_there(system: FakeSystem) -> None:
    system.answers[SHOW] = "LoadState=not-found\nMainPID=0\n"
    with pytest.raises(NotThere, match="docker.service: no such unit"):
        read_service(system, "docker.service")


def test_a_host_that_systemd_does_not_run_is_not_asked(system: FakeSystem) -> None:
    system.local("/run/systemd/system").rmdir()
    with pytest.raises(NotThere, match="systemd does not run this host"):
        read_service(system, "docker.service")
    assert system.ran == []


def test_a_systemd_that_does_not_answer_is_no_absence(system: FakeSystem) -> None:
    system.answers[SHOW] = Completed(argv=SHOW, returncode=1, stdout="", stderr="")
    with pytest.raises(PortError, match="exit status 1") as caught:
        read_service(system, "docker.service")
    assert not isinstance(caught.value, NotThere)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("$OPTS", ["--a", "b c"]),
        ("${OPTS}", ['--a "b c"']),
        ("x=${OPTS}", ['x=--a "b c"']),
        ("x$OPTS", ["x$OPTS"]),
        ("$NONE", []),
        ("${NONE}", [""]),
        ("$$OPTS", ["$OPTS"]),
    ],
)
def test_variables_are_put_in_as_systemd_does(word: str, words: list[str]) -> None:
    assert expand_command([word], {"OPTS": '--a "b c"'}) == words


def test_environment_files() -> None:
    text = "# comment\n; comment\nA=1\n B = two words \nC='x y'\nD=\"x \\\n y\"\nnonsense\n"
    assert parse_environment_file(text) == {"A": "1", "B": "two words", "C": "x y", "D": "x  y"}


def test_a_property_on_several_lines() -> None:
    assert parse_properties("A=1\nExecStart=x\nExecStart=y=z\n") == {"A": "1", "ExecStart": "x\ny=z"}


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12), max_size=6))
def test_words_quoted_for_a_shell_are_split_into_themselves(words: list[str]) -> None:
    # within single quotes a shell keeps a backslash and systemd does not, so that they are left out
    plain = [word.replace("\\", "").replace("'", "") for word in words]
    assert split_words(shlex.join(plain)) == plain


@given(st.text(max_size=60))
def test_splitting_takes_any_text(text: str) -> None:
    assert all(isinstance(word, str) for word in split_words(text))
