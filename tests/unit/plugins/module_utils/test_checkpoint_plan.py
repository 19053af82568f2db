# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host becomes when runs are undone: attributes and settings keep what somebody changed since."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_plan import Step, plan_restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    FileState,
    HostState,
    UnitState,
)


def _mode(mode: int, **more: Any) -> FileState:
    return FileState("socket", mode=mode, uid=0, gid=0, **more)


def _plan(current: HostState, *steps: Step) -> HostState:
    return plan_restore(current, steps, {}, beside="admin-x", ledger="/none").state


ATTRIBUTES = {
    "as the run left it": (_mode(0o600), _mode(0o600), _mode(0o660), _mode(0o660)),
    "edited, and the run had not touched it": (_mode(0o660), _mode(0o666), _mode(0o660), _mode(0o666)),
    "both changed it": (_mode(0o600), _mode(0o666), _mode(0o660), _mode(0o660)),
    "not there at all": (ABSENT, ABSENT, ABSENT, ABSENT),
    "gone since": (_mode(0o600), ABSENT, _mode(0o660), _mode(0o660)),
    "came since": (ABSENT, _mode(0o600), ABSENT, ABSENT),
    "came with the run": (_mode(0o600), _mode(0o600), ABSENT, ABSENT),
    "the run did not end": (None, _mode(0o600), _mode(0o660), _mode(0o660)),
    "not known to the checkpoint": (_mode(0o600), _mode(0o600), None, _mode(0o600)),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes(name: str) -> None:
    base, current, target, expected = ATTRIBUTES[name]
    step = Step(
        None if base is None else HostState(attributes={"/s": base}),
        HostState(attributes={} if target is None else {"/s": target}),
    )
    assert _plan(HostState(attributes={"/s": current}), step).attributes == {"/s": expected}


@pytest.mark.parametrize(
    ("base", "current", "target", "expected"),
    [
        ("1", "1", "0", "0"),
        ("0", "1", "0", "1"),  # somebody set it since
        ("1", "2", "0", "0"),
        ("1", "1", None, "1"),  # it was not there: nothing can take it away
    ],
)
def test_sysctls(base: str, current: str, target: str | None, expected: str) -> None:
    step = Step(HostState(sysctls={"k": base}), HostState(sysctls={"k": target}))
    assert _plan(HostState(sysctls={"k": current}), step).sysctls == {"k": expected}


def test_several_runs_are_undone_newest_first() -> None:
    first, second, third = (
        UnitState("enabled", "active"),
        UnitState("disabled", "active"),
        UnitState("masked", ""),
    )
    steps = [
        Step(HostState(units={"u": third}), HostState(units={"u": second})),
        Step(HostState(units={"u": second}), HostState(units={"u": first})),
    ]
    assert _plan(HostState(units={"u": third}), *steps).units == {"u": first}


def test_a_directory_that_is_needed_stays() -> None:
    step = Step(None, HostState(files={"/d/e/f": ABSENT}, absent_directories=("/d", "/d/e", "/x")))
    current = HostState(files={"/d/e/f": ABSENT, "/d/kept": FileState("link", target="t", uid=0, gid=0)})
    assert _plan(current, step).absent_directories == ("/d/e", "/x")
