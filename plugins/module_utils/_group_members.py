# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undo what a run did to the members of groups, and nothing else of /etc/group and /etc/gshadow.

Groups come and go with packages and accounts, which no rollback takes away: a group that went with it would
leave files and services without their owner. Source: group(5), gshadow(5): a line is a group, its last field
the members.
"""

from __future__ import annotations

from typing import Optional

__all__ = ["GROUP_FILES", "undo_members"]

GROUP_FILES = ("/etc/group", "/etc/gshadow")


def undo_members(base: Optional[bytes], current: bytes, target: bytes) -> bytes:
    """The current file, with the members again that a run took out of its groups.

    :param base: what the run left; ``None``: it was interrupted, so that everybody counts who is not there
    :param target: what was there before the run
    """
    if base == current and base is not None and list(_members(base)) == list(_members(target)):
        return target
    left, before = _members(base or b""), _members(target)
    lines = []
    for line in current.splitlines(keepends=True):
        name, now = _row(line)
        lost = [member for member in before.get(name, []) if member not in (*left.get(name, []), *now)]
        lines.append(_with_members(line, [*now, *lost]) if lost else line)
    return b"".join(lines)


def _members(content: bytes) -> dict[bytes, list[bytes]]:
    return dict(_row(line) for line in content.splitlines())


def _row(line: bytes) -> tuple[bytes, list[bytes]]:
    """Name and members of a group; no members where the line is not one."""
    fields = line.strip().split(b":")
    if len(fields) != 4:
        return line.strip(), []
    return fields[0], [member for member in fields[3].split(b",") if member]


def _with_members(line: bytes, members: list[bytes]) -> bytes:
    row = line.rstrip(b"\r\n")
    return row.rpartition(b":")[0] + b":" + b",".join(members) + line[len(row) :]
