# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to bring written keys into force, and what is left because it would end containers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    Activation,
    EngineState,
    RunningContainer,
    WrittenKey,
    decide,
)

WEB = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
STATE = EngineState(
    version="26.1.5", started_at=1000.0, reloaded_at=None, live_restore=False, swarm=False, containers=(WEB,)
)
SURVIVING = replace(STATE, live_restore=True)


def _key(
    name: str, since: float | None = None, *, in_force: bool = False, differs: bool = False
) -> WrittenKey:
    return WrittenKey(name, since, in_force=in_force, differs=differs)


def _decide(state: EngineState, *keys: WrittenKey, live_restore: bool = True) -> Activation:
    return decide(state, keys, live_restore_wanted=live_restore)


def test_live_restore_comes_by_reload_before_the_one_restart() -> None:
    activation = _decide(STATE, _key("live-restore"), _key("log-opts"), _key("no-new-privileges"))
    assert activation == Activation(
        reload=True,
        await_live_restore=True,
        restart=True,
        settled=("live-restore", "log-opts", "no-new-privileges"),
        pending={},
    )


def test_live_restore_alone_needs_no_restart() -> None:
    activation = _decide(STATE, _key("live-restore"))
    assert (activation.reload, activation.restart) == (True, False)


@pytest.mark.parametrize("name", ["live-restore", "log-opts"])
def test_what_is_in_force_anyway_needs_nothing(name: str) -> None:
    activation = _decide(SURVIVING, _key(name, in_force=True))
    assert (activation.reload, activation.restart, activation.settled) == (False, False, (name,))


@pytest.mark.parametrize(("since", "restart"), [(999.9, False), (1000.1, True), (None, True)])
def test_a_key_written_after_the_start_needs_the_restart(since: float | None, restart: bool) -> None:
    assert _decide(SURVIVING, _key("log-opts", since)).restart is restart


@pytest.mark.parametrize(("since", "reload"), [(999.9, False), (1500.9, False), (1501.1, True), (None, True)])
def test_a_key_written_after_the_last_reload_needs_another(since: float | None, reload: bool) -> None:
    assert _decide(replace(SURVIVING, reloaded_at=1500.0), _key("labels", since)).reload is reload


def test_a_measured_difference_needs_the_restart_whenever_it_was_written() -> None:
    assert _decide(SURVIVING, _key("no-new-privileges", 1.0, differs=True)).restart


def test_bridge_options_wait_for_the_last_container() -> None:
    activation = _decide(SURVIVING, _key("icc"))
    assert not activation.restart
    assert activation.settled == ()
    assert activation.pending == {
        "icc": "takes effect at the engine's next start without containers; running: web"
    }
    assert _decide(replace(SURVIVING, containers=()), _key("icc", 1.0, differs=True)).restart


def test_other_keys_are_not_held_up_by_bridge_options() -> None:
    activation = _decide(SURVIVING, _key("icc"), _key("log-opts"))
    assert activation.restart
    assert list(activation.pending) == ["icc"]
    assert activation.settled == ("log-opts",)


@pytest.mark.parametrize(
    ("state", "live_restore", "reason"),
    [
        (STATE, False, "live-restore is off"),
        (STATE, True, "live-restore is off"),
        (SURVIVING, False, "live-restore is off"),
        (replace(SURVIVING, swarm=True), True, "the engine is in a swarm"),
        (
            replace(
                SURVIVING, version="20.10.24", containers=(WEB, replace(WEB, name="job", auto_remove=True))
            ),
            True,
            "20.10.24 loses containers run with --rm: job",
        ),
    ],
)
def test_no_restart_that_ends_containers(state: EngineState, live_restore: bool, reason: str) -> None:
    activation = _decide(state, _key("log-opts"), live_restore=live_restore)
    assert not activation.restart
    assert reason in activation.pending["log-opts"]


def test_giving_live_restore_back_never_restarts_under_containers() -> None:
    activation = _decide(SURVIVING, _key("live-restore"), _key("log-opts"), live_restore=False)
    assert (activation.reload, activation.await_live_restore, activation.restart) == (True, False, False)
    assert list(activation.pending) == ["log-opts"]


def test_without_containers_nothing_is_in_the_way() -> None:
    assert _decide(replace(STATE, containers=(), swarm=True), _key("log-opts"), live_restore=False).restart


def test_newer_engines_keep_containers_run_with_rm() -> None:
    assert _decide(replace(SURVIVING, containers=(replace(WEB, auto_remove=True),)), _key("log-opts")).restart


def test_an_engine_that_does_not_run_is_left_alone() -> None:
    stopped = EngineState("0", None, None, live_restore=False, swarm=False, containers=())
    activation = _decide(stopped, _key("live-restore"), _key("log-opts"))
    assert (activation.reload, activation.restart) == (False, False)
    assert all("does not run" in reason for reason in activation.pending.values())
    assert sorted(activation.pending) == ["live-restore", "log-opts"]
