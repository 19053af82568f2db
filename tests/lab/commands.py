# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running programs: always an argument list, always a time limit, nothing left running after an interrupt."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.progress import Progress

ADMINISTRATOR_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # not in the PATH of Debian's ordinary users


def program(name: str, package: str) -> str:
    """The absolute path of a program; LabError names the package that has it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{ADMINISTRATOR_PATH}")
    if found is None:
        raise LabError(f"the program {name} is missing: install the package {package}")
    return found


def output_of(argv: Sequence[str], *, limit: float, stdin: str = "", cwd: Path | None = None) -> str:
    """Run a program to its end and return its standard output; limit in seconds."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=limit, cwd=cwd, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{argv[0]} did not end within {limit:.0f} s: {' '.join(argv)}") from None
    if done.returncode != 0:
        raise LabError(
            f"{argv[0]} ended with status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def run_long(
    argv: Sequence[str], *, progress: Progress, subject: str, phase: str, log: Path, limit: float
) -> None:
    """Run a program that takes long: output to a log file, progress lines, ended when interrupted."""
    with log.open("ab") as sink:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            for elapsed in progress.ticks(subject, phase):
                if child.poll() is not None:
                    break
                if elapsed > limit:
                    raise LabError(f"{subject}: {phase}: no end within {limit:.0f} s\n{tail(log)}")
        finally:
            _end_group(child)
    if child.returncode != 0:
        raise LabError(f"{subject}: {phase}: {argv[0]} ended with status {child.returncode}\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented; they end most errors of the lab."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return f"  ({log} was never written)"
    last = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join([f"  last lines of {log}:", *(f"  | {line}" for line in last)])


def _end_group(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    # An interrupt first: it lets mmdebstrap remove its temporary directory and its mounts itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(child.pid, number)
        try:
            child.wait(timeout=20)
            break
        except subprocess.TimeoutExpired:
            continue
    # What is left of the group ignored the signals: background children of a shell do that.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
