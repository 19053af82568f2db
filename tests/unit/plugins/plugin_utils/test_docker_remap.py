# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which running containers speak against userns-remap, as the posture has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine

FIXTURES = Path(__file__).parents[2] / "fixtures"


def _refused(record: Any) -> dict[str, str]:
    posture = json.loads((FIXTURES / "posture_hardened.json").read_text(encoding="utf-8"))
    container = {"name": "agent", "short_id": "a" * 12, "engine": "docker", "uid": 0, "record": record}
    posture["containers"] = [container, {**container, "name": "theirs", "uid": 1000}]
    return dict(Engine.from_posture(posture).refused_by_remap)


@pytest.mark.parametrize("record", [{"unreadable": "the engine does not answer"}, None])
def test_a_container_that_nothing_is_known_of_speaks_against_it(record: Any) -> None:
    assert _refused(record) == {"agent": "the engine does not say how it was made"}


def test_a_privileged_container_does_and_an_ordinary_one_does_not() -> None:
    record = {"userns_mode": "", "privileged": False, "network_mode": "bridge", "pid_mode": ""}
    assert _refused(record) == {}
    assert _refused({**record, "privileged": True}) == {"agent": "it is privileged"}
