# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pending changes, drift and open runs: from the posture into the report, its page and its table."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._changes import changes_of
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import evaluate
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_changes import changes
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_html import report_html
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_table import report_table

ICC = {"value": True, "configured": False, "proof": "pending", "witness": "packet filter", "origin": "file"}
WITHHELD = {
    "role": "docker_engine",
    "key": "userns-remap",
    "reason": "it moves the engine's data",
    "since": "2026-11-24T21:22:00Z",
}
DRIFT = {
    "path": "/etc/docker/daemon.json",
    "key": "icc",
    "owner": "docker_engine",
    "state": "changed",
    "set": False,
    "found": True,
}
RUN = {
    "id": "20261124T212200Z-1f3a",
    "opened_at": "2026-11-24T21:22:00Z",
    "holder": {"user": "alice", "controller": "laptop"},
}


def posture(**settings: Any) -> dict[str, Any]:
    return {
        "schema_version": "1.0",
        "collected_at": "2026-11-24T21:30:00Z",
        "host": {},
        "kernel": {},
        "containers": [],
        "rootless_engines": [],
        "podman": {"installed": False},
        "docker": {"installed": True, "running": True, "settings": settings},
        "bulkhead": {"present": True, "pending": [], "drift": [], "open_checkpoint": None},
    }


def test_a_setting_that_is_configured_and_not_in_force_is_pending_with_its_reason() -> None:
    proven = {**ICC, "proof": "proven"}
    found = changes_of(posture(icc=ICC, ip=proven, gone=None))
    assert found == {
        "pending": [
            {
                "scope": "docker",
                "key": "icc",
                "in_force": True,
                "configured": False,
                "reason": "not in force yet, by packet filter",
                "since": None,
            }
        ],
        "drift": [],
        "open_run": None,
    }


def test_what_a_role_withheld_is_pending_too_and_named_once() -> None:
    document = posture(icc=ICC)
    document["bulkhead"]["pending"] = [WITHHELD, {**WITHHELD, "key": "icc", "reason": "containers run"}]
    pending = changes_of(document)["pending"]
    assert [(entry["key"], entry["reason"]) for entry in pending] == [
        ("icc", "containers run"),
        ("userns-remap", "it moves the engine's data"),
    ]
    assert [entry["scope"] for entry in pending] == ["docker", "docker_engine"]


def test_of_an_engine_that_does_not_run_no_setting_is_listed() -> None:
    document = posture(icc=ICC)
    document["docker"]["running"] = False
    assert changes_of(document)["pending"] == []


@pytest.mark.parametrize("docker", [None, {"unreadable": "x"}, {"running": True, "settings": None}])
def test_a_posture_with_less_in_it_has_no_changes(docker: Any) -> None:
    assert changes_of({"docker": docker}) == {"pending": [], "drift": [], "open_run": None}


def test_what_could_not_be_read_is_no_empty_list() -> None:
    document = posture()
    document["bulkhead"].update(pending={"unreadable": "not JSON"}, drift={"unreadable": "no ledger"})
    found = changes_of(document)
    assert (found["pending"], found["drift"]) == ({"unreadable": "not JSON"}, {"unreadable": "no ledger"})
    shown = changes({"changes": found})
    assert [change.reason for change in shown.pending] == ["could not be read: not JSON"]
    assert [change.reason for change in shown.drift] == ["could not be read: no ledger"]


def report() -> dict[str, Any]:
    document = posture(icc=ICC)
    document["bulkhead"].update(pending=[WITHHELD], drift=[DRIFT], open_checkpoint=RUN)
    now = datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc)
    return evaluate(document, host="web1", controls=[], waivers=[], now=now, collection_version="0.2.0")


def test_the_report_has_them_and_the_page_shows_them() -> None:
    page = report_html(report())
    assert report()["changes"]["drift"] == [DRIFT]
    for text in (
        "userns-remap",
        "it moves the engine&#39;s data (since 24 November 2026, 21:22 UTC)",
        "not in force yet, by packet filter",
        "/etc/docker/daemon.json: icc",
        "somebody has set another value since",
        "checkpoint 20261124T212200Z-1f3a of alice on laptop, since 24 November 2026, 21:22 UTC",
    ):
        assert text in page, text


def test_the_table_shows_them() -> None:
    lines = report_table(report()).split("\n")
    assert lines[4:] == [
        "pending  icc                          not in force yet, by packet filter",
        "pending  userns-remap                 it moves the engine's data "
        "(since 24 November 2026, 21:22 UTC)",
        "drift    1 owned key was changed since",
        "open run checkpoint 20261124T212200Z-1f3a of alice on laptop, since 24 November 2026, 21:22 UTC",
    ]


def test_many_pending_changes_do_not_fill_the_terminal() -> None:
    document = report()
    document["changes"]["pending"] *= 10
    assert "… and 16 more" in report_table(document).split("\n")


def test_a_report_from_before_there_were_changes_is_shown_without() -> None:
    document = report()
    del document["changes"]
    assert not changes(document).any
    assert "changes-heading" not in report_html(document)
