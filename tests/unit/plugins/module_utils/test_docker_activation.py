# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disruption plan: what is done, what it costs, and what is left because it costs more than allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    ALLOWED,
    Activation,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EFFECTS,
    UNIT_KEY,
    EngineState,
    RunningContainer,
    WrittenKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from hypothesis import given
from hypothesis import strategies as st

WEB = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
JOB = RunningContainer("b" * 64, "job", 813, 4712, auto_remove=True)
STATE = EngineState(
    version="26.1.5", started_at=1000.0, reloaded_at=None, live_restore=False, swarm=False, containers=(WEB,)
)
SURVIVING = replace(STATE, live_restore=True)
STOPPED = EngineState("0", None, None, live_restore=False, swarm=False, containers=())


def _key(
    name: str,
    since: float | None = None,
    *,
    in_force: bool = False,
    differs: bool = False,
    removed: bool = False,
    foreign: bool = False,
) -> WrittenKey:
    return WrittenKey(name, since, in_force=in_force, differs=differs, removed=removed, foreign=foreign)


def _decide(
    state: EngineState, *keys: WrittenKey, live_restore: bool = True, allow: str = "restart"
) -> Activation:
    return decide(state, keys, live_restore_wanted=live_restore, allow=allow)


def _effects(activation: Activation) -> dict[str, str]:
    return {effect.key: effect.effect for effect in activation.effects}


def test_live_restore_comes_by_reload_before_the_one_restart() -> None:
    activation = _decide(STATE, _key("live-restore"), _key("log-opts"), _key("no-new-privileges"))
    assert activation.steps == ("reload", "await_live_restore", "restart")
    assert activation.settled == ("live-restore", "log-opts", "no-new-privileges")
    assert activation.pending == {}
    assert activation.stops == ()
    assert _effects(activation) == {
        "live-restore": "reload",
        "log-opts": "new_containers",
        "no-new-privileges": "new_containers",
    }


def test_live_restore_that_somebody_else_wrote_is_switched_on_before_the_restart_too() -> None:
    activation = _decide(STATE, _key("log-opts"), _key("live-restore", foreign=True))
    assert activation.steps == ("reload", "await_live_restore", "restart")
    assert activation.settled == ("log-opts",)


def test_live_restore_alone_needs_no_restart() -> None:
    assert _decide(STATE, _key("live-restore")).steps == ("reload", "await_live_restore")


@pytest.mark.parametrize("name", ["live-restore", "log-opts"])
def test_what_is_in_force_anyway_needs_nothing(name: str) -> None:
    activation = _decide(SURVIVING, _key(name, in_force=True))
    assert (activation.steps, activation.settled) == ((), (name,))
    assert _effects(activation) == {name: "none"}


def test_a_measured_difference_needs_the_restart_whenever_it_was_written() -> None:
    assert _decide(SURVIVING, _key("no-new-privileges", 1.0, differs=True)).steps == ("restart",)


def test_bridge_options_wait_for_the_last_container() -> None:
    activation = _decide(SURVIVING, _key("icc"))
    assert activation.steps == activation.settled == ()
    assert activation.pending["icc"].startswith(
        "takes effect at the engine's next start without containers; running: web"
    )
    assert _effects(activation) == {"icc": "without_containers"}
    assert _decide(replace(SURVIVING, containers=()), _key("icc", 1.0, differs=True)).steps == ("restart",)


def test_other_keys_are_not_held_up_by_bridge_options() -> None:
    activation = _decide(SURVIVING, _key("icc"), _key("log-opts"))
    assert activation.steps == ("restart",)
    assert list(activation.pending) == ["icc"]
    assert activation.settled == ("log-opts",)


def test_bridge_options_come_by_stopping_every_container_where_that_is_allowed() -> None:
    state = replace(SURVIVING, containers=(WEB, JOB))
    activation = _decide(state, _key("icc"), allow="stop_containers")
    assert activation.steps == ("stop_containers", "restart", "start_containers")
    assert [(stop.container.name, stop.started_again) for stop in activation.stops] == [
        ("job", False),
        ("web", True),
    ]
    assert activation.pending == {}


@pytest.mark.parametrize(
    ("state", "live_restore", "reason"),
    [
        (STATE, False, "live-restore is off"),
        (STATE, True, "live-restore is off"),
        (SURVIVING, False, "live-restore is off"),
        (replace(SURVIVING, swarm=True), True, "the engine is in a swarm"),
        (
            replace(SURVIVING, version="20.10.24", containers=(WEB, JOB)),
            True,
            "20.10.24 loses containers run with --rm, so that a restart would stop: job",
        ),
        (replace(SURVIVING, installed_version="28.5.2"), True, "28.5.2 is installed and 26.1.5 runs"),
    ],
)
def test_no_restart_that_ends_containers(state: EngineState, live_restore: bool, reason: str) -> None:
    activation = _decide(state, _key("log-opts"), live_restore=live_restore)
    assert activation.steps == ()
    assert reason in activation.pending["log-opts"]
    assert "docker_engine_allow: stop_containers" in activation.pending["log-opts"]
    assert _effects(activation) == {"log-opts": "stop_containers"}


def test_a_restart_that_ends_containers_stops_them_by_name_first_where_that_is_allowed() -> None:
    activation = _decide(STATE, _key("log-opts"), live_restore=False, allow="stop_containers")
    assert activation.steps == ("stop_containers", "restart", "start_containers")
    assert [(stop.container.name, stop.why) for stop in activation.stops] == [("web", "live-restore is off")]


def test_reload_alone_allows_no_restart_and_still_does_the_rest() -> None:
    activation = _decide(STATE, _key("live-restore"), _key("log-opts"), allow="reload")
    assert activation.steps == ("reload", "await_live_restore")
    assert activation.settled == ("live-restore",)
    assert activation.pending["log-opts"].startswith("needs a restart of the engine")


@pytest.mark.parametrize("allow", ["reload", "restart", "stop_containers"])
def test_moving_data_takes_a_permission_of_its_own(allow: str) -> None:
    activation = _decide(SURVIVING, _key("userns-remap"), allow=allow)
    assert activation.steps == ()
    assert activation.pending["userns-remap"].startswith("moves the engine's data")


def test_moved_data_comes_after_the_last_container_is_proven_to_be_gone() -> None:
    activation = _decide(SURVIVING, _key("userns-remap"), _key("icc"), allow="move_data")
    assert activation.steps == ("stop_containers", "prove_none_left", "restart")
    assert [(stop.container.name, stop.started_again) for stop in activation.stops] == [("web", False)]
    assert activation.settled == ("userns-remap", "icc")


def test_without_containers_their_absence_is_still_proven() -> None:
    activation = _decide(replace(SURVIVING, containers=()), _key("data-root"), allow="move_data")
    assert activation.steps == ("prove_none_left", "restart")


def test_no_restart_brings_somebody_elses_moved_data_along() -> None:
    keys = (_key("log-opts"), _key("userns-remap", foreign=True))
    activation = _decide(SURVIVING, *keys)
    assert activation.steps == ()
    assert "would also bring userns-remap into force" in activation.pending["log-opts"]
    assert "userns-remap" not in activation.pending
    assert _decide(SURVIVING, *keys, allow="move_data").steps == (
        "stop_containers",
        "prove_none_left",
        "restart",
    )


def test_a_swarm_is_left_before_anything_that_takes_a_start_without_containers() -> None:
    swarm = replace(STATE, swarm=True)
    for name in ("icc", "userns-remap"):
        activation = _decide(swarm, _key(name), live_restore=False, allow="move_data")
        assert activation.steps == ()
        assert "leave the swarm first" in activation.pending[name]


def test_a_swarm_starts_its_tasks_itself() -> None:
    swarm = replace(STATE, swarm=True, containers=(WEB, replace(JOB, auto_remove=False, swarm_task=True)))
    activation = _decide(swarm, _key("log-opts"), live_restore=False, allow="stop_containers")
    assert [(stop.container.name, stop.started_again) for stop in activation.stops] == [
        ("job", False),
        ("web", True),
    ]


def test_live_restore_that_is_given_back_never_restarts_under_containers() -> None:
    activation = _decide(SURVIVING, _key("live-restore", removed=True), _key("log-opts"), live_restore=False)
    assert activation.steps == ()
    assert sorted(activation.pending) == ["live-restore", "log-opts"]


def test_the_units_own_files_are_read_by_systemd_first() -> None:
    state = replace(SURVIVING, needs_daemon_reload=True)
    assert _decide(state, _key(UNIT_KEY)).steps == ("daemon_reload", "restart")
    assert _decide(state, _key("labels")).steps == ("daemon_reload", "reload")
    assert _decide(state, _key("labels", in_force=True)).steps == ()


def test_withheld_keys_are_shown_with_what_they_would_cost() -> None:
    activation = decide(
        SURVIVING,
        [_key("log-opts"), _key("userns-remap", in_force=True)],
        live_restore_wanted=True,
        withheld={"userns-remap": "it was not written"},
    )
    assert activation.steps == ("restart",)
    assert activation.pending == {"userns-remap": "it was not written"}
    assert activation.settled == ("log-opts",)
    assert _effects(activation)["userns-remap"] == "move_data"


def test_without_containers_nothing_is_in_the_way() -> None:
    state = replace(STATE, containers=(), swarm=True)
    assert _decide(state, _key("log-opts"), _key("icc"), live_restore=False).steps == ("restart",)


def test_an_engine_that_does_not_run_is_left_alone() -> None:
    activation = _decide(STOPPED, _key("live-restore"), _key("log-opts"), _key("icc", foreign=True))
    assert activation.steps == ()
    assert all("does not run" in reason for reason in activation.pending.values())
    assert sorted(activation.pending) == ["live-restore", "log-opts"]


def test_the_plan_says_what_a_key_reaches() -> None:
    reasons = {
        effect.key: effect.reason
        for effect in _decide(SURVIVING, _key("no-new-privileges"), _key("seccomp-profile")).effects
    }
    assert reasons["no-new-privileges"].endswith("only containers created afterwards get it")
    assert reasons["seccomp-profile"].endswith("containers get it at their next start")


STATES = st.builds(
    EngineState,
    version=st.sampled_from(["20.10.24", "26.1.5", "28.5.2"]),
    started_at=st.just(1000.0),
    reloaded_at=st.none(),
    live_restore=st.booleans(),
    swarm=st.booleans(),
    containers=st.sampled_from([(), (WEB,), (WEB, JOB)]),
    installed_version=st.sampled_from([None, "26.1.5", "28.5.2"]),
)
KEYS = st.lists(
    st.builds(
        WrittenKey,
        name=st.sampled_from([*DOCKER_KEYS, UNIT_KEY]),
        since=st.sampled_from([None, 1.0, 2000.0]),
        in_force=st.booleans(),
        differs=st.booleans(),
        removed=st.booleans(),
        foreign=st.booleans(),
    ),
    unique_by=lambda key: key.name,
)


@given(STATES, KEYS, st.booleans(), st.sampled_from(ALLOWED))
def test_every_plan_keeps_the_promises(
    state: EngineState, keys: list[WrittenKey], live_restore: bool, allow: str
) -> None:
    activation = decide(state, keys, live_restore_wanted=live_restore, allow=allow)
    ours = sorted(key.name for key in keys if not key.foreign)
    assert sorted([*activation.settled, *activation.pending]) == ours
    assert sorted(effect.key for effect in activation.effects) == ours
    assert {effect.effect for effect in activation.effects} <= set(EFFECTS)
    if "restart" in activation.steps:
        assert allow != "reload"
    if allow in ("reload", "restart"):
        assert activation.stops == (), "a container stops without permission"
        # and none is lost silently: a restart happens only where live-restore holds
        if "restart" in activation.steps and state.containers:
            assert live_restore and not state.swarm
            assert state.live_restore or activation.steps[:2] == ("reload", "await_live_restore")
    moving = [key for key in keys if key.name in ("userns-remap", "data-root") and not key.in_force]
    if any(key.since is None for key in moving) and "restart" in activation.steps:
        assert allow == "move_data" and "prove_none_left" in activation.steps
        assert {stop.container for stop in activation.stops} == set(state.containers)
