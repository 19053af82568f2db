# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machines of one lab directory: making, finding and ending them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.accelerator import choose_accelerator
from lab.cache import Keys, lab_keys, locked
from lab.errors import LabError
from lab.first_boot import ensure_ready
from lab.image import Image, image_for
from lab.instance import Instance, checked_name
from lab.inventory import inventory_text
from lab.machine import Machine
from lab.platforms import Recipe, recipe_for
from lab.progress import Cancelled, Progress
from lab.qemu import KVM, TCG, Accelerator

SIDE_BY_SIDE = 2  # an emulated machine keeps two processors busy while it boots


def lab_directory() -> Path:
    """${BULKHEAD_LAB_DIRECTORY:-build/lab of this checkout}."""
    default = Path(__file__).resolve().parents[2] / "build" / "lab"
    return Path(os.environ.get("BULKHEAD_LAB_DIRECTORY") or default).absolute()


@dataclass(frozen=True)
class Wanted:
    """A machine that shall be up: instance name and platform."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Laboratory:
    directory: Path
    progress: Progress

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yml"

    def instances(self) -> list[Instance]:
        """Every machine of this directory, up or off."""
        if not self.directory.is_dir():
            return []
        return [Instance(path) for path in sorted(self.directory.iterdir()) if path.is_dir()]

    def instance(self, name: str) -> Instance:
        found = {instance.name: instance for instance in self.instances()}
        if name not in found:
            there = ", ".join(found) or "none; start one: python -m lab up debian-13"
            raise LabError(f"no machine is called {name!r} in {self.directory}; there are: {there}")
        return found[name]

    def machine(self, name: str) -> Machine:
        """An existing machine, with what is needed to work with it."""
        instance = self.instance(name)
        record = instance.read()
        image = Image(recipe_for(record.platform), Path(record.image))
        if not image.disk.exists():
            raise LabError(
                f"{name}: its image {image.directory} is gone; only `python -m lab down {name}` works"
            )
        accelerator = KVM if record.accelerator == KVM.name else TCG
        return Machine(instance, image, accelerator, self._keys(), self.progress)

    def up(self, wanted: Sequence[Wanted], *, cold: bool = False) -> None:
        """Start machines, two at a time; if one fails or the user interrupts, those started here end."""
        self.directory.mkdir(parents=True, exist_ok=True)
        images = {one.recipe: image_for(one.recipe, self.progress) for one in wanted}
        fresh = [one for one in wanted if not self._is_there(one)]
        claimed: list[str] = []
        try:
            for one in fresh:
                self._claim(one.name)
                claimed.append(one.name)
            self._side_by_side([partial(self._make, one, images[one.recipe], cold=cold) for one in fresh])
        except BaseException:
            self.down(claimed, keep_console=True)
            raise
        self.write_inventory()

    def build(self, recipe: Recipe) -> Image:
        """An image in the cache, with the disk that machines start from."""
        image = image_for(recipe, self.progress)
        self._ready(image, choose_accelerator(image, self.progress))
        return image

    def down(self, names: Iterable[str], *, keep_console: bool = False) -> None:
        """End machines and remove everything of theirs; names that are not there are no error."""
        for name in names:
            instance = Instance(self.directory / checked_name(name))
            if not instance.directory.is_dir():
                continue
            instance.end_process()
            if keep_console:
                instance.keep_console(self.directory / f"{name}.failed.log", self.progress)
            shutil.rmtree(instance.directory)
            self.progress.say(name, "ended")
        self.write_inventory()

    def write_inventory(self) -> None:
        """List the machines that are up, with the host keys that the lab put into them; maybe none."""
        self.directory.mkdir(parents=True, exist_ok=True)
        known_hosts = self.directory / "known_hosts"
        with locked(self.directory / "lock", progress=self.progress, subject="inventory"):
            ports: dict[str, int] = {}
            keys = ""
            for instance in self.instances():
                if instance.pid() is not None and instance.is_complete():
                    ports[instance.name] = instance.read().port
                    keys += (instance.directory / "known_hosts").read_text()
            _replace(known_hosts, keys)
            _replace(self.inventory, inventory_text(ports, keys=self._keys(), known_hosts=known_hosts))

    def _keys(self) -> Keys:
        return lab_keys(self.progress)

    def _is_there(self, one: Wanted) -> bool:
        instance = Instance(self.directory / one.name)
        if not instance.directory.exists():
            return False
        if instance.read().platform != one.recipe.name:
            raise LabError(
                f"{one.name} is there already, as {instance.read().platform}; "
                f"end it first: python -m lab down {one.name}"
            )
        if instance.pid() is None:
            raise LabError(f"{one.name} is there, but off: python -m lab power-on {one.name} (or down)")
        self.progress.say(one.name, "is up already")
        return True

    def _claim(self, name: str) -> None:
        """Make the directory, so that no other command can start or end a machine of this name meanwhile."""
        try:
            (self.directory / name).mkdir()
        except FileExistsError:
            raise LabError(f"{name} is being started by another command") from None

    def _make(self, one: Wanted, image: Image, *, cold: bool) -> None:
        accelerator = choose_accelerator(image, self.progress)
        instance = Instance(self.directory / one.name)
        machine = Machine(instance, image, accelerator, self._keys(), self.progress)
        ready = None if cold and not image.recipe.boots_itself else self._ready(image, accelerator)
        if ready is None or image.recipe.boots_itself:
            machine.boot(ready or image.disk)
        elif not self._go_on(machine, ready):
            machine.boot(image.disk)

    def _ready(self, image: Image, accelerator: Accelerator) -> Path:
        return ensure_ready(image, accelerator, self._keys(), self.progress)

    def _go_on(self, machine: Machine, state: Path) -> bool:
        """Start from a saved state; False if QEMU does not take it or the machine does not answer."""
        machine.copy_disk(state)
        try:
            machine.start(load_state=True)
            machine.wait_for_ssh()
            machine.give_identity(from_saved_state=True)
        except Cancelled:
            raise
        except LabError as error:
            self.progress.say(machine.name, f"the saved state does not start, booting instead: {error}")
            machine.instance.end_process()
            machine.instance.overlay.unlink()
            return False
        return True

    def _side_by_side(self, jobs: Sequence[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
            running = [pool.submit(job) for job in jobs]
            try:
                for job in running:
                    job.result()
            except BaseException:
                # The other threads see this in their waits; cleaning up has to be able to wait again.
                self.progress.cancelled.set()
                pool.shutdown(cancel_futures=True)
                self.progress.cancelled.clear()
                raise


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)
