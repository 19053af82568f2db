# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which users of a host a control judges, and what it says where there is none or it is not known."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import evaluate
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._waivers import Waiver

NOW = datetime.datetime(2026, 11, 27, tzinfo=datetime.timezone.utc)
CONTROL = """controls:
  - id: lingers
    title: The user lingers
    severity: low
    subject: user
    passes: user.linger
    evidence: [user.linger]
    rationale: A test.
    remedy: {none: "none"}
"""
MARKER = {"unreadable": "permission denied"}


def user(name: str, *, linger: Any = True, judged: Any = True) -> dict[str, Any]:
    return {"name": name, "linger": linger, "judged": judged}


def findings(
    tmp_path: Path, posture: dict[str, Any], waivers: tuple[Waiver, ...] = ()
) -> list[dict[str, Any]]:
    path = tmp_path / "ours.yml"
    path.write_text(CONTROL, encoding="utf-8")
    report = evaluate(
        {"schema_version": "1.0", **posture},
        host="h",
        controls=load_catalogue([str(path)]),
        waivers=waivers,
        now=NOW,
        collection_version="0",
    )
    return list(report["findings"])


def test_each_user_has_a_finding_of_its_own(tmp_path: Path) -> None:
    users = [user("amber"), user("basil", linger=False), user("cy", judged=False)]
    found = findings(tmp_path, {"rootless": {"users": users}})
    assert [(entry["subject"]["name"], entry["result"]) for entry in found] == [
        ("amber", "pass"),
        ("basil", "fail"),
    ]
    assert found[0]["subject"] == {"kind": "user", "name": "amber", "engine": None, "user": "amber"}


@pytest.mark.parametrize("users", [[], [user("cy", judged=False)]])
def test_without_a_user_of_an_engine_it_does_not_apply(tmp_path: Path, users: list[Any]) -> None:
    (found,) = findings(tmp_path, {"rootless": {"users": users}})
    assert (found["result"], found["subject"]["kind"]) == ("not_applicable", "host")


@pytest.mark.parametrize(
    "posture",
    [
        {},
        {"rootless": None},
        {"rootless": MARKER},
        {"rootless": {}},
        {"rootless": {"users": MARKER}},
        {"rootless": {"users": "amber"}},
        {"rootless": {"users": [user("amber", linger=MARKER)]}},
        {"rootless": {"users": [user("amber", linger=MARKER, judged=MARKER)]}},
    ],
)
def test_what_is_not_known_is_an_error(tmp_path: Path, posture: dict[str, Any]) -> None:
    assert {entry["result"] for entry in findings(tmp_path, posture)} == {"error"}


def test_a_waiver_names_a_user(tmp_path: Path) -> None:
    waiver = Waiver(
        control="lingers",
        host="*",
        subject="basil",
        reason="a test account",
        owner="ops",
        expires=datetime.date(2027, 1, 1),
    )
    users = [user("amber", linger=False), user("basil", linger=False)]
    found = findings(tmp_path, {"rootless": {"users": users}}, (waiver,))
    assert [entry["result"] for entry in found] == ["fail", "waived"]
