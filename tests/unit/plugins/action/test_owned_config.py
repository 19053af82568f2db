# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole mechanism on this machine: each operation in check mode, for real, and both again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)


class Operator:
    """Runs the action against files below a directory, as a playbook does."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "docker" / "daemon.json"
        self.file.parent.mkdir()
        self.state = directory / "state"
        self.playbook = directory / "play.json"
        self.output = ""

    def run(self, file: dict[str, Any], *arguments: str, validate: list[str] | None = None) -> dict[str, Any]:
        task = {
            "bulkhead.hardening.owned_config": {
                "owner": "tester",
                "state_directory": str(self.state),
                "files": [{"path": str(self.file), **file}],
                "validate": validate or [],
            }
        }
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
        self.playbook.write_text(json.dumps([play]), encoding="utf-8")
        completed = subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                "--inventory=localhost,",
                "--connection=local",
                f"--extra-vars=ansible_python_interpreter={sys.executable}",
                "--diff",
                *arguments,
                str(self.playbook),
            ],
            env={**os.environ, **_RESULT_LINES},
            capture_output=True,
            text=True,
            check=False,
        )
        self.output = completed.stdout + completed.stderr
        return _result(completed.stdout)


_RESULT_LINES = {
    "ANSIBLE_STDOUT_CALLBACK": "bulkhead_result",
    "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
}


def _result(output: str) -> dict[str, Any]:
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.partition(" ")[2])
    return result


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_the_four_runs(operator: Operator) -> None:
    before = '{\n\t"labels": ["a"]\n}\n'
    operator.file.write_text(before)
    wanted = {"keys": {"icc": False, "http-proxy": "http://u:hunter2@x"}, "secret": ["http-proxy"]}

    predicted = operator.run(wanted, "--check")
    assert predicted["changed"]
    assert operator.file.read_text() == before
    assert not operator.state.exists()

    done = operator.run(wanted, "-vvv")
    assert done["diff"] == predicted["diff"]
    assert json.loads(operator.file.read_text()) == {"labels": ["a"], **wanted["keys"]}
    assert "hunter2" not in operator.output

    for arguments in (["--check"], []):
        again = operator.run(wanted, *arguments)
        assert not again["changed"]
        assert "diff" not in again

    assert operator.run({})["changed"]
    assert operator.file.read_text() == before


def test_bad_input_is_named_and_nothing_is_changed(operator: Operator) -> None:
    operator.file.write_text("{oops")
    failed = operator.run({"keys": {"icc": False}})
    assert not failed["changed"]
    assert f"{operator.file}: it is not JSON" in failed["msg"]
    assert "Nothing was changed" in failed["msg"]
    assert operator.file.read_text() == "{oops"


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_the_validator_decides_also_in_check_mode(operator: Operator, arguments: list[str]) -> None:
    operator.file.write_text("{}")
    failed = operator.run({"keys": {"icc": False}}, *arguments, validate=["/bin/grep", "no such text", "%s"])
    assert not failed["changed"]
    assert "refuses the new content" in failed["msg"]
    assert operator.file.read_text() == "{}"


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_a_file_s_own_validator_decides(operator: Operator, arguments: list[str]) -> None:
    operator.file.write_text("{}")
    own = ["/bin/grep", "no such text", "%s"]
    failed = operator.run({"keys": {"icc": False}, "validate": own}, *arguments)
    assert "refuses the new content" in failed["msg"]
    assert operator.file.read_text() == "{}"
