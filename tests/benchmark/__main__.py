"""How the time of an audit's reading grows with the containers of a host.

Run it by hand on a machine that may be filled with containers, for example one of the lab's:

    make lab-up NAME=debian-13
    python -m benchmark --inventory build/lab/inventory.yml debian-13
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

CONTAINERS = Path(__file__).with_name("containers.sh")


class Measured(NamedTuple):
    """The best of several runs: seconds on the host, and from the controller with Ansible's own part."""

    containers: int
    on_host: float
    in_all: float


class Target(NamedTuple):
    """A host of an Ansible inventory."""

    inventory: Path
    host: str

    def ansible(self, module: str, arguments: str = "") -> dict[str, object]:
        """Run one module there and return its result; ends the program when it fails."""
        command = ["ansible", "--inventory", str(self.inventory), self.host, "--module-name", module]
        command += ["--args", arguments] if arguments else []
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        _host, arrow, text = completed.stdout.partition(" => ")
        if completed.returncode != 0 or not arrow:
            sys.exit(f"{module} on {self.host}: {completed.stdout}{completed.stderr}")
        result: dict[str, object] = json.loads(text)
        return result


def measure(target: Target, containers: int, runs: int) -> Measured:
    """Bring the host to that many containers and read its posture `runs` times."""
    target.ansible("ansible.builtin.script", f"{CONTAINERS} {containers}")
    on_host, in_all = [], []
    for _run in range(runs):
        begun = time.monotonic()
        posture = target.ansible("bulkhead.hardening.posture_info")["posture"]
        in_all.append(time.monotonic() - begun)
        assert isinstance(posture, dict)
        if len(posture["containers"]) != containers:
            sys.exit(
                f"{target.host}: {len(posture['containers'])} containers in the posture, not {containers}"
            )
        on_host.append(float(posture["duration_seconds"]))
    return Measured(containers, min(on_host), min(in_all))


def slope(points: list[tuple[float, float]]) -> float:
    """Seconds per container: the least squares line through the points."""
    mean_x = sum(x for x, _y in points) / len(points)
    mean_y = sum(y for _x, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _y in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--inventory", type=Path, required=True, help="an Ansible inventory")
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 10, 100], help="numbers of containers")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the fastest counts")
    parser.add_argument("host", help="a host of it that may be filled with containers; its own are removed")
    options = parser.parse_args()
    target = Target(options.inventory, options.host)
    print("containers   on the host   in all (seconds, the fastest of several runs)")
    rows = []
    for containers in options.counts:
        rows.append(measure(target, containers, options.runs))
        print(f"{containers:10}   {rows[-1].on_host:11.2f}   {rows[-1].in_all:6.2f}", flush=True)
    if len(rows) > 1:
        per_container = slope([(float(row.containers), row.on_host) for row in rows])
        print(f"slope: {per_container * 1000:.1f} ms per container on the host")


if __name__ == "__main__":
    main()
