# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file replaced as a whole: written beside its place and renamed over it; no crash leaves half of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from typing import Callable

__all__ = ["KEPT_ATTRIBUTES", "attributes", "like", "replace_file", "sync_directory", "write_beside"]

# Without those that the kernel keeps by itself or that must not move to another file.
KEPT_ATTRIBUTES = ("security.selinux", "system.posix_acl_access", "user.", "trusted.", "security.SMACK64")


def write_beside(target: str, content: bytes, give: Callable[[int], None]) -> str:
    """The path of a new file in the directory of `target`, on the disk; named `.NAME.` and 8 letters.

    :param give: gives the open file its owner, mode and attributes
    :raises OSError: nothing is left behind then
    """
    directory, name = os.path.split(target)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            give(stream.fileno())
            os.fsync(stream.fileno())
    except OSError:
        os.unlink(temporary)
        raise
    return temporary


def replace_file(target: str, content: bytes, give: Callable[[int], None]) -> None:
    """Put a new file in the place of `target`. Raises `OSError`; the old one is there then."""
    temporary = write_beside(target, content, give)
    try:
        os.rename(temporary, target)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(os.path.split(target)[0])


def sync_directory(path: str) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def like(path: str) -> Callable[[int], None]:
    """Gives an open file the owner, mode, security context and attributes of another."""

    def give(descriptor: int) -> None:
        status = os.stat(path)
        os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        for name in attributes(path):
            os.setxattr(descriptor, name, os.getxattr(path, name))

    return give


def attributes(file: int | str) -> list[str]:
    """Names of the extended attributes that a file keeps when it is replaced."""
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA):
            return []
        raise
    return sorted(name for name in names if name.startswith(KEPT_ATTRIBUTES))
