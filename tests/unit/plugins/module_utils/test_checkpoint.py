# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A transaction: what was taken comes back to the byte, and nothing damaged is believed."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import CheckpointError
from unit.checkpoint_host import LEDGER, CheckpointHost


@pytest.fixture
def host(tmp_path: Path) -> CheckpointHost:
    return CheckpointHost(tmp_path)


def test_a_failed_run_leaves_everything_as_it_was(host: CheckpointHost) -> None:
    before = host.content()
    opened = host.open()
    host.write("a.json", "{}")
    host.path("b.conf").unlink()
    host.write("new/c.conf", "made by the run")
    host.write(LEDGER, "{}")
    outcome = host.restore(opened["id"])
    assert host.content() == before
    assert not host.path(LEDGER).exists()
    assert sorted(outcome["restored"]) == sorted(str(host.path(name)) for name in [*host.names, LEDGER])


def test_mode_and_link_come_back(host: CheckpointHost) -> None:
    host.path("a.json").chmod(0o640)
    host.path("b.conf").unlink()
    host.path("b.conf").symlink_to("a.json")
    before = host.content()
    host.open()
    host.path("a.json").chmod(0o666)
    host.path("b.conf").unlink()
    host.write("b.conf", "no link any more")
    host.restore("last")
    assert host.content() == before
    assert host.path("b.conf").is_symlink()


def test_what_lies_behind_a_link_is_taken_too(host: CheckpointHost) -> None:
    host.write("real", "behind")
    host.path("b.conf").unlink()
    host.path("b.conf").symlink_to("real")
    host.open()
    host.write("real", "written through the link")
    host.restore("last")
    assert host.path("real").read_text() == "behind"


def test_the_store_is_for_root_only(host: CheckpointHost) -> None:
    host.open()
    for path in [host.state, *host.state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_run_that_changed_nothing_leaves_only_the_baseline(host: CheckpointHost) -> None:
    host.open()
    assert host.commit()["dropped"]
    assert [path.name for path in (host.state / "checkpoints").iterdir()] == ["baseline"]
    assert not (host.state / "run.lock").exists()


def test_runs_are_undone_one_by_one(host: CheckpointHost) -> None:
    start = host.content()
    host.run({"a.json": '{"icc": false}\n'})
    between = host.content()
    host.run({"a.json": '{"icc": false, "debug": true}\n', "new/c.conf": "x"}, "two")
    assert host.restore("last", "three")["conflicts"] == []
    assert host.content() == between
    host.restore("last", "four")
    assert host.content() == start
    with pytest.raises(CheckpointError, match="there is no checkpoint to restore"):
        host.restore("last", "five")


def test_the_baseline_comes_back_through_several_runs_and_prunes(host: CheckpointHost) -> None:
    start = host.content()
    for number in range(4):
        host.run({"a.json": f'{{"n": {number}}}\n'}, f"run{number}")
    host.open("last run")
    host.write("b.conf", "changed\n")
    assert len(host.commit("last run", keep=2)["pruned"]) == 3
    host.restore("baseline", "back")
    assert host.content() == start


def test_an_edit_between_two_runs_stays(host: CheckpointHost) -> None:
    host.run({"b.conf": "one\nours\ntwo\nthree\n"})
    host.write("b.conf", "one\nours\ntwo\nthree\nfour of the admin\n")
    host.run({"a.json": "{}\n"}, "two")
    outcome = host.restore("baseline", "three")
    assert host.path("b.conf").read_text() == "one\ntwo\nthree\nfour of the admin\n"
    assert outcome["merged"] == [str(host.path("b.conf"))]
    assert host.path("a.json").read_text() == '{\n  "icc": true\n}\n'


def test_an_edit_that_conflicts_is_kept_beside(host: CheckpointHost) -> None:
    identifier = host.run({"a.json": '{"icc": false}\n'})
    host.write("a.json", '{"icc": "edited", "mine": 1}\n')
    outcome = host.restore("last", "two")
    beside = host.path(f"a.json.admin-{identifier}")
    assert outcome["conflicts"] == [
        {
            "path": str(host.path("a.json")),
            "reasons": ["the key icc was changed since"],
            "kept_beside": str(beside),
        }
    ]
    assert beside.read_text() == '{"icc": "edited", "mine": 1}\n'
    assert json.loads(host.path("a.json").read_text()) == {"icc": True, "mine": 1}


def test_check_mode_shows_the_plan_and_touches_nothing(host: CheckpointHost) -> None:
    host.run({"a.json": "{}\n"})
    before, state = host.content(), sorted(host.state.rglob("*"))
    outcome = host.restore("last", "two", check_mode=True)
    assert outcome["actions"] == [f"{host.path('a.json')}: put back"]
    assert (host.content(), sorted(host.state.rglob("*"))) == (before, state)


@pytest.mark.parametrize("damaged", ["manifest.json", "objects"])
def test_a_damaged_checkpoint_is_refused_and_nothing_touched(host: CheckpointHost, damaged: str) -> None:
    opened = host.open()
    host.write("a.json", "{}")
    before = host.content()
    place = host.state / "checkpoints" / opened["id"] / damaged
    target = next(place.iterdir()) if place.is_dir() else place
    target.write_bytes(target.read_bytes()[:-3] + b"x\n")
    with pytest.raises(CheckpointError, match="it is damaged.*Nothing was changed"):
        host.restore(opened["id"])
    assert host.content() == before


def test_a_missing_object_is_refused(host: CheckpointHost) -> None:
    opened = host.open()
    next((host.state / "checkpoints" / opened["id"] / "objects").iterdir()).unlink()
    with pytest.raises(CheckpointError, match="it is not there"):
        host.restore(opened["id"])


def test_the_next_run_recovers_what_a_dead_one_left(host: CheckpointHost) -> None:
    before = host.content()
    first = host.open()
    host.write("a.json", "half done")
    opened = host.open("two", gone=["one"])
    assert opened["changed"] and opened["recovered"]["id"] == first["id"]
    assert host.content() == before
    host.commit("two")


def test_the_next_run_can_go_on_instead(host: CheckpointHost) -> None:
    before = host.content()
    first = host.open()
    host.write("a.json", "half done")
    opened = host.open("two", gone=["one"], interrupted="resume")
    assert (opened["id"], opened["resumed"], opened["recovered"]) == (first["id"], True, None)
    host.write("b.conf", "the rest")
    host.commit("two")
    host.restore("last", "three")
    assert host.content() == before


def test_a_run_finds_its_own_checkpoint_again(host: CheckpointHost) -> None:
    assert host.open()["id"] == host.open()["id"]


def test_too_large_and_no_space_are_said_before_anything_is_written(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("b.conf", "x" * 70_000_000)
    with pytest.raises(
        CheckpointError, match="size_limit.*Nothing was changed|longer than .*Nothing was changed"
    ):
        host.open()
    host.write("b.conf", "x")
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(CheckpointError, match="0 bytes are free"):
        host.open()
    assert not (host.state / "checkpoints").exists()
    assert not (host.state / "run.lock").exists()
