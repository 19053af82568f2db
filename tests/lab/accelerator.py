# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether hardware virtualisation really works here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from lab.cache import cache_directory
from lab.image import Image
from lab.progress import Progress
from lab.qemu import KVM, TCG, Accelerator, hardware_arguments, qemu_binary, qemu_version

PROBE_LIMIT = 25.0
# The first line that the initrd's own programs print: kernel and user space both run.
_USER_SPACE = b"Loading, please wait"


def choose_accelerator(image: Image, progress: Progress) -> Accelerator:
    """KVM if the image's kernel really boots with it, otherwise emulation.

    /dev/kvm may be there and still not boot a stock kernel, so it is tried; once per boot of this machine.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    known = cache_directory() / "kvm.json"
    here = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), qemu_version()]
    if known.exists():
        answer = json.loads(known.read_text())
        if answer["here"] == here:
            return KVM if answer["boots"] else TCG
    boots = kvm_boots(image, progress)
    temporary = known.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"here": here, "boots": boots}) + "\n")
    temporary.rename(known)
    return KVM if boots else TCG


def kvm_boots(image: Image, progress: Progress, *, limit: float = PROBE_LIMIT) -> bool:
    """Start the image's kernel and initrd with KVM, without a disk, and see whether its programs run."""
    argv = [
        qemu_binary(),
        *hardware_arguments(KVM),
        "-netdev",
        "user,id=net",
        "-no-reboot",
        "-serial",
        "stdio",
    ]
    argv += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", "console=ttyS0 panic=-1"]
    console = cache_directory() / f"kvm-probe.{os.getpid()}.log"
    try:
        with console.open("wb") as sink:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        try:
            for elapsed in progress.ticks("kvm", "trying hardware virtualisation"):
                if _USER_SPACE in console.read_bytes():
                    progress.say("kvm", f"works (user space after {elapsed:.1f} s)")
                    return True
                if child.poll() is not None or elapsed > limit:
                    break
        finally:
            child.kill()
            child.wait()
        progress.say("kvm", "does not boot a kernel here; emulating the processor instead")
        return False
    finally:
        console.unlink()
