# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files below a directory that a user can write: read and written as that user, never as root.

Whoever can write a directory can put a link, a FIFO or another directory where root expects a file, at any
moment. So a child process becomes the user (setgroups, setresgid, setresuid) before it touches anything, goes
down from the last directory that root alone can write, by descriptors and without following a link, and
hands back at most `limit` bytes. What it sends is believed no more than the user is: it is their file.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import selectors
import signal
import stat
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "NOT_REMOVED",
    "NoWayError",
    "UserFile",
    "UserFileError",
    "is_member",
    "look_as",
    "missing_directories_as",
    "owner_of_path",
    "primary_group",
    "read_as",
    "read_file_as",
    "remove_directory_as",
    "write_as",
]

SECONDS = 10.0
UNCHANGED = "Nothing was changed."
# A directory that somebody put something into, mounted something on, replaced, or took away.
NOT_REMOVED = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR, errno.ENOENT)
_LINK_LIMIT = 40
_ANSWER_SLACK = 4096
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# What a killed process gets to end in. One that waits for a file system in user space may not end at all.
_END_SECONDS = 1.0
_STATUS = struct.Struct("<III")  # mode, uid, gid

# What a user may set on a file of their own; the rest the kernel gives by itself.
_KEPT_ATTRIBUTES = ("system.posix_acl_access", "user.")


class UserFileError(BulkheadError):
    """A file of a user's could not be read or written as that user; the text says why."""


class NoWayError(UserFileError):
    """Root does not get to a file's directory: what is on the way may not be looked at, or is none."""


@dataclass(frozen=True)
class UserFile:
    """A regular file as its user reads it. `mode` holds the permission bits."""

    content: bytes
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class _Place:
    """A path cut in two: `trusted` is reached through directories that root alone writes, `rest` is not."""

    trusted: str
    rest: tuple[str, ...]
    uid: Optional[int]


def owner_of_path(path: str) -> Optional[int]:
    """The user who can write a directory on the way to a file, and so decides what the file is.

    None: root alone can (or, where this does not run as root, the user it runs as).

    :raises NoWayError: something on the way cannot be looked at, or is no directory
    :raises UserFileError: not an absolute path; or a directory that a group or everybody can write, so that
        it is no single user's
    """
    return _place(path).uid


def primary_group(uid: int) -> int:
    """The primary group of an account, to give to `read_as` and `write_as`.

    :raises UserFileError: there is no such account
    """
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        raise UserFileError(f"user {uid}: there is no such account. {UNCHANGED}") from None


def read_as(uid: int, gid: int, path: str, limit: int) -> Optional[bytes]:
    """The content of a regular file of at most `limit` bytes, read as the user; None when there is none.

    :raises UserFileError: the user may not read it, it is no regular file, a link leads to it, it is longer,
        or there was no answer within 10 s
    """
    found = read_file_as(uid, gid, path, limit)
    return None if found is None else found.content


def read_file_as(uid: int, gid: int, path: str, limit: int) -> Optional[UserFile]:
    """Like `read_as`, with the file's mode and owner."""
    place = _place(path)

    def act() -> bytes:
        with _parent(place) as parent:
            descriptor = os.open(place.rest[-1], os.O_RDONLY | _FILE, dir_fd=parent)
            try:
                return _packed(descriptor, limit)
            finally:
                os.close(descriptor)

    answer = _as_user(uid, gid, path, act, limit=limit)
    if answer is None:
        return None
    mode, file_uid, file_gid = _STATUS.unpack_from(answer)
    return UserFile(content=answer[_STATUS.size :], mode=mode & 0o7777, uid=file_uid, gid=file_gid)


def look_as(uid: int, gid: int, path: str, look: Callable[[int], bytes], limit: int) -> Optional[bytes]:
    """What `look` says of an open directory, in a process that is the user; None when it is not there.

    :param look: gets a descriptor, and may raise `UserFileError` or `OSError`; at most `limit` bytes
    :raises UserFileError: the user may not open it, a link leads to it, or there was no answer within 10 s
    """
    place = _place(path)

    def act() -> bytes:
        with _parent(place) as parent:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(place.rest[-1], flags, dir_fd=parent)
            try:
                return look(descriptor)
            finally:
                os.close(descriptor)

    return _as_user(uid, gid, path, act, limit=limit)


def is_member(uid: int, group: int) -> bool:
    """Whether an account is in a group, so that it may give the group to a file of its own (chown(2))."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return False
    return group in os.getgrouplist(account.pw_name, account.pw_gid)


def write_as(
    uid: int,
    gid: int,
    path: str,
    content: Optional[bytes],
    mode: int,
    *,
    group: Optional[int] = None,
    make_parents: bool = False,
) -> None:
    """Put a file in its place as the user, as a whole or not at all; `content` None removes it.

    What it replaces may only be a regular file; its extended attributes and ACL go over to the new one.

    :param group: the file's group, where the user is a member of it; otherwise it is the user's primary one

    :raises UserFileError: the user may not, something else than a regular file is there, or no answer in 10 s
    """
    place = _place(path)
    given = group if group is not None and is_member(uid, group) else None

    def act() -> bytes:
        with _parent(place, make=make_parents and content is not None) as parent:
            _replace(parent, place.rest[-1], content, mode, given)
        return b""

    groups = [] if given is None else [given]
    if _as_user(uid, gid, path, act, limit=0, groups=groups) is None and content is not None:
        raise UserFileError(f"{path}: its directory is not there. {UNCHANGED}")


def missing_directories_as(uid: int, gid: int, path: str) -> list[str]:
    """The directories above a path that are not there, as the user sees it; the highest first.

    :raises UserFileError: a link or something else than a directory is on the way, or no answer in 10 s
    """
    place = _place(path)
    above = place.rest[:-1]

    def act() -> bytes:
        for there in range(len(above), 0, -1):
            nearest = _Place(place.trusted, above[:there], uid)
            with contextlib.suppress(FileNotFoundError), _parent(nearest) as parent:
                os.stat(above[there - 1], dir_fd=parent, follow_symlinks=False)
                return bytes([there])
        return bytes([0])

    answer = _as_user(uid, gid, path, act, limit=1) or b"\0"
    names = path.split("/")
    return ["/".join(names[:end]) for end in range(len(names) - len(above) + answer[0], len(names))]


def remove_directory_as(uid: int, gid: int, path: str) -> None:
    """Remove a directory as the user, unless something lies in it or it is none.

    :raises UserFileError: the user may not, a link is on the way to it, or no answer in 10 s
    """
    place = _place(path)

    def act() -> bytes:
        with _parent(place) as parent:
            try:
                os.rmdir(place.rest[-1], dir_fd=parent)
                _sync(parent)
            except OSError as error:
                if error.errno not in NOT_REMOVED:
                    raise
        return b""

    _as_user(uid, gid, path, act, limit=0)


def _place(path: str) -> _Place:
    if not path.startswith("/") or os.path.normpath(path) != path or path == "/":
        raise UserFileError(f"{path}: accepted is an absolute path without .. in it. {UNCHANGED}")
    directory, names, links, shared = "/", deque(path.strip("/").split("/")), 0, False
    while len(names) > 1:
        name = names.popleft()
        below = os.path.join(directory, name)
        status = _status_or_none(below)
        if status is None:
            names.appendleft(name)
            break
        if stat.S_ISLNK(status.st_mode):
            _refuse_foreign_link(below, status)
            links += 1
            if links > _LINK_LIMIT:
                raise UserFileError(f"{path}: too many symbolic links lead to it. {UNCHANGED}")
            with _told_of(below):
                target = os.path.normpath(os.path.join(directory, os.readlink(below)))
            names.extendleft(reversed(target.strip("/").split("/")))
            directory, shared = "/", False
            continue
        directory = below
        if status.st_uid not in (0, os.geteuid()):
            return _Place(directory, tuple(names), status.st_uid)
        if not stat.S_ISDIR(status.st_mode):
            raise NoWayError(f"{directory}: it is not a directory. {UNCHANGED}")
        shared = _is_shared(directory, status)
    if shared:
        raise UserFileError(
            f"{directory}: everybody can write it; accepted is a directory of one user's. {UNCHANGED}"
        )
    return _Place(directory, tuple(names), None)


def _status_or_none(path: str) -> Optional[os.stat_result]:
    """What lstat(2) says; None where nothing is there.

    Root is refused on a file system that a user serves (fuse(4)), which may be mounted on the home itself.
    """
    with _told_of(path), contextlib.suppress(FileNotFoundError):
        return os.lstat(path)
    return None


@contextlib.contextmanager
def _told_of(path: str) -> Iterator[None]:
    """Turn an `OSError` into a `NoWayError` that names the path and the reason."""
    try:
        yield
    except OSError as error:
        raise NoWayError(f"{path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error


def _refuse_foreign_link(path: str, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise UserFileError(f"{path}: it is a symbolic link of user {status.st_uid}'s. {UNCHANGED}")


def _is_shared(directory: str, status: os.stat_result) -> bool:
    """Whether everybody can add names to a directory without touching those of others (/tmp).

    :raises UserFileError: others than its owner can also replace what is in it
    """
    if not status.st_mode & 0o022:
        return False
    if status.st_mode & stat.S_ISVTX:
        return True
    only_root = not status.st_mode & 0o002 and _is_like_root(status.st_gid) and not _has_acl(directory)
    if not only_root:
        raise UserFileError(
            f"{directory}: others than its owner can write it (mode {stat.S_IMODE(status.st_mode):04o}, "
            f"group {status.st_gid}); accepted is a directory of one user's. {UNCHANGED} "
            f"chmod g-w,o-w {directory} makes it so."
        )
    return False


def _is_like_root(gid: int) -> bool:
    """Whether whoever is in a group is root, or becomes it at will: then their directory is root's.

    Docker's own documentation says so of the group docker, whose members reach the engine
    (docs.docker.com/engine/install/linux-postinstall). A host that lets them write /etc/docker can be mended.
    """
    try:
        return gid == 0 or grp.getgrgid(gid).gr_name == "docker"
    except KeyError:
        return False


def _has_acl(path: str) -> bool:
    with _told_of(path):
        try:
            return "system.posix_acl_access" in os.listxattr(path)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
    return False


@contextlib.contextmanager
def _parent(place: _Place, *, make: bool = False) -> Iterator[int]:
    """A descriptor on the file's directory; no name below the trusted part may be a link."""
    descriptor = os.open(place.trusted, _DIRECTORY)
    try:
        for name in place.rest[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=descriptor)
            below = os.open(name, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _packed(descriptor: int, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UserFileError("it is not a regular file")
    content = bytearray()
    while len(content) <= limit:
        chunk = os.read(descriptor, min(1024 * 1024, limit + 1 - len(content)))
        if not chunk:
            return _STATUS.pack(status.st_mode, status.st_uid, status.st_gid) + content
        content += chunk
    raise UserFileError(f"it is longer than {limit} bytes")


def _replace(parent: int, name: str, content: Optional[bytes], mode: int, group: Optional[int]) -> None:
    found = _regular_or_none(parent, name)
    if content is None:
        if found:
            os.unlink(name, dir_fd=parent)
            _sync(parent)
        return
    temporary = f".{name}.{os.urandom(6).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=parent)
    try:
        try:
            _write_all(descriptor, content)
            if found:
                _take_attributes(parent, name, descriptor)
            if group is not None:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        raise
    _sync(parent)


def _regular_or_none(parent: int, name: str) -> bool:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise UserFileError("it is not a regular file")
    return True


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _take_attributes(parent: int, name: str, to: int) -> None:
    source = os.open(name, os.O_RDONLY | _FILE, dir_fd=parent)
    try:
        for attribute in os.listxattr(source):
            if attribute.startswith(_KEPT_ATTRIBUTES):
                os.setxattr(to, attribute, os.getxattr(source, attribute))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    finally:
        os.close(source)


def _sync(parent: int) -> None:
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_user(
    uid: int, gid: int, path: str, act: Callable[[], bytes], *, limit: int, groups: Sequence[int] = ()
) -> Optional[bytes]:
    """What `act` returns in a process that is the user; None when it meets a name that is not there."""
    if os.geteuid() not in (0, uid):
        raise UserFileError(f"{path}: only root can act as user {uid}. {UNCHANGED}")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _child(uid, gid, groups, act, writer)
    os.close(writer)
    try:
        answer = _collect(reader, limit + _ANSWER_SLACK)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _bury(pid)
    kind, text = answer[:1], answer[1:]
    if kind == b"+":
        return text
    if kind == b"0":
        return None
    said = text.decode("utf-8", "replace") if kind == b"-" else f"no answer within {SECONDS:g} s"
    raise UserFileError(f"{path}: as user {uid}: {said}. {UNCHANGED}")


def _bury(pid: int) -> None:
    """Wait for a killed process, but not for one that the kernel keeps: that one goes with this run."""
    deadline = time.monotonic() + _END_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)


def _child(uid: int, gid: int, groups: Sequence[int], act: Callable[[], bytes], writer: int) -> NoReturn:
    """Become the user for good, act, answer, and end without running anything of the parent's."""
    try:
        os.umask(0o077)
        _write_all(writer, _answer(uid, gid, groups, act))
    finally:
        os._exit(0)


def _answer(uid: int, gid: int, groups: Sequence[int], act: Callable[[], bytes]) -> bytes:
    try:
        _become(uid, gid, groups)
        return b"+" + act()
    except UserFileError as error:
        return b"-" + str(error).encode()
    except FileNotFoundError:
        return b"0"
    except OSError as error:
        return b"-" + _reason(error).encode()


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and error.filename is not None):
        return "a symbolic link, or something else than a directory, is on the way to it"
    return os.strerror(error.errno or 0)


def _become(uid: int, gid: int, groups: Sequence[int]) -> None:
    if os.geteuid() != 0:
        return
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if uid != 0 and 0 in os.getresuid():
        raise UserFileError("the privileges of root could not be given up")


def _collect(reader: int, limit: int) -> bytes:
    answer = bytearray()
    deadline = time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while len(answer) <= limit and selector.select(max(deadline - time.monotonic(), 0)):
            chunk = os.read(reader, 65536)
            if not chunk:
                return bytes(answer)
            answer += chunk
    return b""
