"""Grants of user namespaces, a profile for each program."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor import (
    decide_apparmor,
    grant_lines,
    grant_name,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    HOST,
    AppArmorFacts,
    Program,
    RootlessError,
    RootlessPlan,
    Step,
)

PATH = "/usr/local/bin/rootlesskit"
NAME = "bulkhead-userns.usr.local.bin.rootlesskit"
UBUNTU = AppArmorFacts(restricted=True, programs=(Program("/usr/bin/podman", "podman"), Program(PATH)))


def plan_of(facts: AppArmorFacts, *, wanted: bool = True) -> RootlessPlan:
    plan = RootlessPlan()
    decide_apparmor(facts, wanted=wanted, plan=plan)
    return plan


def test_a_grant_for_the_program_that_has_none() -> None:
    plan = plan_of(UBUNTU)
    assert [file["path"] for file in plan.files] == [f"/etc/apparmor.d/{NAME}"]
    assert plan.files[0]["validate"] == ["apparmor_parser", "-QTK", "%s"]
    assert plan.steps == [Step("load_profile", f"/etc/apparmor.d/{NAME}")]


def test_the_grant_confines_nothing_and_attaches_to_one_path() -> None:
    assert grant_lines(PATH) == [
        "abi <abi/4.0>,",
        f"profile {NAME} {PATH} flags=(unconfined) {{",
        "userns,",
        "}",
    ]


def test_nothing_is_given_to_what_everything_falls_into() -> None:
    text = str(plan_of(UBUNTU).files)
    assert "unprivileged_userns" not in text
    assert "apparmor_restrict" not in text


def test_our_own_attached_grant_is_still_wanted() -> None:
    facts = replace(
        UBUNTU, programs=(Program(PATH, NAME),), loaded=(NAME,), files=(f"/etc/apparmor.d/{NAME}",)
    )
    plan = plan_of(facts)
    assert plan.steps == []
    assert plan.files[0]["keys"] == {"lines": grant_lines(PATH)}


@pytest.mark.parametrize("facts", [replace(UBUNTU, restricted=False), replace(UBUNTU, programs=())])
def test_a_grant_that_is_not_needed_goes(facts: AppArmorFacts) -> None:
    plan = plan_of(replace(facts, loaded=(NAME,), files=(f"/etc/apparmor.d/{NAME}",)))
    assert [file["keys"] for file in plan.files] == [{}]
    assert plan.steps == [Step("unload_profile", NAME)]


def test_without_users_there_is_no_grant() -> None:
    assert plan_of(UBUNTU, wanted=False).files == []


def test_no_parser_and_no_knowledge_are_told() -> None:
    assert "apparmor_parser" in plan_of(replace(UBUNTU, parser=False)).pending[HOST]["apparmor"]
    assert "no answer" in plan_of(replace(UBUNTU, unread="no answer")).pending[HOST]["apparmor"]


@pytest.mark.parametrize(
    "path", ["podman", "/opt/a b", "/opt/{a,b}", "/opt/*", "/opt/../x", "/opt/@{HOME}", "/"]
)
def test_a_path_that_is_a_pattern_is_refused(path: str) -> None:
    with pytest.raises(RootlessError, match=r"rootless_users_programs: found .*Nothing was changed"):
        grant_name(path)
