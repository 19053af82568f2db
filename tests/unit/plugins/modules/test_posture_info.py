# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's documentation and witnesses against postures recorded on real machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_cgroups, _posture
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture import (
    PARTS,
    WITNESSES,
    collect_posture,
)
from ansible_collections.bulkhead.hardening.plugins.modules import posture_info
from unit.fake_containers import status_text
from unit.fake_docker import CONTAINER, FakeDocker
from unit.fake_system import FakeSystem

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECORDED = ("posture_careless.json", "posture_hardened.json")
# Maps whose names are data: the document says what they map, not each name.
MAPS = {
    "docker.settings.configured",
    "docker.settings.value",
    "witnesses",
    "bulkhead.open_checkpoint.holder",
    "kernel.config.options",
    "kernel.apparmor.profiles",
    "kernel.modules",
    "kernel.sysctls",
    "docker.flags.now",
    "docker.flags.next",
    "podman.settings",
    "rootless.sysctls",
    "rootless.users[].podman.settings",
    "rootless.users[].docker.settings",
}
FACTLESS = ({"unreadable"}, {"not_applicable"})


EACH_SETTING = "docker.settings[]"


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return document


def documented(fields: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Path of each field in RETURN to its entry; `[]` after a list."""
    found = {}
    for name, entry in fields.items():
        here = f"{path}.{name}" if path else name
        found[here] = entry
        below = here + ("[]" if entry["type"] == "list" else "")
        found.update(documented(entry.get("contains", {}), below))
    return found


RETURNED = documented(yaml.safe_load(posture_info.RETURN)["posture"]["contains"])


def facts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path of every fact in a posture with its value, branches and leaves."""
    if path:
        yield path, value
    if isinstance(value, dict) and path not in MAPS and set(value) not in FACTLESS:
        for name, below in value.items():
            yield from facts(below, canonical(path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for below in value:
            yield from facts(below, f"{path}[]")


def canonical(path: str, name: str) -> str:
    """The path of a field; every setting and every file has the fields of the one that is documented."""
    if path == "docker.settings":
        return EACH_SETTING
    if path == EACH_SETTING:
        return f"docker.settings.{name}"
    if path.startswith("docker.audit.paths."):
        return f"docker.audit.paths.dockerd.{name}"
    if path.startswith("docker.files."):
        return f"docker.files.service_unit.{name}"
    return f"{path}.{name}" if path else name


def witness_of(path: str) -> str | None:
    """The longest name that begins the path, as a whole word."""
    names = [name for name in WITNESSES if path == name or path.startswith((f"{name}.", f"{name}[]"))]
    return WITNESSES[max(names, key=len)] if names else None


@pytest.mark.parametrize("name", RECORDED)
def test_every_fact_is_documented_with_its_type(name: str) -> None:
    accepted = {
        "str": str,
        "int": int,
        "float": (int, float),
        "bool": bool,
        "list": list,
        "dict": dict,
        "raw": object,
    }
    for path, value in facts(recorded(name)):
        if path.endswith("[]"):
            continue
        assert path in RETURNED, path
        if value is not None and not (isinstance(value, dict) and set(value) in FACTLESS):
            assert isinstance(value, accepted[RETURNED[path]["type"]]), path


def test_every_documented_field_is_real() -> None:
    seen = {path for name in RECORDED for path, _value in facts(recorded(name))}
    below_seen = {path for path in RETURNED if path.rpartition(".")[0] in seen or "." not in path}
    assert below_seen - seen == set()


@pytest.mark.parametrize("name", RECORDED)
def test_every_fact_has_a_witness(name: str) -> None:
    every = list(facts(recorded(name)))
    branches = {path.rpartition(".")[0] for path, _value in every}
    without = [path for path, _value in every if path not in branches and witness_of(path) is None]
    assert without == []


def test_every_witness_is_of_a_documented_fact() -> None:
    assert [name for name in WITNESSES if name not in RETURNED] == []


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.local("/proc").mkdir()
    return system


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_not_wanted_is_null_and_not_read(system: FakeSystem, part: str) -> None:
    posture = collect_posture(system, [part])
    others = set(PARTS) - {part}
    assert posture[part] is not None
    assert [name for name in others if posture[name] is not None] == []
    if part == "host":
        assert system.ran == [("systemd-detect-virt",)]


def test_a_host_of_which_nothing_can_be_read_still_has_a_posture(system: FakeSystem) -> None:
    posture = collect_posture(system)
    assert "unreadable" in posture["kernel"]["release"]
    assert "unreadable" in posture["containers"]
    assert posture["rootless_engines"] == posture["containers"]
    assert posture["docker"]["unlisted_containers"] == []


@pytest.mark.parametrize(
    ("cgroup", "uid", "unlisted"),
    [
        (f"/system.slice/docker-{CONTAINER}.scope", 0, []),
        (f"/system.slice/docker-{'a' * 64}.scope", 0, ["a" * 64]),
        (f"/docker/{'a' * 64}", 0, ["a" * 64]),
        (f"/user.slice/user-1000.slice/docker-{'a' * 64}.scope", 0, []),
        (f"/system.slice/docker-{'a' * 64}.scope", 1000, []),
        (f"/system.slice/docker-{CONTAINER}.scope/docker/{'a' * 64}", 0, []),
        (f"/machine.slice/libpod-{'a' * 64}.scope", 0, []),
    ],
)
def test_containers_that_the_engine_does_not_list(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch, cgroup: str, uid: int, unlisted: list[str]
) -> None:
    docker = FakeDocker(system)
    docker.install()
    docker.start()
    container = {
        "cgroup": cgroup,
        "uid": uid,
        "engine": "unknown",
        "user": "x",
        "mounts": [],
        "unlisted_by": "docker",
        "init": {"pid": 900, "start_ticks": 100},
    }
    system.add_process(900)
    monkeypatch.setattr(_docker_cgroups, "ASK_AGAIN_SECONDS", 0)
    monkeypatch.setattr(_posture, "collect_containers", lambda _system, docker_records: [container])
    with docker.listen():
        posture = collect_posture(system, ["docker", "containers"])
    assert posture["docker"]["unlisted_containers"] == unlisted


@pytest.mark.parametrize(("start_ticks", "listed_by_now"), [(101, False), (100, True)])
def test_a_container_that_ended_or_was_being_started_is_none_that_is_hidden(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch, start_ticks: int, listed_by_now: bool
) -> None:
    docker = FakeDocker(system)
    docker.install()
    docker.start()
    system.add_process(900, start_ticks=start_ticks)
    container = {
        "cgroup": f"/system.slice/docker-{'a' * 64}.scope",
        "uid": 0,
        "engine": "unknown",
        "user": "root",
        "mounts": [],
        "unlisted_by": "docker",
        "init": {"pid": 900, "start_ticks": 100},
    }

    def collect(_system: object, docker_records: object) -> list[dict[str, Any]]:
        if listed_by_now:
            docker.answers["/containers/json"] = [{"Id": CONTAINER}, {"Id": "a" * 64}]
        return [container]

    monkeypatch.setattr(_posture, "collect_containers", collect)
    monkeypatch.setattr(_docker_cgroups, "ASK_AGAIN_SECONDS", 0)
    with docker.listen():
        posture = collect_posture(system, ["docker", "containers"])
    assert posture["docker"]["unlisted_containers"] == []
    assert container["unlisted_by"] is None


def test_an_unlisted_container_in_a_cgroup_that_does_not_name_docker_is_seen(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = FakeDocker(system)
    docker.install()
    docker.start()
    shim = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "a" * 64]
    system.add_process(
        70,
        comm="containerd-shim",
        cmdline="\0".join(shim),
        cgroup="0::/system.slice/x\n",
        status=status_text(pid=70),
    )
    system.add_process(900, cgroup=f"0::/custom/{'a' * 64}\n")
    monkeypatch.setattr(_posture, "collect_containers", lambda _system, docker_records: [])
    monkeypatch.setattr(_docker_cgroups, "ASK_AGAIN_SECONDS", 0)
    with docker.listen():
        posture = collect_posture(system, ["docker", "containers"])
    assert posture["docker"]["unlisted_containers"] == ["a" * 64]


def test_an_engine_that_does_not_run_is_not_asked_again(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = FakeDocker(system)
    docker.install()
    container = {
        "cgroup": f"/docker/{'a' * 64}",
        "uid": 0,
        "engine": "unknown",
        "user": "root",
        "mounts": [],
        "unlisted_by": "docker",
    }
    monkeypatch.setattr(_posture, "collect_containers", lambda _system, docker_records: [container])
    with docker.listen():
        posture = collect_posture(system, ["docker", "containers"])
    assert posture["docker"]["unlisted_containers"] == ["a" * 64]
    assert docker.requests == []


def test_the_containers_that_hold_the_socket_are_joined(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = FakeDocker(system)
    docker.install()
    docker.start()
    container = {
        "cgroup": "/",
        "uid": 0,
        "engine": "docker",
        "user": "root",
        "name": "agent",
        "short_id": "2e9c42ea36cf",
        "mounts": [{"sensitive": "engine_socket"}],
        "unlisted_by": None,
        "namespaces": {"net": "private"},
        "record": None,
    }
    monkeypatch.setattr(_posture, "collect_containers", lambda _system, docker_records: [container])
    with docker.listen():
        posture = collect_posture(system, ["docker", "containers"])
    assert [holder["name"] for holder in posture["docker"]["socket_access"]["containers"]] == ["agent"]


def test_a_docker_that_cannot_be_looked_at_hides_nothing_else(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_system: object) -> None:
        raise PortError("systemctl: no end after 10 s")

    system.write("/proc/sys/kernel/hostname", "web1\n")
    monkeypatch.setattr(_posture, "collect_docker", fail)
    posture = collect_posture(system)
    assert posture["docker"] == {"unreadable": "systemctl: no end after 10 s"}
    assert posture["host"]["hostname"] == "web1"


def test_without_the_containers_it_is_not_known_which_are_unlisted(system: FakeSystem) -> None:
    docker = FakeDocker(system)
    docker.install()
    posture = collect_posture(system, ["docker"])
    assert "not gathered" in posture["docker"]["unlisted_containers"]["unreadable"]
    assert "not gathered" in posture["docker"]["socket_access"]["containers"]["unreadable"]


def test_the_module_returns_the_posture_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[list[str], dict[str, Any]]] = []

    def collect(_system: object, gather: list[str], **users: Any) -> dict[str, Any]:
        asked.append((gather, users))
        return {"schema_version": "1.0"}

    options = {"gather": ["host"], "users": ["amber"], "users_most": 3, "_ansible_check_mode": True}
    assert run_module(monkeypatch, capsys, collect, options) == {
        "changed": False,
        "posture": {"schema_version": "1.0"},
    }
    assert asked == [(["host"], {"users": ["amber"], "users_most": 3})]


def test_the_module_names_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def collect(_system: object, _gather: list[str], **_users: Any) -> dict[str, Any]:
        raise PortError("/proc: Permission denied")

    result = run_module(monkeypatch, capsys, collect, {})
    assert (result["failed"], result["msg"]) == (
        True,
        "The posture could not be read: /proc: Permission denied",
    )


def run_module(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    collect: Any,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    monkeypatch.setattr(posture_info, "collect_posture", collect)
    with patch_module_args(arguments), pytest.raises(SystemExit):
        posture_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.pop("invocation", None)
    return result
