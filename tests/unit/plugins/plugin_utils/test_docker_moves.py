# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys that leave the engine's data behind are written with permission only, and given back with it only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import MOVES_DATA
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_moves import moving_keys
from unit.plugins.plugin_utils.test_docker_profile import ENGINE

REMAP = "userns-remap"
LESS = ("reload", "restart", "stop_containers")


def _moves(
    ours: dict[str, Any] | None = None,
    flags: dict[str, Any] | None = None,
    theirs: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[dict[str, Any], dict[str, str]]:
    """With keys of the file that are the role's, and keys of somebody else's."""
    before = {REMAP: "", "data-root": "/var/lib/docker", "features": {}, **(theirs or {})}
    settings = {name: {"configured": value} for name, value in before.items()}
    for name, value in (ours or {}).items():
        settings[name] = {"configured": value, "unowned": before.get(name)}
    engine = replace(ENGINE, settings=settings, flags=flags or {}, running=("web",))
    arguments = {"settings": {}, "profile": "baseline", "unmanaged": (), "allow": "restart", **options}
    return moving_keys(engine, **arguments)


@pytest.mark.parametrize("allow", LESS)
@pytest.mark.parametrize(
    ("name", "value"),
    [(REMAP, "default"), ("data-root", "/srv"), ("exec-root", "/run/x"), ("storage-driver", "vfs")],
)
def test_a_move_is_withheld_without_permission(name: str, value: str, allow: str) -> None:
    kept, withheld = _moves(settings={name: value}, allow=allow)
    assert kept == {}
    assert f"needs docker_engine_allow: move_data (found {allow})" in withheld[name]


def test_a_move_is_written_with_permission_also_under_containers() -> None:
    asked = {REMAP: "default", "data-root": "/srv"}
    assert _moves(settings=asked, allow="move_data") == (asked, {})


@pytest.mark.parametrize("allow", LESS)
def test_strict_asks_for_the_remapping(allow: str) -> None:
    assert list(_moves(profile="strict", allow=allow)[1]) == [REMAP]
    assert _moves(profile="strict", allow="move_data") == ({REMAP: "default"}, {})


@pytest.mark.parametrize("profile", ["strict", "baseline", "none"])
def test_what_is_in_the_file_stays_without_permission(profile: str) -> None:
    found = {REMAP: "default", "data-root": "/srv"}
    assert _moves(found, profile=profile) == (found, {})


@pytest.mark.parametrize("name", sorted(name for name in MOVES_DATA if "." not in name))
def test_what_was_moved_with_permission_is_not_taken_back_by_the_same_settings_without(name: str) -> None:
    assert DOCKER_KEYS[name].audited, "the posture does not show what is in the file"
    assert _moves({name: "x"}, settings={name: "x"}) == ({name: "x"}, {})
    assert _moves({name: "x"}) == ({name: "x"}, {})


def test_with_permission_it_goes_back_when_it_is_not_wanted_any_more() -> None:
    assert _moves({REMAP: "default", "data-root": "/srv"}, allow="move_data") == ({}, {})


@pytest.mark.parametrize("allow", ["restart", "move_data"])
def test_a_remapping_for_somebody_else_stays_under_strict(allow: str) -> None:
    for found in ({"ours": {REMAP: "ops"}}, {"theirs": {REMAP: "ops"}}):
        assert _moves(**found, profile="strict", allow=allow) == ({REMAP: "ops"}, {})


def test_what_somebody_else_put_there_is_not_asked_for() -> None:
    assert _moves(theirs={REMAP: "ops", "data-root": "/srv"}) == ({}, {})


def test_another_remapping_by_name_is_a_move() -> None:
    kept, withheld = _moves({REMAP: "ops"}, settings={REMAP: "default"})
    assert kept == {REMAP: "ops"}
    assert list(withheld) == [REMAP]
    assert _moves({REMAP: "ops"}, settings={REMAP: ""}, allow="move_data")[0] == {REMAP: ""}


def test_the_value_in_force_by_name_is_no_move() -> None:
    assert _moves(settings={"data-root": "/var/lib/docker"}) == ({"data-root": "/var/lib/docker"}, {})


def test_an_unmanaged_key_and_a_flag_are_left_alone() -> None:
    assert _moves(profile="strict", unmanaged=(REMAP,), allow="move_data") == ({}, {})
    assert _moves(theirs={REMAP: "ops"}, unmanaged=(REMAP,)) == ({}, {})
    assert _moves(flags={REMAP: "ops"}, profile="strict", allow="move_data") == ({}, {})


@pytest.mark.parametrize("allow", ["restart", "move_data"])
def test_what_the_role_set_before_the_key_was_unmanaged_stays_in_its_place(allow: str) -> None:
    found = {REMAP: "default", "features": {"containerd-snapshotter": True}}
    kept = {REMAP: "default", STORE: True}
    assert _moves(found, profile="strict", unmanaged=(REMAP, "features"), allow=allow) == (kept, {})


STORE = "features.containerd-snapshotter"


def test_the_image_store_is_a_move_and_other_features_are_not() -> None:
    asked = {"features": {"containerd-snapshotter": True, "cdi": True}}
    assert _moves(settings=asked) == ({}, {STORE: _moves(settings=asked)[1][STORE]})
    assert _moves(settings=asked, allow="move_data") == ({STORE: True}, {})
    assert _moves({"features": {"containerd-snapshotter": True}}, settings=asked) == ({STORE: True}, {})


def test_a_remapping_that_a_running_container_would_not_survive_is_withheld() -> None:
    engine = replace(ENGINE, settings={}, flags={}, refused_by_remap={"agent": "it is privileged"})
    options: dict[str, Any] = {"profile": "baseline", "unmanaged": (), "allow": "move_data"}
    kept, withheld = moving_keys(engine, settings={REMAP: "default", "data-root": "/srv"}, **options)
    assert kept == {"data-root": "/srv"}
    assert "refuses containers that run now: agent (it is privileged)" in withheld[REMAP]
    assert moving_keys(engine, settings={REMAP: ""}, **options) == ({REMAP: ""}, {})
