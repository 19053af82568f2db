# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The container that conmon, the parent of a container's first process under Podman, says it watches.

Podman without the user's session bus (started by su, sudo or cron) leaves its containers in the cgroup that
it was called in, whose name says nothing. conmon(8) has the container's id as the argument of ``-c``.
"""

from __future__ import annotations

import re

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import CgroupMark
from ansible_collections.bulkhead.hardening.plugins.module_utils._container_discovery import FoundContainer
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import read_status

__all__ = ["mark_of_monitor"]

_ID = re.compile(rb"[0-9a-f]{64}")


def mark_of_monitor(system: System, found: FoundContainer, *, uid: int) -> CgroupMark | None:
    """What a conmon of that user claims of its child, or None: as little a proof as a cgroup's name.

    Another user's conmon is not heard, so that a claim reaches no other engine than the claimant's own.
    """
    try:
        with system.process(found.init.pid) as init:
            parent = read_status(init).parent
        with system.process(parent) as monitor:
            status = read_status(monitor)
            words = monitor.read_bytes("cmdline").split(b"\0")
    except PortError:
        return None
    if status.comm != "conmon" or status.uid != uid or b"-c" not in words[:-1]:
        return None
    identity = words[words.index(b"-c") + 1]
    if not _ID.fullmatch(identity):
        return None
    path = next(iter(found.init.cgroup.values()), "/")
    return CgroupMark("podman", identity.decode("ascii"), None, path, uid or None)
