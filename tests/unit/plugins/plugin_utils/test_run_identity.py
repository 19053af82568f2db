# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run is named by its process, and looked for by it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._run_identity import (
    run_identity,
    verdict_on,
)


def _changed(holder: dict[str, Any], **process: Any) -> dict[str, Any]:
    return {**holder, "process": {**holder["process"], **process}}


def test_a_process_has_one_identity_as_long_as_it_lives() -> None:
    mine = run_identity(os.getpid())
    assert mine == run_identity(os.getpid())
    assert mine["run"] != run_identity(os.getppid())["run"]
    assert (mine["pid"], verdict_on(mine)) == (os.getpid(), "alive")


def test_a_dead_process_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        holder = run_identity(child.pid)
        assert verdict_on(holder) == "alive"
        child.kill()
    assert verdict_on(holder) == "gone"


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        ({"started": "1"}, "gone"),  # the number was given to another process
        ({"boot": "another"}, "gone"),
        ({"machine": "another"}, "unknown"),
        ({"namespace": "pid:[1]"}, "unknown"),
    ],
)
def test_only_the_same_process_is_believed(process: dict[str, Any], expected: str) -> None:
    assert verdict_on(_changed(run_identity(os.getpid()), **process)) == expected


def test_another_controller_cannot_be_looked_at() -> None:
    assert verdict_on({**run_identity(os.getpid()), "controller": "elsewhere"}) == "unknown"
