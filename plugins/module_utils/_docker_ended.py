# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a container that does not run as before ended by itself, or with its engine.

A batch job that ends well while a host is hardened is none that the run has lost. The exit status alone does
not tell: many servers end with 0 when a stopping engine asks them to. So it has to have ended at a time when
the engine was up: neither while the engine's unit stopped nor until the unit was active again, because an
engine without live-restore ends at its start what an earlier one has left running (moby ``daemon/daemon.go``
restore).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_evidence import (
    parse_engine_time,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import Pause
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import UnixHttp, unix_http

__all__ = ["changed_by_itself", "changed_by_themselves"]

# A policy that would have started the container again after a good end.
_STARTS_AGAIN = ("always", "unless-stopped")


def changed_by_themselves(
    system: System, identifiers: Iterable[str], pause: Pause, *, socket: str
) -> set[str]:
    """Which of these containers do not run as before for a reason of their own; raises `PortError`."""
    with unix_http(system, socket, peer_uid=0) as engine:
        return {identifier for identifier in identifiers if _changed(engine, identifier, pause)}


def _changed(engine: UnixHttp, identifier: str, pause: Pause) -> bool:
    try:
        return changed_by_itself(engine.get(f"/containers/{identifier}/json"), pause)
    except NotThere:
        return _ended_before_it_was_removed(engine, identifier, pause)


def changed_by_itself(record: Mapping[str, Any], pause: Pause) -> bool:
    """Whether a container ended well by itself, or runs as a process from before the engine's pause.

    :param record: the engine's, `GET /containers/ID/json`
    """
    state: Mapping[str, Any] = record["State"]
    if state.get("Running"):
        started = parse_engine_time(state.get("StartedAt"))
        return started is not None and pause.stopped_at is not None and started < pause.stopped_at
    policy = (record.get("HostConfig") or {}).get("RestartPolicy") or {}
    ended = parse_engine_time(state.get("FinishedAt"))
    return (
        state.get("Status") == "exited"
        and state.get("ExitCode") == 0
        and policy.get("Name") not in _STARTS_AGAIN
        and ended is not None
        and pause.was_active(ended)
    )


def _ended_before_it_was_removed(engine: UnixHttp, identifier: str, pause: Pause) -> bool:
    """By the engine's events: it keeps the last 256 of them, and none from before its own start."""
    if pause.active_since is None:
        return False
    filters = json.dumps({"type": ["container"], "container": [identifier], "event": ["die"]})
    span = f"since={pause.active_since:.9f}&until={time.time():.9f}"
    ends = engine.get_lines(f"/events?{span}&filters={quote(filters)}")
    return bool(ends) and ends[-1]["Actor"]["Attributes"].get("exitCode") == "0"
