# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a checkpoint on the host: taken as they are, and put back so that no crash leaves half of one.

Root follows no link of somebody else's: what lies below a directory that another user can write is read and
written as that user (`_user_files`).
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    UNCHANGED,
    CheckpointError,
    FileState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import (
    attributes,
    replace_file,
    sync_directory,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    NoWayError,
    UserFileError,
    is_member,
    missing_directories_as,
    owner_of_path,
    primary_group,
    read_file_as,
    write_as,
)

__all__ = [
    "capture_attributes",
    "capture_file",
    "missing_directories",
    "put_attributes",
    "put_file",
    "temporaries",
]

_KINDS = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory", stat.S_IFSOCK: "socket"}
_GONE = (errno.ENOENT, errno.ENOTDIR)
# As owned_config takes at most: no user fills up the room of the others.
_USER_FILE_LIMIT = 1024 * 1024


def capture_file(path: str, *, limit: int) -> tuple[FileState, Optional[bytes]]:
    """A file as it is now, and its content; a link is not followed, its target is what is kept.

    :raises CheckpointError: it is neither a regular file nor a link, is longer than `limit`, or is unreadable
    """
    try:
        uid = owner_of_path(path)
    except NoWayError as error:
        return _unreadable(error), None
    if uid is not None:
        return _capture_as(uid, path, min(limit, _USER_FILE_LIMIT))
    with _reading(path):
        status = _status(path)
        if status is None:
            return ABSENT, None
        if stat.S_ISLNK(status.st_mode):
            return _link_state(path, status), None
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path}: accepted is a regular file or a link, not this. {UNCHANGED}")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(limit + 1)
            if len(content) > limit:
                raise CheckpointError(f"{path}: it is longer than {limit} bytes. {UNCHANGED}")
            return _file_state(os.fstat(descriptor), descriptor, content), content


def _capture_as(uid: int, path: str, limit: int) -> tuple[FileState, Optional[bytes]]:
    """A user's own file, as that user; its extended attributes stay with it when it is replaced.

    No user can stop a run or a restore by what they put there: what cannot be read is noted, and left. An
    owner or a group that the user could not give the file again is not recorded, and so not asked for.
    """
    try:
        primary = primary_group(uid)
        found = read_file_as(uid, primary, path, limit)
    except UserFileError as error:
        return _unreadable(error), None
    if found is None:
        return ABSENT, None
    checksum = hashlib.sha256(found.content).hexdigest()
    state = FileState(
        kind="file",
        sha256=checksum,
        size=len(found.content),
        mode=found.mode,
        uid=uid if found.uid == uid else None,
        # The primary one comes by itself, also in the place of one that they have left meanwhile.
        gid=found.gid if found.gid != primary and is_member(uid, found.gid) else None,
    )
    return state, found.content


def _unreadable(error: UserFileError) -> FileState:
    return FileState("unreadable", target=str(error))


def capture_attributes(path: str) -> FileState:
    """Mode, owner and extended attributes of a file of any kind; its content is not read."""
    uid = owner_of_path(path)
    if uid is not None:
        raise CheckpointError(
            f"{path}: user {uid} can replace it, so that root does not touch its attributes. {UNCHANGED}"
        )
    with _reading(path):
        status = _status(path)
        if status is None:
            return ABSENT
        if stat.S_ISLNK(status.st_mode):
            return _link_state(path, status)
        return FileState(
            kind=_KINDS.get(stat.S_IFMT(status.st_mode), "other"),
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            attributes=_attributes(path),
        )


def missing_directories(path: str) -> list[str]:
    """The directories above a path that are not there, the highest first."""
    uid = owner_of_path(path)
    if uid is not None:
        # What a user made of the way to it stops no run.
        with contextlib.suppress(UserFileError):
            return missing_directories_as(uid, primary_group(uid), path)
        return []
    missing: list[str] = []
    directory = os.path.split(path)[0]
    while not os.path.lexists(directory):
        missing.insert(0, directory)
        directory = os.path.split(directory)[0]
    return missing


def put_file(path: str, wanted: FileState, content: Optional[bytes]) -> None:
    """Make a file what it was: a new one, renamed over it. Raises `OSError` or `UserFileError`."""
    uid = owner_of_path(path)
    if uid is not None:
        kept = content if wanted.kind == "file" else None
        write_as(uid, primary_group(uid), path, kept, wanted.mode or 0, group=wanted.gid, make_parents=True)
        return
    if wanted.kind == "absent":
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
            sync_directory(os.path.split(path)[0])
        return
    directory, name = os.path.split(path)
    os.makedirs(directory, 0o755, exist_ok=True)
    if wanted.kind != "link":
        replace_file(path, content or b"", lambda descriptor: _give(descriptor, wanted))
        return
    temporary = _new_link(directory, name, wanted)
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    sync_directory(directory)


def temporaries(paths: Iterable[str]) -> list[str]:
    """Files beside those of `paths` named like what an interrupted write leaves: `.NAME.` and 8 letters."""
    found: set[str] = set()
    for path in paths:
        directory, name = os.path.split(path)
        if _is_root_s(path) and os.path.isdir(directory):
            pattern = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}(\.link)?")
            found |= {f"{directory}/{entry}" for entry in os.listdir(directory) if pattern.fullmatch(entry)}
    return sorted(found)


def _is_root_s(path: str) -> bool:
    try:
        return owner_of_path(path) is None
    except NoWayError:
        return False


def put_attributes(path: str, wanted: FileState) -> None:
    """Give a file the owner, mode and attributes that it had. What is of another kind now is left.

    The file is held by a descriptor, so that it cannot become another one in between. Raises `OSError`.
    """
    if wanted.kind in ("absent", "link"):
        return
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _GONE:
            return
        raise
    try:
        kind = _KINDS.get(stat.S_IFMT(os.fstat(descriptor).st_mode), "other")
        if kind == wanted.kind:
            _give(f"/proc/self/fd/{descriptor}", wanted)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def _link_state(path: str, status: os.stat_result) -> FileState:
    target = os.readlink(path)
    return FileState("link", target=target, uid=status.st_uid, gid=status.st_gid)


def _file_state(status: os.stat_result, descriptor: int, content: bytes) -> FileState:
    return FileState(
        kind="file",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        attributes=_attributes(descriptor),
    )


def _attributes(file: int | str) -> dict[str, str]:
    return {name: base64.b64encode(os.getxattr(file, name)).decode("ascii") for name in attributes(file)}


def _new_link(directory: str, name: str, wanted: FileState) -> str:
    # mkdtemp gives a name that nobody else has; a link cannot be made with a random name in one step.
    place = tempfile.mkdtemp(prefix=f".{name}.", dir=directory)
    temporary = f"{place}.link"
    try:
        os.symlink(wanted.target or "", temporary)
        os.lchown(temporary, wanted.uid or 0, wanted.gid or 0)
    finally:
        os.rmdir(place)
    return temporary


def _give(file: int | str, wanted: FileState) -> None:
    """Owner first, because chown(2) clears the setuid bits; what was not there then is taken away."""
    os.chown(file, wanted.uid or 0, wanted.gid or 0)
    found = _attributes(file)
    for name in found:
        if name not in wanted.attributes and name != "security.selinux":
            os.removexattr(file, name)
    for name, value in wanted.attributes.items():
        if found.get(name) != value:
            os.setxattr(file, name, base64.b64decode(value))
    os.chmod(file, wanted.mode or 0)
