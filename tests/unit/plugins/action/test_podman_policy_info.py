# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action opens what the module sealed, once for a call."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.bulkhead.hardening.plugins.action.podman_policy_info import ActionModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import seal

FOUND = {"installed": True, "files": {"/etc/containers/containers.conf": "[containers]\n"}}


class Action(ActionModule):
    """On a host that answers as it is told."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def validate_argument_spec(self, spec: Any) -> tuple[None, dict[str, Any]]:
        return None, {name: None for name in spec}

    def _execute_module(self, *, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        self.asked.append(module_args)
        answer = dict(self.answer)
        if not answer.get("failed"):
            answer["sealed"] = seal(FOUND, module_args["seal"])
        return answer


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments, **_options: {})


def test_the_answer_is_opened_with_the_key_of_its_call() -> None:
    action = Action({"changed": False, "proofs": [], "invocation": {"module_args": {"seal": "x"}}})
    outcomes = [action.run(), action.run()]
    assert outcomes == [{"changed": False, "proofs": [], "podman": FOUND}] * 2
    first, second = (asked["seal"] for asked in action.asked)
    assert first != second


def test_a_failure_is_passed_on() -> None:
    assert Action({"failed": True, "msg": "no"}).run() == {"failed": True, "msg": "no"}
