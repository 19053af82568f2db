# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one boot that every image gets before machines are made of it; all or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

from lab.cache import Keys, locked
from lab.errors import LabError
from lab.image import Image
from lab.instance import Instance
from lab.machine import Machine
from lab.progress import Progress
from lab.qemu import SAVED_STATE, Accelerator, boot_arguments, hardware_arguments, qemu_version
from lab.qmp import Monitor

SHUTDOWN_LIMIT = 180.0

_INSTALL_BOOT_LOADER = """\
grub-install /dev/vda >/dev/null 2>&1
update-grub >/dev/null 2>&1
systemctl poweroff --no-block
"""


def ready_disk(image: Image, accelerator: Accelerator) -> Path:
    """Where the disk is kept that machines of this image start from.

    With a boot loader of its own: the disk with GRUB installed. Otherwise: one with the state of the booted
    machine in it, for exactly this QEMU and hardware.
    """
    if image.recipe.boots_itself:
        return image.directory / "boot-loader.qcow2"
    text = json.dumps([qemu_version(), hardware_arguments(accelerator), boot_arguments(image)])
    return image.directory / f"booted-{hashlib.sha256(text.encode()).hexdigest()[:12]}.qcow2"


def ensure_ready(image: Image, accelerator: Accelerator, keys: Keys, progress: Progress) -> Path:
    """The ready disk of an image; if there is none, boot the image once and make it."""
    disk = ready_disk(image, accelerator)
    subject = f"{image.recipe.name}-first-boot"
    with locked(image.directory / "first-boot.lock", progress=progress, subject=subject):
        if disk.exists():
            return disk
        instance = Instance(image.directory / subject)
        shutil.rmtree(instance.directory, ignore_errors=True)  # what a killed command left
        instance.directory.mkdir()
        # GRUB is not there yet: this boot takes the kernel directly, like every other variant.
        by_kernel = replace(image, recipe=replace(image.recipe, variant="full"))
        machine = Machine(instance, by_kernel, accelerator, keys, progress)
        try:
            machine.boot(image.disk)
            if image.recipe.boots_itself:
                _install_boot_loader(machine)
            else:
                _save_state(machine)
            for outdated in image.directory.glob("booted-*.qcow2"):
                outdated.unlink()
            instance.overlay.rename(disk)
        except LabError:
            instance.keep_console(image.directory / "first-boot.failed.log", progress)
            raise
        finally:
            instance.end_process()
            shutil.rmtree(instance.directory)
    return disk


def _save_state(machine: Machine) -> None:
    machine.progress.say(machine.name, "saving the booted state")
    machine.run("sync\n")
    with Monitor(machine.instance.monitor) as monitor:
        monitor.save_state(SAVED_STATE)
        monitor.quit()
    _wait_until_off(machine)


def _install_boot_loader(machine: Machine) -> None:
    machine.progress.say(machine.name, "installing the boot loader")
    machine.run(_INSTALL_BOOT_LOADER, limit=180)
    _wait_until_off(machine)


def _wait_until_off(machine: Machine) -> None:
    for elapsed in machine.progress.ticks(machine.name, "shutting down"):
        if machine.instance.pid() is None:
            return
        if elapsed > SHUTDOWN_LIMIT:
            raise LabError(f"{machine.name}: no shutdown within {SHUTDOWN_LIMIT:.0f} s")
