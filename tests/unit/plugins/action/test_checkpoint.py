# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole run on this machine, as ansible-playbook does it: committed, killed, and beside another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

_RESULT_LINES = {
    "ANSIBLE_STDOUT_CALLBACK": "bulkhead_result",
    "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
}


class Controller:
    """Runs plays of checkpoint tasks and of commands against files below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "etc" / "x.json"
        self.file.parent.mkdir()
        self.file.write_text("before")

    def checkpoint(self, state: str, **options: Any) -> dict[str, Any]:
        managed = [{"files": [str(self.file)]}] if state == "open" else []
        arguments = {
            "state": state,
            "state_directory": str(self.directory / "state"),
            "managed": managed,
            **options,
        }
        return {"bulkhead.hardening.checkpoint": arguments}

    def start(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}
        playbook = self.directory / f"play-{time.monotonic_ns()}.json"
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                "--inventory=localhost,",
                "--connection=local",
                f"--extra-vars=ansible_python_interpreter={sys.executable}",
                *arguments,
                str(playbook),
            ],
            env={**os.environ, **_RESULT_LINES},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """The results of all tasks."""
        output = self.start(*tasks, arguments=arguments).communicate()[0]
        results = [
            json.loads(line.partition(" ")[2]) for line in output.splitlines() if line.startswith("RESULT ")
        ]
        assert results, output
        return results

    def change(self, text: str) -> dict[str, Any]:
        content = {"content": text, "dest": str(self.file), "mode": "0644"}
        return {"ansible.builtin.copy": content}


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def test_a_run_and_its_undoing(controller: Controller) -> None:
    check = {**controller.checkpoint("restore", name="last"), "check_mode": True}
    opened, _changed, committed, predicted, still = controller.run(
        controller.checkpoint("open"),
        controller.change("after"),
        controller.checkpoint("commit"),
        check,
        controller.change("after"),
    )
    assert not opened["changed"] and not committed["changed"]
    assert committed["id"] == opened["id"] and not committed["dropped"] and not committed["probed"]
    assert predicted["changed"] and predicted["actions"] == [f"{controller.file}: put back"]
    assert not still["changed"] and controller.file.read_text() == "after"
    baseline = controller.checkpoint("restore", name="baseline")
    restored, *again = controller.run(
        controller.checkpoint("restore", name="last"), {**baseline, "check_mode": True}, baseline
    )
    assert restored["changed"] and restored["proven"] and controller.file.read_text() == "before"
    assert [result["changed"] for result in again] == [False, False]


def test_a_killed_run_is_recovered_by_the_next_one_at_once(controller: Controller) -> None:
    wait = {"ansible.builtin.pause": {"seconds": 250}}
    run = controller.start(controller.checkpoint("open"), controller.change("half"), wait)
    try:
        deadline = time.monotonic() + 120
        while controller.file.read_text() != "half":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (second,) = controller.run(controller.checkpoint("open"))
        assert "Another run is at work on this host" in second["msg"]
        assert controller.file.read_text() == "half"
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    opened, committed = controller.run(controller.checkpoint("open"), controller.checkpoint("commit"))
    (edited,) = opened["recovered"]["conflicts"]  # no ledger names what the command has written
    assert opened["changed"] and Path(edited["kept_beside"]).read_text() == "half"
    assert committed["dropped"] and controller.file.read_text() == "before"


BAD = [
    ("restore", {"name": "../../etc"}, "accepted are an id, last and baseline"),
    ("restore", {"name": "baseline"}, "the collection has never run here"),
    ("restore", {"name": "last", "allow": "all"}, "one of: reload, restart, stop_containers, move_data"),
    ("commit", {}, "This run has no open checkpoint"),
    ("open", {"lock_wait": -1}, "lock_wait: found -1; accepted are numbers from 0"),
    ("open", {"managed": [{"files": ["etc"]}]}, "files: found 'etc'"),
]


def test_bad_input_and_check_mode_leave_a_fresh_host_fresh(controller: Controller) -> None:
    fresh = controller.directory / "fresh"
    options = {"state_directory": str(fresh)}
    checked = [
        {**controller.checkpoint(state, **options), "check_mode": True} for state in ("open", "commit")
    ]
    tasks = [{**controller.checkpoint(state, **options), "ignore_errors": True} for state, options, _ in BAD]
    opened, committed, *refused = controller.run(*checked, *tasks)
    assert opened["id"] is None and not opened["changed"] and not committed["changed"]
    assert not fresh.exists()
    for result, (_state, _options, expected) in zip(refused, BAD):
        assert expected in result["msg"]
        assert "Nothing was changed" in result["msg"] or "one of:" in expected
    assert len(refused) == len(BAD) and controller.file.read_text() == "before"
    assert not (controller.directory / "state" / "checkpoints").exists()


def test_checkpoints_are_listed_and_pruned(controller: Controller) -> None:
    runs = [
        task
        for text in ("one", "two", "three")
        for task in (controller.checkpoint("open"), controller.change(text), controller.checkpoint("commit"))
    ]
    *results, listed, pruned, again, left = controller.run(
        *runs,
        controller.checkpoint("list"),
        controller.checkpoint("prune", keep=1),
        controller.checkpoint("prune", keep=1),
        controller.checkpoint("list"),
    )
    first, second, third = [result["id"] for result in results[::3]]
    assert not listed["changed"] and not left["changed"]
    assert [entry["id"] for entry in listed["checkpoints"]] == ["baseline", first, second, third]
    assert pruned["changed"] and sorted(pruned["pruned"]) == [first, second]
    assert not again["changed"] and again["pruned"] == []
    assert [entry["id"] for entry in left["checkpoints"]] == ["baseline", third]
    controller.run(controller.checkpoint("restore", name="baseline"))
    assert controller.file.read_text() == "before"
