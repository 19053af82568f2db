# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One machine: starting its process, waiting until it answers, ending and interrupting it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.cache import Keys
from lab.commands import output_of, tail
from lab.console import Console
from lab.errors import LabError
from lab.identity import identity_script
from lab.image import Image
from lab.instance import Instance, Record
from lab.ports import free_port
from lab.progress import Progress
from lab.qemu import Accelerator, machine_arguments, overlay_arguments
from lab.qmp import Monitor
from lab.ssh import banner_answers, known_hosts_line, run_remote, ssh_arguments

START_LIMIT = 180.0
PORT_ATTEMPTS = 10
SETTLE_LIMIT = 240.0


@dataclass(frozen=True)
class Machine:
    """An instance together with the image and the way of running it."""

    instance: Instance
    image: Image
    accelerator: Accelerator
    keys: Keys
    progress: Progress

    @property
    def name(self) -> str:
        return self.instance.name

    def make_overlay(self, base: Path) -> None:
        """Give the machine an empty layer over a disk of the cache."""
        output_of(overlay_arguments(base, self.instance.overlay), limit=60)

    def copy_disk(self, disk: Path) -> None:
        """Give the machine its own copy of a ready disk, cheaply where the file system can."""
        copy = ["cp", "--reflink=auto", "--sparse=always", str(disk), str(self.instance.overlay)]
        output_of(copy, limit=120)

    def boot(self, base: Path) -> None:
        """Boot for real from a fresh layer over the given disk, until everything has started."""
        self.make_overlay(base)
        self.start()
        self.wait_for_ssh()
        self.wait_until_settled()
        self.give_identity(from_saved_state=False)

    def start(self, *, load_state: bool = False) -> None:
        """Start the process; with load_state the machine goes on from the state saved in its overlay."""
        directory = self.instance.directory
        for attempt in range(1, PORT_ATTEMPTS + 1):
            port = free_port()
            argv = machine_arguments(
                self.image, directory, self.accelerator, port=port, load_state=load_state
            )
            try:
                output_of(argv, limit=START_LIMIT, cwd=directory)
                break
            except LabError as error:
                if "host forwarding" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
        self._known_hosts.write_text(known_hosts_line(port, self.keys))
        self.instance.write(
            Record(self.image.recipe.name, str(self.image.directory), self.accelerator.name, port)
        )

    def wait_for_ssh(self) -> None:
        """Return when the ssh server lets root in. A boot that hangs is started again, once.

        Raises LabError with the console's last lines when the process ends or the time is over.
        """
        restarted = False
        console = Console(self.instance.console, silence_limit=self.accelerator.silence_limit)
        for elapsed in self.progress.ticks(self.name, f"booting ({self.accelerator.name})", poll=0.5):
            if banner_answers(self.instance.read().port) and self._lets_in():
                self.progress.say(self.name, f"ssh answers after {elapsed:.0f} s")
                return
            if self.instance.pid() is None:
                raise self._failure("the machine's process ended while it booted")
            if elapsed > self.accelerator.boot_limit:
                raise self._failure(f"ssh did not answer within {self.accelerator.boot_limit:.0f} s")
            trouble = console.trouble()
            if trouble and restarted:
                raise self._failure(f"the second boot fails like the first: {trouble}")
            if trouble:
                self.progress.say(self.name, f"{trouble}; starting it again once")
                self.reset()
                console.follow_from_here()
                restarted = True

    def _lets_in(self) -> bool:
        """A slow machine's server can answer and close the connection before it has started."""
        try:
            self.run("true\n")
        except LabError:
            return False
        return True

    def wait_until_settled(self) -> None:
        """Return when systemd has started everything; units that failed are named, which is no error here."""
        script = "systemctl is-system-running --wait >/dev/null || systemctl --failed --plain --no-legend\n"
        failed = [
            line.split()[0] for line in self.run(script, limit=SETTLE_LIMIT).splitlines() if line.strip()
        ]
        if failed:
            self.progress.say(self.name, f"units that failed: {', '.join(failed)}")

    def run(self, script: str, *, limit: float = 60.0) -> str:
        """Run a shell script as root on the machine and return its standard output."""
        return run_remote(self.ssh_arguments(), script, limit=limit)

    def ssh_arguments(self) -> list[str]:
        return ssh_arguments(self.instance.read().port, self.keys.login, self._known_hosts)

    def give_identity(self, *, from_saved_state: bool) -> None:
        """A host name of its own; after a saved state also the time, randomness and a machine id."""
        self.run(identity_script(self.name, from_saved_state=from_saved_state))

    def reboot(self) -> None:
        """Reboot through systemd and wait until a different boot answers."""
        before = self.boot_id()
        # In the background, so that ssh has ended before the machine closes its connections.
        self.run("(sleep 1; systemctl reboot) >/dev/null 2>&1 &\n")
        for elapsed in self.progress.ticks(self.name, "shutting down", poll=0.5):
            if not banner_answers(self.instance.read().port):
                break
            if elapsed > self.accelerator.boot_limit:
                raise self._failure("the machine did not shut down")
        self.wait_for_ssh()
        if self.boot_id() == before:
            raise self._failure("the machine answers, but it did not reboot")
        self.wait_until_settled()

    def boot_id(self) -> str:
        """The kernel's random name of this boot (random(4))."""
        return self.run("cat /proc/sys/kernel/random/boot_id\n").strip()

    def power_cut(self) -> None:
        """Take the power away: what the guest had not written to its disk is lost."""
        if self.instance.pid() is None:
            raise LabError(f"{self.name} is off already")
        with Monitor(self.instance.monitor) as monitor:
            monitor.quit()
        self.instance.end_process()

    def power_on(self) -> None:
        """Start a machine that is off, from its own disk as it was left."""
        if self.instance.pid() is not None:
            raise LabError(f"{self.name} is up already")
        self.start()
        self.wait_for_ssh()
        self.wait_until_settled()

    def reset(self) -> None:
        """Press the reset button."""
        with Monitor(self.instance.monitor) as monitor:
            monitor.reset()

    @property
    def _known_hosts(self) -> Path:
        return self.instance.directory / "known_hosts"

    def _failure(self, what: str) -> LabError:
        return LabError(f"{self.name}: {what}\n{tail(self.instance.console)}")
