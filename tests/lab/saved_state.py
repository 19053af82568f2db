# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Booted machines kept in the cache: later ones go on from there instead of booting."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from lab.cache import Keys, locked
from lab.commands import output_of
from lab.errors import LabError
from lab.image import Image
from lab.instance import Instance
from lab.machine import Machine
from lab.progress import Progress
from lab.qemu import SAVED_STATE, Accelerator, boot_arguments, hardware_arguments, qemu_version
from lab.qmp import Monitor


def state_path(image: Image, accelerator: Accelerator) -> Path:
    """Where the saved state for this QEMU and hardware is; its directory's name holds the image's key."""
    text = json.dumps([qemu_version(), hardware_arguments(accelerator), boot_arguments(image)])
    return image.directory / f"booted-{hashlib.sha256(text.encode()).hexdigest()[:12]}.qcow2"


def ensure_state(image: Image, accelerator: Accelerator, keys: Keys, progress: Progress) -> Path:
    """The saved state of an image; if there is none, boot the image once and save it."""
    state = state_path(image, accelerator)
    subject = f"{image.recipe.name}-first-boot"
    with locked(image.directory / "state.lock", progress=progress, subject=subject):
        if not state.exists():
            instance = Instance(image.directory / subject)
            shutil.rmtree(instance.directory, ignore_errors=True)  # what a killed command left
            instance.directory.mkdir()
            try:
                _boot_and_save(Machine(instance, image, accelerator, keys, progress))
                instance.overlay.rename(state)
            except LabError:
                kept = image.directory / "first-boot.failed.log"
                shutil.copyfile(instance.console, kept)
                progress.say(subject, f"its console log: {kept}")
                raise
            finally:
                instance.end_process()
                shutil.rmtree(instance.directory)
    return state


def copy_state(state: Path, overlay: Path) -> None:
    """Give an instance its own copy, cheaply where the file system can."""
    output_of(["cp", "--reflink=auto", "--sparse=always", str(state), str(overlay)], limit=120)


def _boot_and_save(machine: Machine) -> None:
    machine.make_overlay()
    machine.start()
    machine.wait_for_ssh()
    machine.wait_until_settled()
    machine.run("sync\n")
    machine.progress.say(machine.name, "saving the booted state")
    with Monitor(machine.instance.monitor) as monitor:
        monitor.save_state(SAVED_STATE)
        monitor.quit()
