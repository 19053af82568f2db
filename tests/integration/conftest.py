# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two machines at a time: what needs one machine alone runs beside something else that does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "logs"
SECONDS = 2700
# Every fault on every machine, killed before every task (see tests/faults/).
SECONDS_FOR_EVERY_FAULT = 6 * 3600
SECONDS_TO_END = 120
# The scenario with one machine, as the demo and the effects have.
ONE_MACHINE = "bare"
BESIDE_THE_DEMO = 1
EVERY_RUN = ("debian-12", "debian-13")
EFFECTS_OF_A_SAMPLE = 8


def run_scenario(scenario: str, *, everything: bool) -> int:
    """Molecule's exit status; its output streams to build/logs/SCENARIO.log. No machine is left."""
    log = LOGS / f"{scenario}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    status = -1
    try:
        status = _molecule(["test", "--scenario-name", scenario], log, everything=everything)
    finally:
        if status != 0:
            _molecule(["destroy", "--scenario-name", scenario], log, everything=everything)
    return status


def _molecule(arguments: list[str], log: Path, *, everything: bool) -> int:
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


class Demo:
    """`python -m demo`, which goes on while tests with one machine run; its output is in build/logs."""

    def __init__(self) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self._files = [LOGS / "demo.stdout", LOGS / "demo.stderr"]
        with self._files[0].open("wb") as stdout, self._files[1].open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "demo"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def result(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        status = self._process.wait()
        stdout, stderr = (path.read_text(encoding="utf-8", errors="replace") for path in self._files)
        return subprocess.CompletedProcess(["demo"], status, stdout, stderr)

    def end(self) -> None:
        """End it where it still runs: it ends its machine then."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    running = Demo()
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(autouse=True)
def _beside_the_demo(request: pytest.FixtureRequest) -> None:
    """Start the demo with the first test that has one machine too, if it is going to be asked for."""
    if _place(request.node) == BESIDE_THE_DEMO and any(map(_is_the_demo, request.session.items)):
        request.getfixturevalue("demo")


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


def _is_the_demo(item: pytest.Item) -> bool:
    return item.name == "test_the_demo"


def _place(item: pytest.Item) -> int:
    """What needs no machine; what has one, beside the demo; the demo; what takes both places."""
    if item.get_closest_marker("lab") is None:
        return 0
    if "/test_effects.py" in item.nodeid or item.name == f"test_scenario[{ONE_MACHINE}]":
        return BESIDE_THE_DEMO
    return 2 if _is_the_demo(item) else 3


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the sample has not, and put the rest into an order in which two machines are busy."""
    left_out = _sample_of_effects(config, items)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_place)
