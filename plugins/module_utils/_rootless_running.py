# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ends with a user's systemd manager: containers by name, and other processes."""

from __future__ import annotations

import pwd
import re
from collections.abc import Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import (
    marks_of,
    parse_cgroup_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import Running
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import UserSession

__all__ = ["running_in"]


def running_in(system: System, account: pwd.struct_passwd) -> tuple[Running, ...]:
    """What ends with the user's manager: containers by name, and other processes but the manager's own.

    A login session of the user's is named too: its programs use the manager's bus.
    """
    session = UserSession(system, account)
    slice_ = session.cgroup.rpartition("/")[0]
    containers: dict[str, str] = {}
    others: list[str] = []
    for pid in system.pids():
        try:
            with system.process(pid) as process:
                path = parse_cgroup_file(process.read_text("cgroup", limit=65536)).get("", "")
                if not path.startswith(f"{slice_}/"):
                    continue
                name = printable(process.read_text("comm", limit=64).strip())
                words = process.read_bytes("cmdline", limit=65536).split(b"\0") if name == "conmon" else []
        except PortError:
            continue  # it has ended meanwhile
        mark = next(iter(marks_of({"": path})), None)
        if words:
            containers[_word(words, b"-c")] = _word(words, b"-n")
        elif mark is not None and mark.id:
            containers.setdefault(mark.id, "")
        elif not _belongs_to_manager(path, session.cgroup):
            others.append(f"{name} (process {pid})")
    named = sorted(f"container {name or identity[:12]}" for identity, name in containers.items())
    return tuple(Running(text) for text in [*named, *others])


def _word(words: Sequence[bytes], option: bytes) -> str:
    """The word behind an option of conmon(8): a user's word."""
    if option not in words[:-1]:
        return ""
    return printable(words[words.index(option) + 1].decode("utf-8", "surrogateescape"), limit=100)


def _belongs_to_manager(path: str, cgroup: str) -> bool:
    """The manager itself, its bus, and the process that only holds Podman's user namespace."""
    if not path.startswith(f"{cgroup}/"):
        return False
    last = path.rpartition("/")[2]
    own = ("init.scope", "dbus.service", "dbus-broker.service")
    return last in own or re.fullmatch(r"podman-pause-[0-9a-f]+\.scope", last) is not None
