# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP over a unix socket whose other end may be hostile: one connection, bounded in time, size and depth.

A user's socket is connected to as that user. Its path is the user's word: a link there may lead to a socket
of root's, and a mere connection starts a service that systemd listens for.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, NoReturn, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    System,
    TimeLimitExceeded,
    time_limit,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UNCHANGED,
    UserFileError,
    look_as,
)

__all__ = ["UnixHttp", "parse_json", "unix_http"]

DEADLINE_SECONDS = 20.0
ANSWER_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 64

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_STRING = re.compile(r'"[^"]*"')
_NOT_BRACKET = re.compile(r"[^][{}]+")
_NO_GROUP = 65534  # what lies in a user's runtime directory is the user's without it
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)


def parse_json(text: str, *, depth: int = DEPTH_LIMIT) -> Any:
    """The JSON document in a text, nested at most `depth` levels; raises `PortError`."""
    deepest = level = 0
    for bracket in _NOT_BRACKET.sub("", _STRING.sub("", _ESCAPE.sub("", text))):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    if deepest > depth:
        raise PortError(f"JSON nested deeper than {depth} levels")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise PortError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise PortError(f"not JSON: {name}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, uid: int) -> None:
        super().__init__("localhost")
        self.path = path
        self.uid = uid

    def connect(self) -> None:
        if self.uid != 0 and os.geteuid() == 0:
            self.sock = _connected_as(self.uid, self.path)
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.connect(self.path)


def _connected_as(uid: int, path: str) -> socket.socket:
    """A socket that a process connected which is the user; raises `NotThere` and `PortError`."""
    directory, name = os.path.split(path)
    ours, theirs = socket.socketpair()

    def connect(descriptor: int) -> bytes:
        os.fchdir(descriptor)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.connect(name)
            socket.send_fds(theirs, [b"+"], [connection.fileno()])
        return b""

    with ours, theirs:
        try:
            if look_as(uid, _NO_GROUP, directory, connect, 0) is None:
                raise NotThere(f"{path}: {os.strerror(errno.ENOENT)}")
        except UserFileError as error:
            said = str(error).replace(f". {UNCHANGED}", "")
            raise PortError(f"{path}: {said.removeprefix(f'{directory}: ')}") from error
        _mark, descriptors, _flags, _address = socket.recv_fds(
            ours, 1, 1, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        )
    return socket.socket(fileno=descriptors[0])


class UnixHttp:
    """An open connection; `unix_http` makes it."""

    def __init__(self, path: str, connection: _Connection, *, ends_at: float, answer_limit: int) -> None:
        self._path = path
        self._connection = connection
        self._ends_at = ends_at
        self._answer_limit = answer_limit
        self._broken: Optional[str] = None

    def get(self, target: str) -> Any:
        """The JSON answer to `GET target`.

        Raises `NotThere` on status 404 and `PortError` on everything else that is not an answer in time, size
        and depth. After a broken exchange the connection is not used again: each further call fails.
        """
        return _document(self._get(target), f"{self._path}: GET {target}")

    def get_lines(self, target: str) -> list[Any]:
        """As `get`, for an answer with one JSON document on each line."""
        what = f"{self._path}: GET {target}"
        return [_document(line, what) for line in self._get(target).splitlines() if line.strip()]

    def send(self, method: str, target: str, document: Any = None) -> tuple[int, Any]:
        """The status of another request, and its JSON answer (None where there is none).

        Raises `PortError` as `get` does; every status is the caller's to judge.
        """
        status, text = self._request(method, target, document)
        return status, _document(text, f"{self._path}: {method} {target}") if text.strip() else None

    def _get(self, target: str) -> str:
        status, text = self._request("GET", target, None)
        what = f"{self._path}: GET {target}"
        if status == 404:
            raise NotThere(f"{what}: status 404")
        if status != 200:
            raise PortError(f"{what}: status {status}")
        return text

    def _request(self, method: str, target: str, document: Any) -> tuple[int, str]:
        if self._broken is not None:
            raise PortError(self._broken)
        what = f"{self._path}: {method} {target}"
        try:
            remaining = self._ends_at - time.monotonic()
            if remaining <= 0:
                raise TimeLimitExceeded(f"{what}: no end within the deadline of the connection")
            with time_limit(remaining, what):
                status, body = self._exchange(method, target, document, what)
            return status, body.decode("utf-8")
        except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
            self._broken = f"{what}: {type(error).__name__}: {error}"
            raise PortError(self._broken) from error
        except PortError as error:
            self._broken = str(error)
            raise

    def _exchange(self, method: str, target: str, document: Any, what: str) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        content = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(document).encode()
        self._connection.request(method, target, body=content, headers=headers)
        response = self._connection.getresponse()
        body = response.read(self._answer_limit + 1)
        if len(body) > self._answer_limit:
            raise PortError(f"{what}: longer than {self._answer_limit} bytes")
        if response.length:
            raise PortError(f"{what}: cut short")
        return response.status, body


def _document(text: str, what: str) -> Any:
    try:
        return parse_json(text)
    except PortError as error:
        raise PortError(f"{what}: {error}") from error


@contextlib.contextmanager
def unix_http(
    system: System,
    path: str,
    *,
    peer_uid: int,
    deadline: float = DEADLINE_SECONDS,
    answer_limit: int = ANSWER_LIMIT,
) -> Iterator[UnixHttp]:
    """Connect, as `peer_uid`, to a unix socket that counts only if that user listens on it.

    `deadline` seconds bound all requests together. Raises `NotThere` when there is no socket, `PortError`
    when nobody answers on it or its listener is another user.
    """
    connection = _Connection(system.socket_path(path), peer_uid)
    try:
        with time_limit(deadline, path):
            connection.connect()
            credentials = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _pid, uid, _gid = _PEER.unpack(credentials)
        if uid != peer_uid:
            raise PortError(f"{path}: its listener is uid {uid}, not {peer_uid}")
        yield UnixHttp(path, connection, ends_at=time.monotonic() + deadline, answer_limit=answer_limit)
    except FileNotFoundError as error:
        raise NotThere(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise PortError(f"{path}: {error.strerror or error}") from error
    finally:
        connection.close()
