# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line of QEMU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.commands import output_of, program
from lab.image import Image
from lab.image_files import ROOT_LABEL

MEMORY_MIB = 3072
PROCESSORS = 2
SAVED_STATE = "booted"
_COMMAND_LINE = f"root=LABEL={ROOT_LABEL} rw console=ttyS0"

BINARY = "qemu-system-x86_64"


@dataclass(frozen=True)
class Accelerator:
    """How instructions are executed, and how patient one has to be (seconds)."""

    name: str
    arguments: tuple[str, ...]
    boot_limit: float
    silence_limit: float  # a console that is silent for longer while ssh does not answer hangs


# The plainer CPU and the larger translation buffer save a quarter of the boot time under emulation.
TCG = Accelerator("tcg", ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "qemu64"), 480.0, 75.0)
KVM = Accelerator("kvm", ("-accel", "kvm", "-cpu", "host"), 120.0, 30.0)


def qemu_binary() -> str:
    return program(BINARY, "qemu-system-x86")


def qemu_version() -> str:
    """The first line of --version; a saved state is only valid for the version that wrote it."""
    return output_of([qemu_binary(), "--version"], limit=30).splitlines()[0]


def hardware_arguments(accelerator: Accelerator) -> list[str]:
    """What the guest sees of the machine; a saved state is only valid for exactly these."""
    return [
        *accelerator.arguments,
        *("-m", str(MEMORY_MIB), "-smp", str(PROCESSORS)),
        *("-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"),
        *("-device", "virtio-net-pci,netdev=net"),
        *("-nodefaults", "-display", "none", "-vga", "none"),
    ]


def boot_arguments(image: Image) -> list[str]:
    """The image's own kernel directly, or nothing: then the disk's boot loader decides."""
    if image.recipe.boots_itself:
        return []
    return ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", _COMMAND_LINE]


def machine_arguments(
    image: Image, directory: Path, accelerator: Accelerator, *, port: int, load_state: bool = False
) -> list[str]:
    """The whole command; it is run with the instance's directory as working directory.

    The path of the overlay is absolute, so that the process can be told from every other QEMU.
    """
    return [
        qemu_binary(),
        *hardware_arguments(accelerator),
        *("-drive", drive_option(directory)),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
        *("-qmp", "unix:monitor.sock,server=on,wait=off"),
        *("-pidfile", "qemu.pid", "-daemonize"),
        *boot_arguments(image),
        *(["-loadvm", SAVED_STATE] if load_state else []),
    ]


def drive_option(directory: Path) -> str:
    """The overlay of an instance as QEMU's option; a comma in the path has to be doubled."""
    overlay = str(directory / "overlay.qcow2").replace(",", ",,")
    return f"if=virtio,cache=unsafe,format=qcow2,file={overlay}"


def overlay_arguments(base: Path, overlay: Path) -> list[str]:
    """Make an empty overlay over a disk of the cache: raw (.img) or an overlay itself (.qcow2)."""
    kind = "raw" if base.suffix == ".img" else "qcow2"
    backing = f"backing_fmt={kind},backing_file={str(base).replace(',', ',,')}"
    return [program("qemu-img", "qemu-utils"), "create", "-q", "-f", "qcow2", "-o", backing, str(overlay)]
