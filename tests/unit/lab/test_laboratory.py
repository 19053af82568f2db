# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting machines: what is there already, what a failure takes away, a saved state that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import laboratory as laboratory_module
from lab.errors import LabError
from lab.image import Image
from lab.instance import Instance, Record
from lab.laboratory import Laboratory, Wanted
from lab.machine import Machine
from lab.platforms import Recipe, recipe_for
from lab.progress import Progress
from lab.qemu import TCG

WEB = Wanted("web", recipe_for("debian-13"))
DATABASE = Wanted("database", recipe_for("debian-13"))


@pytest.fixture
def laboratory(
    tmp_path: Path, cache: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> Laboratory:
    """A lab whose images exist and whose machines boot at once."""

    def image_of(recipe: Recipe, _progress: Progress) -> Image:
        return Image(recipe, cache)

    monkeypatch.setattr(laboratory_module, "image_for", image_of)
    monkeypatch.setattr(laboratory_module, "choose_accelerator", lambda _image, _progress: TCG)
    monkeypatch.setattr(laboratory_module, "ensure_ready", lambda *_arguments: cache / "booted.qcow2")
    monkeypatch.setattr(Machine, "copy_disk", lambda machine, _disk: machine.instance.overlay.touch())
    monkeypatch.setattr(Machine, "wait_for_ssh", lambda _machine: None)
    monkeypatch.setattr(Machine, "give_identity", lambda _machine, from_saved_state: None)
    monkeypatch.setattr(Machine, "start", _start)
    return Laboratory(tmp_path / "lab", progress)


def _start(machine: Machine, *, load_state: bool = False) -> None:
    (machine.instance.directory / "known_hosts").write_text(f"key of {machine.name}\n")
    machine.instance.write(Record("debian-13", str(machine.image.directory), "tcg", 1))


def test_the_inventory_lists_what_is_up(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Instance, "pid", lambda instance: 1 if instance.name == "web" else None)
    laboratory.up([WEB, DATABASE])
    assert '"web":' in laboratory.inventory.read_text()
    assert "database" not in laboratory.inventory.read_text()
    assert (laboratory.directory / "known_hosts").read_text() == "key of web\n"


def test_a_failure_takes_away_only_what_this_command_started(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instance, "pid", lambda instance: None)
    laboratory.up([WEB])

    def start(machine: Machine, *, load_state: bool = False) -> None:
        raise LabError("no saved state")

    def boot(machine: Machine, _base: Path) -> None:
        machine.instance.console.write_text("why\n")
        raise LabError("no memory")

    monkeypatch.setattr(Machine, "start", start)
    monkeypatch.setattr(Machine, "boot", boot)
    with pytest.raises(LabError, match="no memory"):
        laboratory.up([DATABASE])
    assert [instance.name for instance in laboratory.instances()] == ["web"]
    assert not laboratory.progress.cancelled.is_set()
    assert (laboratory.directory / "database.failed.log").read_text() == "why\n"


def test_a_name_that_another_command_starts_now_is_left_to_it(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Laboratory, "_is_there", lambda _laboratory, _one: False)
    (laboratory.directory / "web").mkdir(parents=True)
    with pytest.raises(LabError, match="web is being started by another command"):
        laboratory.up([WEB])
    assert (laboratory.directory / "web").is_dir()


def test_a_machine_that_is_there_is_not_started_again(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Instance, "pid", lambda instance: 1)
    laboratory.up([WEB])
    laboratory.up([WEB])
    assert "web: is up already" in capsys.readouterr().err
    with pytest.raises(LabError, match="web is there already, as debian-13; end it first"):
        laboratory.up([Wanted("web", recipe_for("debian-12"))])
    monkeypatch.setattr(Instance, "pid", lambda instance: None)
    with pytest.raises(LabError, match="web is there, but off: python -m lab power-on web"):
        laboratory.up([WEB])


def test_a_saved_state_that_does_not_start_is_replaced_by_a_real_boot(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    booted: list[Path] = []

    def start(machine: Machine, *, load_state: bool = False) -> None:
        raise LabError("Unknown savevm section")

    def boot(machine: Machine, base: Path) -> None:
        assert not machine.instance.overlay.exists()
        booted.append(base)

    monkeypatch.setattr(Machine, "start", start)
    monkeypatch.setattr(Machine, "boot", boot)
    laboratory.up([WEB])
    assert [base.name for base in booted] == ["disk.img"]
    assert "web: the saved state does not start, booting instead: Unknown savevm" in capsys.readouterr().err
