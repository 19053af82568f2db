# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is recorded of a machine on disk, and which process runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.progress import Progress
from lab.qemu import BINARY, drive_option

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
END_LIMIT = 15.0


def checked_name(name: str) -> str:
    """The name itself if it can be a host name and a directory; LabError otherwise."""
    if not _NAME.fullmatch(name):
        raise LabError(
            f"{name!r} cannot be the name of a machine: accepted are up to 63 of a-z, 0-9, '.' and '-', "
            "beginning with a letter or a digit"
        )
    return name


@dataclass(frozen=True)
class Record:
    """The part of an instance that later commands need; port on 127.0.0.1, accelerator by name."""

    platform: str
    image: str
    accelerator: str
    port: int


@dataclass(frozen=True)
class Instance:
    """A directory of the lab: overlay, console log, monitor socket, process id, record."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def overlay(self) -> Path:
        return self.directory / "overlay.qcow2"

    @property
    def monitor(self) -> Path:
        return self.directory / "monitor.sock"

    @property
    def _record(self) -> Path:
        return self.directory / "instance.json"

    def read(self) -> Record:
        """LabError if the machine was never started completely."""
        try:
            return Record(**json.loads(self._record.read_text()))
        except FileNotFoundError:
            raise LabError(
                f"{self.name} was never started completely; end what is left: python -m lab down {self.name}"
            ) from None

    def is_complete(self) -> bool:
        """Whether the machine was started so far that later commands can work with it."""
        return self._record.exists()

    def write(self, record: Record) -> None:
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(record), indent=2) + "\n")
        temporary.rename(self._record)

    def pid(self) -> int | None:
        """The process that runs this machine now, or None."""
        try:
            pid = int((self.directory / "qemu.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._is_this_machine(pid) else None

    def keep_console(self, kept: Path, progress: Progress) -> None:
        """Copy the console log to where it outlives the instance, and say so."""
        if self.console.exists():
            shutil.copyfile(self.console, kept)
            progress.say(self.name, f"its console log: {kept}")

    def end_process(self) -> None:
        """End the machine's process if there is one; the guest is not asked."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self.pid()
            if pid is None:
                return
            os.kill(pid, number)
            end = time.monotonic() + END_LIMIT
            while self.pid() is not None and time.monotonic() < end:
                time.sleep(0.05)
        if self.pid() is not None:
            raise LabError(f"{self.name}: the process {self.pid()} does not end")

    def _is_this_machine(self, pid: int) -> bool:
        # The number in the file may belong to another process by now: only the command line tells.
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        is_qemu = Path(os.fsdecode(arguments[0])).name == BINARY
        return is_qemu and os.fsencode(drive_option(self.directory)) in arguments
