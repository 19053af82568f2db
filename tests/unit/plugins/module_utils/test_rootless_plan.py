"""What a list of users gets: each step, each reason for waiting, each error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    HOST,
    SYSCTL_FILE,
    RootlessError,
    RootlessPlan,
    Running,
    Step,
    UnitFacts,
    UserFacts,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_plan import decide, flat, outcome
from unit.rootless_samples import CONVERGED, EVERY, HOST_FACTS, WANTED, user_with

NAMESPACES = "user.max_user_namespaces"
CLONE = "kernel.unprivileged_userns_clone"
OLD = ("cpu", "memory", "pids")
STIG = {"/etc/sysctl.d/99-stig.conf": "# STIG\nuser.max_user_namespaces = 0\n"}


def file_of(plan: RootlessPlan, path: str) -> Any:
    return next(file["keys"] for file in plan.files if file["path"] == path)


def plan_for(user: UserFacts, **wanted: Any) -> RootlessPlan:
    return decide(replace(WANTED, **wanted), HOST_FACTS, [user])


def test_a_converged_user_needs_nothing() -> None:
    plan = plan_for(CONVERGED)
    assert (plan.steps, plan.pending) == ([], {})
    assert file_of(plan, DROP_IN) == {"Service": {"Delegate": "cpu cpuset io memory pids"}}
    assert file_of(plan, SYSCTL_FILE) == {}


def test_a_fresh_user_gets_the_reload_before_the_first_start() -> None:
    user = replace(
        user_with(linger=False, manager=False, controllers=None, bus="none", unit=UnitFacts(OLD)),
        at_boot=False,
    )
    assert plan_for(user).steps == [
        Step("daemon_reload"),
        Step("enable_linger", "amber"),
        Step("start", "amber", "1001"),
        Step("enable_containers_at_boot", "amber"),
    ]


def test_without_linger_a_user_who_is_not_logged_in_waits() -> None:
    plan = plan_for(user_with(linger=False, manager=False, controllers=None), linger=False)
    assert plan.steps == []
    assert "rootless_users_linger" in plan.pending["amber"]["session"]


def test_a_lingering_manager_that_does_not_run_is_started() -> None:
    plan = plan_for(user_with(manager=False, controllers=None), linger=False)
    assert plan.steps == [Step("start", "amber", "1001")]


def running_user() -> UserFacts:
    user = user_with(controllers=OLD)
    return replace(user, running=(Running("container web"), Running("sleep (process 812)")))


def test_a_running_container_is_named_and_nothing_stops() -> None:
    plan = plan_for(running_user())
    assert plan.steps == []
    reason = plan.pending["amber"]["delegation"]
    assert "lacks cpuset, io" in reason
    assert "container web, sleep (process 812)" in reason
    assert "rootless_users_allow: [restart_session]" in reason


def test_a_restart_that_is_allowed() -> None:
    plan = plan_for(running_user(), restart_session=True)
    assert plan.steps == [Step("restart", "amber", "1001")]
    assert plan.pending == {}


def test_the_containers_that_a_restart_ends_come_back() -> None:
    plan = plan_for(replace(running_user(), at_boot=False), restart_session=True)
    assert [step.kind for step in plan.steps] == ["enable_containers_at_boot", "restart"]


def test_a_manager_with_nothing_in_it_is_restarted_without_asking() -> None:
    assert plan_for(user_with(controllers=OLD)).steps == [Step("restart", "amber", "1001")]


def test_what_runs_is_unknown_and_so_nothing_is_restarted() -> None:
    user = replace(user_with(controllers=OLD), running_unknown="/proc: no end after 2 s")
    assert "could not be read (/proc: no end" in plan_for(user).pending["amber"]["delegation"]


def test_many_running_things_are_shortened() -> None:
    user = replace(user_with(controllers=OLD), running=tuple(Running(f"p{n}") for n in range(15)))
    assert "p9, 5 more" in plan_for(user).pending["amber"]["delegation"]


def test_a_drop_in_that_takes_delegation_back_is_named_and_no_restart_is_tried() -> None:
    later = "/etc/systemd/system/user@.service.d/zzz.conf"
    user = user_with(controllers=OLD, unit=UnitFacts(OLD, (DROP_IN, later)))
    plan = plan_for(user, restart_session=True)
    assert plan.steps == []
    assert f"{later}, read after {DROP_IN}" in plan.pending["amber"]["delegation"]


def test_a_unit_that_does_not_delegate_though_ours_is_read() -> None:
    plan = plan_for(user_with(controllers=OLD, unit=UnitFacts(OLD, (DROP_IN,))), restart_session=True)
    assert "is not in force" in plan.pending["amber"]["delegation"]


@pytest.mark.parametrize(
    "unit", [UnitFacts(EVERY), UnitFacts(EVERY, (DROP_IN,), needs_reload=True)], ids=["unread", "changed"]
)
def test_a_drop_in_that_is_not_read_yet(unit: UnitFacts) -> None:
    assert plan_for(user_with(unit=unit)).steps == [Step("daemon_reload")]


def test_a_drop_in_that_is_being_changed_is_read() -> None:
    assert plan_for(CONVERGED, drop_in_changed=True).steps == [Step("daemon_reload")]


@pytest.mark.parametrize("restart_session", [False, True])
def test_controllers_that_the_kernel_lacks_are_told_and_no_restart_is_tried(*, restart_session: bool) -> None:
    wanted = replace(WANTED, restart_session=restart_session)
    plan = decide(wanted, replace(HOST_FACTS, controllers=OLD), [user_with(controllers=OLD)])
    assert plan.steps == []
    assert plan.pending == {HOST: {"controllers": "the kernel of this host offers no cpuset, io"}}


def test_what_the_kernel_has_is_still_handed_down_where_it_lacks_another() -> None:
    host = replace(HOST_FACTS, controllers=OLD)
    plan = decide(WANTED, host, [user_with(controllers=("memory", "pids"))])
    assert plan.steps == [Step("restart", "amber", "1001")]


def test_cgroup_v1_is_an_error_that_changes_nothing() -> None:
    with pytest.raises(RootlessError, match=r"accepted is cgroup v2.*Nothing was changed\."):
        decide(WANTED, replace(HOST_FACTS, controllers=None), [CONVERGED])


def test_a_limit_of_another_file_is_named_and_left() -> None:
    host = replace(HOST_FACTS, sysctl_files=STIG, sysctls={NAMESPACES: "0"})
    plan = decide(WANTED, host, [CONVERGED])
    assert plan.steps == []
    assert file_of(plan, SYSCTL_FILE) == {}
    reason = plan.pending[HOST][NAMESPACES]
    assert "/etc/sysctl.d/99-stig.conf, line 2, sets it to 0 at boot" in reason
    assert "rootless_users_namespaces: enabled" in reason


def test_a_limit_of_another_file_is_raised_where_that_is_asked_for() -> None:
    host = replace(HOST_FACTS, sysctl_files=STIG, sysctls={NAMESPACES: "0"})
    plan = decide(replace(WANTED, namespaces=True), host, [CONVERGED])
    assert plan.steps == [Step("sysctl", NAMESPACES, "28633")]
    assert file_of(plan, SYSCTL_FILE) == {"lines": [f"{NAMESPACES} = 28633"]}
    assert plan.pending == {}


def test_what_our_file_raised_stays_raised() -> None:
    files = {**STIG, SYSCTL_FILE: f"{NAMESPACES} = 28633\n-{CLONE} = 1\n"}
    host = replace(HOST_FACTS, sysctl_files=files, sysctls={NAMESPACES: "28633", CLONE: "1"})
    plan = decide(replace(WANTED, namespaces=True), host, [CONVERGED])
    assert plan.steps == []
    assert file_of(plan, SYSCTL_FILE) == {"lines": [f"{NAMESPACES} = 28633", f"-{CLONE} = 1"]}


def test_what_our_file_raised_goes_when_it_is_not_asked_for_any_more() -> None:
    host = replace(HOST_FACTS, sysctl_files={SYSCTL_FILE: f"{NAMESPACES} = 28633\n"})
    plan = decide(WANTED, host, [CONVERGED])
    assert file_of(plan, SYSCTL_FILE) == {}
    assert plan.pending == {}


def test_a_later_file_wins_and_is_named_and_nothing_is_set_for_a_while() -> None:
    later = "/etc/sysctl.d/zzz.conf"
    host = replace(HOST_FACTS, sysctl_files={later: f"{NAMESPACES}=0\n"}, sysctls={NAMESPACES: "0"})
    plan = decide(replace(WANTED, namespaces=True), host, [CONVERGED])
    assert plan.steps == []
    assert f"{later}, line 1, sets it to 0" in plan.pending[HOST][NAMESPACES]


@pytest.mark.parametrize("live", ["0", "900", "", "junk"])
def test_a_low_live_value_that_no_file_sets(live: str) -> None:
    host = replace(HOST_FACTS, sysctls={NAMESPACES: live})
    assert "no file sets it" in decide(WANTED, host, [CONVERGED]).pending[HOST][NAMESPACES]


def test_debian_s_switch_is_set_with_a_dash_for_kernels_without_it() -> None:
    host = replace(HOST_FACTS, sysctls={NAMESPACES: "11800", CLONE: "0"})
    plan = decide(replace(WANTED, namespaces=True), host, [CONVERGED])
    assert plan.steps == [Step("sysctl", CLONE, "1")]
    assert file_of(plan, SYSCTL_FILE) == {"lines": [f"-{CLONE} = 1"]}


def test_a_kernel_without_debian_s_switch_needs_none() -> None:
    host = replace(HOST_FACTS, sysctls={NAMESPACES: "11800", CLONE: None})
    assert decide(replace(WANTED, namespaces=True), host, [CONVERGED]).steps == []


def test_ping_and_ports_on_request() -> None:
    host = replace(HOST_FACTS, sysctls={**HOST_FACTS.sysctls, "net.ipv4.ping_group_range": "1\t0"})
    plan = decide(replace(WANTED, ping_group_range="0 2147483647", unprivileged_port=80), host, [CONVERGED])
    assert plan.steps == [
        Step("sysctl", "net.ipv4.ping_group_range", "0 2147483647"),
        Step("sysctl", "net.ipv4.ip_unprivileged_port_start", "80"),
    ]


def test_blanks_in_a_live_value_are_no_difference() -> None:
    host = replace(HOST_FACTS, sysctls={"net.ipv4.ping_group_range": "0\t2147483647"})
    assert decide(replace(WANTED, ping_group_range="0 2147483647"), host, [CONVERGED]).steps == []


@pytest.mark.parametrize("found", [{"newuidmap": ""}, {"newuidmap": "", "newgidmap": "no rights"}])
def test_programs_that_map_ids(found: dict[str, str]) -> None:
    plan = decide(WANTED, replace(HOST_FACTS, id_programs=found), [CONVERGED])
    assert list(plan.pending[HOST]) == ["newgidmap"]


def test_a_home_that_holds_no_containers() -> None:
    user = replace(CONVERGED, home_obstacle="/home/amber is on nfs4")
    assert plan_for(user).pending["amber"]["home"] == "/home/amber is on nfs4"


def test_no_session_bus() -> None:
    plan = decide(WANTED, replace(HOST_FACTS, bus_unit=False), [replace(CONVERGED, at_boot=False)])
    assert "dbus-user-session" in plan.pending["amber"]["session"]
    assert plan.steps == []


def test_a_bus_that_is_not_the_user_s() -> None:
    assert plan_for(user_with(bus="is no socket of this user's")).pending["amber"]["session"]


def test_facts_that_could_not_be_read_are_not_taken_for_false() -> None:
    plan = plan_for(user_with(linger=None, unread={"linger": "no answer"}))
    assert (plan.steps, plan.pending["amber"]) == ([], {"session": "no answer"})


def test_containers_at_boot_only_where_wanted() -> None:
    user = replace(CONVERGED, at_boot=False)
    assert plan_for(user, containers_at_boot=False).steps == []
    assert plan_for(replace(CONVERGED, at_boot=None)).steps == []


def test_a_masked_restart_unit_is_left() -> None:
    user = replace(CONVERGED, at_boot_obstacle="masked by the user")
    assert plan_for(user).pending["amber"]["containers_at_boot"] == "masked by the user"


def test_no_users_give_everything_back() -> None:
    plan = decide(replace(WANTED, users=(), namespaces=True), replace(HOST_FACTS, controllers=None), [])
    assert [file["keys"] for file in plan.files] == [{}, {}]
    assert (plan.steps, plan.pending) == ([], {})


def test_pending_items_as_a_checkpoint_keeps_them() -> None:
    assert flat({"amber": {"home": "x"}, HOST: {"apparmor": "y"}}) == {
        "amber: home": "x",
        "host: apparmor": "y",
    }
    plan = plan_for(replace(CONVERGED, home_obstacle="x"))
    assert outcome([CONVERGED], plan)["users"]["amber"]["pending"] == {"home": "x"}
