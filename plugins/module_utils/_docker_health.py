# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a Docker Engine is well after a change: it answers, what ran runs, and a new container starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    EngineState,
    RunningContainer,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import UnixHttp, unix_http

__all__ = ["PROBE_IMAGE", "NotProbed", "container_problems", "engine_health", "probe_engine"]

# Started as a probe when the host has it; its own command has to end with status 0.
PROBE_IMAGE = "localhost/bulkhead-probe:latest"
PROBE_SECONDS = 60.0
ANSWER_SECONDS = 30.0


class NotProbed(Exception):
    """No probe container was started; says why. That is not a problem of the engine."""


def engine_health(
    system: System,
    *,
    socket: str,
    before: Sequence[Mapping[str, Any]],
    probe: bool,
    probe_image: Optional[str] = None,
) -> list[str]:
    """What is wrong with the engine, a sentence each; empty: it is well.

    :param before: the containers that ran before the change: ``id``, ``name``, ``pid``, ``start_ticks`` and
        ``expected``: ``same_process`` (it ran on), ``running`` (it may have been started again) or ``any``
    :param probe: whether to start a probe container, where its image is on the host
    :param probe_image: its name; without one `PROBE_IMAGE` is used if it is there. A named image that is not
        there is a problem.
    """
    service = DockerService(system, socket=socket, timeout=ANSWER_SECONDS)
    try:
        service.await_answer()
        state = service.state()
        if state.started_at is None:
            return ["the engine does not run"]
        problems = container_problems(state, service, before)
        unlisted = service.unlisted_containers()
    except (DockerServiceError, PortError) as error:
        return [str(error)]
    problems += [f"container {name} runs, and the engine does not list it" for name in unlisted]
    if probe:
        try:
            probe_engine(system, socket=socket, image=probe_image)
        except NotProbed as reason:
            problems += [str(reason)] if probe_image is not None else []
        except DockerServiceError as error:
            problems.append(str(error))
    return problems


def container_problems(
    state: EngineState, service: DockerService, before: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Containers that ran before and do not as they should; one that ended well by itself should not."""
    listed = {container.id: container for container in state.containers}
    problems = {}
    for container in before:
        expected = container.get("expected", "same_process")
        found = listed.get(container["id"])
        if expected == "any":
            continue
        if found is None:
            problems[container["id"]] = f"container {container['name']} ran before and does not run any more"
        elif expected == "same_process" and not _same_process(found, container, service):
            problems[container["id"]] = (
                f"container {container['name']} should have run on and was started again: its first "
                f"process was {container['pid']} and is {found.pid}"
            )
    excused = service.changed_by_themselves(problems.keys())
    return [problem for identifier, problem in problems.items() if identifier not in excused]


def probe_engine(system: System, *, socket: str, image: Optional[str] = None) -> str:
    """Start a container without network from an image that is on the host, and wait for its good end.

    Nothing is pulled. Returns the image's name; raises `NotProbed`, or `DockerServiceError` when the engine
    does not create, start or finish it.
    """
    name = image or PROBE_IMAGE
    try:
        with unix_http(system, socket, peer_uid=0, deadline=PROBE_SECONDS) as engine:
            try:
                engine.get(f"/images/{quote(name, safe='/:@')}/json")
            except NotThere as error:
                raise NotProbed(f"not probed: the image {name} is not on this host") from error
            _run_probe(engine, name)
    except PortError as error:
        raise DockerServiceError(f"the probe container of {name}: {error}") from error
    return name


def _run_probe(engine: UnixHttp, image: str) -> None:
    document = {
        "Image": image,
        "Labels": {"bulkhead.probe": "true"},
        "HostConfig": {"NetworkMode": "none", "RestartPolicy": {"Name": "no"}},
    }
    created = _expect(
        engine, "POST", f"/containers/create?name=bulkhead-probe-{os.getpid()}", document, (201,)
    )
    target = f"/containers/{created['Id']}"
    try:
        _expect(engine, "POST", f"{target}/start", None, (204,))
        ended = _expect(engine, "POST", f"{target}/wait", None, (200,))
        if ended.get("StatusCode") != 0:
            raise DockerServiceError(
                f"the probe container of {image} ended with status {ended.get('StatusCode')}, not 0"
            )
    finally:
        engine.send("DELETE", f"{target}?force=true&v=true")


def _expect(
    engine: UnixHttp, method: str, target: str, document: Any, accepted: tuple[int, ...]
) -> dict[str, Any]:
    status, answer = engine.send(method, target, document)
    if status not in accepted:
        message = answer.get("message") if isinstance(answer, dict) else answer
        raise DockerServiceError(f"the probe container does not work: status {status}: {message}")
    return answer if isinstance(answer, dict) else {}


def _same_process(found: RunningContainer, before: Mapping[str, Any], service: DockerService) -> bool:
    return bool(
        found.pid == before["pid"]
        and (before.get("start_ticks") is None or service.start_ticks(found.pid) == before["start_ticks"])
    )
