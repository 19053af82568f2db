# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A process killed at any call to the system leaves the old or the new file, and a ledger that knows."""

from __future__ import annotations

import json
import mmap
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.action.owned_config import _current, _plan_text
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import Ledger
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore
from ansible_collections.bulkhead.hardening.plugins.module_utils._owned_files import Validator
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import primary_group
from ansible_collections.bulkhead.hardening.plugins.modules.owned_config import look_of, read, write
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import Owner, decide
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import WantedKeys

pytestmark = pytest.mark.timeout(300)

NOBODY = 65534  # an account that every system has
OWNER = Owner("tester", "tester", "0.2.0")
KILLED_AT = ("open", "fsync", "rename", "unlink", "mkdir", "fchmod", "fchown", "replace")

BEFORE = {
    "json": '{ "labels": ["a"],\n"mtu": 1.5e3 }',
    "toml": "# the admin's\nmtu = 0x5dc # a comment\n[engine]\nlist = [1, 2,]\n",
    "yaml": "# the admin's\nmtu:   1500 # a comment\nengine:\n- a\n",
    "keyfile": "[a]\n; the admin's\nmtu = 1500  \n",
    "lines": "# the admin's\n-w /a\n",
}
WISHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "json": ({"mtu": 1400, "more": {"x": 1}}, {"mtu": 1300, "other": [1]}),
    "toml": ({"mtu": 1400, "more": {"x": 1}}, {"mtu": 1300, "engine": {"list": [3]}}),
    "yaml": ({"mtu": 1400, "more": {"x": 1}}, {"mtu": 1300, "engine": ["b"]}),
    "keyfile": ({"a": {"mtu": "1400"}, "b": {"x": "1"}}, {"a": {"mtu": "1300", "y": ["1", "2"]}}),
    "lines": ({"lines": ["-w /a", "-w /b"]}, {"lines": ["-w /a", "-w /c"]}),
}


class Host:
    """One file and a ledger, changed by the code that runs on a target."""

    def __init__(self, directory: Path, format_name: str) -> None:
        self.path = directory / "etc" / "file"
        self.state = directory / "state"
        self.format = format_name
        self.path.parent.mkdir()

    def merge(self, keys: dict[str, Any]) -> None:
        store = LedgerStore(str(self.state))
        [found] = read(store, [str(self.path)])
        wanted = WantedKeys.from_options(keys, ())
        plan = decide(_current(found), wanted, owner=OWNER, format_name=self.format)
        if plan.changes or plan.released:
            text = _plan_text([{"format": self.format, "secret": []}], [plan])
            write(store, json.loads(text), Validator(System(), []))

    @property
    def text(self) -> str | None:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else None

    @property
    def ledger(self) -> Ledger:
        return LedgerStore(str(self.state)).read()


def _killed_after(calls: int, act: Callable[[], None]) -> bool:
    """Do something in a process that is killed before its next call after so many; whether that came."""
    pid = os.fork()
    if pid == 0:
        left = [calls]

        def dying(real: Any) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*arguments, **options)

            return call

        try:
            for name in KILLED_AT:
                setattr(os, name, dying(getattr(os, name)))
            act()
        finally:
            os._exit(0)
    _pid, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(("format_name", "existing"), [("json", True), ("toml", True), ("json", False)])
def test_release_after_a_kill_gives_what_was_there(tmp_path: Path, format_name: str, existing: bool) -> None:
    before = BEFORE[format_name] if existing else None
    first, second = WISHES[format_name]
    kills = 0
    for stage, wanted in enumerate((first, second, {})):
        calls, killed = 0, True
        while killed:
            directory = tmp_path / f"{stage}-{calls}"
            directory.mkdir()
            host = Host(directory, format_name)
            if before is not None:
                host.path.write_text(before, encoding="utf-8")
            for earlier in (first, second)[:stage]:
                host.merge(earlier)
            old = host.text
            killed = _killed_after(calls, lambda host=host, wanted=wanted: host.merge(wanted))
            assert host.text == old or not (killed and calls == 0)
            after = host.text
            host.merge(wanted)
            assert after in (old, host.text)
            assert not any(entry.replaces for entry in host.ledger.keys)
            host.merge({})
            assert host.text == before
            assert host.ledger == Ledger()
            kills += killed
            calls += 1
    assert kills > 25


@pytest.mark.parametrize("format_name", sorted(BEFORE))
def test_release_straight_after_a_kill(tmp_path: Path, format_name: str) -> None:
    """The owner is gone from the playbook by the next run."""
    first, second = WISHES[format_name]
    calls, killed = 0, True
    while killed:
        directory = tmp_path / str(calls)
        directory.mkdir()
        host = Host(directory, format_name)
        host.path.write_text(BEFORE[format_name], encoding="utf-8")
        host.merge(first)
        killed = _killed_after(calls, lambda host=host: host.merge(second))
        host.merge({})
        assert host.text == BEFORE[format_name]
        assert host.ledger == Ledger()
        calls += 1
    assert calls > 8


def test_a_kill_between_two_files_of_one_call(tmp_path: Path) -> None:
    names, before = ("one", "two"), '{ "labels": ["a"] }'

    def merge(directory: Path, keys: dict[str, Any]) -> None:
        store = LedgerStore(str(directory / "state"))
        plans = [
            decide(_current(found), WantedKeys.from_options(keys, ()), owner=OWNER, format_name="json")
            for found in read(store, [str(directory / name) for name in names])
        ]
        if any(plan.changes or plan.released for plan in plans):
            text = _plan_text([{"format": "json", "secret": []}] * 2, plans)
            write(store, json.loads(text), Validator(System(), []))

    def texts(directory: Path) -> list[str]:
        return [(directory / name).read_text(encoding="utf-8") for name in names]

    halfway, calls, killed = 0, 0, True
    while killed:
        directory = tmp_path / str(calls)
        directory.mkdir()
        for name in names:
            (directory / name).write_text(before, encoding="utf-8")
        killed = _killed_after(calls, lambda directory=directory: merge(directory, {"mtu": 1400}))
        after = texts(directory)
        changed = [text != before for text in after]
        halfway += changed == [True, False]
        ledger = LedgerStore(str(directory / "state")).read()
        assert all(ledger.of_file(str(directory / name)) for name, new in zip(names, changed) if new)
        if calls % 2:
            merge(directory, {"mtu": 1400})
            assert all(json.loads(text)["mtu"] == 1400 for text in texts(directory))
        merge(directory, {})
        assert texts(directory) == [before, before]
        calls += 1
    assert halfway


def _killed_as_user_or_root(calls: int, act: Callable[[], None]) -> bool:
    """As `_killed_after`, where a child acts as a user: both count, and after the child root dies next."""
    left, died = mmap.mmap(-1, 4), mmap.mmap(-1, 1)
    left[:] = calls.to_bytes(4, "little")
    pid = os.fork()
    if pid == 0:

        def dying(real: Any) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                number = int.from_bytes(left[:], "little")
                if number == 0:
                    died[:] = b"x"
                    os.kill(os.getpid(), signal.SIGKILL)
                left[:] = (number - 1).to_bytes(4, "little")
                return real(*arguments, **options)

            return call

        try:
            for name in KILLED_AT:
                setattr(os, name, dying(getattr(os, name)))
            act()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return died[:] == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("existing", "stage"), [(True, 1), (False, 0), (False, 2)])
def test_a_user_s_file_is_old_or_new_after_a_kill_too(existing: bool, stage: int) -> None:
    first, second = WISHES["toml"]
    wanted = (first, second, {})[stage]
    calls, killed = 0, True
    while killed:
        with tempfile.TemporaryDirectory() as name:  # unlike those of pytest, others can enter it
            directory = Path(name)
            directory.chmod(0o711)
            host = Host(directory, "toml")
            if existing:
                host.path.write_text(BEFORE["toml"], encoding="utf-8")
                os.chown(host.path, NOBODY, primary_group(NOBODY))
            os.chown(host.path.parent, NOBODY, primary_group(NOBODY))
            for earlier in (first, second)[:stage]:
                host.merge(earlier)
            old = host.text
            killed = _killed_as_user_or_root(calls, lambda host=host: host.merge(wanted))
            after = host.text
            host.merge(wanted)
            assert after in (old, host.text)
            assert host.text is None or host.path.stat().st_uid == NOBODY
            host.merge({})
            assert host.text == (BEFORE["toml"] if existing else None)
            assert host.ledger == Ledger()
        calls += 1
    assert calls > 8


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_a_user_s_file_names_is_read_as_that_user() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        home, profile = directory / "home", directory / "seccomp.json"
        home.mkdir()
        os.chown(home, NOBODY, primary_group(NOBODY))
        profile.write_text('{"defaultAction": "SCMP_ACT_ERRNO"}', encoding="utf-8")
        profile.chmod(0o600)
        text = json.dumps({"seccomp-profile": str(profile)})
        look = look_of({"path": f"{home}/daemon.json", "look": "docker_daemon"})
        assert "Permission denied" in "".join(look(System(), text))
        profile.chmod(0o644)
        assert look(System(), text) == []
        profile.unlink()
        assert f"as user {NOBODY}: No such file" in "".join(look(System(), text))
        roots = look_of({"path": f"{directory}/daemon.json", "look": "docker_daemon"})
        assert f"seccomp-profile: {profile}: No such file" in "".join(roots(System(), text))
