# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Docker engine says of itself and of its containers: all of it read over one connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import UnixHttp, unix_http

__all__ = ["DOCKER_SOCKET", "DockerRecords", "fetch_docker_records"]

DOCKER_SOCKET = "/run/docker.sock"

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class DockerRecords:
    """The engine's own records, as it sent them; each can be an `unreadable` object instead.

    :ivar version: the object of `GET /version`
    :ivar info: the object of `GET /info`
    :ivar networks: the array of `GET /networks`
    :ivar listed: the ids of the running containers (`GET /containers/json`)
    :ivar inspected: the object of `GET /containers/ID/json` for each of them, by id
    """

    version: Any
    info: Any
    networks: Any
    listed: Any
    inspected: dict[str, Any]

    def container(self, container_id: str) -> Any:
        """The engine's record of a container: an object, `unreadable`, or None when it does not list it."""
        if isinstance(self.listed, dict):
            return self.listed
        return self.inspected.get(container_id)

    def running(self) -> list[dict[str, Any]]:
        """The records of the running containers that could be read."""
        return [record for record in self.inspected.values() if isinstance(record.get("State"), dict)]


def fetch_docker_records(
    system: System, *, path: str = DOCKER_SOCKET, uid: int = 0, containers: bool = True
) -> DockerRecords:
    """Ask the engine behind a socket whose listener is `uid`.

    Raises `NotThere` without a socket and `PortError` when nobody answers there. `containers=False` leaves
    the containers out.
    """
    with unix_http(system, path, peer_uid=uid) as engine:
        version = _object(engine, "/version")
        info = _object(engine, "/info")
        networks = attempt(lambda: _array(engine, "/networks"))
        listed = attempt(lambda: _listed(engine)) if containers else []
        inspected = _inspected(engine, listed) if isinstance(listed, list) else {}
    return DockerRecords(version, info, networks, listed, inspected)


def _object(engine: UnixHttp, target: str) -> Any:
    def read() -> dict[str, Any]:
        answer = engine.get(target)
        if not isinstance(answer, dict):
            raise PortError(f"GET {target}: not a JSON object")
        return answer

    return attempt(read)


def _array(engine: UnixHttp, target: str) -> list[dict[str, Any]]:
    answer = engine.get(target)
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise PortError(f"GET {target}: not a JSON array of objects")
    return answer


def _listed(engine: UnixHttp) -> list[str]:
    ids = [str(entry.get("Id")) for entry in _array(engine, "/containers/json")]
    if not all(_CONTAINER_ID.fullmatch(container_id) for container_id in ids):
        raise PortError("GET /containers/json: an Id that is not 64 hexadecimal digits")
    return ids


def _inspected(engine: UnixHttp, ids: list[str]) -> dict[str, Any]:
    records: dict[str, Any] = {}
    for container_id in ids:
        try:
            answer = engine.get(f"/containers/{container_id}/json")
        except NotThere:
            continue  # it ended since it was listed
        except PortError as error:
            answer = unreadable(error)
        records[container_id] = answer if isinstance(answer, dict) else unreadable("not a JSON object")
    return records
