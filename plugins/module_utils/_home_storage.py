# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the home of a user can hold the layers of that user's containers."""

from __future__ import annotations

import pwd
from collections.abc import Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import Mount, mount_of
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System

__all__ = ["home_obstacle", "overlay_on"]

_WORKS = frozenset(("btrfs", "ext4", "f2fs", "tmpfs", "xfs", "zfs"))
# The kernel's overlay wants extended attributes and d_type of its upper directory (overlayfs.rst: "NFS is
# not suitable"; docs.docker.com/engine/security/rootless says so too). It takes none whose names can change
# behind its back (fs/overlayfs, "not supported as upperdir": network file systems, FUSE, ecryptfs), and
# needs one that makes whiteouts, which another overlay refuses. On FAT and NTFS, as on FUSE without root's
# consent, every file has one owner, so that subordinate ids have no effect.
_FAILS = frozenset(
    ("9p", "afs", "ceph", "cifs", "nfs", "nfs4", "smb3", "ecryptfs", "overlay")
    + ("exfat", "msdos", "ntfs", "ntfs3", "vfat")
)


def overlay_on(filesystem: str) -> str:
    """Whether overlay, as an unprivileged user mounts it, can write there: `works`, `fails` or `unknown`.

    :param filesystem: its type as the mount table has it, `fuse.sshfs`
    """
    if filesystem in _FAILS or filesystem.partition(".")[0] in ("fuse", "fuseblk"):
        return "fails"
    return "works" if filesystem in _WORKS else "unknown"


def home_obstacle(system: System, account: pwd.struct_passwd, mounts: Sequence[Mount], storage: str) -> str:
    """Why no engine of an account can keep containers in the home; "": it can.

    :param mounts: of the host
    :param storage: the engine's directory below the home, which may be a mount of its own
    """
    home = account.pw_dir
    try:
        facts = system.stat(home)
    except PortError as error:
        return f"home: {printable(str(error))}"
    if facts.type != "directory" or facts.uid != account.pw_uid:
        return (
            f"home {printable(home)}: found a {facts.type} of user {facts.uid}; accepted is a directory of "
            "the user's own"
        )
    mount = mount_of(mounts, f"{home}/{storage}")
    if mount is None:
        return ""
    place = f"home {printable(home)} lies on {printable(mount.mountpoint)}, "
    if overlay_on(mount.filesystem) == "fails":
        return f"{place}a {mount.filesystem} file system, which cannot hold the layers of containers"
    if mount.read_only:
        return f"{place}which is read-only"
    if "noexec" in mount.options:
        return f"{place}which is mounted noexec, so that no program of a container may start there"
    return ""
