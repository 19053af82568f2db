# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done for a user's own daemon, what has to wait, and that no container ends without permission."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import (
    ALLOWED,
    NEEDS,
    RunningDaemon,
    UserDaemon,
    decide,
)
from hypothesis import given
from hypothesis import strategies as st

FRESH = UserDaemon("amber", 1000, "/home/amber")
IDLE = replace(FRESH, enabled=True, daemon=RunningDaemon(200.0, "26.1.5"))
BUSY = replace(IDLE, daemon=RunningDaemon(200.0, "26.1.5", ("db", "web")))
SILENT = replace(IDLE, daemon=RunningDaemon(200.0, silence="no answer"))


def test_a_new_user_gets_all_of_it() -> None:
    plan = decide([FRESH], state="present", allow="restart", needs={"amber": ["daemon_reload"]})
    assert plan.lines() == ["daemon reload amber", "enable amber", "start amber"]
    assert plan.pending == {}


@pytest.mark.parametrize("user", [IDLE, BUSY])
@pytest.mark.parametrize("allow", ALLOWED)
def test_nothing_is_done_where_everything_is_as_wanted(user: UserDaemon, allow: str) -> None:
    plan = decide([user], state="present", allow=allow, needs={})
    assert (plan.steps, plan.pending) == ([], {})


@pytest.mark.parametrize(
    ("user", "allow", "steps", "reason"),
    [
        (IDLE, "nothing", [], "restart permits it"),
        (IDLE, "restart", [("restart", "amber")], None),
        (BUSY, "restart", [], "db, web; docker_rootless_allow: stop_containers permits it"),
        (BUSY, "stop_containers", [("restart", "amber")], None),
        (SILENT, "restart", [], "it does not say what would end with it (no answer)"),
        (SILENT, "stop_containers", [("restart", "amber")], None),
    ],
)
def test_files_that_need_a_restart(
    user: UserDaemon, allow: str, steps: list[tuple[str, str]], reason: str | None
) -> None:
    plan = decide([user], state="present", allow=allow, needs={"amber": ["reload", "restart"]})
    assert plan.steps == steps
    assert (reason or "") in plan.pending.get("amber", "")
    assert (reason is not None) == ("amber" in plan.pending)
    assert plan.withheld == []


@pytest.mark.parametrize("user", [IDLE, BUSY, SILENT])
@pytest.mark.parametrize("allow", ALLOWED)
def test_a_reload_costs_nothing(user: UserDaemon, allow: str) -> None:
    plan = decide([user], state="present", allow=allow, needs={"amber": ["reload"], "basil": ["restart"]})
    assert (plan.steps, plan.pending) == ([("reload", "amber")], {})


def test_a_user_who_lacks_something_is_left_alone_and_the_others_are_not() -> None:
    basil = UserDaemon("basil", 1001, "/home/basil", obstacle="it has fewer than 65536 subordinate uids")
    plan = decide([basil, FRESH], state="present", allow="restart", needs={})
    assert plan.lines() == ["enable amber", "start amber"]
    assert plan.pending == {"basil": basil.obstacle}
    assert plan.withheld == ["basil"]


@pytest.mark.parametrize(
    ("user", "allow", "lines", "withheld"),
    [
        (FRESH, "nothing", [], []),
        (IDLE, "nothing", [], ["amber"]),
        (IDLE, "restart", ["stop amber", "disable amber"], []),
        (BUSY, "restart", [], ["amber"]),
        (BUSY, "stop_containers", ["stop amber", "disable amber"], []),
        (replace(IDLE, daemon=None), "nothing", ["disable amber"], []),
    ],
)
def test_a_daemon_that_is_not_wanted_any_more(
    user: UserDaemon, allow: str, lines: list[str], withheld: list[str]
) -> None:
    plan = decide([user], state="absent", allow=allow, needs={})
    assert plan.lines() == lines
    assert plan.withheld == withheld
    assert sorted(plan.pending) == withheld


def test_a_unit_that_cannot_be_disabled_keeps_its_files() -> None:
    away = replace(FRESH, enabled=True, unreachable="no systemd manager of this user runs")
    plan = decide(
        [away, replace(away, name="basil", enabled=False)], state="absent", allow="restart", needs={}
    )
    assert plan.steps == []
    assert plan.withheld == ["amber"]
    assert "no systemd manager" in plan.pending["amber"]


def test_a_daemon_that_no_boot_starts_runs_and_is_named() -> None:
    plan = decide([replace(FRESH, lingers=False)], state="present", allow="restart", needs={})
    assert plan.lines() == ["enable amber", "start amber"]
    assert list(plan.pending) == ["amber, linger"]
    assert plan.withheld == []


@given(
    state=st.sampled_from(["present", "absent"]),
    allow=st.sampled_from(ALLOWED[:2]),
    enabled=st.booleans(),
    reload=st.booleans(),
    needs=st.lists(st.sampled_from(NEEDS)),
    silence=st.sampled_from(["", "no answer"]),
)
def test_a_container_never_ends_without_permission(
    *,
    state: str,
    allow: str,
    enabled: bool,
    reload: bool,
    needs: list[str],
    silence: str,
) -> None:
    daemon = RunningDaemon(500.0, "26.1.5", ("web",), silence)
    user = replace(FRESH, enabled=enabled, needs_reload=reload, daemon=daemon)
    plan = decide([user], state=state, allow=allow, needs={"amber": needs})
    assert not {"restart", "stop"} & {what for what, _name in plan.steps}
