# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the rootful engine's containers the kernel knows, whatever the engine lists: /proc and cgroups."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import (
    CgroupMark,
    marks_of,
    parse_cgroup_file,
    user_of_path,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import fetch_docker_records
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import read_status

__all__ = ["docker_cgroups", "start_ticks_of", "still_unlisted"]

_ID = re.compile("[0-9a-f]{64}")

ASK_AGAIN_SECONDS = 1.0  # by then a container that was being started is in the engine's list


def docker_cgroups(system: System) -> dict[str, list[int]]:
    """Container id -> processes in its cgroup.

    Only the outermost cgroup counts: what is below it belongs to an engine in that container. Cgroups of a
    user's slice are that user's own (rootless engines).
    """
    seen = []
    for pid in system.pids():
        try:
            paths = parse_cgroup_file(system.read_text(f"/proc/{pid}/cgroup"))
        except NotThere:
            continue  # it has ended meanwhile
        mark = next(iter(marks_of(paths)), None)
        seen.append((pid, mark, _possible_ids(paths, mark)))
    shims = _ids_of_shims(system) if any(possible for _pid, _mark, possible in seen) else set()
    found: dict[str, list[int]] = {}
    for pid, mark, possible in seen:
        identifier = next((name for name in possible if name in shims), None)
        if identifier is None and mark and mark.engine == "docker" and mark.user is None:
            identifier = mark.id
        if identifier is not None:
            found.setdefault(identifier, []).append(pid)
    return found


def _possible_ids(paths: Mapping[str, str], mark: Optional[CgroupMark]) -> list[str]:
    """Names of cgroups that are like a container's id, in a parent that tells nothing of an engine.

    The cgroupfs driver names a cgroup by the id alone, and ``cgroup-parent`` puts it anywhere.

    :param mark: the outermost container that is told by its name; only what is outside of it counts then
    """
    outside = paths.values() if mark is None else [mark.path.rpartition("/")[0]]
    segments = [name for path in outside if user_of_path(path) is None for name in path.split("/")]
    return [name for name in segments if _ID.fullmatch(name)]


def _ids_of_shims(system: System) -> set[str]:
    """The engine's containers by the command lines of containerd's shims: ``-namespace moby -id ID``.

    Those of a user's engine are that user's processes.
    """
    found = set()
    for pid in system.pids():
        try:
            with system.process(pid) as process:
                if not process.read_text("comm").startswith("containerd-shim"):
                    continue
                words = process.read_text("cmdline").split("\0")
                uid = read_status(process).uid
        except NotThere:
            continue  # it has ended meanwhile
        options = dict(zip(words, words[1:]))
        if uid == 0 and options.get("-namespace") == "moby" and "-id" in options:
            found.add(options["-id"])
    return found


def still_unlisted(
    system: System, doubtful: Mapping[str, Iterable[tuple[int, int]]], *, path: str
) -> set[str]:
    """Which containers the engine does not list when it is asked again, and that still run.

    The engine's list and the processes are looked at one after the other, and a container that was started or
    that ended in between is none that is hidden.

    :param doubtful: by id, the numbers of its processes and when each began, in ticks
    :param path: of the engine's socket
    """
    if not doubtful:
        return set()
    time.sleep(ASK_AGAIN_SECONDS)
    answer = attempt(lambda: fetch_docker_records(system, path=path).listed)
    listed = answer if isinstance(answer, list) else []
    return {
        identifier
        for identifier, processes in doubtful.items()
        if identifier not in listed and any(_still_runs(system, *process) for process in processes)
    }


def start_ticks_of(system: System, pid: int) -> Optional[int]:
    """When a process began, ``None`` when it has ended."""
    try:
        with system.process(pid) as process:
            return process.start_ticks
    except PortError:
        return None


def _still_runs(system: System, pid: int, start_ticks: int) -> bool:
    return start_ticks_of(system, pid) == start_ticks
