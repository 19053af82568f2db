# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the rootful engine's containers the kernel knows, whatever the engine lists: /proc and cgroups."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import marks_of, parse_cgroup_file
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System

__all__ = ["docker_cgroups"]


def docker_cgroups(system: System) -> dict[str, list[int]]:
    """Container id -> processes in its cgroup.

    Only the outermost cgroup counts: what is below it belongs to an engine in that container. Cgroups of a
    user's slice are that user's own (rootless engines).
    """
    found: dict[str, list[int]] = {}
    for pid in system.pids():
        try:
            marks = marks_of(parse_cgroup_file(system.read_text(f"/proc/{pid}/cgroup")))
        except NotThere:
            continue  # it has ended meanwhile
        if marks and marks[0].engine == "docker" and marks[0].user is None and marks[0].id is not None:
            found.setdefault(marks[0].id, []).append(pid)
    return found
