# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two machines at a time: what needs one machine alone runs beside something else that does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "logs"
SECONDS = 2700
# Every fault on every machine, killed before every task (see tests/faults/).
SECONDS_FOR_EVERY_FAULT = 6 * 3600
# It has one machine, as the demo has.
BESIDE_THE_DEMO = "bare"
EVERY_RUN = ("debian-12", "debian-13")
EFFECTS_OF_A_SAMPLE = 8


class Scenarios:
    """Runs molecule scenarios, each once in a session; their output streams to build/logs/SCENARIO.log."""

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything
        self._pool = ThreadPoolExecutor()
        self._runs: dict[str, Future[int]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, scenario: str) -> Future[int]:
        """Start it, unless it runs or ran already; the result is molecule's exit status."""
        if scenario not in self._runs:
            self._runs[scenario] = self._pool.submit(self._test, scenario)
        return self._runs[scenario]

    def end(self) -> None:
        """End what still runs, with everything it started, and its machines."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        self._pool.shutdown()

    def _test(self, scenario: str) -> int:
        log = LOGS / f"{scenario}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        status = -1
        try:
            status = self._molecule(["test", "--scenario-name", scenario], log)
        finally:
            if status != 0:
                self._molecule(["destroy", "--scenario-name", scenario], log)
        return status

    def _molecule(self, arguments: list[str], log: Path) -> int:
        """Run molecule in a session of its own, so that a limit or Ctrl-C ends everything it started."""
        environment = {
            **os.environ,
            "ANSIBLE_FORCE_COLOR": "false",
            "NO_COLOR": "1",
            "BULKHEAD_EVERY_FAULT": "1" if self._everything else "",
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
        self._processes.append(process)
        try:
            return process.wait(SECONDS_FOR_EVERY_FAULT if self._everything else SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="session")
def scenarios(pytestconfig: pytest.Config) -> Iterator[Scenarios]:
    scenarios = Scenarios(everything=pytestconfig.getoption("--all-platforms"))
    try:
        yield scenarios
    finally:
        scenarios.end()


@pytest.fixture
def beside_the_demo(request: pytest.FixtureRequest, scenarios: Scenarios) -> None:
    """Start the scenario with one machine, if it is going to be asked for in this session."""
    if any(item.name == f"test_scenario[{BESIDE_THE_DEMO}]" for item in request.session.items):
        scenarios.start(BESIDE_THE_DEMO)


def _sample_of_effects(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    """What is left out: the first effects are tried on an engine each, all of them with --all-platforms."""
    effects = [item for item in items if item.nodeid.split("::")[0].endswith("/test_effects.py")]
    if config.getoption("--all-platforms"):
        return []
    cases: dict[str, list[pytest.Item]] = {}
    for item in effects:
        platform = next((name for name in EVERY_RUN if name in item.name), None)
        if platform is not None:
            cases.setdefault(item.name.replace(platform, ""), []).append(item)
    return [
        item
        for number, case in enumerate(cases.values())
        for index, item in enumerate(case)
        if number >= EFFECTS_OF_A_SAMPLE or (number + 2 * index) % 4
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes one machine first, with a scenario beside it; what comes after needs both places."""
    left_out = _sample_of_effects(config, items)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("lab") is None:
            return 0
        if item.name == "test_the_demo":
            return 1
        if "/test_effects.py" in item.nodeid:
            return 2
        return 3 if item.name == f"test_scenario[{BESIDE_THE_DEMO}]" else 4

    items.sort(key=place)
