# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dead man's switch: a program that needs nothing of Ansible, and a run that is told of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _dead_man
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_open import (
    OpenRequest,
    open_checkpoint,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import CheckpointError
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man_program import (
    program_sources,
    write_program,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import (
    FenceError,
    changing,
    close_fence,
    open_fence,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import Claim
from unit.checkpoint_host import CheckpointHost


@pytest.fixture
def host(tmp_path: Path) -> CheckpointHost:
    host = CheckpointHost(tmp_path)
    host.system.time = time.time()  # the program has the real clock
    return host


def _timer(host: CheckpointHost, identifier: str, *, active: bool) -> None:
    """Script systemd's answer to whether the timer runs."""
    unit = f"bulkhead-deadman-{identifier}.timer"
    command = ("systemctl", "is-active", "--quiet", unit)
    host.system.answers[command] = Completed(command, 0 if active else 3, "", "")
    host.system.answers[("systemctl", "stop", unit)] = ""


def _fire(host: CheckpointHost, program: Path, identifier: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(program), str(host.state), identifier],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={},
    )


def test_the_program_restores_with_python_alone(host: CheckpointHost, tmp_path: Path) -> None:
    before = host.content()
    identifier = host.open()["id"]
    host.write("a.json", "{}")
    host.write("new/c.conf", "x")
    program = tmp_path / "deadman.pyz"
    write_program(str(program))
    fired = _fire(host, program, identifier)
    assert (fired.returncode, fired.stderr) == (0, "")
    assert host.content() == before
    assert not (host.state / "run.lock").exists()
    with pytest.raises(CheckpointError, match="The host restored itself at .* did not confirm within"):
        host.commit()


def test_it_leaves_a_committed_run_alone(host: CheckpointHost, tmp_path: Path) -> None:
    identifier = host.run({"a.json": "{}"})
    program = tmp_path / "deadman.pyz"
    write_program(str(program))
    fired = _fire(host, program, identifier)
    assert (fired.returncode, fired.stdout) == (0, "the run had ended\n")
    assert host.path("a.json").read_text() == "{}"


def test_what_the_run_does_after_it_fired_is_undone_by_its_restore(host: CheckpointHost) -> None:
    before = host.content()
    identifier = host.open()["id"]
    host.write("a.json", "{}")
    _dead_man.restore_unconfirmed(_dead_man.System(), str(host.state), identifier)
    assert host.content() == before
    host.write("b.conf", "the run goes on")
    host.restore(identifier)
    assert host.content() == before


def test_it_needs_nothing_of_ansible_and_is_for_root_only(tmp_path: Path) -> None:
    sources = dict(program_sources())
    assert not [
        name for name, source in sources.items() if "import ansible." in source or "from ansible." in source
    ]
    write_program(str(tmp_path / "program"))
    assert (tmp_path / "program").stat().st_mode & 0o777 == 0o600


def test_open_arms_it_and_commit_disarms_it(host: CheckpointHost, monkeypatch: pytest.MonkeyPatch) -> None:
    run = host.system.run

    def systemd_run(argv: list[str], **options: object) -> Completed:
        if argv[0] == "systemd-run":
            host.system.answers[tuple(argv)] = ""
            _timer(host, argv[-1], active=True)
        return run(argv)

    monkeypatch.setattr(host.system, "run", systemd_run)
    opened = open_checkpoint(host.transaction(), OpenRequest(host.managed(), confirm_within=900))
    place = host.state / "checkpoints" / opened["id"]
    armed = next(argv for argv in host.system.ran if argv[0] == "systemd-run")
    assert armed[:3] == ("systemd-run", f"--unit=bulkhead-deadman-{opened['id']}", "--on-active=900")
    assert armed[-4:] == ("-I", f"{place}/deadman.pyz", str(host.state), opened["id"])
    assert json.loads((place / "manifest.json").read_text())["deadman"] == f"bulkhead-deadman-{opened['id']}"
    host.write("a.json", "{}")
    with pytest.raises(CheckpointError, match="cannot be stopped. It will find its checkpoint closed"):
        host.commit()


class Timers:
    """systemd, which refuses a transient unit whose name is loaded (systemd-run(1))."""

    def __init__(self, host: CheckpointHost, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.loaded: set[str] = set()
        self.armed = 0
        monkeypatch.setattr(host.system, "run", self.run)

    def run(self, argv: list[str], **_options: object) -> Completed:
        if argv[0] == "systemd-run":
            unit = f"{argv[1].partition('=')[2]}.timer"
            if unit in self.loaded:
                return Completed(tuple(argv), 1, "", f"Unit {unit} was already loaded")
            self.loaded.add(unit)
            self.armed += 1
            return Completed(tuple(argv), 0, "", "")
        if argv[1] == "stop":
            self.loaded.discard(argv[2])
            return Completed(tuple(argv), 0, "", "")
        return Completed(tuple(argv), 0 if argv[-1] in self.loaded else 3, "", "")


@pytest.mark.parametrize(("confirm_within", "armed"), [(600, 2), (0, 1)])
def test_a_resumed_run_has_the_switch_that_it_asks_for(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch, confirm_within: int, armed: int
) -> None:
    timers = Timers(host, monkeypatch)
    open_checkpoint(host.transaction(), OpenRequest(host.managed(), confirm_within=900))
    request = OpenRequest(host.managed(), confirm_within=confirm_within, interrupted="resume")
    resumed = open_checkpoint(host.transaction("two", gone=["one"]), request)
    assert resumed["resumed"] and timers.armed == armed
    assert timers.loaded == ({f"bulkhead-deadman-{resumed['id']}.timer"} if confirm_within else set())
    manifest = json.loads((host.state / "checkpoints" / resumed["id"] / "manifest.json").read_text())
    assert manifest["confirm_within"] == confirm_within


def test_commit_proves_that_it_is_disarmed(host: CheckpointHost, monkeypatch: pytest.MonkeyPatch) -> None:
    run = host.system.run

    def systemd_run(argv: list[str], **options: object) -> Completed:
        if argv[0] == "systemd-run":
            host.system.answers[tuple(argv)] = ""
            _timer(host, argv[-1], active=True)
        outcome = run(argv)
        if argv[:2] == ["systemctl", "stop"]:
            _timer(host, argv[2][len("bulkhead-deadman-") : -len(".timer")], active=False)
        return outcome

    monkeypatch.setattr(host.system, "run", systemd_run)
    opened = open_checkpoint(host.transaction(), OpenRequest(host.managed(), confirm_within=900))
    host.write("a.json", "{}")
    assert not host.commit()["dropped"]
    assert ("systemctl", "stop", f"bulkhead-deadman-{opened['id']}.timer") in host.system.ran


def test_a_host_without_systemd_is_told_before_anything_changes(host: CheckpointHost) -> None:
    with pytest.raises(
        CheckpointError, match="confirm_within: the timer cannot be started.*Nothing was changed"
    ):
        open_checkpoint(host.transaction(), OpenRequest(host.managed(), confirm_within=900))
    assert [path.name for path in (host.state / "checkpoints").iterdir()] == ["baseline"]
    assert not (host.state / "run.lock").exists()


def test_it_refuses_other_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert _dead_man.main(["/state"]) == 2
    assert "accepted are STATE_DIRECTORY and CHECKPOINT" in capsys.readouterr().err


def test_after_it_fired_the_run_changes_nothing_any_more(host: CheckpointHost, tmp_path: Path) -> None:
    identifier = host.open()["id"]
    with changing(identifier, str(host.state)):
        pass
    program = tmp_path / "deadman.pyz"
    write_program(str(program))
    assert _fire(host, program, identifier).returncode == 0
    with (
        pytest.raises(FenceError, match=rf"checkpoint {identifier} by itself, .*Nothing was changed"),
        changing(identifier, str(host.state)),
    ):
        raise AssertionError("the run went on")


def test_it_waits_for_a_change_that_is_being_made(host: CheckpointHost, tmp_path: Path) -> None:
    before = host.content()
    identifier = host.open()["id"]
    program = tmp_path / "deadman.pyz"
    write_program(str(program))
    with ThreadPoolExecutor() as pool, changing(identifier, str(host.state)):
        fired = pool.submit(_fire, host, program, identifier)
        closed = host.state / "checkpoints" / identifier / "undone"
        while not closed.exists():
            time.sleep(0.01)
        time.sleep(0.5)
        assert not fired.done()
        host.write("a.json", "{}")  # the last that the run does
    assert fired.result().returncode == 0
    assert host.content() == before


@pytest.mark.parametrize("name", [None, ""])
def test_a_change_without_a_checkpoint_waits_for_no_switch(host: CheckpointHost, name: str | None) -> None:
    host.run({"a.json": "[]"})
    with changing(name, str(host.state)):
        host.write("a.json", "{}")
    assert host.path("a.json").read_text() == "{}"


@pytest.mark.parametrize("name", [None, ""])
def test_a_change_without_a_checkpoint_is_refused_while_a_run_is_at_work(
    host: CheckpointHost, name: str | None
) -> None:
    identifier = host.open()["id"]
    with (
        pytest.raises(FenceError, match=r"run one of ops on laptop \(.*pid 4711.*Nothing was changed"),
        changing(name, str(host.state)),
    ):
        raise AssertionError("it went on")
    with changing(identifier, str(host.state)):
        pass


def test_a_run_that_was_silent_for_the_lease_holds_nobody_up(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.open()
    later = time.time() + Claim().lease + 60
    monkeypatch.setattr("time.time", lambda: later)
    with changing(None, str(host.state)):
        pass


@pytest.mark.parametrize(
    ("name", "reason"), [("../x", "accepted is an id"), ("20260101T000000Z-abcd", "none of that name")]
)
def test_a_checkpoint_that_is_not_there_is_named(host: CheckpointHost, name: str, reason: str) -> None:
    host.open()
    with pytest.raises(FenceError, match=reason), changing(name, str(host.state)):
        raise AssertionError("the run went on")


def test_a_resumed_run_may_change_things_again(host: CheckpointHost) -> None:
    identifier = host.open()["id"]
    with close_fence(identifier, str(host.state)):
        pass
    open_fence(identifier, str(host.state))
    with changing(identifier, str(host.state)):
        host.write("a.json", "{}")
