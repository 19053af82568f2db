# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every molecule scenario is one test; its output streams to build/logs/SCENARIO.log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
TAIL_LINES = 60
SECONDS = 2700
# Every fault on every machine, killed before every task (see tests/faults/).
SECONDS_FOR_EVERY_FAULT = 6 * 3600

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SECONDS_FOR_EVERY_FAULT + 300)]


def _molecule(arguments: list[str], log: Path, *, everything: bool = False) -> int:
    """Run molecule in a session of its own, so that a limit or Ctrl-C ends everything it started."""
    environment = {
        **os.environ,
        "ANSIBLE_FORCE_COLOR": "false",
        "NO_COLOR": "1",
        "BULKHEAD_EVERY_FAULT": "1" if everything else "",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "molecule", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(SECONDS_FOR_EVERY_FAULT if everything else SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, pytestconfig: pytest.Config) -> None:
    log = ROOT / "build" / "logs" / f"{scenario}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    status = -1
    try:
        everything = pytestconfig.getoption("--all-platforms")
        status = _molecule(["test", "--scenario-name", scenario], log, everything=everything)
    finally:
        if status != 0:
            _molecule(["destroy", "--scenario-name", scenario], log)
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
    assert status == 0, f"{scenario}: molecule ended with {status}; the end of {log}:\n{tail}"
