# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A transaction: what was taken comes back to the byte, and nothing damaged is believed."""

from __future__ import annotations

import errno
import grp
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import (
    _checkpoint_commit,
    _checkpoint_open,
    _checkpoint_restore,
    _run_lock,
    _user_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_apply import Applied
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_open import (
    OpenRequest,
    open_checkpoint,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    CheckpointError,
    FileState,
    UnitState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_health import NotProbed
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import DockerServiceError
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import Claim, RunLocked
from unit.checkpoint_host import LEDGER, CheckpointHost, holder

NOBODY = 65534


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


@pytest.mark.parametrize("by", ["next run", "rollback"])
def test_an_edit_after_a_run_that_did_not_end_is_kept_beside(host: CheckpointHost, by: str) -> None:
    identifier = host.open()["id"]
    host.half("a.json", "half done")
    host.write("b.conf", "of the admin, a week later\n")
    if by == "rollback":
        outcome = host.restore("last", "two", controller="laptop", gone=["one"])
    else:
        outcome = host.open("two", gone=["one"])["recovered"]
    beside = host.path(f"b.conf.admin-{identifier}")
    assert outcome["conflicts"] == [
        {
            "path": str(host.path("b.conf")),
            "reasons": ["it was edited after a run that did not end"],
            "kept_beside": str(beside),
        }
    ]
    assert beside.read_text() == "of the admin, a week later\n"
    assert host.path("b.conf").read_text() == "one\ntwo\nthree\n"
    assert not host.path(f"a.json.admin-{identifier}").exists()


def test_a_run_that_undoes_itself_leaves_nothing_beside(host: CheckpointHost) -> None:
    before = host.content()
    identifier = host.open()["id"]
    host.write("b.conf", "by the run, and not in the ledger")
    assert host.restore(identifier)["conflicts"] == []
    assert host.content() == before


def test_a_file_of_ours_is_not_kept(host: CheckpointHost) -> None:
    host.names.append("50-bulkhead.rules")
    before = host.content()
    host.open()
    host.write("50-bulkhead.rules", "whole, and not in the ledger")
    host.open("two", gone=["one"])
    assert host.content() == before


def _runs_with_an_edit_between(host: CheckpointHost, first: str, edit: str) -> str:
    """Two runs, both pruned by a third; the id of the second, before which somebody edited b.conf."""
    host.run({"b.conf": first})
    host.write("b.conf", edit)
    identifier = host.run({"a.json": "[]\n"}, "two")
    host.open("three")
    host.write("a.json", "{}\n")
    assert len(host.commit("three", keep=1)["pruned"]) == 2
    return identifier


def test_an_edit_between_pruned_runs_stays(host: CheckpointHost) -> None:
    _runs_with_an_edit_between(host, "one\nours\ntwo\nthree\n", "one\nours\ntwo\nthree\nfour of the admin\n")
    outcome = host.restore("baseline", "back")
    assert host.path("b.conf").read_text() == "one\ntwo\nthree\nfour of the admin\n"
    assert outcome["conflicts"] == []
    assert host.path("a.json").read_text() == '{\n  "icc": true\n}\n'


def test_an_edit_between_pruned_runs_that_conflicts_is_kept_beside(host: CheckpointHost) -> None:
    identifier = _runs_with_an_edit_between(host, "one\nours\nthree\n", "one\nthe admin's\nthree\n")
    outcome = host.restore("baseline", "back")
    beside = host.path(f"b.conf.admin-{identifier}")
    assert host.path("b.conf").read_text() == "one\ntwo\nthree\n"
    assert beside.read_text() == "one\nthe admin's\nthree\n"
    assert outcome["conflicts"] == [
        {
            "path": str(host.path("b.conf")),
            "reasons": ["it was edited between runs whose checkpoints were pruned"],
            "kept_beside": str(beside),
        }
    ]
    assert [path for path in outcome["restored"] if ".admin-" in path] == []


def test_an_edit_after_a_rollback_belongs_to_the_baseline(host: CheckpointHost) -> None:
    host.run({"a.json": "[]\n"})
    host.restore("last", "two")
    host.write("b.conf", "of the admin\n")
    host.run({"a.json": "[1]\n"}, "three")
    host.open("four")
    host.write("a.json", "[2]\n")
    host.commit("four", keep=1)
    host.restore("baseline", "back")
    assert host.path("b.conf").read_text() == "of the admin\n"
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
    host.half("a.json", "half done")
    opened = host.open("two", gone=["one"])
    assert opened["changed"] and opened["recovered"]["id"] == first["id"]
    assert host.content() == before
    host.commit("two")


def test_the_next_run_can_go_on_instead(host: CheckpointHost) -> None:
    before = host.content()
    first = host.open()
    host.half("a.json", "half done")
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


def test_what_did_not_come_back_is_named_and_tried_again_by_the_next_run(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = host.content()
    identifier = host.open()["id"]
    host.half("a.json", "{}")
    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint_restore, "apply", lambda *_arguments, **_options: Applied())
        with pytest.raises(
            CheckpointError, match=r"a.json: file, mode .*, should be file, mode .*tries again"
        ):
            host.restore(identifier)
    assert host.open("next", gone=["one"])["recovered"]["checkpoints"] == [identifier]
    assert host.content() == before


def test_a_restore_has_its_space_reserved(host: CheckpointHost) -> None:
    identifier = host.open()["id"]
    reserve = host.state / "checkpoints" / identifier / "reserve"
    assert reserve.stat().st_blocks * 512 >= 256 * 1024
    host.restore(identifier)
    assert not reserve.exists()


def test_a_refused_restore_leaves_the_reserve_of_the_run_that_works(host: CheckpointHost) -> None:
    identifier = host.open()["id"]
    with pytest.raises(RunLocked):
        host.restore("last", "two", controller="ci")
    assert (host.state / "checkpoints" / identifier / "reserve").exists()


@pytest.mark.parametrize("action", ["restore", "open"])
def test_on_a_full_disk_the_lock_is_written_in_the_reserve(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    before = host.content()
    identifier = host.open()["id"]
    host.half("a.json", "{}")
    reserve = host.state / "checkpoints" / identifier / "reserve"
    write = _run_lock.write_document

    def on_a_full_disk(path: str, body: dict[str, Any]) -> None:
        if reserve.exists():
            raise CheckpointError(f"{path}: No space left on device")
        write(path, body)

    monkeypatch.setattr(_run_lock, "write_document", on_a_full_disk)
    if action == "restore":
        host.restore(identifier)
    else:
        host.open("two", gone=["one"])
    assert host.content() == before


def test_what_an_interrupted_write_left_goes_and_what_was_there_stays(host: CheckpointHost) -> None:
    host.write(".a.json.abcd1234", "an admin's")
    before = host.content()
    host.open()
    host.write(".a.json.efgh5678", "left by a write")
    host.write("a.json.bak", "somebody else's")
    host.restore("last")
    after = host.content()
    assert after.pop("a.json.bak")
    assert after == before


def test_another_run_is_refused_while_one_is_open(host: CheckpointHost) -> None:
    identifier = host.open()["id"]
    with pytest.raises(RunLocked, match="run one of ops on laptop"):
        host.open("two", controller="ci")
    with pytest.raises(RunLocked):
        host.restore(identifier, "two", controller="ci")
    assert host.commit()["id"] == identifier


def test_a_run_whose_lock_was_taken_over_does_not_commit(host: CheckpointHost) -> None:
    host.open()
    host.write("a.json", "{}")
    host.transaction().lock.acquire(holder("two", "ci"), Claim(takeover=True))
    with pytest.raises(CheckpointError, match="the lock is held by run two of ops on ci"):
        host.commit()


def test_only_closed_checkpoints_are_pruned(host: CheckpointHost) -> None:
    host.run({"a.json": "{}"})
    kept = host.run({"a.json": "[]"}, "again")
    identifier = host.open("two")["id"]
    host.write("b.conf", "x")
    assert _checkpoint_commit.prune(host.transaction("two"), 0) == {"changed": False, "pruned": []}
    predicted = _checkpoint_commit.prunable(host.transaction("two"), 1)
    assert (predicted["changed"], len(predicted["pruned"])) == (True, 1)
    assert _checkpoint_commit.prune(host.transaction("two"), 1) == predicted
    assert _checkpoint_commit.prunable(host.transaction("two"), 1) == {"changed": False, "pruned": []}
    listed = _checkpoint_commit.list_checkpoints(host.transaction("two"))
    assert [entry["id"] for entry in listed] == ["baseline", kept, identifier]


def test_a_damaged_checkpoint_is_listed_with_its_reason_and_stops_the_next_run(host: CheckpointHost) -> None:
    identifier = host.run({"a.json": "{}"})
    (host.state / "checkpoints" / identifier / "manifest.json").write_text("{")
    listed = _checkpoint_commit.status(host.transaction())["checkpoints"]
    assert [(entry["id"], entry["status"]) for entry in listed] == [
        (identifier, "damaged"),
        ("baseline", "baseline"),
    ]
    with pytest.raises(CheckpointError, match="it is damaged.*Remove .* to give this checkpoint up"):
        host.open("two")


def test_a_restored_checkpoint_is_not_restored_again_by_another_run(host: CheckpointHost) -> None:
    identifier = host.run({"a.json": "{}"})
    host.restore("last", "two")
    with pytest.raises(
        CheckpointError, match=f"found {identifier}, which is rolled_back already; accepted are"
    ):
        host.restore(identifier, "three")


class Containers:
    """An engine with one container, as `open` finds it; `health` is what the check says later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, ran: bool) -> None:
        self.problems: list[str] = []
        self.asked: list[list[Any]] = []
        self.running = [{"id": "c1", "name": "web", "pid": 7, "start_ticks": 9}] if ran else []
        monkeypatch.setattr(_checkpoint_open, "_containers", lambda *_arguments: (self.running, ran))
        monkeypatch.setattr(_checkpoint_commit, "engine_health", self.health)
        self.probed: list[Any] = []
        self.probe: type[Exception] | None = NotProbed
        monkeypatch.setattr(_checkpoint_commit, "probe_engine", self.start_probe)
        monkeypatch.setattr(_checkpoint_commit, "docker_there", lambda _system: True)

    def health(self, _system: Any, *, before: list[Any], **_options: Any) -> list[str]:
        self.asked.append([(entry["name"], entry["expected"]) for entry in before])
        return self.problems

    def start_probe(self, _system: Any, *, socket: str, image: str | None) -> None:
        self.probed.append((socket, image))
        if self.probe is not None:
            raise self.probe("said by the probe")


@pytest.mark.parametrize(
    ("image", "error", "probed", "problem"),
    [
        (None, None, True, None),
        ("mine:1", None, True, None),
        (None, NotProbed, False, None),
        ("mine:1", NotProbed, None, "said by the probe"),
        (None, DockerServiceError, None, "said by the probe"),
    ],
)
def test_the_health_check_starts_a_container_where_it_has_an_image(
    host: CheckpointHost,
    monkeypatch: pytest.MonkeyPatch,
    image: str | None,
    error: type[Exception] | None,
    probed: bool | None,
    problem: str | None,
) -> None:
    engine = Containers(monkeypatch, ran=True)
    engine.probe = error
    open_checkpoint(host.transaction(), OpenRequest(host.managed(engines=("docker",))))
    if problem is None:
        assert host.commit(probe_image=image)["probed"] is probed
    else:
        with pytest.raises(CheckpointError, match=f"The health check failed: .*{problem}"):
            host.commit(probe_image=image)
    assert engine.probed == [("/run/docker.sock", image)]


def test_a_host_that_is_not_well_is_not_committed(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Containers(monkeypatch, ran=True)
    before = host.content()
    opened = open_checkpoint(host.transaction(), OpenRequest(host.managed(engines=("docker",))))
    host.write("a.json", "{}")
    engine.problems = ["container web ran before and does not run any more"]
    with pytest.raises(CheckpointError, match="The health check failed: container web ran before"):
        host.commit()
    monkeypatch.setattr(_checkpoint_restore, "apply", _apply_files)
    host.restore(opened["id"])
    assert host.content() == before
    assert engine.asked == [[("web", "running")]]


def _apply_files(*arguments: Any, **options: Any) -> Applied:
    return _APPLY(*arguments, **{**options, "engines": ()})


_APPLY = _checkpoint_restore.apply


@pytest.mark.parametrize(
    ("path", "engine"),
    [
        ("/usr/bin/dockerd", "docker"),
        ("/usr/sbin/dockerd", "docker"),
        ("/snap/docker/current", "docker"),
        ("/usr/bin/podman", "podman"),
    ],
)
def test_open_says_which_engines_are_there(host: CheckpointHost, path: str, engine: str) -> None:
    assert host.open()["engines"] == []
    host.system.write(path).chmod(0o755)
    assert host.open()["engines"] == [engine]


def test_a_container_that_the_run_may_stop_is_not_missed(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Containers(monkeypatch, ran=True)
    open_checkpoint(host.transaction(), OpenRequest(host.managed(engines=("docker",))))
    host.commit(may_stop=["web"])
    assert engine.asked == [[("web", "any")]]


def test_a_container_that_had_no_process_is_not_missed(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Containers(monkeypatch, ran=True)
    engine.running[0]["pid"] = 0
    open_checkpoint(host.transaction(), OpenRequest(host.managed(engines=("docker",))))
    host.commit()
    assert engine.asked == [[]]


@pytest.mark.parametrize(
    ("unit", "looked_at"),
    [
        (UnitState("disabled", "inactive"), False),
        (UnitState("enabled", "inactive"), True),
        (UnitState("disabled", "active"), True),
    ],
)
def test_an_engine_that_the_run_may_disable_is_not_missed_when_it_is_off(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch, unit: UnitState, *, looked_at: bool
) -> None:
    engine = Containers(monkeypatch, ran=True)
    engine.problems = ["the engine does not run"]
    monkeypatch.setattr(_checkpoint_commit, "read_units", lambda _system, names: dict.fromkeys(names, unit))
    open_checkpoint(host.transaction(), OpenRequest(host.managed(engines=("docker",))))
    if looked_at:
        with pytest.raises(CheckpointError, match="the engine does not run"):
            host.commit(engine_may_stop=True)
    else:
        host.commit(engine_may_stop=True)
    assert bool(engine.asked) is looked_at


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that other users can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def own(host: CheckpointHost, reachable: Path) -> Path:
    """A managed file in the home of a user."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    home = reachable / "home"
    home.mkdir()
    path = home / "containers.conf"
    path.write_text("theirs")
    for place in (home, path):
        os.chown(place, NOBODY, NOBODY)
    host.names.append(str(path))
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to a group")
def test_a_directory_of_the_group_docker_s_is_taken_and_put_back(
    host: CheckpointHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = grp.struct_group(("docker", "x", 4242, []))
    monkeypatch.setattr(_user_files.grp, "getgrgid", lambda _gid: docker)
    os.chown(host.etc, 0, 4242)
    host.etc.chmod(0o775)
    before = host.content()
    host.open()
    host.write("a.json", "{}")
    host.restore("last")
    assert host.content() == before


def test_a_user_s_file_is_put_back_as_that_user(host: CheckpointHost, own: Path) -> None:
    identifier = host.open()["id"]
    own.write_text("by the run")
    host.restore(identifier)
    status = own.lstat()
    assert (own.read_text(), status.st_uid, stat.S_ISREG(status.st_mode)) == ("theirs", NOBODY, True)


def test_directories_that_a_run_made_for_a_user_go_with_the_file(host: CheckpointHost, own: Path) -> None:
    policy = own.parent / ".config" / "containers" / "policy.json"
    host.names.append(str(policy))
    identifier = host.open()["id"]
    _user_files.write_as(NOBODY, NOBODY, str(policy), b"{}", 0o644, make_parents=True)
    host.restore(identifier)
    assert [path.name for path in own.parent.iterdir()] == ["containers.conf"]


def test_no_directory_behind_a_user_s_link_goes(host: CheckpointHost, own: Path, reachable: Path) -> None:
    policy = own.parent / ".config" / "containers" / "policy.json"
    host.names.append(str(policy))
    identifier = host.open()["id"]
    (reachable / "roots" / "containers").mkdir(parents=True)
    os.chown(reachable / "roots", NOBODY, NOBODY)
    (own.parent / ".config").symlink_to(reachable / "roots")
    host.restore(identifier)
    assert (reachable / "roots" / "containers").is_dir()
    assert (own.parent / ".config").is_symlink()


@pytest.mark.parametrize(("groups", "gid"), [([4], 4), ([], NOBODY)])
def test_a_user_s_file_has_its_group_again_where_the_user_may_give_it(
    host: CheckpointHost, own: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int], gid: int
) -> None:
    monkeypatch.setattr(os, "getgrouplist", lambda _name, primary: [primary, *groups])
    os.chown(own, NOBODY, 4)
    identifier = host.open()["id"]
    own.unlink()
    outcome = host.restore(identifier)
    assert (own.read_text(), own.stat().st_gid) == ("theirs", gid)
    assert outcome["actions"] == [f"{own}: made again"]


def test_a_group_that_the_user_has_left_meanwhile_fails_no_restore(
    host: CheckpointHost, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [4]
    monkeypatch.setattr(os, "getgrouplist", lambda _name, primary: [primary, *groups])
    os.chown(own, NOBODY, 4)
    identifier = host.open()["id"]
    groups.clear()
    own.write_text("by the run")
    host.restore(identifier)
    assert (own.read_text(), own.stat().st_gid) == ("theirs", NOBODY)


def test_a_user_s_file_that_root_made_fails_no_restore(host: CheckpointHost, own: Path) -> None:
    os.chown(own, 0, 0)
    identifier = host.open()["id"]
    own.unlink()
    host.restore(identifier)
    assert (own.read_text(), own.stat().st_uid) == ("theirs", NOBODY)


def test_a_user_s_link_is_not_followed_and_stops_nothing(host: CheckpointHost, own: Path) -> None:
    before = host.content()
    secret = host.path("secret")
    identifier = host.open()["id"]
    secret.write_text("root's")
    own.unlink()
    own.symlink_to(secret)
    host.write("a.json", "{}")
    outcome = host.restore(identifier)
    assert [conflict["path"] for conflict in outcome["conflicts"]] == [str(own)]
    assert own.is_symlink() and secret.read_text() == "root's"
    secret.unlink()
    assert host.content() == before
    host.open("two")
    host.commit("two")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/shadow")


def _link_above(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to("/etc")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _hard_link(path: Path) -> None:
    secret = path.parents[2] / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    path.unlink()
    os.link(secret, path)


def _as_much_as_a_checkpoint_takes(path: Path) -> None:
    os.truncate(path, 64 * 1024 * 1024)


def _no_home(path: Path) -> None:
    """As with /bin/sh in the place of a home."""
    path.unlink()
    path.parent.rmdir()
    path.parents[1].rmdir()
    path.parents[1].touch()
    os.chown(path.parents[1], 0, 0)


@pytest.fixture
def hostile(host: CheckpointHost, own: Path, reachable: Path) -> Path:
    """A managed file of another user, which comes before the one of `own`."""
    path = reachable / "hostile" / ".config" / "containers.conf"
    path.parent.mkdir(parents=True)
    path.write_text("hostile")
    for place in (path.parents[1], path.parent, path):
        os.chown(place, NOBODY, NOBODY)
    host.names.insert(0, str(path))
    return path


def _before(host: CheckpointHost, identifier: str, path: Path) -> FileState:
    return host.transaction().store.load(identifier).before.files[str(path)]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_fifo, "it is not a regular file"),
        (_link, "a symbolic link"),
        (_link_above, "a symbolic link"),
        (_directory, "it is not a regular file"),
        (_hard_link, "Permission denied"),
        (_as_much_as_a_checkpoint_takes, "it is longer than 1048576 bytes"),
        (_no_home, "hostile: it is not a directory"),
    ],
)
def test_no_user_keeps_a_run_from_another_s_file(
    host: CheckpointHost, own: Path, hostile: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(hostile)
    before = host.content()
    identifier = host.open()["id"]
    assert reason in (_before(host, identifier, hostile).target or "")
    own.write_text("by the run")
    host.write("a.json", "{}")
    outcome = host.restore(identifier)
    assert own.read_text() == "theirs"
    assert host.content() == before
    assert str(own) in outcome["restored"]
    host.open("two")
    host.commit("two")


def _served_by_a_user(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """As with a file system in user space on the home, to which root does not get (fuse(4))."""
    lstat = os.lstat

    def refuse(path: str) -> os.stat_result:
        if Path(path) == home:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", refuse)


def test_a_home_that_keeps_root_out_stops_neither_a_run_nor_a_restore(
    host: CheckpointHost, own: Path, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _served_by_a_user(patch, hostile.parents[1])
        identifier = host.open()["id"]
        assert "hostile: Permission denied" in (_before(host, identifier, hostile).target or "")
        own.write_text("by the run")
        host.restore(identifier)
        assert own.read_text() == "theirs"
    identifier = host.open("two")["id"]
    own.write_text("by the run")
    _served_by_a_user(monkeypatch, hostile.parents[1])
    outcome = host.restore(identifier, "two")
    assert own.read_text() == "theirs"
    assert [conflict["path"] for conflict in outcome["conflicts"]] == [str(hostile)]
