# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make demo` as a new user runs it: what it leaves behind, and which controls differ before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from demo.__main__ import KEPT
from integration.conftest import Demo

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "demo"

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2700)]

Results = dict[tuple[str, str], str]


def results(report: dict[str, Any]) -> Results:
    """Result by control and name of its subject, but for our own state and what a rollback keeps."""
    return {
        (finding["id"], finding["subject"]["name"]): finding["result"]
        for finding in report["findings"]
        if not finding["id"].startswith("bulkhead-") and finding["id"] != KEPT
    }


def mended(before: Results, after: Results) -> set[str]:
    """Controls that failed for some subject before and pass for it after."""
    return {key[0] for key, result in after.items() if result == "pass" and before.get(key) == "fail"}


def test_the_demo(demo: Demo) -> None:
    ended = demo.result()
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-6000:]
    before, after = (json.loads((BUILD / name).read_text()) for name in ("before.json", "after.json"))

    better = mended(results(before), results(after))
    of_docker = {control for control in better if control.startswith("docker-")}
    assert {control for control in of_docker if not control.startswith("docker-audit-")} == {
        "docker-default-ulimits",
        "docker-live-restore",
        "docker-log-rotation",
        "docker-no-new-privileges",
        "docker-userland-proxy",
    }
    assert {"docker-audit-daemon", "docker-audit-configuration-directory", "docker-audit-runc"} <= better
    # The rootless user is brought up to the policy, and the user's container lives on (see below).
    assert {"podman-pids-limit", "rootless-podman-pids-limit", "rootless-delegation"} <= better
    assert mended(results(after), results(before)) == set()
    assert after["score"]["value"] > before["score"]["value"]
    assert [report["summary"]["error"] for report in (before, after)] == [0, 0]
    icc = next(finding for finding in after["findings"] if finding["id"] == "docker-icc")
    assert icc["result"] == "fail"
    assert icc["reason"].startswith("pending")

    assert {entry["name"] for entry in after["containers"]} == {"web", "agent", "worker"}
    assert after["containers"] and before["containers"]
    first_processes = [
        {entry["name"]: entry["init"]["start_ticks"] for entry in report["containers"]}
        for report in (before, after)
    ]
    assert first_processes[0] == first_processes[1]
    assert "The ordinary container `web` ran through all of it: the same process" in ended.stdout
    assert "Rolled back: every file and every result as before (" in ended.stdout

    # The plan is shown before anything is written.
    shown, done = (
        ended.stdout.index("TASK [bulkhead.hardening.docker_engine : Show what"),
        ended.stdout.index("TASK [bulkhead.hardening.docker_engine : Own the keys"),
    )
    assert shown < done
    assert "TASK [Say what was done]" in ended.stdout[ended.stdout.index("What would a rollback do?") :]
    restored = json.loads((BUILD / "restored" / "demo" / "report.json").read_text())
    assert results(restored) == results(before)
    assert "<html" in (BUILD / "report.html").read_text(encoding="utf-8")
    assert not (BUILD / "lab" / "demo").exists()

    # tests/demo/careless.sh plants it: no report and no line of output has it.
    written = [path for path in BUILD.rglob("*") if path.is_file()]
    assert {"report.html", "before.json", "after.json"} <= {path.name for path in written}
    assert [path for path in written if b"hunter2-planted" in path.read_bytes()] == []
    assert "hunter2-planted" not in ended.stdout + ended.stderr
