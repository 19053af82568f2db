# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operator at the controller: runs the playbooks on one machine, or is cut off in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["AFTER_A_WRITE", "AT_THE_COMMIT", "HARDENING", "Ended", "Operator", "Run"]

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 900.0
# molecule/rollback plants it in the engine's file and unit and in a container; no run may print it.
PLANTED_SECRET = "hunter2-planted"
HARDENING: dict[str, Any] = {"docker_engine_profile": "strict"}
# The task that opens the checkpoint.
OPENING = "Take the host's state"
# The tasks of such a hardening, by number: killed before one of these it has written and not yet committed.
AFTER_A_WRITE, AT_THE_COMMIT = 17, 31
# The faults are tried on Docker Engine's role, whose changes can end containers.
_ROLES: dict[str, Any] = {"bulkhead_roles": ["docker_engine"]}
# An operator's own secret, on the machine whose engine has the key (23.0 and later).
_SETTINGS = {
    "debian-13": {
        "docker_engine_settings": {"https-proxy": f"http://ops:{PLANTED_SECRET}@proxy.invalid:3128"}
    }
}


@dataclass(frozen=True)
class Ended:
    """How a run of ansible-playbook ended: its exit status (negative: the signal), its output, its tasks.

    The last task of a run that was killed is the one that it did not begin any more.
    """

    status: int
    output: str
    tasks: tuple[str, ...] = ()

    @property
    def opened(self) -> bool:
        """Whether a run that was killed before a task had got as far as its checkpoint."""
        return any(task.endswith(OPENING) for task in self.tasks[:-1])


@dataclass(frozen=True)
class Operator:
    """Runs playbooks on the machine `name` of an inventory."""

    inventory: Path
    name: str
    logs: Path
    environment: dict[str, str] = field(default_factory=dict)

    def harden(self, **variables: Any) -> Ended:
        """Harden in the strict profile."""
        return self.play("harden", {**HARDENING, **variables})

    def roll_back(self, to: str = "baseline", **variables: Any) -> Ended:
        """Put the host back."""
        return self.play("rollback", {"rollback_to": to, **variables})

    def play(self, playbook: str, variables: dict[str, Any], *, kill_before: int = 0) -> Ended:
        """Run a playbook to its end, or until it is killed before its nth task. No secret may be printed."""
        with self.playing(playbook, variables, kill_before=kill_before) as run:
            run.process.wait(SECONDS)
            output = run.output.read_text(encoding="utf-8", errors="replace")
            tasks = tuple(run.tasks.read_text(encoding="utf-8").splitlines()) if run.tasks.exists() else ()
        with (self.logs / f"{self.name}.log").open("a", encoding="utf-8") as log:
            log.write(f"\n### {playbook} {json.dumps(variables)} kill_before={kill_before}\n{output}")
        assert PLANTED_SECRET not in output, f"a secret was printed, see {self.logs}/{self.name}.log"
        return Ended(run.process.returncode, output, tasks)

    @contextlib.contextmanager
    def playing(self, playbook: str, variables: dict[str, Any], *, kill_before: int = 0) -> Iterator[Run]:
        """A run that goes on while the block does; at its end it is killed with everything it started."""
        with tempfile.TemporaryDirectory(prefix="bulkhead-run-") as name:
            directory = Path(name)
            with (directory / "output").open("wb") as output:
                process = self._start(playbook, variables, kill_before, directory, output)
            run = Run(process, directory / "tasks", directory / "output")
            try:
                yield run
            finally:
                run.end()

    def _start(
        self,
        playbook: str,
        variables: dict[str, Any],
        kill_before: int,
        directory: Path,
        output: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "ansible", "playbook"),
                *("--inventory", self.inventory, "--limit", self.name, "--diff", "-vvv"),
                *("--extra-vars", json.dumps({**_ROLES, **_SETTINGS.get(self.name, {}), **variables})),
                CHECKOUT / "playbooks" / f"{playbook}.yml",
            ],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "ANSIBLE_PIPELINING": "true",
                "ANSIBLE_FORCE_COLOR": "false",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "faults" / "callback_plugins"),
                "ANSIBLE_CALLBACKS_ENABLED": "bulkhead_kill",
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory),
                "BULKHEAD_TASKS": str(directory / "tasks"),
                "BULKHEAD_KILL_BEFORE_TASK": str(kill_before),
                **self.environment,
            },
            stdin=subprocess.DEVNULL,
            # A file: the ssh connection that a killed run leaves behind would hold a pipe open.
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@dataclass(frozen=True)
class Run:
    """A run that goes on; `tasks` lists the tasks that began, `output` is what it has printed."""

    process: subprocess.Popen[bytes]
    tasks: Path
    output: Path

    def end(self) -> None:
        """Kill it, and what it started and left behind (a killed run leaves its ssh master connection)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
