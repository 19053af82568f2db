# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker service as something to act on: look at it, reload it, restart it, wait for it."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import (
    DockerRecords,
    fetch_docker_records,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_records import container_name
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_daemon import find_daemon
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import read_service

__all__ = ["DockerService", "DockerServiceError"]

UNIT = "docker.service"
SYSTEMCTL_SECONDS = 180.0
POLL_SECONDS = 0.5


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
        try:
            service = read_service(self._system, UNIT)
        except PortError as error:
            raise DockerServiceError(f"{UNIT}: {error}") from error
        daemon = find_daemon(self._system, service.main_pid)
        if daemon is None:
            return EngineState("0", None, None, live_restore=False, swarm=False, containers=())
        records = self._records()
        return EngineState(
            version=str(records.version["Version"]),
            started_at=daemon.started_at,
            reloaded_at=service.reloaded_at,
            live_restore=records.info.get("LiveRestoreEnabled") is True,
            swarm=_swarm(records.info),
            containers=self._containers(records),
        )

    def reload(self) -> None:
        """Let the daemon read its file again."""
        self._systemctl("reload")

    def restart(self) -> None:
        """Restart the daemon."""
        self._systemctl("restart")

    def await_live_restore(self) -> None:
        """Wait until the running daemon says that live-restore is on; raises `DockerServiceError`."""
        self._await(
            lambda records: records.info.get("LiveRestoreEnabled") is True,
            "the daemon does not say that live-restore is on. It was not restarted",
        )

    def await_answer(self) -> None:
        """Wait until the daemon answers; raises `DockerServiceError`."""
        self._await(lambda records: True, "the daemon does not answer")

    def start_ticks(self, pid: int) -> Optional[int]:
        """When a process began, ``None`` when there is none of that number."""
        try:
            with self._system.process(pid) as process:
                return process.start_ticks
        except NotThere:
            return None

    def _containers(self, records: DockerRecords) -> tuple[RunningContainer, ...]:
        return tuple(
            RunningContainer(
                id=identifier,
                name=container_name(record) or identifier[:12],
                pid=int(record["State"].get("Pid") or 0),
                start_ticks=self.start_ticks(int(record["State"].get("Pid") or 0)),
                auto_remove=(record.get("HostConfig") or {}).get("AutoRemove") is True,
            )
            for identifier, record in records.inspected.items()
            if isinstance(record.get("State"), dict)
        )

    def _records(self) -> DockerRecords:
        try:
            records = fetch_docker_records(self._system, path=self._socket)
        except PortError as error:
            raise DockerServiceError(f"{self._socket}: {error}") from error
        parts: list[Any] = [records.version, records.info, *records.inspected.values()]
        if not isinstance(records.listed, list):
            parts.append(records.listed)
        for part in parts:
            if set(part) == {"unreadable"}:
                raise DockerServiceError(f"{self._socket}: {part['unreadable']}")
        return records

    def _systemctl(self, verb: str) -> None:
        argv = ["systemctl", verb, UNIT]
        try:
            completed = self._system.run(argv, timeout=SYSTEMCTL_SECONDS)
        except PortError as error:
            raise DockerServiceError(f"systemctl {verb} {UNIT}: {error}") from error
        if completed.returncode != 0:
            raise DockerServiceError(
                f"systemctl {verb} {UNIT} failed: {completed.stderr.strip()[-500:]} "
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
