# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options and fixtures of all tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A property does not depend on how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-platforms",
        action="store_true",
        help="also run the tests marked all_platforms: every platform of the lab, and the slow scenarios",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--all-platforms"):
        return
    left_out = [item for item in items if item.get_closest_marker("all_platforms")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
