# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disruption plan from a posture and a prediction, and its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.docker_engine import (
    docker_engine_plan,
    docker_engine_plan_table,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_plan import engine_state

FIXTURES = Path(__file__).parents[2] / "fixtures"
DROP_IN = "/etc/systemd/system/docker.service.d/50-bulkhead.conf"


@pytest.fixture
def posture() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "posture_careless.json").read_text(encoding="utf-8"))
    return document


def _file(path: str, changes: dict[str, str], *, gone: bool = False) -> dict[str, Any]:
    return {
        "path": path,
        "changed": bool(changes),
        "keys": [{"key": key.split("."), "why": why, "gone": gone} for key, why in changes.items()],
        "owned": [{"key": key.split("."), "time": None} for key, why in changes.items() if why == "set"],
        "kept": [],
    }


def _plan(
    posture: dict[str, Any],
    keys: dict[str, Any],
    *,
    pending: dict[str, str] | None = None,
    changes: dict[str, str] | None = None,
    gone: bool = False,
    files: list[dict[str, Any]] | None = None,
    allow: str = "restart",
    impossible: dict[str, str] | None = None,
) -> dict[str, Any]:
    wanted = {"path": "/etc/docker/daemon.json", "keys": keys, "at_least": [], "pending": pending or {}}
    wanted["impossible"] = impossible or {}
    changed = dict.fromkeys(keys, "set") if changes is None else changes
    configured = {"files": [*(files or []), _file("/etc/docker/daemon.json", changed, gone=gone)]}
    return docker_engine_plan(posture, wanted=wanted, configured=configured, allow=allow)


def _effects(plan: dict[str, Any]) -> dict[str, str]:
    return {entry["key"]: entry["effect"] for entry in plan["effects"]}


def test_the_state_is_that_of_the_rootful_engine(posture: dict[str, Any]) -> None:
    state = engine_state(posture)
    assert state.version == "26.1.5"
    assert [(container.name, container.pid, container.start_ticks) for container in state.containers] == [
        ("web", 853, 12796),
        ("agent", 923, 14009),
    ]
    assert not state.live_restore
    assert not state.swarm
    posture["docker"]["running"] = False
    assert engine_state(posture).started_at is None


def test_a_key_of_the_default_bridge_waits_for_a_start_without_containers(posture: dict[str, Any]) -> None:
    """Written before the daemon started, and a container runs since before that."""
    entry = {"key": ["mtu"], "time": "2026-11-23T16:00:00.000000Z"}
    file = {**_file("/etc/docker/daemon.json", {}), "owned": [entry]}
    wanted = {"path": file["path"], "keys": {"mtu": 1400}, "at_least": [], "pending": {}, "impossible": {}}
    options = {"wanted": wanted, "configured": {"files": [file]}}
    assert _effects(docker_engine_plan(posture, **options)) == {"mtu": "none"}
    posture["containers"][0]["init"]["started_at"] = "2026-11-23T16:11:34Z"
    assert list(docker_engine_plan(posture, **options)["pending"]) == ["mtu"]


def test_a_container_that_hides_its_processes_still_counts(posture: dict[str, Any]) -> None:
    posture["containers"][0].update(init={"unreadable": "it ended"}, record={"unreadable": "no answer"})
    assert [container.name for container in engine_state(posture).containers] == ["web", "agent"]
    assert engine_state(posture).containers[0].start_ticks is None


def test_an_upgrade_that_waits_is_seen(posture: dict[str, Any]) -> None:
    posture["docker"]["installed_version"] = "28.5.2"
    plan = _plan(posture, {"live-restore": True, "no-new-privileges": True})
    assert _effects(plan)["no-new-privileges"] == "stop_containers"
    posture["docker"]["installed_version"] = {"unreadable": "no answer"}
    assert engine_state(posture).installed_version is None


def test_each_changed_key_has_its_effect(posture: dict[str, Any]) -> None:
    plan = _plan(
        posture,
        {"live-restore": True, "no-new-privileges": True, "icc": False, "iptables": True},
        pending={"userns-remap": "it was not written"},
    )
    assert _effects(plan) == {
        "icc": "without_containers",
        "iptables": "none",
        "live-restore": "reload",
        "no-new-privileges": "new_containers",
        "userns-remap": "move_data",
    }
    assert plan["steps"] == ["reload", "await_live_restore", "restart"]
    assert sorted(plan["pending"]) == ["icc", "userns-remap"]
    assert plan["stops"] == []


def test_allowing_more_does_more(posture: dict[str, Any]) -> None:
    plan = _plan(posture, {"live-restore": True, "icc": False}, allow="stop_containers")
    assert plan["steps"][-3:] == ["stop_containers", "restart", "start_containers"]
    assert [stop["name"] for stop in plan["stops"]] == ["agent", "web"]
    assert plan["pending"] == {}
    with pytest.raises(AnsibleFilterError, match="accepted are: reload, restart, stop_containers, move_data"):
        _plan(posture, {}, allow="everything")


def test_what_somebody_else_left_pending_comes_along_with_a_restart(posture: dict[str, Any]) -> None:
    posture["docker"]["settings"]["userns-remap"].update(configured="default", origin="file", proof="pending")
    plan = _plan(posture, {"live-restore": True, "no-new-privileges": True})
    assert plan["steps"] == ["reload", "await_live_restore"]
    assert "would also bring userns-remap into force" in plan["pending"]["no-new-privileges"]


@pytest.mark.parametrize(
    ("name", "configured", "origin", "mover"),
    [
        ("exec-root", "/run/elsewhere", "file", "exec-root"),
        (
            "features",
            {"cdi": True, "containerd-snapshotter": True},
            "file",
            "features.containerd-snapshotter",
        ),
        ("features", {"cdi": True}, "file", None),
        ("exec-root", "/var/run/docker", "default", None),
    ],
)
def test_a_move_that_somebody_else_wrote_counts_also_where_nothing_shows_it(
    posture: dict[str, Any], name: str, configured: Any, origin: str, mover: str | None
) -> None:
    unseen = {"value": {"unreadable": "changed since"}, "proof": "pending"}
    posture["docker"]["settings"][name].update(configured=configured, origin=origin, **unseen)
    plan = _plan(posture, {"live-restore": True, "no-new-privileges": True})
    assert ("restart" in plan["steps"]) is (mover is None)
    assert mover is None or f"bring {mover} into force" in plan["pending"]["no-new-privileges"]
    if mover is not None:
        change = {"live-restore": "set", mover: "set"}
        plan = _plan(posture, {"live-restore": True, name: configured}, changes=change, allow="move_data")
        assert "prove_none_left" in plan["steps"]
        assert name in _effects(plan)


def test_a_changed_drop_in_needs_a_restart(posture: dict[str, Any]) -> None:
    plan = _plan(posture, {"live-restore": True}, files=[_file(DROP_IN, {"Service.ExecStart": "set"})])
    assert _effects(plan) == {"live-restore": "reload", "docker.service": "restart"}


def test_live_restore_that_is_given_back_is_no_reload(posture: dict[str, Any]) -> None:
    posture["docker"]["settings"]["live-restore"].update(value=True, configured=True, origin="file")
    plan = _plan(posture, {}, changes={"live-restore": "released"}, gone=True)
    assert _effects(plan) == {"live-restore": "stop_containers"}
    assert plan["steps"] == []
    plan = _plan(posture, {}, changes={"live-restore": "released"}, gone=False)
    assert _effects(plan) == {"live-restore": "reload"}


def test_what_the_engine_does_to_other_bridges_stands_in_the_plan(posture: dict[str, Any]) -> None:
    bridge = {"name": "virbr0", "nf_call_iptables": False, "nf_call_ip6tables": False}
    posture["docker"]["other_bridges"] = [bridge]
    plan = _plan(posture, {"icc": False})
    assert any("virbr0" in effect["reaches"] for effect in plan["side_effects"])
    assert "side effect of icc on virbr0" in docker_engine_plan_table(plan)
    assert _plan(posture, {"no-new-privileges": True})["side_effects"] == []


def test_the_table_has_a_line_per_key_then_the_steps_and_what_waits(posture: dict[str, Any]) -> None:
    plan = _plan(posture, {"live-restore": True, "no-new-privileges": True, "icc": False})
    lines = docker_engine_plan_table(plan).splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["icc", "without_containers"],
        ["live-restore", "reload"],
        ["no-new-privileges", "new_containers"],
    ]
    assert lines[3:6] == [
        "step 1: reload docker.service",
        "step 2: wait until the engine says that live-restore is on",
        "step 3: restart docker.service",
    ]
    assert lines[6].startswith("pending icc: takes effect at")


def test_a_plan_of_nothing_says_so(posture: dict[str, Any]) -> None:
    assert docker_engine_plan_table(_plan(posture, {"iptables": True})) == (
        "Nothing changes, and no container is touched."
    )


def test_the_table_says_what_becomes_of_stopped_containers(posture: dict[str, Any]) -> None:
    posture["containers"][0]["record"]["auto_remove"] = True
    table = docker_engine_plan_table(_plan(posture, {"icc": False}, allow="stop_containers"))
    assert "stops agent: icc takes effect only at a start without containers; it is started again" in table
    assert "stops web: icc takes effect only at a start without containers; it is not started again" in table


def test_a_task_of_the_swarm_is_not_started_again(posture: dict[str, Any]) -> None:
    posture["docker"]["info"]["swarm"] = "active"
    posture["containers"][0]["record"]["swarm_task"] = True
    plan = _plan(posture, {"no-new-privileges": True}, allow="stop_containers")
    assert {stop["name"]: stop["started_again"] for stop in plan["stops"]} == {"web": False, "agent": True}


def test_a_key_that_the_engine_cannot_have_stands_in_the_plan_with_the_rule(posture: dict[str, Any]) -> None:
    rule = "the logging driver is journald, which these options are not for"
    plan = _plan(posture, {"live-restore": True}, impossible={"log-opts.max-size": rule})
    assert _effects(plan) == {"live-restore": "reload", "log-opts.max-size": "impossible"}
    assert "log-opts.max-size" not in plan["pending"]
    line = next(line for line in docker_engine_plan_table(plan).splitlines() if line.startswith("log-opts"))
    assert line.split(maxsplit=2)[1:] == ["impossible", f"not written: {rule}"]
