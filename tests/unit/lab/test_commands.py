# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running programs: limits, logs, and nothing left running."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from lab.commands import output_of, program, run_long
from lab.errors import LabError
from lab.progress import Cancelled, Progress
from lab.qmp import Monitor


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(LabError, match="the program no-such-program is missing: install the package nothing"):
        program("no-such-program", "nothing")


def test_programs_of_the_administrator_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert program("mke2fs", "e2fsprogs").endswith("/sbin/mke2fs")


def test_output_limit_and_failure() -> None:
    assert output_of(["cat"], stdin="text", limit=5) == "text"
    with pytest.raises(LabError, match="did not end within 0 s: sleep 9"):
        output_of(["sleep", "9"], limit=0.1)
    with pytest.raises(LabError, match="ended with status 3: why"):
        output_of(["sh", "-c", "echo why >&2; exit 3"], limit=5)


def test_an_interrupted_program_ends_with_its_children(tmp_path: Path, progress: Progress) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; wait"
    timer = threading.Timer(1.0, progress.cancelled.set)
    timer.start()
    with pytest.raises(Cancelled):
        run_long(
            ["sh", "-c", script], progress=progress, subject="x", phase="y", log=tmp_path / "log", limit=30
        )
    child = Path("/proc") / pids.read_text().strip()
    end = time.monotonic() + 5
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(process: Path) -> bool:
    # A process whose parent has not fetched its status yet is a zombie, not a running one.
    status = process / "status"
    return status.exists() and "State:\tZ" not in status.read_text()


def test_a_program_over_its_limit_is_ended_and_its_log_shown(tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(LabError, match=r"no end within 0 s\n(?s:.*)\| working"):
        run_long(
            ["sh", "-c", "echo working; sleep 60"],
            progress=progress,
            subject="x",
            phase="y",
            log=tmp_path / "log",
            limit=0.3,
        )


def _serve(path: Path, answers: list[dict[str, object]]) -> threading.Thread:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as lines:
            lines.write('{"QMP": {}}\n')
            lines.flush()
            for answer in [{"return": {}}, *answers]:
                lines.readline()
                lines.write('{"event": "RESET"}\n' + json.dumps(answer) + "\n")
                lines.flush()
        listener.close()

    thread = threading.Thread(target=talk)
    thread.start()
    return thread


def test_the_monitor_skips_events_and_reports_refusals(tmp_path: Path) -> None:
    answers: list[dict[str, object]] = [
        {"return": ""},
        {"return": "Error: no space left\r\n"},
        {"error": {"desc": "unknown"}},
    ]
    thread = _serve(tmp_path / "monitor.sock", answers)
    with Monitor(tmp_path / "monitor.sock") as monitor:
        monitor.save_state("booted")
        with pytest.raises(LabError, match="not saved: Error: no space left"):
            monitor.save_state("booted")
        with pytest.raises(LabError, match="refused system_reset: unknown"):
            monitor.reset()
    thread.join()


def test_a_monitor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer"), Monitor(tmp_path / "monitor.sock"):
        pass
