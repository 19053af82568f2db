# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that turn a plain Debian into a machine of the lab."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Keys
from lab.platforms import Recipe

ROOT_LABEL = "lab-root"

# QEMU's user networking has these fixed addresses; a static configuration saves the seconds of DHCP.
_NETWORK = """\
[Match]
Name=en* eth*

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
DNS=10.0.2.3
"""

_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UseDNS no
"""

_GRUB = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=ttyS0"
GRUB_TERMINAL="console serial"
GRUB_DISABLE_OS_PROBER=true
"""

# Background work that would make two runs of the same test differ, and a registry that only some tests start.
_MASKED_UNITS = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "docker-registry.service", "e2scrub_all.timer"),
    "fstrim.timer",
)


@dataclass(frozen=True)
class ImageFile:
    content: str
    mode: int = 0o644
    link: bool = False


def image_files(recipe: Recipe, keys: Keys) -> dict[str, ImageFile]:
    """Path without the leading slash: file. The host key is in it, so the archive stays inside the cache."""
    files = {
        "etc/fstab": ImageFile(f"LABEL={ROOT_LABEL} / ext4 defaults 0 1\n"),
        "etc/hostname": ImageFile("lab\n"),
        "etc/hosts": ImageFile("127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 lab\n"),
        # A small initrd: only what reaches the root file system. The default one takes seconds to unpack.
        "etc/initramfs-tools/conf.d/lab": ImageFile("MODULES=list\nCOMPRESS=gzip\n"),
        "usr/share/initramfs-tools/modules.d/lab": ImageFile("virtio_pci\nvirtio_blk\next4\n"),
        "etc/resolv.conf": ImageFile("nameserver 10.0.2.3\n"),
        "etc/ssh/ssh_host_ed25519_key": ImageFile(keys.host.read_text(), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": ImageFile(Keys.public(keys.host) + "\n"),
        "etc/ssh/sshd_config.d/lab.conf": ImageFile(_SSHD),
        "etc/systemd/network/lab.network": ImageFile(_NETWORK),
        "root/.ssh/authorized_keys": ImageFile(Keys.public(keys.login) + "\n", 0o600),
    }
    for unit in _MASKED_UNITS:
        files[f"etc/systemd/system/{unit}"] = ImageFile("/dev/null", link=True)
    if recipe.boots_itself:
        files["etc/default/grub"] = ImageFile(_GRUB)
    return files


def write_archive(files: dict[str, ImageFile], target: Path) -> None:
    """Write the files as a tar archive owned by root, whoever runs this."""
    with tarfile.open(target, "w") as archive:
        for path, file in sorted(_with_directories(files).items()):
            member = tarfile.TarInfo(path)
            member.mode = file.mode
            if path.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif file.link:
                member.type, member.linkname = tarfile.SYMTYPE, file.content
            else:
                member.size = len(file.content.encode())
            archive.addfile(member, io.BytesIO(file.content.encode()) if member.isreg() else None)


def _with_directories(files: dict[str, ImageFile]) -> dict[str, ImageFile]:
    complete = dict(files)
    for path in files:
        for parent in list(Path(path).parents)[:-1]:
            private = str(parent) in ("root", "root/.ssh")
            complete[f"{parent}/"] = ImageFile("", 0o700 if private else 0o755)
    return complete
