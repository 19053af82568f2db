# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private files of the state directory: for root only, replaced as a whole, believed by their checksum."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import sync_directory

__all__ = [
    "guarded",
    "make_directory",
    "read_document",
    "read_private",
    "remove_file",
    "remove_tree",
    "storing",
    "write_document",
    "write_private",
]

SCHEMA_VERSION = "1.0"
DOCUMENT_LIMIT = 16 * 1024 * 1024
GUARD_SECONDS = 10.0
_POLL_SECONDS = 0.1


@contextlib.contextmanager
def storing(path: str) -> Iterator[None]:
    """Turn an `OSError` into a `CheckpointError` that names the path."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: {os.strerror(error.errno or 0)}") from error


def make_directory(path: str) -> None:
    """A directory of root's own, mode 0700; raises `CheckpointError` when it is another's, or a link."""
    with storing(path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise CheckpointError(f"{path}: it has to be a directory of root's own. {UNCHANGED}")
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(path, 0o700)


def write_private(path: str, content: bytes) -> None:
    """Put a file for root only in its place, so that a crash leaves the old one or this one."""
    temporary = f"{path}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with storing(path):
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(os.path.split(path)[0])


def read_private(path: str, *, limit: int = DOCUMENT_LIMIT) -> Optional[bytes]:
    """The content, None when there is none; raises `CheckpointError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise CheckpointError(f"{path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
    if len(content) > limit:
        raise CheckpointError(f"{path}: it is longer than {limit} bytes. {UNCHANGED}")
    return content


def write_document(path: str, body: Mapping[str, Any]) -> None:
    """Write a JSON object with its schema's version and its own checksum in it."""
    document = {"schema_version": SCHEMA_VERSION, "checksum": _checksum(body), **body}
    write_private(path, (json.dumps(document, indent=1) + "\n").encode("ascii"))


def read_document(path: str) -> Optional[dict[str, Any]]:
    """The body of `write_document`, None when there is no such file.

    :raises CheckpointError: the file is damaged, or of another version: then nothing in it is believed
    """
    content = read_private(path)
    if content is None:
        return None
    try:
        document = json.loads(content)
        version, checksum = document.pop("schema_version"), document.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise CheckpointError(
            f"{path}: it is damaged: not a document of this collection. {UNCHANGED}"
        ) from None
    if version != SCHEMA_VERSION:
        raise CheckpointError(f"{path}: found version {version!r}, accepted is {SCHEMA_VERSION}. {UNCHANGED}")
    if checksum != _checksum(document):
        raise CheckpointError(f"{path}: it is damaged: its checksum does not fit. {UNCHANGED}")
    body: dict[str, Any] = document
    return body


def _checksum(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def remove_file(path: str) -> None:
    """Remove a file, if it is there, so that it stays away after a power cut."""
    with storing(path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync_directory(os.path.split(path)[0])


def remove_tree(path: str) -> None:
    """Take a directory out of sight in one step, then remove what is in it."""
    directory, name = os.path.split(path)
    hidden = f"{directory}/.old-{name.lstrip('.')}"
    with storing(path):
        shutil.rmtree(hidden, ignore_errors=True)
        os.rename(path, hidden)
        sync_directory(directory)
        shutil.rmtree(hidden)


@contextlib.contextmanager
def guarded(path: str) -> Iterator[None]:
    """Hold the lock file for the block, which has to be short; waits for it up to ten seconds.

    :raises CheckpointError: another process holds it
    """
    with storing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _flock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int, path: str) -> None:
    deadline = time.monotonic() + GUARD_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise CheckpointError(f"{path}: another process holds it. {UNCHANGED}") from error
            time.sleep(_POLL_SECONDS)
