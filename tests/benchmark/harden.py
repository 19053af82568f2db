# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a converged run of harden for Docker costs, beside as many plain `ping` calls on the same machine.

Run it by hand on a machine that may be hardened, for example one of the lab's:

    make lab-up NAME=debian-13
    python -m benchmark.harden --inventory build/lab/inventory.yml debian-13

It hardens the host until nothing changes any more, and measures then. Remote calls are counted on the host,
where every module writes into the journal how it was invoked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HARDEN = ROOT / "playbooks" / "harden.yml"
CALLBACKS = ROOT / "tests" / "molecule" / "callback_plugins"
CONVERGING_RUNS = 3
DOCKER_ALONE = ("--extra-vars", '{"bulkhead_roles": ["docker_engine"]}')
_COUNTED = "journalctl --boot --output cat --no-pager --grep Invoked --since @{begun}"


class Run(NamedTuple):
    """One run of a playbook: its time from the controller, its tasks, and the remote calls it made."""

    seconds: float
    tasks: list[dict[str, Any]]
    calls: int

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something."""
        return [task["task"] for task in self.tasks if task["changed"]]


class Target(NamedTuple):
    """A host of an Ansible inventory."""

    inventory: Path
    host: str

    def play(self, playbook: Path, *arguments: str) -> Run:
        """Run a playbook there; ends the program when it fails."""
        begun_there = self._clock()
        with tempfile.TemporaryDirectory() as directory:
            environment = {
                **os.environ,
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
                "ANSIBLE_CALLBACKS_ENABLED": "bulkhead_record",
                "BULKHEAD_RECORD_DIRECTORY": directory,
            }
            command = ["ansible-playbook", "--inventory", str(self.inventory), "--limit", self.host]
            begun = time.monotonic()
            completed = subprocess.run(
                [*command, *arguments, str(playbook)],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
            seconds = time.monotonic() - begun
            if completed.returncode != 0:
                sys.exit(f"{playbook.name} on {self.host}: {completed.stdout}{completed.stderr}")
            (record,) = Path(directory).iterdir()
            tasks = json.loads(record.read_text(encoding="utf-8"))["hosts"][self.host]
        return Run(seconds, tasks, self._calls_since(begun_there))

    def _clock(self) -> int:
        # Ssh may add a line of its own when it closes the connection.
        return int(self._command("date +%s").split(maxsplit=1)[0])

    def _calls_since(self, begun: int) -> int:
        lines = self._command(_COUNTED.format(begun=begun)).splitlines()
        return count_calls(lines)

    def _command(self, line: str) -> str:
        arguments = ["--module-name", "ansible.builtin.raw", "--args", line]
        completed = subprocess.run(
            ["ansible", "--become", "--inventory", str(self.inventory), self.host, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode != 0:
            sys.exit(f"{line} on {self.host}: {completed.stdout}{completed.stderr}")
        return completed.stdout.partition(">>\n")[2]


def count_calls(lines: list[str]) -> int:
    """The modules in lines of the journal: each logs `Invoked with` and its options once."""
    return sum("Invoked with " in line for line in lines)


def pings(count: int) -> str:
    """A play of so many `ping` tasks."""
    play = {
        "hosts": "all",
        "gather_facts": False,
        "become": True,
        "tasks": [{"ansible.builtin.ping": {}} for _number in range(count)],
    }
    return json.dumps([play])


def converge(target: Target, *arguments: str) -> None:
    """Harden the host until a run changes nothing; ends the program when it never does."""
    for _run in range(CONVERGING_RUNS):
        changed = target.play(HARDEN, *arguments).changed
        if not changed:
            return
        print(f"changed: {', '.join(changed)}", flush=True)
    sys.exit(f"{target.host}: after {CONVERGING_RUNS} runs there are still changes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.harden", description=__doc__.splitlines()[0])
    parser.add_argument("--inventory", type=Path, required=True, help="an Ansible inventory")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the fastest counts")
    parser.add_argument("host", help="a host of it with Docker that may be hardened")
    options = parser.parse_args()
    target = Target(options.inventory, options.host)
    converge(target, *DOCKER_ALONE)
    hardened = min(target.play(HARDEN, *DOCKER_ALONE) for _run in range(options.runs))
    if hardened.changed:
        sys.exit(f"{target.host}: a converged run changed {', '.join(hardened.changed)}")
    with tempfile.TemporaryDirectory() as directory:
        playbook = Path(directory) / "pings.yml"
        playbook.write_text(pings(hardened.calls), encoding="utf-8")
        pinged = min(target.play(playbook) for _run in range(options.runs))
    print(f"converged harden: {hardened.seconds:.1f} s, {hardened.calls} remote calls, nothing changed")
    print(f"as many pings:    {pinged.seconds:.1f} s, {pinged.calls} remote calls")
    print(f"ratio: {hardened.seconds / pinged.seconds:.2f}")


if __name__ == "__main__":
    main()
