# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user has below their home and runtime directory, looked at once, by a process that is the user.

One process per directory reads everything that the posture asks for, without following a link, bounded in
size and time. All of it is the user's word: it is checked again on this side, and nothing of it is a path
that root follows.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import octal_mode, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json, unix_http
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError, look_as

__all__ = ["Survey", "engine_answer_as", "survey_as"]

_FILE_LIMIT = 64 * 1024
_ANSWER_LIMIT = 2 * 1024 * 1024
_DROP_INS = 50
_ENGINE_SECONDS = 5.0
_ENGINE_LIMIT = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NOTHING = " Nothing was changed."

# What of /info is kept: nothing in it is a secret, and everything has a limit.
_INFO_KEYS = (
    *("SecurityOptions", "CgroupDriver", "CgroupVersion", "Driver", "LoggingDriver", "LiveRestoreEnabled"),
    *("ServerVersion", "ContainersRunning", "DockerRootDir", "Warnings"),
)


@dataclass(frozen=True)
class Survey:
    """What was found; every path is relative to the directory.

    :ivar mode: of the directory itself, `0755`
    """

    mode: str
    owner: int
    _entries: Mapping[str, Any]

    def text(self, path: str) -> Optional[str]:
        """The text of a file; None when it is not there. Raises `PortError`."""
        entry = self._entry(path)
        if entry is None:
            return None
        if not isinstance(entry.get("text"), str):
            raise PortError(f"{printable(path)}: it is no file that could be read")
        return str(entry["text"])

    def exists(self, path: str) -> bool:
        """Whether something is there; raises `PortError` when it cannot be said."""
        return self._entry(path) is not None

    def status(self, path: str) -> Optional[tuple[str, int, str]]:
        """Kind (`socket`, `file`, `directory`, `other`), owner and mode; None when it is not there."""
        entry = self._entry(path)
        if entry is None:
            return None
        kind, uid, mode = entry.get("kind"), entry.get("uid"), entry.get("mode")
        if not isinstance(kind, str) or not isinstance(uid, int) or not isinstance(mode, int):
            raise PortError(f"{printable(path)}: its status is not known")
        return printable(kind, limit=20), uid, octal_mode(mode)

    def below(self, directory: str) -> list[str]:
        """The paths of the drop-ins of a directory that was asked for, sorted; raises `PortError`."""
        entry = self._entry(directory)
        if entry is None:
            return []
        names = entry.get("names")
        if not isinstance(names, list) or not all(
            isinstance(name, str) and "/" not in name for name in names
        ):
            raise PortError(f"{printable(directory)}: it could not be listed")
        return [f"{directory}/{name}" for name in sorted(names)]

    def _entry(self, path: str) -> Optional[Mapping[str, Any]]:
        entry = self._entries.get(path)
        if entry is None:
            return None
        if not isinstance(entry, dict):
            raise PortError(f"{printable(path)}: no answer")
        if "error" in entry:
            raise PortError(f"{printable(path)}: {printable(str(entry['error']), limit=300)}")
        return entry


def survey_as(
    uid: int,
    gid: int,
    directory: str,
    *,
    files: Sequence[str] = (),
    drop_ins: Mapping[str, str],
    places: Sequence[str] = (),
) -> Optional[Survey]:
    """Look at a directory of a user's; None when it is not there.

    :param files: to read, of at most 64 KiB each
    :param drop_ins: directory -> ending of the names of the files in it to read, at most 50
    :param places: whose kind, owner and mode is asked for
    :raises PortError: it could not be looked at as that user
    """

    def look(descriptor: int) -> bytes:
        return json.dumps(_look(descriptor, files, drop_ins, places)).encode()

    found = _document(uid, gid, directory, look)
    if found is None:
        return None
    mode, owner, entries = found.get("mode"), found.get("uid"), found.get("entries")
    if not isinstance(mode, int) or not isinstance(owner, int) or not isinstance(entries, dict):
        raise PortError(f"{printable(directory)}: the answer of user {uid} is none")
    return Survey(octal_mode(mode), owner, entries)


def engine_answer_as(uid: int, gid: int, directory: str, socket: str) -> Optional[dict[str, Any]]:
    """What the Docker daemon of a user says of itself; None when there is no socket.

    :returns: the kept keys of `GET /info`, as the user's daemon gives them
    :raises PortError: nobody answers, or who does is another user
    """

    def look(descriptor: int) -> bytes:
        os.fchdir(descriptor)
        try:
            with unix_http(
                System(), socket, peer_uid=uid, deadline=_ENGINE_SECONDS, answer_limit=_ENGINE_LIMIT
            ) as engine:
                info = engine.get("/info")
        except NotThere:
            return b"null"
        except PortError as error:
            raise UserFileError(str(error)) from error
        if not isinstance(info, dict):
            raise UserFileError("the answer to /info is no object")
        return json.dumps({key: info[key] for key in _INFO_KEYS if key in info}).encode()

    return _document(uid, gid, directory, look)


def _document(uid: int, gid: int, directory: str, look: Any) -> Optional[dict[str, Any]]:
    try:
        answer = look_as(uid, gid, directory, look, _ANSWER_LIMIT)
    except UserFileError as error:
        raise PortError(printable(str(error)).replace(_NOTHING, "")) from error
    if answer is None:
        return None
    try:
        document = parse_json(answer.decode("utf-8"))
    except (PortError, UnicodeDecodeError) as error:
        raise PortError(f"{printable(directory)}: no answer of user {uid} that is one") from error
    if document is not None and not isinstance(document, dict):
        raise PortError(f"{printable(directory)}: no answer of user {uid} that is one")
    return document


def _look(
    directory: int, files: Sequence[str], drop_ins: Mapping[str, str], places: Sequence[str]
) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    budget = [_ANSWER_LIMIT // 8]  # a character takes up to six in JSON
    for path in files:
        _note(entries, path, lambda path=path: _read(directory, path, budget))
    for path in places:
        _note(entries, path, lambda path=path: _status(directory, path))
    for path, ending in drop_ins.items():
        _note(entries, path, lambda path=path, ending=ending: _names(directory, path, ending))
        for name in (entries[path] or {}).get("names", []):
            _note(
                entries,
                f"{path}/{name}",
                lambda name=name, path=path: _read(directory, f"{path}/{name}", budget),
            )
    status = os.fstat(directory)
    return {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "entries": entries}


def _note(entries: dict[str, Any], path: str, look: Any) -> None:
    try:
        entries[path] = look()
    except FileNotFoundError:
        entries[path] = None
    except OSError as error:
        entries[path] = {"error": os.strerror(error.errno or 0) if error.errno else str(error)}


def _parent(directory: int, path: str) -> tuple[int, str]:
    *steps, name = path.split("/")
    current = os.dup(directory)
    for step in steps:
        try:
            following = os.open(step, _DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = following
    return current, name


def _read(directory: int, path: str, budget: list[int]) -> dict[str, Any]:
    parent, name = _parent(directory, path)
    try:
        descriptor = os.open(name, _FILE, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        content = os.read(descriptor, _FILE_LIMIT + 1)
    finally:
        os.close(descriptor)
    budget[0] -= len(content)
    if len(content) > _FILE_LIMIT or budget[0] < 0:
        raise OSError(f"longer than {_FILE_LIMIT} bytes, or too much together with the others")
    return {**_of(status), "text": content.decode("utf-8", "replace")}


def _status(directory: int, path: str) -> dict[str, Any]:
    parent, name = _parent(directory, path)
    try:
        return _of(os.stat(name, dir_fd=parent, follow_symlinks=False))
    finally:
        os.close(parent)


def _of(status: os.stat_result) -> dict[str, Any]:
    kinds = ((stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"))
    kind = next((name for test, name in kinds if test(status.st_mode)), "other")
    return {"kind": kind, "uid": status.st_uid, "mode": stat.S_IMODE(status.st_mode)}


def _names(directory: int, path: str, ending: str) -> dict[str, Any]:
    parent, name = _parent(directory, path)
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        names: list[str] = []
        with os.scandir(descriptor) as entries:
            for count, entry in enumerate(entries):
                if count > 1000 or len(names) > _DROP_INS:
                    raise OSError(f"more than {_DROP_INS} files in it")
                if entry.name.endswith(ending) and entry.name.isprintable():
                    names.append(entry.name)
        return {**_of(os.stat(descriptor)), "names": names}
    finally:
        os.close(descriptor)
