# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole mechanism on this machine: each operation in check mode, for real, and both again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[4]


class Operator:
    """Runs the action against files below a directory, as a playbook does."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "docker" / "daemon.json"
        self.file.parent.mkdir()
        self.state = directory / "state"
        self.playbook = directory / "play.json"
        self.output = ""

    def run(self, file: dict[str, Any], *arguments: str, validate: list[str] | None = None) -> dict[str, Any]:
        return self.run_files([{"path": str(self.file), **file}], *arguments, validate=validate)

    @property
    def module_calls(self) -> int:
        """How many modules the last run, at -vvv, ran on the host."""
        return self.output.count("Using module file ")

    def run_files(
        self, files: list[dict[str, Any]], *arguments: str, validate: list[str] | None = None
    ) -> dict[str, Any]:
        task = {
            "bulkhead.hardening.owned_config": {
                "owner": "tester",
                "state_directory": str(self.state),
                "files": files,
                "validate": validate or [],
            }
        }
        return self.run_play({"tasks": [task]}, *arguments)

    def run_play(self, what: dict[str, Any], *arguments: str) -> dict[str, Any]:
        """Run a play of these tasks or roles; the result of the first task that has one."""
        play = {"hosts": "localhost", "gather_facts": False, **what}
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


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_what_docker_s_file_names_has_to_be_there(operator: Operator, arguments: list[str]) -> None:
    profile = operator.file.with_name("seccomp.json")
    wanted = {"keys": {"seccomp-profile": str(profile)}, "look": "docker_daemon"}
    operator.file.write_text("{}")
    failed = operator.run(wanted, *arguments)
    assert not failed["changed"]
    assert f"seccomp-profile: {profile}: No such file" in failed["msg"]
    assert "Nothing was changed" in failed["msg"]
    assert operator.file.read_text() == "{}"

    profile.write_text('{"defaultAction": "SCMP_ACT_ERRNO"}')
    assert operator.run(wanted, *arguments)["changed"]


@pytest.mark.parametrize("arguments", [["--check"], []])
@pytest.mark.parametrize(
    "keys",
    [{"unknown": 1}, {"default": []}, {"transports": {"docker": {"a.example": [{"type": "signedBy"}]}}}],
)
def test_a_policy_with_which_every_pull_would_fail_stays_out(
    operator: Operator, keys: dict[str, Any], arguments: list[str]
) -> None:
    text = '{"default": [{"type": "reject"}]}'
    operator.file.write_text(text)
    failed = operator.run({"keys": keys, "look": "containers_policy"}, *arguments)
    assert "with it every pull would fail" in failed["msg"]
    assert "Nothing was changed" in failed["msg"]
    assert operator.file.read_text() == text


# format -> content, and what is wanted; every text with hunter in it is a secret
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "json": (
        '{\n\t"labels": ["a"],\n"registry": "http://u:hunter1@r" }\n',
        {
            "keys": {
                "icc": False,
                "http-proxy": "http://u:hunter2@x",
                "registry": "http://u:hunter3@r",
                "log-opts": {"splunk-token": "hunter13"},
            }
        },
    ),
    "toml": (
        "# the admin's\n[containers]\nenv = [ 'TOKEN=hunter4', ] # c\n",
        {
            "keys": {"containers": {"env": ["TOKEN=hunter5"]}, "engine": {"mine": "hunter6"}},
            "secret": ["*.mine"],
        },
    ),
    "yaml": (
        "# the admin's\nhttp_output:\n    url:  https://u:hunter7@h # c\n    list:\n    - a\n",
        {
            "keys": {"http_output": {"url": "https://u:hunter8@h"}},
            "lists": [{"key": ["http_output", "list"], "elements": ["https://u:hunter9@h"]}],
        },
    ),
    "keyfile": (
        "[Service]\n; the admin's\nEnvironment = HTTP_PROXY=http://u:hunter10@p  \n",
        {"lists": [{"key": ["Service", "Environment"], "elements": ["API=hunter11"]}]},
    ),
    "lines": ("# rules\n-w /a\n", {"lists": [{"key": ["lines"], "elements": ["-w http://u:hunter12@x"]}]}),
}


@pytest.fixture
def files(operator: Operator) -> list[dict[str, Any]]:
    wanted = []
    for format_name, (content, options) in FILES.items():
        path = operator.file.with_name(f"file.{format_name}")
        path.write_text(content, encoding="utf-8")
        wanted.append({"path": str(path), "format": format_name, **options})
    return wanted


def _contents(files: list[dict[str, Any]]) -> list[str]:
    return [Path(file["path"]).read_text(encoding="utf-8") for file in files]


def test_files_of_every_format_in_one_call_and_no_secret_in_any_output(
    operator: Operator, files: list[dict[str, Any]]
) -> None:
    before = _contents(files)
    predicted = operator.run_files(files, "--check", "-vvv")
    assert "hunter" not in operator.output
    assert operator.module_calls == 1
    assert _contents(files) == before

    done = operator.run_files(files, "-vvv")
    assert "hunter" not in operator.output
    assert operator.module_calls == 2
    assert done["diff"] == predicted["diff"]
    assert all(file["changed"] for file in done["files"])
    assert all(f"hunter{number}" in "".join(_contents(files)) for number in (2, 3, 5, 6, 8, 9, 11, 12, 13))

    for arguments in (["--check", "-vvv"], ["-vvv"]):
        again = operator.run_files(files, *arguments)
        assert not again["changed"]
        assert operator.module_calls == 1
        assert "hunter" not in operator.output

    bare = [{"path": file["path"], "format": file["format"]} for file in files]
    assert operator.run_files(bare, "-vvv")["changed"]
    assert "hunter" not in operator.output
    assert _contents(files) == before


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_a_validator_that_repeats_the_file_gives_no_secret_away(
    operator: Operator, files: list[dict[str, Any]], arguments: list[str]
) -> None:
    for file in files:
        failed = operator.run_files(
            [file], "-vvv", *arguments, validate=["/usr/bin/awk", "{ print } END { exit 1 }", "%s"]
        )
        assert "refuses the new content" in failed["msg"]
        assert "hunter" not in operator.output


def test_an_element_s_result_is_told(operator: Operator) -> None:
    operator.file.write_text('{"dns": ["::1"]}')
    done = operator.run({"lists": [{"key": ["dns"], "elements": ["::2"]}]})
    [file] = done["files"]
    assert file["keys"] == [{"key": ["dns"], "why": "set", "gone": False, "element": "::2"}]
    assert [(entry["key"], entry["element"]) for entry in file["owned"]] == [(["dns"], "::2")]
    assert 'dns[]: "::2"' in done["diff"][0]["after"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ({"format": "toml", "keys": {"a": None}}, "a: TOML has no way to write null"),
        ({"format": "keyfile", "keys": {"a": {"b": True}}}, "a.b: accepted is a text"),
        ({"format": "lines", "keys": {"a": 1}}, "one key, lines, with a list"),
        ({"keys": {"a": [1]}, "lists": [{"key": ["a"], "elements": [2]}]}, "a: it is named twice"),
        ({"format": "ini"}, "value of format must be one of"),
    ],
)
def test_a_wish_that_cannot_be_had_is_named(operator: Operator, file: dict[str, Any], reason: str) -> None:
    failed = operator.run(file)
    assert reason in failed["msg"]
    assert not operator.file.exists()


def test_a_key_that_was_edited_since_is_let_go_by_a_write_of_the_ledger_alone(operator: Operator) -> None:
    operator.file.write_text("{}")
    assert operator.run({"keys": {"icc": False}})["writes"]
    operator.file.write_text('{"icc": true}')
    predicted = operator.run({}, "--check")
    assert (predicted["changed"], predicted["writes"]) == (False, True)
    assert operator.run({})["writes"]
    assert not operator.run({})["writes"]
    assert operator.file.read_text() == '{"icc": true}'


def test_a_value_that_somebody_set_before_us_is_written_into_the_ledger_alone(operator: Operator) -> None:
    operator.file.write_text('{"mtu": 1500}')
    operator.run({"keys": {"mtu": 1400}})
    operator.file.write_text('{"mtu": 1300}')
    outcome = operator.run({"keys": {"mtu": 1300}})
    assert (outcome["changed"], outcome["writes"]) == (False, True)
    assert not operator.run({"keys": {"mtu": 1300}})["writes"]
    assert operator.run({})["changed"]
    assert operator.file.read_text() == '{"mtu": 1500}'


@pytest.mark.parametrize("alias", [False, True])
def test_a_file_is_named_once_in_a_call(operator: Operator, alias: bool) -> None:
    operator.file.write_text("{}")
    second = operator.file
    if alias:
        second = operator.file.with_name("alias.json")
        second.symlink_to(operator.file.name)
    files = [{"path": str(path), "keys": {key: 1}} for path, key in ((operator.file, "a"), (second, "b"))]
    failed = operator.run_files(files)
    assert f"files: found {operator.file} and {second}, which are the same file" in failed["msg"]
    assert "Nothing was changed" in failed["msg"]
    assert operator.file.read_text() == "{}"


def test_what_became_of_another_file_of_ours_beside_it_is_no_error(operator: Operator) -> None:
    beside = operator.file.with_name("other.json")
    operator.run_files([{"path": str(beside), "keys": {"a": 1}}])
    beside.unlink()
    beside.symlink_to("/dev/null")
    assert operator.run({"keys": {"icc": False}})["changed"]


def test_another_name_of_a_file_hides_no_owner(operator: Operator) -> None:
    alias = operator.file.with_name("alias.json")
    alias.symlink_to(operator.file.name)
    operator.file.write_text("{}")
    operator.run({"keys": {"icc": False}})
    task = {
        "owner": "other",
        "state_directory": str(operator.state),
        "files": [{"path": str(alias), "keys": {"icc": True}}],
    }
    failed = operator.run_play({"tasks": [{"bulkhead.hardening.owned_config": task}]})
    assert "other and tester want different values" in failed["msg"]
    assert json.loads(operator.file.read_text()) == {"icc": False}


def test_the_ledger_tells_who_set_what_when_and_what_was_before(operator: Operator) -> None:
    operator.file.write_text('{"mtu": 1400}')
    role = operator.playbook.parent / "roles" / "some_role" / "tasks" / "main.yml"
    role.parent.mkdir(parents=True)
    arguments = {
        "owner": "tester",
        "state_directory": str(operator.state),
        "files": [{"path": str(operator.file), "keys": {"icc": False, "mtu": 1300}}],
    }
    role.write_text(json.dumps([{"bulkhead.hardening.owned_config": arguments}]), encoding="utf-8")
    begun = datetime.now(timezone.utc)
    operator.run_play({"roles": ["some_role"]})
    entries = json.loads((operator.state / "ledger.json").read_text(encoding="utf-8"))["keys"]
    assert [(entry["key"], entry["before"], entry["set"]) for entry in entries] == [
        (["icc"], {"absent_from": 1}, False),
        (["mtu"], {"value": 1400, "text": "1400"}, 1300),
    ]
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    for entry in entries:
        assert (entry["owner"], entry["path"]) == ("tester", str(operator.file))
        assert (entry["role"], entry["collection_version"]) == ("some_role", version)
        set_at = datetime.fromisoformat(entry["time"].replace("Z", "+00:00"))
        assert begun <= set_at <= datetime.now(timezone.utc)
