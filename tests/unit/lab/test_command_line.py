# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the command line accepts, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.__main__ import main, wanted_machines
from lab.errors import LabError
from lab.platforms import accepted_names


@pytest.fixture(autouse=True)
def directory(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BULKHEAD_LAB_DIRECTORY", str(tmp_path / "lab"))
    return tmp_path / "lab"


def test_count_numbers_the_machines() -> None:
    assert [one.name for one in wanted_machines(["debian-13"], count=3)] == [
        "debian-13-1",
        "debian-13-2",
        "debian-13-3",
    ]


def test_names_may_differ_from_platforms() -> None:
    wanted = wanted_machines(["web=debian-13", "debian-12-bare"])
    assert [(one.name, one.recipe.name) for one in wanted] == [
        ("web", "debian-13"),
        ("debian-12-bare", "debian-12-bare"),
    ]
    assert [one.name for one in wanted_machines(["debian-12"], alias="web")] == ["web"]


@pytest.mark.parametrize(
    ("names", "count", "alias", "message"),
    [
        (["debian-13"], 0, None, "--count is 0; accepted are 1 and more"),
        (["debian-13", "debian-12"], 1, "web", "--as names one machine"),
        (["debian-13"], 2, "web", "--as names one machine"),
        (["debian-13", "debian-13"], 1, None, "more than one machine would be called debian-13"),
        (["../x=debian-13"], 1, None, "cannot be the name of a machine"),
        (["web=windows"], 1, None, "no platform is called 'windows'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    names: list[str], count: int, alias: str | None, message: str
) -> None:
    with pytest.raises(LabError, match=message):
        wanted_machines(names, count=count, alias=alias)


@pytest.mark.parametrize("command", ["up", "build"])
def test_a_bad_platform_is_one_line_with_the_accepted_names(
    command: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "debian-99"]) == 1
    error = capsys.readouterr().err
    assert error == f"lab: no platform is called 'debian-99'; accepted are: {', '.join(accepted_names())}\n"
    assert not directory.exists()


@pytest.mark.parametrize("command", ["ssh", "down", "reboot", "power-cut", "power-on"])
def test_a_machine_that_is_not_there_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "web"]) == 1
    assert "no machine is called 'web'" in capsys.readouterr().err


def test_down_removes_what_a_killed_start_left(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "web").mkdir(parents=True)
    (directory / "web" / "overlay.qcow2").write_text("")
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "web\toff\n"
    assert main(["down"]) == 0
    assert not (directory / "web").exists()
    assert "hosts: {}" in (directory / "inventory.yml").read_text()
