# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every molecule scenario is one test; its output streams to build/logs/SCENARIO.log."""

from __future__ import annotations

import re

import pytest
from integration.conftest import LOGS, ROOT, SECONDS_FOR_EVERY_FAULT, run_scenario

# With --all-platforms only. The demo has a sample of rootless users and of Podman's policy.
# release repeats the way of the scenario default before it moves data and gives every key back.
SLOW = {"docker_rootless", "image_trust", "packages", "release", "rootless", "rootless_newest"}
SCENARIOS = [
    pytest.param(name, marks=[pytest.mark.all_platforms] if name in SLOW else [])
    for name in sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
]
LINES_SHOWN = 200

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SECONDS_FOR_EVERY_FAULT + 300)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, pytestconfig: pytest.Config) -> None:
    status = run_scenario(scenario, everything=pytestconfig.getoption("--all-platforms"))
    log = LOGS / f"{scenario}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = [number for number, line in enumerate(lines) if re.search(r"\b(fatal|failed): \[", line)]
    shown = lines[failed[-1] :][:LINES_SHOWN] if failed else lines[-LINES_SHOWN:]
    assert status == 0, f"{scenario}: molecule ended with {status}; from {log}:\n" + "\n".join(shown)
