# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python -m faults MACHINE…``: try the faults on machines of the lab, side by side; count what survived.

Without ``--all`` a sample is tried: on each machine some of the named faults, and a run that is killed before
one of its tasks; ``--seed`` chooses both, and is printed. ``--write`` puts the counts into
docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.laboratory import Laboratory, lab_directory
from lab.progress import Progress

from faults.operator import AFTER_A_WRITE, AT_THE_COMMIT, HARDENING, Operator

CHECKOUT = Path(__file__).resolve().parents[2]
TRIALS = Path(__file__).with_name("try_faults.py")
LOGS = CHECKOUT / "build" / "logs" / "faults"
PAGE = CHECKOUT / "docs" / "reliability.md"
MARKS = ("<!-- counts: python -m faults --write -->\n", "<!-- end of counts -->\n")
KILLED = "test_killed_before_a_task"
NAMED_IN_A_SAMPLE = 1  # per machine
SEED = 474  # its sample has a failed health check and a dead daemon


@dataclass(frozen=True)
class Trial:
    """One fault on one machine."""

    machine: str
    fault: str
    survived: bool
    seconds: float


def named_faults() -> list[str]:
    """The faults of try_faults.py by name, but for the killed runs, whose number is known only from a run."""
    names = re.findall(r"^def (test_\w+)\(", TRIALS.read_text(encoding="utf-8"), re.M)
    return [name for name in names if name != KILLED]


def fault_of(test: str) -> str:
    """The fault that a test tries, as the page names it."""
    return test.removeprefix("test_").replace("_", " ")


def kind_of(fault: str) -> str:
    """The fault without the number of the task."""
    return fault.partition("[")[0]


def undisturbed(operator: Operator) -> tuple[str, ...]:
    """Harden and roll back without any fault; returns the tasks of the hardening.

    Raises:
        SystemExit: one of the two failed, so that nothing can be said about faults
    """
    hardened = operator.play("harden", HARDENING)
    back = operator.roll_back()
    for run in (hardened, back):
        if run.status != 0:
            raise SystemExit(f"faults: {operator.name}: without any fault:\n{run.output[-6000:]}")
    return hardened.tasks


def share(
    names: Sequence[str], machines: Sequence[str], *, everything: bool, seed: int
) -> dict[str, list[str]]:
    """Which faults are tried on which machine: all on each, or some, none of them twice."""
    if everything:
        return {machine: list(names) for machine in machines}
    shuffled = random.Random(seed).sample(list(names), len(names))
    return {
        machine: shuffled[index :: len(machines)][:NAMED_IN_A_SAMPLE]
        for index, machine in enumerate(machines)
    }


def sampled_boundary(machine: str, place: int, seed: int) -> int:
    """The number of the task before which the run is killed, on the machine at this place.

    After an odd one the next run recovers by itself, after an even one a rollback does: the machines of a
    sample take turns.
    """
    numbers = range(AFTER_A_WRITE + place % 2, AT_THE_COMMIT + 1, 2)
    return random.Random(f"{seed} {machine}").choice(numbers)


def try_on(operator: Operator, names: Sequence[str], killed: Sequence[int] | None) -> list[Trial]:
    """Try faults on one machine, one after the other.

    Args:
        names: of the named faults
        killed: numbers of the tasks before which a run is killed, or None for all of them
    """
    if killed is None:
        killed = range(1, len(undisturbed(operator)) + 1)
    report = LOGS / f"{operator.name}.xml"
    report.unlink(missing_ok=True)
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "--verbose",
            "--override-ini=timeout=1800",
            "-p",
            "no:cacheprovider",
        ),
        *("--machine", operator.name, "--logs", str(LOGS), "--junit-xml", str(report)),
        *("--boundaries", ",".join(map(str, killed))),
        *[f"{TRIALS}::{name}" for name in (*names, KILLED)],
    ]
    with (LOGS / f"{operator.name}.pytest").open("wb") as output:
        subprocess.run(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT, check=False)
    return trials(operator.name, report)


def trials(machine: str, report: Path) -> list[Trial]:
    """What pytest's own report says."""
    if not report.exists():
        raise SystemExit(f"faults: {machine}: pytest wrote no report, see {LOGS}/{machine}.pytest")
    return [
        Trial(
            machine=machine,
            fault=fault_of(case.get("name") or ""),
            survived=case.find("failure") is None and case.find("error") is None,
            seconds=float(case.get("time") or 0),
        )
        for case in ElementTree.parse(report).getroot().iter("testcase")
    ]


def table(tried: Sequence[Trial]) -> str:
    """One row per kind of fault."""
    kinds: dict[str, list[Trial]] = {}
    for trial in tried:
        kinds.setdefault(kind_of(trial.fault), []).append(trial)
    rows = [
        f"| {kind} | {', '.join(sorted({trial.machine for trial in of_kind}))} | {len(of_kind)} "
        f"| {sum(trial.survived for trial in of_kind)} |"
        for kind, of_kind in sorted(kinds.items())
    ]
    return "\n".join(["| fault | machines | tried | survived |", "| --- | --- | ---: | ---: |", *rows])


def gaps(tried: Sequence[Trial]) -> list[str]:
    """What was not tried on every machine of the run, a line each for the page."""
    machines = {trial.machine for trial in tried}
    lines = []
    for name in [*named_faults(), KILLED]:
        on = {trial.machine for trial in tried if kind_of(trial.fault) == fault_of(name)}
        if on != machines:
            where = f"tried on {', '.join(sorted(on))} only" if on else "not tried yet"
            lines.append(f"- {fault_of(name)}: {where}")
    return lines


def write_page(tried: Sequence[Trial], summary: str) -> None:
    """Put the counts of this run between their marks in docs/reliability.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    today = time.strftime("%Y-%m-%d")
    parts = (f"{summary} ({today})", table(tried), "\n".join(gaps(tried)))
    counts = "".join(f"{part}\n\n" for part in parts if part)
    PAGE.write_text(f"{before}{MARKS[0]}\n{counts}{MARKS[1]}{after}", encoding="utf-8")


def main() -> int:
    """Parse the arguments and try."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("machines", nargs="+", help="machines of the lab, prepared by molecule/rollback")
    parser.add_argument("--all", action="store_true", help="every fault on every machine")
    parser.add_argument("--seed", type=int, default=SEED, help="which sample")
    parser.add_argument("--only", action="append", help="only this fault, by the name of its test")
    parser.add_argument("--write", action="store_true", help="write the counts into docs/reliability.md")
    arguments = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    laboratory = Laboratory(lab_directory(), Progress())
    shares = share(
        arguments.only or named_faults(), arguments.machines, everything=arguments.all, seed=arguments.seed
    )
    begun = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(shares)) as pool:
        jobs = [
            pool.submit(
                try_on,
                Operator(laboratory.inventory, machine, LOGS),
                names,
                None if arguments.all else [sampled_boundary(machine, place, arguments.seed)],
            )
            for place, (machine, names) in enumerate(shares.items())
        ]
        tried = [trial for job in jobs for trial in job.result()]
    survived = sum(trial.survived for trial in tried)
    scope = "every fault on every machine" if arguments.all else f"a sample, seed {arguments.seed}"
    summary = f"{len(tried)} faults tried, {survived} survived: {scope}, {time.monotonic() - begun:.0f} s"
    (LOGS / "faults.json").write_text(
        json.dumps([asdict(trial) for trial in tried], indent=1), encoding="utf-8"
    )
    if arguments.write:
        write_page(tried, summary)
    for trial in tried:
        if not trial.survived:
            print(f"{trial.machine}: {trial.fault}: did not survive, see {LOGS}/{trial.machine}.pytest")
    print(summary)
    return 0 if tried and survived == len(tried) else 1


if __name__ == "__main__":
    sys.exit(main())
