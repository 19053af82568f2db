# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A kill at any step of a transaction: the next run finds the host as before the run, or as after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.checkpoint_host import CheckpointHost

STEPS = ("rename", "fsync", "unlink", "mkdir", "chmod", "posix_fallocate")
Step = Callable[[CheckpointHost], Any]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code may catch it."""


def _killed(host: CheckpointHost, step: Step, monkeypatch: pytest.MonkeyPatch, *, survived: int) -> bool:
    """Do the step until its call `survived` of those that change the disk; whether it was killed."""
    left = survived

    def dying(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            step(host)
        except Killed:
            return True
    return False


def _change(host: CheckpointHost) -> None:
    host.half("a.json", '{"icc": false}\n')
    host.path("b.conf").unlink(missing_ok=True)
    host.half("new/c.conf", "new\n")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["open", "commit", "restore", "rollback"])
def test_no_kill_leaves_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    kills = 0
    while True:
        directory = tmp_path / str(kills)
        directory.mkdir()
        host = CheckpointHost(directory)
        before = host.content()
        step: Step = {
            "open": lambda host: host.open(),
            "commit": lambda host: host.commit(),
            "restore": lambda host: host.restore("last"),
            "rollback": lambda host: host.restore("last", "two"),
        }[name]
        after = _prepare(host, name)
        killed = _killed(host, step, monkeypatch, survived=kills)
        host.open("next", gone=["one", "two"])
        accepted = (before, after) if name in ("commit", "rollback") else (before,)
        assert host.content() in accepted, f"killed at step {kills} of {name}"
        host.commit("next")
        host.restore("baseline", "last")
        assert host.content() == before, f"baseline, killed at step {kills} of {name}"
        shutil.rmtree(directory)
        if not killed:
            break
        kills += 1
    assert kills > 5


def _prepare(host: CheckpointHost, name: str) -> Any:
    """Bring the host to where the step begins; its content as a finished run leaves it."""
    if name != "open":
        host.open()
        _change(host)
    if name == "rollback":
        host.commit()
    return host.content()


_TEXTS = st.one_of(st.none(), st.text(max_size=30), st.sampled_from(['{"a": 1}', "one\ntwo\n"]))


@pytest.mark.timeout(180)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(_TEXTS, min_size=3, max_size=3), during=st.lists(_TEXTS, min_size=3, max_size=3))
def test_a_restore_gives_the_bytes_from_before(tmp_path: Path, before: list[Any], during: list[Any]) -> None:
    directory = tmp_path / os.urandom(8).hex()
    directory.mkdir()
    host = CheckpointHost(directory)
    for committed in (False, True):
        _write_all(host, before)
        start = host.content()
        host.open()
        _write_all(host, during)
        if committed:
            host.commit()
        history = host.transaction().store.history()
        if not committed or history[-1].status == "committed":
            host.restore("last", "two" if committed else "one")
        assert host.content() == start


def _write_all(host: CheckpointHost, texts: list[Any]) -> None:
    for name, text in zip(host.names, texts):
        host.path(name).unlink(missing_ok=True)
        if text is not None:
            host.path(name).parent.mkdir(exist_ok=True)
            host.path(name).write_bytes(text.encode("utf-8", "surrogatepass"))
    if texts[2] is None and host.path("new").exists():
        host.path("new").rmdir()
