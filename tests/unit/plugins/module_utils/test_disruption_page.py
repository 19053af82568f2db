# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page "What a run will do to my containers" says what the code does."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import ALLOWED, decide
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    _RESET_BY_RELOAD,
    EFFECTS,
    MOVES_DATA,
    UNIT_KEY,
    EngineState,
    RunningContainer,
    WrittenKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_plan_text import plan_lines
from effects_table import PAGE, table, with_table

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_table_is_current_and_has_every_key() -> None:
    assert with_table(TEXT) == TEXT, "run make docs"
    for name in (*DOCKER_KEYS, *MOVES_DATA, UNIT_KEY):
        assert table().count(f"`{name}`") == 1, name


def test_the_page_names_every_effect_every_permission_and_every_exception() -> None:
    for name in (*EFFECTS[1:], *ALLOWED, *_RESET_BY_RELOAD):
        assert f"`{name}`" in TEXT, name


def test_the_example_is_what_a_plan_looks_like() -> None:
    web = RunningContainer("a" * 64, "web", 812, 4711, auto_remove=False)
    state = EngineState("26.1.5", 1000.0, None, live_restore=False, swarm=False, containers=(web,))
    keys = [
        WrittenKey(name, None, in_force=False, differs=False)
        for name in ("icc", "live-restore", "no-new-privileges")
    ]
    plan = decide(state, keys, live_restore_wanted=True)
    example = TEXT.partition("```text\n")[2].partition("```")[0]
    assert example.splitlines() == plan_lines(plan.as_json())
