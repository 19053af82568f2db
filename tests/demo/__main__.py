"""``python -m demo [--inventory FILE]``: audit, harden, audit again, and show the two side by side.

Without an inventory the host is a virtual machine made careless for the purpose and ended afterwards; at the
end it is rolled back, and a third audit proves that it is as before. With one, the same audit, hardening and
audit run on the hosts it names, and they stay hardened.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_table import before_after_table

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "demo"
LAB = BUILD / "lab"
MACHINE = "demo"
PLATFORM = "debian-13"
USER = "alice"  # whom careless.sh makes, with a container of rootless Podman
# A user's manager keeps the cgroup controllers that it was given until its next start.
KEPT = "rootless-user-controllers"
STARTED = time.monotonic()


def say(text: str) -> None:
    """One line of progress, with the minutes since the start."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    print(f"\n=== [{minutes:2d}:{seconds:02d}] {text}", flush=True)


def run(*command: str | Path, stdin: IO[str] | None = None) -> None:
    """Run a command in the checkout, its output shown as it comes.

    Raises:
        SystemExit: the command failed; its own output has said why.
    """
    environment = {**os.environ, "BULKHEAD_LAB_DIRECTORY": str(LAB)}
    ended = subprocess.run(command, cwd=CHECKOUT, env=environment, stdin=stdin, check=False)
    if ended.returncode:
        shown = " ".join(str(part) for part in command)
        raise SystemExit(f"demo: `{shown}` ended with status {ended.returncode}")


def playbook(name: str, inventory: Path, *options: str, **variables: Any) -> None:
    """Run a playbook of the collection with the given variables on the inventory."""
    path = CHECKOUT / "playbooks" / f"{name}.yml"
    run("ansible-playbook", "-i", inventory, path, "--extra-vars", json.dumps(variables), *options)


@contextlib.contextmanager
def careless_host() -> Iterator[Path]:
    """A machine with a careless container host in it; yields its inventory, ends the machine in any case."""
    say(f"Starting a disposable {PLATFORM} machine (the first time, its image is built: some minutes)")
    try:
        run(sys.executable, "-m", "lab", "up", "--as", MACHINE, PLATFORM)
        say("Making a careless container host of it")
        with (CHECKOUT / "tests" / "demo" / "careless.sh").open(encoding="utf-8") as script:
            run(sys.executable, "-m", "lab", "ssh", MACHINE, "sh", "-s", stdin=script)
        yield LAB / "inventory.yml"
    finally:
        say("Ending the machine")
        run(sys.executable, "-m", "lab", "down", MACHINE)


def reports(directory: Path) -> dict[str, dict[str, Any]]:
    """The JSON reports of a directory by host."""
    paths = directory.glob("*/report.json")
    found = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    if not found:
        raise SystemExit(f"demo: no report in {directory}")
    return found


def show(before: Path, after: Path) -> None:
    """Print before and after side by side, one table per host, and leave the files where the README says."""
    earlier, later = reports(before), reports(after)
    for host, report in sorted(later.items()):
        print()
        print(before_after_table(earlier[host], report))
    if len(later) == 1:
        (host,) = later
        shutil.copyfile(before / host / "report.json", BUILD / "before.json")
        shutil.copyfile(after / host / "report.json", BUILD / "after.json")
        shutil.copyfile(after / host / "report.html", BUILD / "report.html")
        page = BUILD / "report.html"
    else:
        page = after / "fleet.html"
    print(f"\nThe report: {page}\n", flush=True)


def audit_harden_audit(inventory: Path, **hardening: Any) -> None:
    """The three runs and what came of them."""
    before, after = BUILD / "before", BUILD / "after"
    say("First audit: what is in force now (read-only)")
    playbook("audit", inventory, posture_audit_report_directory=str(before))
    say("Hardening: the plan first, then live-restore by reload, then one restart")
    playbook("harden", inventory, **hardening)
    say("Second audit")
    playbook("audit", inventory, posture_audit_report_directory=str(after))
    show(before, after)


def files_of(machine: str) -> str:
    """Mode, owner and checksum of every file where the hardening writes, by the machine's own tools."""
    script = (
        "find /etc/docker /etc/systemd/system /etc/audit/rules.d /etc/sysctl.d /etc/containers -type f"
        " -exec stat --format '%a %U:%G' {} + -exec sha256sum {} + | sort\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "lab", "ssh", machine, "sh", "-s"],
        cwd=CHECKOUT,
        env={**os.environ, "BULKHEAD_LAB_DIRECTORY": str(LAB)},
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def results(host_report: Path) -> dict[tuple[str, str], str]:
    """Result by control and subject of a report, but for `KEPT` and the controls over our own state."""
    findings = json.loads(host_report.read_text(encoding="utf-8"))["findings"]
    return {
        (finding["id"], finding["subject"]["name"]): finding["result"]
        for finding in findings
        if not finding["id"].startswith("bulkhead-") and finding["id"] != KEPT
    }


def roll_back(inventory: Path, files_before: str) -> list[str]:
    """Put the machine back to before the collection; returns what is not as it was then."""
    hardened = files_of(MACHINE)
    say("What would a rollback do? In check mode it only says so")
    playbook("rollback", inventory, "--check", rollback_to="baseline")
    if files_of(MACHINE) != hardened:
        raise SystemExit("demo: the check mode of the rollback changed a file")
    say("Rolling back to the state before the collection")
    playbook("rollback", inventory, rollback_to="baseline")
    say("Third audit: is everything as it was?")
    third = BUILD / "restored"
    playbook("audit", inventory, posture_audit_report_directory=str(third))
    before = results(BUILD / "before.json")
    after = results(third / MACHINE / "report.json")
    differing = sorted({key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)})
    return differing + ([] if files_of(MACHINE) == files_before else ["a file"])


def container(host_report: Path, name: str) -> dict[str, Any]:
    """A container of a report by its name."""
    found = json.loads(host_report.read_text(encoding="utf-8"))["containers"]
    return next(entry for entry in found if entry["name"] == name)


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--inventory", type=Path, help="harden these hosts instead")
    arguments = parser.parse_args()
    # A terminated run ends its machine like an interrupted one: SystemExit passes through `finally`.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    for earlier in ("before", "after", "restored"):
        shutil.rmtree(BUILD / earlier, ignore_errors=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    if arguments.inventory:
        if not arguments.inventory.exists():
            parser.error(f"--inventory: there is no {arguments.inventory}; nothing was started")
        audit_harden_audit(arguments.inventory.resolve())
        return 0
    with careless_host() as inventory:
        files_before = files_of(MACHINE)
        audit_harden_audit(inventory, docker_engine_profile="strict", rootless_users_names=[USER])
        differing = roll_back(inventory, files_before)
    paths = [BUILD / "before.json", BUILD / "after.json", BUILD / "restored" / MACHINE / "report.json"]
    processes = [container(path, "web")["init"] for path in paths]
    same = all(process == processes[0] for process in processes)
    print(
        f"\nThe ordinary container `web` ran through all of it: "
        f"{'the same process' if same else 'ANOTHER process'}, pid {processes[-1]['pid']}.\n"
        "Rolled back: "
        + (
            f"NOT as before: {', '.join(differing)}"
            if differing
            else f"every file and every result as before (but {KEPT}, until the user's manager starts anew)."
        )
    )
    say("Done")
    return 0 if same and not differing else 1


if __name__ == "__main__":
    sys.exit(main())
