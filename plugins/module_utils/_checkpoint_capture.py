# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a host's state as a checkpoint holds it. Looks only; the contents of files come to `Contents`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_files import (
    capture_attributes,
    capture_file,
    missing_directories,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import (
    read_apparmor,
    read_selinux,
    read_sysctls,
    read_units,
    sysctl_names,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
    FileState,
    HostState,
    Managed,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import Contents
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UserFileError,
    owner_of_path,
)

__all__ = ["capture", "known"]

_BELOW = "/**"
_BELOW_LIMIT = 10_000


def capture(system: System, managed: Managed, contents: Contents, *, size_limit: int) -> HostState:
    """The host now.

    :raises CheckpointError: something of it cannot be read, or the files are larger than `size_limit` in all
    """
    files = _capture_files(managed.files, contents, size_limit=size_limit)
    absent = {
        directory
        for path, state in files.items()
        if state.kind == "absent"
        for directory in missing_directories(path)
    }
    return HostState(
        files=files,
        attributes={path: capture_attributes(path) for path in _attribute_paths(managed)},
        absent_directories=tuple(sorted(absent)),
        units=read_units(system, managed.units),
        sysctls=read_sysctls(system, sysctl_names(system, managed.sysctls)),
        apparmor=read_apparmor(system, managed.apparmor_profiles),
        selinux=read_selinux(system) if managed.selinux else None,
    )


def known(*states: HostState) -> Managed:
    """Everything that states know of, so that it can be captured again."""
    return Managed(
        files=_names("files", states),
        attributes=_names("attributes", states),
        units=_names("units", states),
        sysctls=_names("sysctls", states),
        apparmor_profiles=_names("apparmor", states),
        selinux=any(state.selinux is not None for state in states),
    )


def _names(part: str, states: Sequence[HostState]) -> tuple[str, ...]:
    return tuple(sorted({name for state in states for name in getattr(state, part)}))


def _attribute_paths(managed: Managed) -> list[str]:
    """Each path, and for `DIRECTORY/**` what lies below it now, apart from what is kept with its content."""
    paths: list[str] = []
    for path in managed.attributes:
        directory, below, rest = path.partition(_BELOW)
        if not below or rest:
            paths.append(path)
        else:
            paths += [found for found in _below(directory) if found not in managed.files]
    return paths


def _below(directory: str) -> list[str]:
    """What lies below a directory. Nothing that a user can replace: root leaves its attributes alone."""
    found: list[str] = []
    if not _is_root_s(directory):
        return found
    for place, directories, files in os.walk(directory):
        found += [f"{place}/{name}" for name in sorted((*directories, *files))]
        directories[:] = [name for name in directories if _is_root_s(f"{place}/{name}")]
        if len(found) > _BELOW_LIMIT:
            raise CheckpointError(
                f"{directory}{_BELOW}: found more than {_BELOW_LIMIT} files below it, accepted are as many. "
                f"{UNCHANGED}"
            )
    return found


def _is_root_s(directory: str) -> bool:
    try:
        return owner_of_path(f"{directory}/x") is None
    except UserFileError:
        return False  # a group can write it


def _capture_files(paths: Sequence[str], contents: Contents, *, size_limit: int) -> dict[str, FileState]:
    """Each file, and behind a link the file that it leads to, which is what gets written."""
    files: dict[str, FileState] = {}
    waiting = list(paths)
    total = 0
    while waiting:
        path = waiting.pop(0)
        if path in files:
            continue
        state, content = capture_file(path, limit=size_limit)
        if state.kind == "link":
            waiting.append(os.path.realpath(path))
        if content is not None:
            contents.add(content)
        total += state.size
        if total > size_limit:
            raise CheckpointError(
                f"size_limit: found more than {size_limit} bytes in the managed files, {path} included; "
                f"accepted is what fits. {UNCHANGED}"
            )
        files[path] = state
    return files
