# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of effects: what brings a key into force, whom it reaches, what a restart costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _docker_effects as effects
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    UNIT_KEY,
    EngineState,
    RunningContainer,
    WrittenKey,
    activation_of,
    losses_of_restart,
    need_of,
    reach_of,
    upgrade_pending,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS

WEB = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
JOB = RunningContainer("b" * 64, "job", 813, 4712, auto_remove=True)
STATE = EngineState("26.1.5", 1000.0, None, live_restore=True, swarm=False, containers=(WEB, JOB))


def test_the_table_names_only_keys_that_there_are() -> None:
    named = (
        effects._WITHOUT_CONTAINERS
        | effects._AT_CREATION
        | effects._AT_START
        | effects._AT_NETWORK
        | effects._RESET_BY_RELOAD
        | {name.partition(".")[0] for name in effects.MOVES_DATA}
    )
    assert named - DOCKER_KEYS.keys() == set()
    assert all(DOCKER_KEYS[name].reloadable for name in effects._RESET_BY_RELOAD)
    classes = (effects._WITHOUT_CONTAINERS, effects._AT_CREATION, effects._AT_START, effects._AT_NETWORK)
    assert sum(map(len, classes)) == len(frozenset().union(*classes)), "a key stands in two classes"


def test_the_posture_holds_what_moves_data_and_what_takes_a_start_without_containers() -> None:
    costly = effects._WITHOUT_CONTAINERS | {name.partition(".")[0] for name in effects.MOVES_DATA}
    assert {name for name in costly if not DOCKER_KEYS[name].audited} == set()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("live-restore", "reload"),
        ("labels", "reload"),
        ("default-cgroupns-mode", "reload"),
        ("no-new-privileges", "restart"),
        ("log-opts", "restart"),
        ("hosts", "restart"),
        (UNIT_KEY, "restart"),
        ("icc", "without_containers"),
        ("ip", "without_containers"),
        ("default-address-pools", "without_containers"),
        ("userns-remap", "move_data"),
        ("data-root", "move_data"),
        ("exec-root", "move_data"),
        ("storage-driver", "move_data"),
        ("authorization-plugins", "restart"),
    ],
)
def test_what_brings_a_key_into_force(name: str, kind: str) -> None:
    assert activation_of(name, "26.1.5") == kind


@pytest.mark.parametrize(
    ("name", "version", "kind"),
    [
        ("live-restore", "26.1.5", "restart"),
        ("insecure-registries", "20.10.24", "restart"),
        ("default-runtime", "28.5.2", "restart"),
        ("features", "26.1.5", "reload"),
        ("max-concurrent-downloads", "20.10.24", "reload"),
        ("authorization-plugins", "28.5.2", "restart"),
        ("network-diagnostic-port", "28.5.2", "reload"),
        ("network-diagnostic-port", "29.1.0", "restart"),
    ],
)
def test_a_reload_does_not_see_most_keys_that_are_gone(name: str, version: str, kind: str) -> None:
    assert activation_of(name, version, removed=True) == kind


def test_a_feature_that_changes_the_image_store_moves_data() -> None:
    assert activation_of("features", "26.1.5", parts=("cdi",)) == "reload"
    assert activation_of("features", "26.1.5", parts=("cdi", "containerd-snapshotter")) == "move_data"


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("no-new-privileges", "created"),
        ("log-driver", "created"),
        ("default-runtime", "created"),
        ("default-ulimits", "started"),
        ("seccomp-profile", "started"),
        ("default-network-opts", "networks"),
        ("live-restore", "engine"),
        ("userland-proxy", "engine"),
    ],
)
def test_whom_a_value_reaches(name: str, reach: str) -> None:
    assert reach_of(name) == reach


def _need(name: str, state: EngineState = STATE, **key: object) -> str:
    fields: dict[str, object] = {"since": None, "in_force": False, "differs": False, **key}
    return need_of(WrittenKey(name, **fields), state)  # type: ignore[arg-type]


def test_effects_follow_the_values_in_force_and_not_the_file() -> None:
    assert _need("no-new-privileges", in_force=True) == "none"
    assert _need("no-new-privileges") == "restart"
    assert _need("icc", replace(STATE, started_at=None)) == "none"


@pytest.mark.parametrize(("since", "need"), [(999.9, "none"), (1000.1, "restart")])
def test_a_key_counts_from_the_start_of_the_daemon(since: float, need: str) -> None:
    assert _need("log-opts", since=since) == need
    assert _need("log-opts", since=since, differs=True) == "restart"


@pytest.mark.parametrize(
    ("began", "need"),
    [(999.9, "without_containers"), (None, "without_containers"), (1000.1, "none")],
)
def test_a_start_under_containers_left_the_default_bridge_as_it_was(began: float | None, need: str) -> None:
    after = replace(WEB, started_at=1500.0)
    state = replace(STATE, containers=(after, replace(JOB, started_at=began)))
    for name in sorted(effects._WITHOUT_CONTAINERS):
        assert _need(name, state, since=999.0) == need
    assert _need("mtu", replace(state, containers=()), since=999.0) == "none"
    assert _need("log-opts", state, since=999.0) == "none"


@pytest.mark.parametrize(("since", "need"), [(1500.9, "none"), (1501.1, "reload")])
def test_a_reloadable_key_counts_from_the_end_of_the_second_of_the_reload(since: float, need: str) -> None:
    assert _need("labels", replace(STATE, reloaded_at=1500.0), since=since) == need


@pytest.mark.parametrize(
    ("state", "live_restore", "lost", "why"),
    [
        (STATE, True, [], ""),
        (STATE, False, ["job", "web"], "live-restore is off"),
        (replace(STATE, swarm=True), True, ["job", "web"], "swarm"),
        (replace(STATE, version="20.10.24"), True, ["job"], "20.10.24 loses containers run with --rm"),
        (replace(STATE, version="23.0.1"), True, [], ""),
        (replace(STATE, installed_version="26.1.9"), True, [], ""),
        (replace(STATE, installed_version="27.0.1"), True, ["job", "web"], "27.0.1 is installed and 26.1.5"),
        (replace(STATE, installed_version="26.2.0"), True, ["job", "web"], "across minor versions"),
        (replace(STATE, swarm=True, containers=()), False, [], ""),
    ],
)
def test_which_containers_a_restart_ends(
    state: EngineState, live_restore: bool, lost: list[str], why: str
) -> None:
    losses = losses_of_restart(state, live_restore=live_restore)
    assert [loss.container.name for loss in losses] == lost
    assert all(why in loss.why for loss in losses)


def test_an_upgrade_waits_only_for_an_engine_that_runs() -> None:
    assert upgrade_pending(replace(STATE, installed_version="28.5.2+dfsg1"))
    assert not upgrade_pending(replace(STATE, installed_version="28.5.2", started_at=None))
    assert not upgrade_pending(STATE)
