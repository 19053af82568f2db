"""The verdict on privilege: what the kernel enforces decides."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.bulkhead.hardening.plugins.module_utils._privilege import (
    Confinement,
    privileged_verdict,
)
from hypothesis import given
from hypothesis import strategies as st

EVERY = (1 << 41) - 1
PRIVILEGED = Confinement(
    bounding=EVERY,
    permitted=EVERY,
    every_capability=EVERY,
    no_new_privileges=False,
    host_user_namespace=True,
    seccomp_mode="disabled",
    lsm_mode="unconfined",
    masked_paths=(),
    read_only_paths=(),
    devices=("/dev/mem",),
)
ORDINARY = replace(
    PRIVILEGED,
    bounding=0xA80425FB,
    permitted=0xA80425FB,
    seccomp_mode="filter",
    lsm_mode="enforce",
    masked_paths=("/proc/kcore",),
    devices=(),
)


def in_force(confinement: Confinement) -> bool:
    return bool(privileged_verdict(confinement)["in_force"])


def test_privileged_and_ordinary() -> None:
    assert in_force(PRIVILEGED)
    assert privileged_verdict(ORDINARY) == {"in_force": False, "reasons": []}


def test_the_bounding_set_decides_and_not_what_the_init_holds() -> None:
    verdict = privileged_verdict(replace(PRIVILEGED, permitted=0))
    assert verdict["in_force"]
    assert any("setuid program" in reason for reason in verdict["reasons"])


def test_no_new_privileges_closes_a_bounding_set_that_nothing_holds() -> None:
    assert not in_force(replace(PRIVILEGED, permitted=0, no_new_privileges=True))
    assert in_force(replace(PRIVILEGED, permitted=1, no_new_privileges=True))


def test_all_capabilities_behind_seccomp_and_an_lsm_are_still_privileged() -> None:
    assert in_force(replace(ORDINARY, bounding=EVERY))


def test_sys_admin_with_nothing_around_it_is_privileged() -> None:
    administrator = replace(ORDINARY, bounding=ORDINARY.bounding | 1 << 21)
    assert not in_force(administrator)
    bare = replace(administrator, seccomp_mode="disabled", lsm_mode="unconfined")
    assert in_force(bare)
    assert not in_force(replace(bare, host_user_namespace=False))


def test_a_users_own_namespace_is_said() -> None:
    reasons = privileged_verdict(replace(PRIVILEGED, host_user_namespace=False))["reasons"]
    assert reasons[0] == "the bounding set holds every capability over its own user namespace"


@given(st.integers(0, EVERY), st.integers(0, EVERY), st.booleans(), st.sampled_from(["disabled", "filter"]))
def test_reasons_are_given_exactly_when_it_is_privileged(
    bounding: int, permitted: int, closed: bool, seccomp: str
) -> None:
    verdict = privileged_verdict(
        replace(
            PRIVILEGED, bounding=bounding, permitted=permitted, no_new_privileges=closed, seccomp_mode=seccomp
        )
    )
    assert bool(verdict["reasons"]) == verdict["in_force"]
