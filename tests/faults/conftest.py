# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which machine the faults are tried on, and before which tasks the run is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab.laboratory import Laboratory, lab_directory
from lab.machine import Machine
from lab.progress import Progress

from faults.operator import Operator


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--machine", required=True, help="name of the machine in the lab directory")
    group.addoption("--boundaries", default="", help="tasks before which the run is killed: 3,9,17")
    group.addoption("--logs", type=Path, required=True, help="directory for what the runs print")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "boundary" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--boundaries")
        metafunc.parametrize("boundary", [int(number) for number in chosen.split(",") if number])


@pytest.fixture(scope="session")
def laboratory() -> Laboratory:
    return Laboratory(lab_directory(), Progress())


@pytest.fixture
def machine(laboratory: Laboratory, pytestconfig: pytest.Config) -> Machine:
    return laboratory.machine(pytestconfig.getoption("--machine"))


@pytest.fixture
def operator(laboratory: Laboratory, pytestconfig: pytest.Config) -> Operator:
    # A machine that was off has another port now.
    laboratory.write_inventory()
    return Operator(
        laboratory.inventory, pytestconfig.getoption("--machine"), pytestconfig.getoption("--logs")
    )
