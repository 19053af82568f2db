# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong while a host is hardened, tried on real machines; after each the host is as before.

Every machine has containers of Docker's and of a rootless user's. Each fault looks at the host, does its
harm, and looks again: every managed file byte for byte, every container with the same process and start time,
the engine's settings in force. `python -m faults` chooses what is tried where.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from lab.errors import LabError
from lab.laboratory import Laboratory
from lab.machine import Machine

from faults.operator import AFTER_A_WRITE, HARDENING, Ended, Operator, Run
from faults.witness import Sight, look, wait_for_engine

DAEMON_JSON = "/etc/docker/daemon.json"
STATE = "/var/lib/bulkhead"
REACHED = 300.0


def assert_same(before: Sight, after: Sight) -> None:
    differences = before.differences(after)
    assert not differences, "\n".join(differences)


# What a run that undid itself says at its end; one that could not prove it says so.
PROVEN = "proven to be as before the run"


def assert_refused(ended: Ended, *words: str) -> None:
    """It failed, for the reason that the words name."""
    assert ended.status == 2, ended.output[-4000:]
    absent = [word for word in words if word not in ended.output]
    assert not absent, f"not in the output: {absent}\n{ended.output[-4000:]}"


@contextlib.contextmanager
def harm(machine: Machine, do: str, undo: str) -> Iterator[None]:
    """Something that is wrong with the host for as long as the block lasts."""
    machine.run(f"set -e\n{do}\n")
    try:
        yield
    finally:
        machine.run(f"set -e\n{undo}\n", limit=180)


def fragile_container(machine: Machine, watched: str) -> contextlib.AbstractContextManager[None]:
    """A container that does not survive a change of this path, whatever the change is."""
    unit = "/run/systemd/system"
    return harm(
        machine,
        "docker run --detach --name fragile localhost/busybox:1 /bin/busybox sleep 100000 >/dev/null\n"
        f"printf '[Path]\\nPathChanged={watched}\\n' > {unit}/fault.path\n"
        "printf '[Service]\\nType=oneshot\\nExecStart=/usr/bin/docker kill fragile\\n'"
        f" > {unit}/fault.service\n"
        "systemctl daemon-reload; systemctl start fault.path",
        f"systemctl stop fault.path; rm {unit}/fault.path {unit}/fault.service; systemctl daemon-reload\n"
        "docker rm --force fragile >/dev/null",
    )


def wait_until_changed(machine: Machine, run: Run) -> None:
    """Return when the run has changed the engine's file."""
    script = f"sha256sum {DAEMON_JSON} 2>/dev/null || echo none\n"
    first, deadline = machine.run(script), time.monotonic() + REACHED
    while machine.run(script) == first:
        assert run.process.poll() is None, run.output.read_text(errors="replace")
        assert time.monotonic() < deadline, f"{DAEMON_JSON} did not change"


def wait_for_network(machine: Machine) -> None:
    """Return when the machine can be reached again."""
    deadline = time.monotonic() + 2 * REACHED
    while True:
        try:
            machine.run("true\n")
            return
        except LabError:
            assert time.monotonic() < deadline, f"{machine.name} is still cut off"


def cut_power_during(
    laboratory: Laboratory, machine: Machine, operator: Operator, playbook: str, variables: dict[str, Any]
) -> None:
    """Take the power away when a run has changed the engine's file; return when the host is up again."""
    with operator.playing(playbook, variables) as run:
        wait_until_changed(machine, run)
        machine.power_cut()
    machine.power_on()
    laboratory.write_inventory()  # it has another port now
    wait_for_engine(machine)
    machine.run("systemctl start user@$(id -u rootless).service\n")


def hardened_and_back(machine: Machine, operator: Operator, before: Sight, **variables: Any) -> Ended:
    """The next run, without a word about the accident, puts the host right and hardens it; then back."""
    ended = operator.harden(**variables)
    assert ended.status == 0, ended.output[-4000:]
    after = look(machine)
    assert after.engine["live_restore"]
    assert after.engine["no_new_privileges"] == "1"
    assert after.docker == before.docker
    assert after.podman == before.podman
    assert after.cgroups == len(after.docker)
    back(machine, operator, before)
    return ended


def back(machine: Machine, operator: Operator, before: Sight, to: str = "baseline") -> None:
    ended = operator.roll_back(to)
    assert ended.status == 0, ended.output[-4000:]
    assert_same(before, look(machine))


def test_a_daemon_that_does_not_start_with_the_change(machine: Machine, operator: Operator) -> None:
    unit = "/run/systemd/system/docker.service.d"
    refusal = f"[Service]\\nExecStartPre=/bin/sh -c '! grep -q no-new-privileges {DAEMON_JSON}'\\n"
    with harm(
        machine,
        f'mkdir -p {unit}; printf "{refusal}" > {unit}/99-fault.conf; systemctl daemon-reload',
        f"rm -r {unit}; systemctl daemon-reload",
    ):
        before = look(machine)
        assert_refused(operator.harden(), "docker.service", PROVEN)
        assert_same(before, look(machine))


def test_a_health_check_that_fails(machine: Machine, operator: Operator) -> None:
    with fragile_container(machine, DAEMON_JSON):
        before = look(machine)
        assert_refused(operator.harden(), "fragile", "restored")
        after = look(machine)
        before.docker.pop("fragile")
        after.docker.pop("fragile", None)  # whether it is started again is the restart policy's affair
        assert_same(before, after)


def test_a_full_disk_for_the_checkpoint(machine: Machine, operator: Operator) -> None:
    before = look(machine)
    with harm(
        machine,
        f"mkdir -p {STATE}; mount -t tmpfs -o size=8k,mode=700 tmpfs {STATE}",
        f"umount {STATE}",
    ):
        assert_refused(operator.harden(), "othing was changed", STATE)
        assert_same(before, look(machine))


def test_a_full_disk_for_the_change(machine: Machine, operator: Operator) -> None:
    # A file system of 16 KiB over the directory holds the file, and no second one.
    with harm(
        machine,
        "rm -rf /root/held; cp -a /etc/docker /root/held\n"
        "mount -t tmpfs -o size=16k,mode=755 tmpfs /etc/docker; cp -a /root/held/. /etc/docker\n"
        "! dd if=/dev/zero of=/etc/docker/filler bs=1k 2>/dev/null",
        "umount /etc/docker; rm -r /root/held",
    ):
        before = look(machine)
        assert_refused(operator.harden(), "No space left on device", "othing was changed")
        assert_same(before, look(machine))


def test_a_read_only_directory(machine: Machine, operator: Operator) -> None:
    before = look(machine)
    with harm(
        machine,
        "mount --bind /etc/docker /etc/docker; mount -o remount,bind,ro /etc/docker",
        "umount /etc/docker",
    ):
        assert_refused(operator.harden(), "Read-only file system", "othing was changed")
        assert_same(before, look(machine))


def test_a_corrupt_ledger(machine: Machine, operator: Operator) -> None:
    before = look(machine)
    with harm(
        machine,
        f"mkdir -p -m 700 {STATE}; rm -f /root/ledger.kept\n"
        f"if [ -e {STATE}/ledger.json ]; then mv {STATE}/ledger.json /root/ledger.kept; fi\n"
        f'echo \'{{"schema_version": "1.0", "keys": [\' > {STATE}/ledger.json',
        f"rm {STATE}/ledger.json\n"
        f"if [ -e /root/ledger.kept ]; then mv /root/ledger.kept {STATE}/ledger.json; fi",
    ):
        assert_refused(operator.harden(), f"{STATE}/ledger.json", "damaged", "othing was changed")
        assert_same(before, look(machine))


def test_a_corrupt_checkpoint(machine: Machine, operator: Operator) -> None:
    assert operator.harden().status == 0
    before = look(machine)
    checkpoints = f"{STATE}/checkpoints"
    spoil = (
        "import sys\nfor path in sys.argv[1:]:\n    data = open(path, 'rb').read()\n"
        "    open(path, 'wb').write(bytes(255 - byte for byte in data))\n"
    )
    turn = f"find {checkpoints} -path '*/objects/*' -type f -exec python3 -c \"{spoil}\" {{}} +"
    with harm(machine, turn, turn):
        assert_refused(operator.roll_back(), "othing was changed", checkpoints)
        assert_same(before, look(machine))
    assert operator.roll_back().status == 0


def test_a_power_cut_during_the_apply(laboratory: Laboratory, machine: Machine, operator: Operator) -> None:
    before = look(machine)
    cut_power_during(laboratory, machine, operator, "harden", HARDENING)
    # Containers end with the power: those with a restart policy are back, as other processes.
    running = look(machine)
    ended = operator.roll_back("last")
    assert ended.status == 0, ended.output[-4000:]
    after = look(machine)
    assert after.files == before.files
    assert after.engine == before.engine
    assert after.docker["always"] == running.docker["always"]
    # It ran before the run, so that undoing the run starts it again.
    assert after.docker.keys() == before.docker.keys()


def test_a_power_cut_before_the_next_run(
    laboratory: Laboratory, machine: Machine, operator: Operator
) -> None:
    before = look(machine)
    cut_power_during(laboratory, machine, operator, "harden", HARDENING)
    running = look(machine)
    # The next run restores, and goes on: nobody has to say a word about the accident.
    ended = operator.harden()
    assert ended.status == 0, ended.output[-4000:]
    hardened = look(machine)
    assert hardened.engine["live_restore"]
    assert hardened.engine["no_new_privileges"] == "1"
    assert hardened.docker["always"] == running.docker["always"]
    ended = operator.roll_back()
    assert ended.status == 0, ended.output[-4000:]
    after = look(machine)
    assert after.files == before.files
    assert after.engine == before.engine
    assert after.docker.keys() == before.docker.keys()


def test_a_power_cut_during_the_rollback(
    laboratory: Laboratory, machine: Machine, operator: Operator
) -> None:
    before = look(machine)
    assert operator.harden().status == 0
    cut_power_during(laboratory, machine, operator, "rollback", {"rollback_to": "baseline"})
    running = look(machine)
    ended = operator.roll_back("baseline")
    assert ended.status == 0, ended.output[-4000:]
    after = look(machine)
    assert after.files == before.files
    assert after.engine == before.engine
    assert after.docker["always"] == running.docker["always"]
    machine.run("docker start web >/dev/null\n")


def test_a_failure_after_containers_were_stopped(machine: Machine, operator: Operator) -> None:
    # Permitted to stop containers, the run stops and starts them; then the container dies.
    with fragile_container(machine, "/etc/audit/rules.d"):
        before = look(machine)
        assert_refused(operator.harden(docker_engine_allow="stop_containers"), "fragile", "estored")
        after = look(machine)
        assert after.files == before.files
        assert after.engine == before.engine
        assert after.podman == before.podman
        assert {"web", "always"} <= after.docker.keys()
        assert after.cgroups == len(after.docker)


def test_a_network_that_is_cut(machine: Machine, operator: Operator) -> None:
    before = look(machine)
    rule = "INPUT --protocol tcp --dport 22 --jump DROP"
    restored = (
        f"find {STATE}/checkpoints -name manifest.json -newer /root/cut"
        ' | xargs --no-run-if-empty grep --files-with-matches \'"restored_by": "deadman"\' | grep --quiet .'
    )
    # Mended when the host has restored itself, or after five minutes: then the test fails.
    cut = (
        f"iptables --insert {rule}; for i in $(seq 150); do if {restored}; then break; fi; sleep 2; done"
        f"; iptables --delete {rule}"
    )
    variables = {**HARDENING, "checkpoint_confirm_within": 150}
    with operator.playing("harden", variables) as run:
        wait_until_changed(machine, run)
        machine.run(f"touch /root/cut; (sleep 1; {cut}) >/dev/null 2>&1 &\n")
        time.sleep(5)
        wait_for_network(machine)
    machine.run(f"{restored}\n")
    wait_for_engine(machine)
    assert_same(before, look(machine))
    hardened_and_back(machine, operator, before)


def test_a_killed_run_is_resumed(machine: Machine, operator: Operator) -> None:
    before = look(machine)
    killed = operator.play("harden", HARDENING, kill_before=AFTER_A_WRITE)
    assert killed.status == -9, killed.output[-4000:]
    ended = hardened_and_back(machine, operator, before, checkpoint_interrupted="resume")
    assert '"resumed": true' in ended.output, ended.output[-4000:]


def test_killed_before_a_task(machine: Machine, operator: Operator, boundary: int) -> None:
    """`boundary` runs through all tasks of an undisturbed run (or a sample of them)."""
    before = look(machine)
    killed = operator.play("harden", HARDENING, kill_before=boundary)
    assert killed.status == -9, killed.output[-4000:]
    if boundary % 2:
        hardened_and_back(machine, operator, before)
    elif killed.opened:
        back(machine, operator, before, to="last")
    else:
        # It ended before there was anything to go back to, and each trial leaves a host that was put back.
        assert_refused(operator.roll_back("last"), "there is no checkpoint to restore", "othing was changed")
        assert_same(before, look(machine))
