# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a host that may be hostile: opened without following magic links, read within limits."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import NotThere, PortError

__all__ = [
    "FileFacts",
    "as_port_errors",
    "file_facts",
    "list_names",
    "open_safely",
    "read_bounded",
    "refuse_foreign_root",
]

# Links that lead into another process's view of the world: what is behind them was put there by that process.
_FOREIGN_ROOT = re.compile(r"/proc/+[^/]+(/+task/+[^/]+)?/+(root|cwd|exe|(map_files|fd)/+[^/]+)(/|$)")

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2 = 437  # the same number on every architecture (Linux 5.6, include/uapi/asm-generic/unistd.h)
_AT_FDCWD = -100
_RESOLVE_NO_MAGICLINKS = 0x02  # openat2(2)
_RESOLVE_NO_SYMLINKS = 0x04


@dataclass(frozen=True)
class FileFacts:
    """What stat(2) says. `mode` holds the permission bits; the times are seconds since the epoch.

    `modified_at` is the mtime, which copying and moving keep; `changed_at` the ctime, which nobody can set.
    """

    type: str
    uid: int
    gid: int
    mode: int
    size: int
    device: int
    inode: int
    modified_at: float
    changed_at: float


def refuse_foreign_root(path: str) -> None:
    """Raise `PortError` for a path that passes through /proc/PID/root, cwd, exe, fd or map_files."""
    if _FOREIGN_ROOT.search(path):
        raise PortError(f"{path}: not followed, it leads into a process's own view of the file system")


@contextlib.contextmanager
def as_port_errors(path: str) -> Iterator[None]:
    """Turn an `OSError` into `NotThere` or `PortError`, with the path and the reason in words."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH)
        raise (NotThere if gone else PortError)(f"{path}: {reason}") from error


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def open_safely(path: str, flags: int, *, directory: Optional[int] = None, follow: bool = True) -> int:
    """open(2) that passes no magic link (/proc/PID/root, fd, cwd), by openat2(2) where the kernel has it.

    `follow=False` refuses every symbolic link on the way (on kernels before 5.6 the last one only). A FIFO
    does not block. Raises `OSError`.
    """
    flags |= os.O_CLOEXEC
    if not flags & os.O_PATH:
        flags |= os.O_NONBLOCK | os.O_NOCTTY
    how = _OpenHow(flags, 0, _RESOLVE_NO_MAGICLINKS | (0 if follow else _RESOLVE_NO_SYMLINKS))
    start = _AT_FDCWD if directory is None else directory
    descriptor = _LIBC.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(start),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor >= 0:
        return int(descriptor)
    code = ctypes.get_errno()
    if code not in (errno.ENOSYS, errno.EPERM):
        raise OSError(code, os.strerror(code), path)
    # An older kernel, or a sandbox that does not know the call: the path's own text has been checked.
    return os.open(path, flags | (0 if follow else os.O_NOFOLLOW), dir_fd=directory)


def read_bounded(descriptor: int, path: str, limit: int) -> bytes:
    """The content behind a descriptor on a regular file; raises `PortError` beyond `limit` bytes."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise PortError(f"{path}: not a regular file")
    chunks: list[bytes] = []
    total = 0
    while True:
        chunk = os.read(descriptor, min(65536, limit + 1 - total))
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        total += len(chunk)
        if total > limit:
            raise PortError(f"{path}: longer than {limit} bytes")


_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character_device",
    stat.S_IFBLK: "block_device",
    stat.S_IFIFO: "fifo",
}


def file_facts(status: os.stat_result) -> FileFacts:
    """The facts in an answer of stat(2)."""
    return FileFacts(
        type=_TYPES.get(stat.S_IFMT(status.st_mode), "unknown"),
        uid=status.st_uid,
        gid=status.st_gid,
        mode=stat.S_IMODE(status.st_mode),
        size=status.st_size,
        device=status.st_dev,
        inode=status.st_ino,
        modified_at=status.st_mtime,
        changed_at=status.st_ctime,
    )


def list_names(descriptor: int, path: str, limit: int) -> list[str]:
    """The sorted names in an open directory; raises `PortError` beyond `limit` entries."""
    names: list[str] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > limit:
                raise PortError(f"{path}: more than {limit} entries")
    return sorted(names)
