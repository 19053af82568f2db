# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules of the kernel's audit for the engine's files: the text of their file, and which ones to load.

Rules are loaded one by one. augenrules(8) would drop every rule of the kernel first, also those that somebody
loaded by hand. Sources: auditctl(8), audit.rules(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

__all__ = [
    "AUDIT_KEY",
    "RULES_PATH",
    "AuditPlan",
    "AuditStatus",
    "decide_audit",
    "parse_status",
    "rules_text",
]

RULES_PATH = "/etc/audit/rules.d/50-bulkhead-docker.rules"
AUDIT_KEY = "bulkhead-docker"

_KEY = re.compile(rf"(?:-k |key=){AUDIT_KEY}(?:\s|$)")
_PATH = re.compile(r"(?:^-w |-F path=|-F dir=)(\S+)")
_LOCKED = 2  # auditctl -e 2: no rule changes until the next boot


@dataclass(frozen=True)
class AuditStatus:
    """What ``auditctl -s`` says: `locked` until the next boot, and the daemon that records (0: none)."""

    locked: bool
    daemon: int


@dataclass(frozen=True)
class AuditPlan:
    """Paths whose rule is to be loaded and to be taken out, and why neither is possible now."""

    load: tuple[str, ...]
    remove: tuple[str, ...]
    pending: Optional[str]


def rules_text(paths: Mapping[str, bool]) -> str:
    """The rules' file for these paths; True: with everything below."""
    lines = [f"-a {' '.join(rule_words(path, recursive=paths[path]))}\n" for path in sorted(paths)]
    return "# Changes to what the Docker engine is made of. Written by bulkhead.hardening.\n" + "".join(lines)


def paths_of_text(text: str) -> dict[str, bool]:
    """What `rules_text` was given, from the text that it made."""
    lines = [line for line in text.splitlines() if line.startswith("-a ") and _KEY.search(line)]
    return {match[1]: "dir=" in match[0] for line in lines for match in [_PATH.search(line)] if match}


def rule_words(path: str, *, recursive: bool) -> list[str]:
    """A rule for writes and changes of attributes, without its first word (``-a`` or ``-d``)."""
    field = "dir" if recursive else "path"
    return ["always,exit", "-F", f"{field}={path}", "-F", "perm=wa", "-F", f"key={AUDIT_KEY}"]


def parse_status(text: str) -> AuditStatus:
    """Read ``auditctl -s``: a name and a number on each line."""
    values = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return AuditStatus(values.get("enabled") == str(_LOCKED), int(values.get("pid", "0")))


def own_paths(rules: str) -> set[str]:
    """The paths of our rules in what ``auditctl -l`` prints, in its older or its newer form."""
    return {
        match[1].rstrip("/") or "/"
        for line in rules.splitlines()
        for match in [_PATH.search(line)]
        if match is not None and _KEY.search(line)
    }


def decide_audit(wanted: Iterable[str], *, loaded: str, status: AuditStatus) -> AuditPlan:
    """Compare the wanted paths with the rules that ``auditctl -l`` prints."""
    paths, found = set(wanted), own_paths(loaded)
    load, remove = tuple(sorted(paths - found)), tuple(sorted(found - paths))
    if not load and not remove:
        return AuditPlan((), (), None)
    if status.locked:
        return AuditPlan((), (), "the kernel's audit rules are locked (auditctl -e 2) until the next boot")
    if status.daemon == 0:
        return AuditPlan((), (), "auditd does not run; its rules are loaded when it starts")
    return AuditPlan(load, remove, None)
