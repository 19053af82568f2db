# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP over a unix socket, and what a hostile listener cannot do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    NotThere,
    PortError,
    TimeLimitExceeded,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json, unix_http
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

PATH = "/run/docker.sock"
ENDLESS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.contextmanager
def listener(
    system: FakeSystem, *chunks: bytes, pause: float = 0.0, uid: int | None = None
) -> Iterator[list[bytes]]:
    """Take one connection, and send a chunk per request (with a pause: all of them, slowly)."""
    system.local("/run").mkdir(exist_ok=True)
    requests: list[bytes] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(system.local(PATH)))
    os.seteuid(os.geteuid() if uid is None else uid)  # of whom SO_PEERCRED tells
    server.listen()
    os.seteuid(os.getuid())

    def serve() -> None:
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            if pause:
                requests.append(connection.recv(65536))
            for chunk in chunks:
                if not pause:
                    requests.append(connection.recv(65536))
                connection.sendall(chunk)
                time.sleep(pause)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield requests
    finally:
        server.close()
        thread.join(10)


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path)


def test_all_requests_go_over_one_connection(system: FakeSystem) -> None:
    with (
        listener(system, answer(b'{"a": 1}'), answer(b"[]")) as requests,
        unix_http(system, PATH, peer_uid=os.getuid()) as engine,
    ):
        assert engine.get("/info") == {"a": 1}
        assert engine.get("/networks") == []
    assert [request.split()[1] for request in requests] == [b"/info", b"/networks"]


def test_a_listener_of_another_user_is_not_believed(system: FakeSystem) -> None:
    message = f"its listener is uid {os.getuid()}, not 12345"
    system.let_users_in()
    with listener(system):
        system.local(PATH).chmod(0o666)
        with pytest.raises(PortError, match=message), unix_http(system, PATH, peer_uid=12345):
            pytest.fail("connected")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_s_socket_is_connected_to_as_the_user(system: FakeSystem) -> None:
    theirs = "/run/user/12345/docker.sock"
    system.link(theirs, "../../docker.sock")
    os.chown(system.local(theirs).parent, 12345, 12345)
    system.let_users_in()
    with pytest.raises(NotThere), unix_http(system, theirs, peer_uid=12345):
        pytest.fail("connected")
    with listener(system, answer(b'{"a": 1}'), uid=12345):
        system.local(PATH).chmod(0o600)
        refused = pytest.raises(PortError, match="as user 12345: Permission denied$")
        with refused, unix_http(system, theirs, peer_uid=12345):
            pytest.fail("connected to a socket of root's")
        os.chown(system.local(PATH), 12345, 12345)
        with unix_http(system, theirs, peer_uid=12345) as engine:
            assert engine.get("/info") == {"a": 1}


def test_no_socket_and_nobody_behind_it(system: FakeSystem) -> None:
    with pytest.raises(NotThere), unix_http(system, PATH, peer_uid=0):
        pytest.fail("connected")
    system.local("/run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(system.local(PATH)))
    with pytest.raises(PortError, match="Connection refused"), unix_http(system, PATH, peer_uid=0):
        pytest.fail("connected")


def test_an_answer_that_drips_ends_at_the_deadline(system: FakeSystem) -> None:
    begun = time.monotonic()
    with (
        listener(system, ENDLESS_HEAD, *[b" "] * 20, pause=0.1),
        unix_http(system, PATH, peer_uid=os.getuid(), deadline=0.5) as engine,
        pytest.raises(TimeLimitExceeded, match="GET /info: no end"),
    ):
        engine.get("/info")
    assert time.monotonic() - begun < 5


def test_the_deadline_is_for_all_requests_together(system: FakeSystem) -> None:
    with (
        listener(system, answer(b"{}")),
        unix_http(system, PATH, peer_uid=os.getuid(), deadline=0.3) as engine,
    ):
        assert engine.get("/info") == {}
        time.sleep(0.4)
        with pytest.raises(TimeLimitExceeded):
            engine.get("/version")
        with pytest.raises(PortError, match="GET /version: no end"):
            engine.get("/networks")


def test_an_answer_that_is_too_long(system: FakeSystem) -> None:
    with (
        listener(system, answer(b'"' + b"x" * 2000 + b'"')),
        unix_http(system, PATH, peer_uid=os.getuid(), answer_limit=1000) as engine,
        pytest.raises(PortError, match="GET /info: longer than 1000 bytes"),
    ):
        engine.get("/info")


def test_statuses(system: FakeSystem) -> None:
    refusals = answer(b"{}", "404 Not Found"), answer(b"{}", "500 Internal Server Error")
    with listener(system, *refusals), unix_http(system, PATH, peer_uid=os.getuid()) as engine:
        with pytest.raises(NotThere):
            engine.get("/containers/x/json")
        with pytest.raises(PortError, match="status 500"):
            engine.get("/info")


@pytest.mark.parametrize(
    "text", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_no_http_at_all(system: FakeSystem, text: bytes) -> None:
    with (
        listener(system, text),
        unix_http(system, PATH, peer_uid=os.getuid()) as engine,
        pytest.raises(PortError, match="GET /info"),
    ):
        engine.get("/info")


def test_json_is_bounded_in_depth() -> None:
    assert parse_json("[" * 64 + "]" * 64)
    with pytest.raises(PortError, match="nested deeper than 64 levels"):
        parse_json("[" * 65 + "]" * 65)
    with pytest.raises(PortError, match="nested deeper"):
        parse_json('{"a":' * 100_000)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": Infinity}', "{'a': 1}"])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(PortError, match="not JSON"):
        parse_json(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_brackets_in_texts_are_not_levels(value: object) -> None:
    document = {'[[[["\\': value, "text": "[[[[[[[[[[[[" * 3}
    assert parse_json(json.dumps(document), depth=25) == document
