# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Docker engine in a `FakeSystem`: a process, a unit and a socket that answers."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from unit.fake_system import FakeSystem

PID = 549
CONTAINER = "2e9c42ea36cfd9703ef234eb19a09bc67e6174c276d724b09f034c7043876d27"
SHOW = (
    "systemctl",
    "show",
    "docker.service",
    "--property",
    "LoadState,ActiveState,MainPID,ExecStart,ExecReload,Environment,EnvironmentFiles,FragmentPath,DropInPaths,"
    "NeedDaemonReload",
)
PAUSE = (
    "systemctl",
    "show",
    "docker.service",
    "--property",
    "ActiveExitTimestamp,ActiveEnterTimestamp",
)
UNIT = """LoadState=loaded
MainPID={pid}
ExecStart={{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ; ignore_errors=no }}
Environment=
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
FragmentPath=/usr/lib/systemd/system/docker.service
NeedDaemonReload=no
"""


class FakeDocker:
    """What the engine answers, by path; change it before `listen`.

    `events` are the engine's, whenever asked for. `posts` answers POST and DELETE by path with status
    and document; `sent` keeps the documents sent.
    """

    def __init__(self, system: FakeSystem) -> None:
        self.system = system
        self.requests: list[str] = []
        self.posts: dict[str, tuple[int, Any]] = {}
        self.sent: list[Any] = []
        self.events: list[Any] = []
        self.answers: dict[str, Any] = {
            "/version": {"Version": "26.1.5+dfsg1", "MinAPIVersion": "1.24"},
            "/info": {
                "Driver": "overlay2",
                "DockerRootDir": "/var/lib/docker",
                "LiveRestoreEnabled": False,
                "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
                "Swarm": {"LocalNodeState": "inactive"},
                "Runtimes": {"runc": {"path": "runc"}},
                "ContainersRunning": 1,
                "Warnings": None,
            },
            "/networks": [{"Name": "bridge", "Id": "f" * 64, "Driver": "bridge", "Options": {}}],
            "/containers/json": [{"Id": CONTAINER}],
            f"/containers/{CONTAINER}/json": {"Id": CONTAINER, "State": {"Pid": 812}},
        }

    def install(self) -> None:
        """The program, the unit and its socket."""
        system = self.system
        system.local("/run/systemd/system").mkdir(parents=True, exist_ok=True)
        system.write("/usr/sbin/dockerd").chmod(0o755)
        system.write("/var/lib/dpkg/info/docker.io.list")
        system.write("/etc/docker/daemon.json", "{}")
        system.write("/proc/self/mountinfo", "30 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n")
        system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1001:999::/home/bob:/bin/sh\n")
        system.answers[SHOW] = UNIT.format(pid=0)
        system.answers["/usr/sbin/dockerd", "--version"] = "Docker version 26.1.5+dfsg1, build 411e817\n"

    def start(self, *arguments: str) -> None:
        """The process, as the unit starts it."""
        system = self.system
        system.answers[SHOW] = UNIT.format(pid=PID)
        # it starts after everything that has been written so far
        words = ["/usr/sbin/dockerd", "-H", "fd://", *arguments]
        system.add_process(
            PID,
            comm="dockerd",
            cmdline="\0".join(words) + "\0",
            status="Name:\tdockerd\nUid:\t0\t0\t0\t0\n",
        )
        system.write(f"/proc/{PID}/net/tcp", "  sl  local_address\n")
        system.link(f"/proc/{PID}/exe", "/usr/sbin/dockerd")
        system.link(f"/proc/{PID}/fd/3", "socket:[1]")
        system.write(f"/proc/{PID}/task/{PID}/children", "")
        system.write("/run/docker.pid", str(PID))

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """Answer on /run/docker.sock."""
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                engine.requests.append(self.path)
                if self.path.startswith("/events?"):
                    lines = "".join(f"{json.dumps(event)}\n" for event in engine.events)
                    self._answer(200, lines.encode())
                    return
                known = self.path in engine.answers
                body = json.dumps(engine.answers.get(self.path, {"message": "no such"})).encode()
                self._answer(200 if known else 404, body)

            def do_POST(self) -> None:
                engine.requests.append(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                if length:
                    engine.sent.append(json.loads(self.rfile.read(length)))
                status, document = engine.posts.get(self.path, (404, {"message": "no such"}))
                self._answer(status, b"" if document is None else json.dumps(document).encode())

            do_DELETE = do_POST

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """The test's output stays clean."""

            def address_string(self) -> str:
                return "unix"

        self.system.local("/run").mkdir(exist_ok=True)
        path = str(self.system.local("/run/docker.sock"))
        with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join(10)
        self.system.local("/run/docker.sock").unlink()
