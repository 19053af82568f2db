# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The monitor of a machine: QEMU's machine protocol over a Unix socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.errors import LabError

ANSWER_LIMIT = 120.0


class Monitor:
    """One connection; a context manager. Every problem is a LabError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_LIMIT)

    def __enter__(self) -> Monitor:
        # Through a descriptor of the directory, because a socket's path may have 107 bytes only (unix(7)).
        directory = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{self._path.name}")
            self._lines = self._socket.makefile("r", encoding="utf-8")
            self._lines.readline()  # the greeting
            self.execute("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise LabError(f"the monitor {self._path} does not answer: {error}") from error
        finally:
            os.close(directory)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """Run one command of the protocol and return what it returns."""
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._socket.sendall(request.encode() + b"\n")
            for line in self._lines:
                answer = json.loads(line)
                if "error" in answer:
                    raise LabError(f"the monitor refused {command}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise LabError(f"the monitor did not answer {command}: {error}") from error
        raise LabError(f"the monitor closed the connection during {command}")

    def save_state(self, name: str) -> None:
        """Write the running machine into its disk."""
        complaint = self.execute("human-monitor-command", **{"command-line": f"savevm {name}"})
        if complaint.strip():
            raise LabError(f"the machine's state was not saved: {complaint.strip()}")

    def reset(self) -> None:
        """What the reset button does."""
        self.execute("system_reset")

    def quit(self) -> None:
        """End QEMU at once; the guest is not told, what it wrote to its disk is on the disk."""
        self.execute("quit")
