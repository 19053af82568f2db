"""Hosts and users as the role rootless_users finds them, for tests of what it decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    HostFacts,
    UnitFacts,
    UserFacts,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import SessionFacts

EVERY = ("cpuset", "cpu", "io", "memory", "pids")
SESSION = SessionFacts(
    name="amber",
    uid=1001,
    home="/home/amber",
    linger=True,
    runtime_directory=("amber", "0700"),
    manager=True,
    manager_since=1_763_900_000.0,
    bus="",
    controllers=EVERY,
    subid_source="files",
    subids=None,
)
CONVERGED = UserFacts(SESSION, UnitFacts(EVERY, (DROP_IN,)), at_boot=True)
HOST_FACTS = HostFacts(
    controllers=EVERY,
    id_programs={"newuidmap": "", "newgidmap": ""},
    bus_unit=True,
    sysctl_files={},
    sysctls={"user.max_user_namespaces": "11800", "kernel.unprivileged_userns_clone": "1"},
)
WANTED = Wanted(("amber",))


def user_with(*, unit: UnitFacts | None = None, **session: Any) -> UserFacts:
    """The converged user, with something else in the session."""
    return replace(CONVERGED, session=replace(SESSION, **session), unit=unit or CONVERGED.unit)
