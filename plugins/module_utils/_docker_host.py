# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds a Docker engine on its host, decided: modes and owners, files of our own, group members.

Sources: CIS Docker Benchmark 1.8, section 3 (modes and owners); needrestart(1) and its README.batch for
``$nrconf{override_rc}``; the comments of ``50unattended-upgrades`` for the list of packages (Python regular
expressions, matched at the beginning of a name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "NEEDRESTART_PATH",
    "UPGRADES_PATH",
    "DockerHostError",
    "Found",
    "Limit",
    "OwnFile",
    "PermissionStep",
    "decide_permissions",
    "own_file_steps",
    "restart_files",
]

NEEDRESTART_PATH = "/etc/needrestart/conf.d/50-bulkhead-docker.conf"
UPGRADES_PATH = "/etc/apt/apt.conf.d/52bulkhead-docker"

_NEEDRESTART = """# Whoever plans it restarts the engine, not needrestart. Written by bulkhead.hardening.
$nrconf{override_rc}{qr(^docker\\.service$)} = 0;
$nrconf{override_rc}{qr(^containerd\\.service$)} = 0;
"""
_UPGRADES = """// Upgrades restart the engine: somebody else plans them. Written by bulkhead.hardening.
Unattended-Upgrade::Package-Blacklist {
    "containerd$";
    "containerd\\.io$";
    "docker-ce$";
    "docker\\.io$";
    "moby-engine$";
    "runc$";
};
"""


class DockerHostError(BulkheadError):
    """Something around the engine could not be looked at or changed."""


@dataclass(frozen=True)
class Limit:
    """What a file may be at most: `mode` holds the bits that may be set.

    :ivar owner: its owner; None: whoever it is
    :ivar group: its group; None: whichever it is
    :ivar exact: set exactly `mode`, also where that adds bits; only for what a user names
    """

    path: str
    mode: Optional[int]
    owner: Optional[str]
    group: Optional[str]
    exact: bool = False


@dataclass(frozen=True)
class Found:
    """What a file is.

    :ivar obstacle: why its owner or mode is not changed: a link, or a directory that others can write
    """

    mode: int
    owner: str
    group: str
    obstacle: Optional[str] = None


@dataclass(frozen=True)
class PermissionStep:
    """A file whose mode or owner changes."""

    path: str
    before: Found
    after: Found


@dataclass(frozen=True)
class OwnFile:
    """A file that is ours alone: its wanted text (None: it goes), and the one that is there (None: none)."""

    path: str
    text: Optional[str]
    found: Optional[str]


def decide_permissions(
    limits: Sequence[Limit], found: Mapping[str, Optional[Found]]
) -> tuple[list[PermissionStep], dict[str, str]]:
    """The files to change, and those that are left, with the reason; one that is not there needs nothing."""
    steps, pending = [], {}
    for limit in limits:
        before = found[limit.path]
        if before is None:
            continue
        after = Found(_mode(limit, before), limit.owner or before.owner, limit.group or before.group)
        if (after.mode, after.owner, after.group) == (before.mode, before.owner, before.group):
            continue
        if before.obstacle is not None:
            pending[limit.path] = f"its owner or mode was left: {before.obstacle}"
        else:
            steps.append(PermissionStep(limit.path, before, after))
    return steps, pending


def _mode(limit: Limit, before: Found) -> int:
    if limit.mode is None:
        return before.mode
    return limit.mode if limit.exact else before.mode & limit.mode


def restart_files(*, needrestart: str, unattended_upgrades: str) -> dict[str, Optional[str]]:
    """The wanted text of the files that keep the engine from being restarted; None: no file."""
    return {
        NEEDRESTART_PATH: _NEEDRESTART if needrestart == "deferred" else None,
        UPGRADES_PATH: _UPGRADES if unattended_upgrades == "excluded" else None,
    }


def own_file_steps(files: Sequence[OwnFile]) -> list[OwnFile]:
    """Those that differ from what is there."""
    return [file for file in files if file.text != file.found]
