# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The three links of /proc/PID that have to be followed to see what is behind them.

Each is opened as it is, by descriptor, and nothing that a container has named is followed after that: no
symbolic link, no mount point, no file system that a user's process would have to answer for.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import MountTable
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_files import (
    as_port_errors,
    open_safely,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System, time_limit

__all__ = ["STANDARD_DEVICES", "device_nodes", "program_is", "user_namespace_owner"]

_NS_GET_OWNER_UID = 0xB704  # ioctl_nsfs(2), Linux 4.11
_SECONDS = 2.0
_DEVICE_LIMIT = 1024
_DEPTH = 4
STANDARD_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
_LOCAL_DEV = {"tmpfs", "devtmpfs"}
_LOCAL_ROOT = {"overlay", "ext4", "ext3", "ext2", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "squashfs", "erofs"}


@contextmanager
def _process_directory(system: System, pid: int) -> Iterator[int]:
    path = f"/proc/{pid}"
    with time_limit(_SECONDS, path), as_port_errors(path):
        descriptor = open_safely(system.socket_path(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def user_namespace_owner(system: System, pid: int) -> int:
    """The uid, as the host sees it, of whoever made the process's user namespace; raises `PortError`."""
    with _process_directory(system, pid) as directory:
        descriptor = os.open("ns/user", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            answer = fcntl.ioctl(descriptor, _NS_GET_OWNER_UID, struct.pack("I", 0))
        finally:
            os.close(descriptor)
    return int(struct.unpack("I", answer)[0])


def program_is(system: System, pid: int, path: str) -> bool:
    """Whether the process runs the very file that the host has at `path` and that root owns.

    A container can give its program any name, not the host's inode.
    """
    with _process_directory(system, pid) as directory:
        running = os.stat("exe", dir_fd=directory)
    installed = system.stat(path)
    return (running.st_dev, running.st_ino) == (installed.device, installed.inode) and installed.uid == 0


def device_nodes(system: System, pid: int, mounts: MountTable) -> list[str]:
    """The device nodes in the container's /dev beyond the engines' standard set; raises `PortError`."""
    root, dev = mounts.at("/"), mounts.at("/dev")
    if root is None or root.filesystem not in _LOCAL_ROOT or (dev and dev.filesystem not in _LOCAL_DEV):
        raise PortError("/dev is on a file system that the kernel does not answer for alone")
    with _process_directory(system, pid) as directory:
        top = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            return sorted(_nodes_below(top, "dev", "/dev", mounts, depth=0))
        except FileNotFoundError:
            return []
        finally:
            os.close(top)


def _nodes_below(directory: int, name: str, path: str, mounts: MountTable, *, depth: int) -> list[str]:
    opened = open_safely(name, os.O_RDONLY | os.O_DIRECTORY, directory=directory, follow=False)
    nodes: list[str] = []
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                nodes += _node(opened, entry, path, mounts, depth)
                if len(nodes) > _DEVICE_LIMIT:
                    raise PortError(f"/dev: more than {_DEVICE_LIMIT} device nodes")
    finally:
        os.close(opened)
    return nodes


def _node(opened: int, entry: os.DirEntry[str], path: str, mounts: MountTable, depth: int) -> list[str]:
    place = f"{path}/{entry.name}"
    if mounts.at(place) is not None or (depth == 0 and entry.name in STANDARD_DEVICES):
        return []
    if entry.is_dir(follow_symlinks=False):
        return _nodes_below(opened, entry.name, place, mounts, depth=depth + 1) if depth < _DEPTH else []
    if entry.is_symlink() or entry.is_file(follow_symlinks=False):
        return []
    mode = os.stat(entry.name, dir_fd=opened, follow_symlinks=False).st_mode
    return [place] if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else []
