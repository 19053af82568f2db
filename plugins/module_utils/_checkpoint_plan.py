# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what a host becomes when runs are undone: pure, over captured states and contents.

Runs are undone one after the other, the newest first, each with what it left as the base of the merge. So an
edit that somebody made between two runs stays when both are undone.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    FileState,
    HostState,
    same_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._group_members import (
    GROUP_FILES,
    undo_members,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._three_way import (
    Merged,
    merge_content,
    merge_ledger,
    merge_value,
)

__all__ = ["RestorePlan", "Step", "plan_restore"]

_KEPT = re.compile(r"(/.+)\.admin-\d{8}T\d{6}Z-[0-9a-f]{4}")


@dataclass(frozen=True)
class Step:
    """One run to undo: `base` is what it left (None: it did not get to its end), `target` what was before."""

    base: Optional[HostState]
    target: HostState


@dataclass
class RestorePlan:
    """What the host becomes.

    :ivar state: everything that the steps know, as it will be
    :ivar restored: files that go back to the byte; `merged`: files that keep an edit of somebody else
    :ivar conflicts: `{path, reasons, kept_beside}`: the edit is lost from the file and kept in another
    """

    state: HostState
    contents: dict[str, bytes]
    restored: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the result of the module."""
        return {"restored": self.restored, "merged": self.merged, "conflicts": self.conflicts}


@dataclass(frozen=True)
class _Version:
    """A file with its content at hand."""

    state: FileState
    content: Optional[bytes]


def plan_restore(
    current: HostState,
    steps: Sequence[Step],
    contents: Mapping[str, bytes],
    *,
    beside: str,
    ledger: str,
    ours: Optional[Collection[str]] = None,
) -> RestorePlan:
    """Undo the steps in their order.

    :param current: the host now; it covers everything that the steps know
    :param contents: by checksum, of every file of every state
    :param beside: ending of the name under which an edit is kept that conflicts
    :param ledger: path of the ledger, which is merged by its entries
    :param ours: checksums of what the ledger says that we wrote: whatever else stands in the files of a run
        that did not end is somebody's edit. ``None``: all of it is the run's
    """
    plan = RestorePlan(state=current, contents=dict(contents))
    files = dict(current.files)
    for path, state in current.files.items():
        version = _Version(state, _content(state, contents))
        edited = ours is not None and _is_foreign(path, state, steps, ours, ledger)
        files[path] = _undo_file(path, version, steps, plan, beside=beside, ledger=ledger, edited=edited)
    _name_kept_edits(plan, current)
    for conflict in plan.conflicts:
        if conflict["kept_beside"] is not None and conflict["kept_beside"] not in files:
            files[conflict["kept_beside"]] = current.files[conflict["path"]]
    plan.state = HostState(
        files=files,
        attributes={
            path: _undo_attributes(
                state,
                [(_part(step.base, "attributes", path), step.target.attributes.get(path)) for step in steps],
            )
            for path, state in current.attributes.items()
        },
        absent_directories=_absent_directories(steps, files),
        units=_undo_values("units", current, steps),
        sysctls=_undo_values("sysctls", current, steps),
        apparmor=_undo_values("apparmor", current, steps),
        selinux=_undo_value(
            current.selinux, [(step.base and step.base.selinux, step.target.selinux) for step in steps]
        ),
    )
    return plan


def _part(state: Optional[HostState], name: str, key: str) -> Any:
    return None if state is None else getattr(state, name).get(key)


def _content(state: FileState, contents: Mapping[str, bytes]) -> Optional[bytes]:
    return None if state.sha256 is None else contents[state.sha256]


def _absent_directories(steps: Sequence[Step], files: Mapping[str, FileState]) -> tuple[str, ...]:
    needed = [path for path, state in files.items() if state.kind != "absent"]
    absent = {path for step in steps for path in step.target.absent_directories}
    return tuple(sorted(path for path in absent if not any(file.startswith(f"{path}/") for file in needed)))


def _is_foreign(
    path: str, found: FileState, steps: Sequence[Step], ours: Collection[str], ledger: str
) -> bool:
    """Whether somebody edited a file after a run that did not end: we did not write what stands there.

    The ledger knows beforehand what is written into a file of somebody else's. Files that are all our own
    have our name, and what lies beside the ledger is nobody else's.
    """
    newest = next((step for step in steps if path in step.target.files), None)
    if newest is None or newest.base is not None or found.kind != "file":
        return False
    directory, name = os.path.split(path)
    own = path in GROUP_FILES or "bulkhead" in name or directory == os.path.split(ledger)[0]
    return not own and found.sha256 not in (newest.target.files[path].sha256, *ours)


def _name_kept_edits(plan: RestorePlan, current: HostState) -> None:
    """Edits that were kept with the baseline when checkpoints were pruned come back beside their files."""
    for path in list(plan.restored):
        kept = _KEPT.fullmatch(path)
        if kept is not None and current.files[path].kind == "absent":
            plan.restored.remove(path)
            reasons = ["it was edited between runs whose checkpoints were pruned"]
            plan.conflicts.append({"path": kept[1], "reasons": reasons, "kept_beside": path})


def _undo_file(
    path: str,
    found: _Version,
    steps: Sequence[Step],
    plan: RestorePlan,
    *,
    beside: str,
    ledger: str,
    edited: bool,
) -> FileState:
    """The state of a file after all steps; its content comes to `plan.contents`, the outcome to its lists."""
    version, reasons = found, ["it was edited after a run that did not end"] if edited else []
    merged = False
    for step in steps:
        target = step.target.files.get(path)
        if target is None:
            continue
        base = None if step.base is None else step.base.files.get(path)
        before = version
        wanted = _Version(target, _content(target, plan.contents))
        left = None if base is None else _Version(base, _content(base, plan.contents))
        version, conflicts = _undo_run(path, left, version, wanted, is_ledger=path == ledger)
        reasons += conflicts
        merged = merged or not (same_file(wanted.state, version.state) or version == before)
    if version.content is not None and version.state.sha256 is not None:
        plan.contents[version.state.sha256] = version.content
    if reasons:
        kept = f"{path}.{beside}" if found.state.kind == "file" else None
        plan.conflicts.append({"path": path, "reasons": reasons, "kept_beside": kept})
    elif not same_file(version.state, found.state):
        (plan.merged if merged else plan.restored).append(path)
    return version.state


def _undo_run(
    path: str, base: Optional[_Version], current: _Version, target: _Version, *, is_ledger: bool
) -> tuple[_Version, list[str]]:
    if target.state.kind == "unreadable":
        return current, []
    if current.state.kind == "unreadable":
        return target, [f"it cannot be read: {current.state.target}"]
    if path in GROUP_FILES and current.content is not None and target.content is not None:
        return _with_members(base, current, target), []
    if base is None or same_file(current.state, target.state) or same_file(base.state, current.state):
        return target, []
    if same_file(base.state, target.state):
        return current, []
    kinds = {version.state.kind for version in (base, current, target)}
    if not kinds <= {"file", "absent"}:
        return target, ["it was made another kind of file since"]
    merged = _merge(path, base.content, current.content, target.content, is_ledger=is_ledger)
    if merged.content is None:
        return _Version(ABSENT, None), list(merged.conflicts)
    state = _merged_state(base.state, current.state, target.state)
    checksum = hashlib.sha256(merged.content).hexdigest()
    state = replace(state, sha256=checksum, size=len(merged.content))
    return _Version(state, merged.content), list(merged.conflicts)


def _with_members(base: Optional[_Version], current: _Version, target: _Version) -> _Version:
    """Of a group file only the members that the run took out of their groups come back."""
    content = undo_members(
        None if base is None else base.content, current.content or b"", target.content or b""
    )
    checksum = hashlib.sha256(content).hexdigest()
    return _Version(replace(current.state, sha256=checksum, size=len(content)), content)


def _merge(
    path: str,
    base: Optional[bytes],
    current: Optional[bytes],
    target: Optional[bytes],
    *,
    is_ledger: bool,
) -> Merged:
    merged = merge_ledger(base, current, target) if is_ledger else None
    return merge_content(path, base, current, target) if merged is None else merged


def _merged_state(base: FileState, current: FileState, target: FileState) -> FileState:
    """Mode, owner and attributes: what somebody changed since stays, unless the run had changed it too."""
    present = [state for state in (target, current, base) if state.kind != "absent"]
    if len(present) < 3:
        return present[0] if present else target
    values: dict[str, Any] = {
        name: merge_value(getattr(base, name), getattr(current, name), getattr(target, name))[0]
        for name in ("mode", "uid", "gid", "attributes")
    }
    return replace(target, **values)


def _undo_attributes(
    current: FileState, steps: Sequence[tuple[Optional[FileState], Optional[FileState]]]
) -> FileState:
    state = current
    for base, target in steps:
        if target is None:
            continue
        comparable = base is not None and base.kind == state.kind == target.kind != "absent"
        state = _merged_state(base, state, target) if base is not None and comparable else target
    return state


def _undo_values(name: str, current: HostState, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        key: _undo_value(
            value, [(_part(step.base, name, key), getattr(step.target, name).get(key)) for step in steps]
        )
        for key, value in getattr(current, name).items()
    }


def _undo_value(current: Any, steps: Sequence[tuple[Any, Any]]) -> Any:
    """A setting after all steps. One that a checkpoint does not know, or that was not there, is left."""
    value = current
    for base, target in steps:
        if target is not None:
            value = target if base is None else merge_value(base, value, target)[0]
    return value
