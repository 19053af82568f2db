# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker service as something to act on: look at it, reload it, restart it, wait for it."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from typing import Any, Callable, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import (
    DockerRecords,
    fetch_docker_records,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_cgroups import (
    docker_cgroups,
    still_unlisted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_ended import (
    changed_by_themselves,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_reload import (
    acceptable_file,
    await_reload,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_start_check import start_problems
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_records import (
    container_name,
    is_swarm_task,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_daemon import find_daemon
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import (
    Service,
    read_pause,
    read_service,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import unix_http

__all__ = ["DockerService", "DockerServiceError"]

UNIT = "docker.service"
UNITS = (UNIT, "docker.socket")
SYSTEMCTL_SECONDS = 180.0
POLL_SECONDS = 0.5
# A container may name a time to stop of its own; the engine kills it when that is over.
STOP_SECONDS = 300.0
# From the engine's answer that a container has stopped until its cgroup is empty.
SETTLE_SECONDS = 10.0
_VERSION = re.compile(r"Docker version (\d+(?:\.\d+)+)")


class DockerServiceError(BulkheadError):
    """The service could not be looked at or acted on."""


class DockerService:
    """The rootful engine behind a socket, run by systemd."""

    def __init__(self, system: System, *, socket: str, timeout: float) -> None:
        self._system = system
        self._socket = socket
        self._timeout = timeout

    def state(self) -> EngineState:
        """The engine as it is now; it is not started by being looked at."""
        service = self.service()
        daemon = find_daemon(self._system, service.main_pid)
        if daemon is None:
            return EngineState(
                "0",
                None,
                None,
                live_restore=False,
                swarm=False,
                containers=(),
                needs_daemon_reload=service.need_daemon_reload,
            )
        records = self._records()
        return EngineState(
            version=str(records.version["Version"]),
            started_at=daemon.started_at,
            reloaded_at=service.reloaded_at,
            live_restore=records.info.get("LiveRestoreEnabled") is True,
            swarm=_swarm(records.info),
            containers=self._containers(records),
            installed_version=self._installed_version(daemon.pid, daemon.executable),
            needs_daemon_reload=service.need_daemon_reload,
        )

    def service(self) -> Service:
        """The unit as systemd has it loaded; raises `DockerServiceError`."""
        try:
            return read_service(self._system, UNIT)
        except PortError as error:
            raise DockerServiceError(f"{UNIT}: {error}") from error

    def refuse_bad_start(self) -> None:
        """Raise `DockerServiceError` when the engine would end by a reload or not come up again.

        It runs on untouched then.
        """
        problems = start_problems(self._system, self.service().command)
        if problems:
            raise DockerServiceError(
                f"the engine would not start again, and was left alone: {'; '.join(problems)}"
            )

    def command_differs(self) -> bool:
        """Whether the unit's next start has another command line than the running daemon."""
        service = self.service()
        daemon = find_daemon(self._system, service.main_pid)
        return daemon is not None and daemon.argv != service.command

    def daemon_reload(self) -> None:
        """Let systemd read the unit's files again."""
        self._systemctl("daemon-reload")

    def reload(self) -> None:
        """Let the daemon read its file again; raises `DockerServiceError` when it refuses to."""
        daemon = find_daemon(self._system, self.service().main_pid)
        try:
            with acceptable_file(self._system, daemon.argv if daemon else ()):
                asked_at = time.time()
                self._systemctl("reload", UNIT)
                self._await_reload(asked_at)
        except PortError as error:
            raise DockerServiceError(f"{error}. The daemon was asked to reload it") from error

    def restart(self) -> None:
        """Restart the daemon."""
        self._systemctl("restart", UNIT)

    def start(self) -> None:
        """Start a daemon that is down, also when systemd has given up on it (its start limit)."""
        self._systemctl("reset-failed", *UNITS)
        self._systemctl("start", UNIT)

    def state_of_a_troubled_engine(self) -> EngineState:
        """As `state`, for an engine that may be about to start or to fail, again and again.

        systemd starts a daemon that fails anew (Restart=always), and a slow machine never comes to its start
        limit. One that has another process each time it is looked at, or that never gets through its start,
        is stopped: with its socket, which would start it again. One that runs and is slow, or that says
        nothing of a single container, is left alone: without live-restore, to stop it ends every container.
        """
        deadline = time.monotonic() + self._timeout
        processes = set()
        while True:
            try:
                return self.state()
            except DockerServiceError as error:
                trouble = error
                processes.add(self.service().main_pid)
            fails_anew, late = len(processes - {0}) > 1, time.monotonic() > deadline
            if late and not fails_anew and self._is_active():
                raise DockerServiceError(
                    f"the engine runs and does not answer as it should: {trouble}. It was left alone"
                ) from trouble
            if fails_anew or late:
                self._systemctl("stop", *UNITS)
                return self.state()
            time.sleep(POLL_SECONDS)

    def stop_containers(self, containers: Iterable[RunningContainer]) -> None:
        """Stop containers by name, each with the time that it has for it; raises `DockerServiceError`."""
        for container in containers:
            self._container_request(container.id, container.name, "stop", accepted=(204, 304, 404))

    def start_containers(self, containers: Iterable[RunningContainer]) -> None:
        """Start containers again that were stopped; one that runs already stays as it is."""
        for container in containers:
            self._container_request(container.id, container.name, "start", accepted=(204, 304))

    def start_known(self, containers: Iterable[RunningContainer]) -> list[str]:
        """Start those of the containers that the engine knows; returns the names of those that it started."""
        return [
            container.name
            for container in containers
            if self._container_request(container.id, container.name, "start", accepted=(204, 304, 404)) == 204
        ]

    def prove_none_left(self) -> None:
        """Raise `DockerServiceError` when /proc shows a process in a container's cgroup of this engine."""
        deadline = time.monotonic() + SETTLE_SECONDS
        left = docker_cgroups(self._system)
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = docker_cgroups(self._system)
        if left:
            listed = ", ".join(f"{identifier[:12]} (process {pids[0]})" for identifier, pids in left.items())
            raise DockerServiceError(
                f"containers still run after they were stopped: {listed}. The engine was not restarted"
            )

    def containers_in_cgroups(self) -> list[str]:
        """Ids of containers that run in this engine's cgroups, also when the engine is down."""
        return sorted(docker_cgroups(self._system))

    def unlisted_containers(self) -> list[str]:
        """Ids of containers that run in this engine's cgroups, and that it does not list.

        The engine is asked again about one that it does not list, because it may be just about to be started.
        """
        listed = self._records().inspected
        doubtful = {
            identifier: [
                (pid, ticks) for pid in pids for ticks in [self.start_ticks(pid)] if ticks is not None
            ]
            for identifier, pids in docker_cgroups(self._system).items()
            if identifier not in listed
        }
        return sorted(still_unlisted(self._system, doubtful, path=self._socket))

    def changed_by_themselves(self, identifiers: Collection[str]) -> set[str]:
        """Which of the containers do not run as before for a reason of their own; see `_docker_ended`."""
        if not identifiers:
            return set()
        try:
            pause = read_pause(self._system, UNIT)
            return changed_by_themselves(self._system, identifiers, pause, socket=self._socket)
        except PortError as error:
            raise DockerServiceError(f"{UNIT}: {error}") from error

    def _await_reload(self, asked_at: float) -> None:
        """systemd only sends the signal; the engine tells of a reload that it has done as an event."""
        if await_reload(self._system, self._socket, uid=0, since=asked_at, seconds=self._timeout):
            return
        raise DockerServiceError(
            f"the daemon has not taken over its file {self._timeout:g} s after it was asked to reload it. "
            f"The reason is in: journalctl --unit {UNIT}"
        )

    def await_live_restore(self) -> None:
        """Wait until the running daemon says that live-restore is on; raises `DockerServiceError`."""
        self._await(
            lambda records: records.info.get("LiveRestoreEnabled") is True,
            "the daemon does not say that live-restore is on. It was not restarted",
        )

    def await_answer(self) -> None:
        """Wait until the daemon answers; raises `DockerServiceError`."""
        self._await(lambda records: True, "the daemon does not answer")

    def await_containers(self, containers: Iterable[RunningContainer]) -> None:
        """Wait until the daemon lists these as running (it takes them over after it answers)."""
        wanted = {container.id for container in containers}
        self._await(
            lambda records: wanted <= records.inspected.keys(),
            "the daemon does not list every container that ran before",
        )

    def start_ticks(self, pid: int) -> Optional[int]:
        """When a process began, ``None`` when there is none of that number."""
        try:
            with self._system.process(pid) as process:
                return process.start_ticks
        except NotThere:
            return None

    def _containers(self, records: DockerRecords) -> tuple[RunningContainer, ...]:
        return tuple(
            self._container(identifier, record)
            for identifier, record in records.inspected.items()
            if isinstance(record.get("State"), dict)
        )

    def _container(self, identifier: str, record: dict[str, Any]) -> RunningContainer:
        pid = int(record["State"].get("Pid") or 0)
        ticks = self.start_ticks(pid)
        return RunningContainer(
            id=identifier,
            name=container_name(record) or identifier[:12],
            pid=pid,
            start_ticks=ticks,
            auto_remove=(record.get("HostConfig") or {}).get("AutoRemove") is True,
            restart_policy=_restart_policy(record),
            swarm_task=is_swarm_task(record),
            started_at=None if ticks is None else self._system.started_at(ticks),
        )

    def _records(self) -> DockerRecords:
        try:
            records = fetch_docker_records(self._system, path=self._socket)
        except PortError as error:
            raise DockerServiceError(f"{self._socket}: {error}") from error
        parts: list[tuple[str, Any]] = [("", records.version), ("", records.info)]
        parts += [(f"container {identifier[:12]}: ", part) for identifier, part in records.inspected.items()]
        if not isinstance(records.listed, list):
            parts.append(("", records.listed))
        for whose, part in parts:
            if set(part) == {"unreadable"}:
                raise DockerServiceError(f"{self._socket}: {whose}{part['unreadable']}")
        return records

    def _is_active(self) -> bool:
        """Whether the daemon has told systemd that it got through its start (Type=notify)."""
        try:
            return self._system.run(["systemctl", "is-active", UNIT]).stdout.strip() == "active"
        except PortError as error:
            raise DockerServiceError(f"systemctl is-active {UNIT}: {error}") from error

    def _installed_version(self, pid: int, executable: str) -> Optional[str]:
        """The version of the program that the next start runs.

        The daemon's own program shows as deleted once an upgrade has put another in its place
        (proc_pid_exe(5)).
        """
        try:
            with self._system.process(pid) as process:
                replaced = process.read_link("exe").endswith(" (deleted)")
            if not replaced:
                return None
            found = _VERSION.match(self._system.run([executable, "--version"]).stdout)
        except PortError as error:
            raise DockerServiceError(f"{executable}: {error}") from error
        return found[1] if found else None

    def _container_request(self, identifier: str, name: str, verb: str, *, accepted: tuple[int, ...]) -> int:
        target = f"/containers/{identifier}/{verb}"
        try:
            with unix_http(self._system, self._socket, peer_uid=0, deadline=STOP_SECONDS) as engine:
                status, answer = engine.send("POST", target)
        except PortError as error:
            raise DockerServiceError(f"container {name}: {error}") from error
        if status not in accepted:
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise DockerServiceError(f"container {name} does not {verb}: status {status}: {message}")
        return status

    def _systemctl(self, verb: str, *units: str) -> None:
        argv = ["systemctl", verb, *units]
        try:
            completed = self._system.run(argv, timeout=SYSTEMCTL_SECONDS)
        except PortError as error:
            raise DockerServiceError(f"{' '.join(argv)}: {error}") from error
        if completed.returncode != 0:
            raise DockerServiceError(
                f"{' '.join(argv)} failed: {completed.stderr.strip()[-500:]} "
                f"The reason is in: journalctl --unit {UNIT}"
            )

    def _await(self, reached: Callable[[DockerRecords], bool], failure: str) -> None:
        deadline = time.monotonic() + self._timeout
        reason = "it answered"
        while time.monotonic() < deadline:
            try:
                if reached(self._records()):
                    return
            except DockerServiceError as error:
                reason = str(error)
            time.sleep(POLL_SECONDS)
        raise DockerServiceError(f"{failure}, {self._timeout:g} s after it was asked to ({reason})")


def _swarm(info: dict[str, Any]) -> bool:
    swarm = info.get("Swarm")
    return isinstance(swarm, dict) and swarm.get("LocalNodeState") not in (None, "", "inactive")


def _restart_policy(record: dict[str, Any]) -> str:
    policy = (record.get("HostConfig") or {}).get("RestartPolicy")
    return str(policy.get("Name") or "no") if isinstance(policy, dict) else "no"
