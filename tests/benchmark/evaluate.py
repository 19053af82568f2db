# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processor seconds to judge a fleet: ``python tests/benchmark/evaluate.py [HOSTS] [CONTAINERS]``.

The hosts are copies of the recorded careless one with other names and so many containers each. Nothing is
written; reports are made and let go, as the role does it.
"""

from __future__ import annotations

import copy
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "build" / "collections"))

from ansible_collections.bulkhead.hardening.plugins.filter.evaluate_controls import (  # noqa: E402
    evaluate_controls,
)
from ansible_collections.bulkhead.hardening.plugins.filter.fleet_report import (  # noqa: E402
    fleet_entry,
    fleet_report,
)


def synthetic_host(number: int, containers: int) -> dict[str, Any]:
    path = ROOT / "tests" / "unit" / "fixtures" / "posture_careless.json"
    posture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    posture["host"]["hostname"] = f"host{number}"
    samples = posture["containers"]
    posture["containers"] = [copy.deepcopy(samples[n % len(samples)]) for n in range(containers)]
    return posture


def main() -> None:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    containers = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    catalogue = sorted(str(path) for path in (ROOT / "roles/posture_audit/files/catalogue").glob("*.yml"))
    entries = []
    slowest = spent = 0.0
    for number in range(hosts):
        posture = synthetic_host(number, containers)
        begun = time.process_time()
        entries.append(fleet_entry(evaluate_controls(posture, host=f"host{number}", catalogue=catalogue)))
        seconds = time.process_time() - begun
        slowest, spent = max(slowest, seconds), spent + seconds
    begun = time.process_time()
    fleet_report(entries, collected_at="2026-11-23T15:20:00Z")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{hosts} hosts with {containers} containers: {spent:.1f} s, {1000 * spent / hosts:.1f} ms per host "
        f"(slowest, with compilation: {1000 * slowest:.0f} ms); fleet {time.process_time() - begun:.2f} s; "
        f"{memory} MiB"
    )


if __name__ == "__main__":
    main()
