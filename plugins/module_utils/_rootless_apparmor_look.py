# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which programs make user namespaces, and which loaded AppArmor profiles let them. Nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor import (
    PREFIX,
    PROFILE_DIRECTORY,
    grant_name,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    UNCHANGED,
    AppArmorFacts,
    Program,
    RootlessError,
    Wanted,
)

__all__ = ["kernel_value", "look_at_apparmor"]

_APPARMOR = "/sys/kernel/security/apparmor/policy/profiles"
_RESTRICTION = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_ENGINES = ("podman", "rootlesskit")


def look_at_apparmor(system: System, wanted: Wanted) -> AppArmorFacts:
    """The restriction, the programs that need a grant, and what is granted.

    :raises RootlessError: a program of the operator's could be replaced by others than root
    """
    for path in wanted.programs:
        _check_program(system, path)
    files = [name for name in system.names_in(PROFILE_DIRECTORY) if name.startswith(f"{PREFIX}.")]
    paths = [system.find_program(name) for name in _ENGINES] + list(wanted.programs)
    used = list(dict.fromkeys(path for path in paths if path is not None))
    unread, profiles = "", {}
    try:
        profiles = _loaded_profiles(system)
    except PortError as error:
        unread = printable(str(error))
    return AppArmorFacts(
        restricted=kernel_value(system, _RESTRICTION) == "1",
        programs=tuple(Program(path, _attached(profiles, path)) for path in used),
        loaded=tuple(sorted(name for name in profiles if name.startswith(f"{PREFIX}."))),
        files=tuple(f"{PROFILE_DIRECTORY}/{name}" for name in files),
        parser=system.find_program("apparmor_parser") is not None,
        unread=unread,
    )


def _check_program(system: System, path: str) -> None:
    """A grant for a file that others than root can replace would be one for everybody."""
    grant_name(path)
    place = path
    while place != "/":
        try:
            facts = system.stat(place, follow=False)
        except PortError as error:
            raise RootlessError(f"rootless_users_programs: {error}. {UNCHANGED}") from error
        if facts.type == "link" or facts.uid != 0 or facts.mode & 0o022:
            raise RootlessError(
                f"rootless_users_programs: found {path}, and {place} is a {facts.type} of user {facts.uid} "
                f"with mode {facts.mode & 0o7777:04o}; accepted are programs that root alone can replace, "
                f"and no links. {UNCHANGED}"
            )
        place = place.rpartition("/")[0] or "/"


def _loaded_profiles(system: System) -> dict[str, str]:
    """Name -> the pattern of paths that it attaches to."""
    found = {}
    for entry in system.names_in(_APPARMOR):
        try:
            name = system.read_text(f"{_APPARMOR}/{entry}/name", limit=4096).strip()
            found[name] = system.read_text(f"{_APPARMOR}/{entry}/attach", limit=65536).strip()
        except NotThere:
            continue
    return found


def _attached(profiles: Mapping[str, str], path: str) -> str:
    others = [name for name, pattern in profiles.items() if _pattern_matches(pattern, path)]
    return next((name for name in others if not name.startswith(f"{PREFIX}.")), next(iter(others), ""))


def _pattern_matches(pattern: str, path: str) -> bool:
    """Whether an attachment of AppArmor's (apparmor.d(5), globbing) is for a path."""
    expression, depth = "", 0
    for token in re.findall(r"\*\*|\[[^\]]*\]|\\.|.", pattern):
        depth += {"{": 1, "}": -1}.get(token, 0)
        special = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
        if token == "," and depth:
            expression += "|"
        elif token in special:
            expression += special[token]
        else:
            expression += token if token.startswith("[") and len(token) > 1 else re.escape(token[-1])
    try:
        return re.fullmatch(expression, path) is not None
    except re.error:
        return False


def kernel_value(system: System, path: str) -> Optional[str]:
    """The text of a file of /proc or /sys without blanks around it; ``None``: the kernel does not have it."""
    try:
        return system.read_text(path, limit=4096).strip()
    except NotThere:
        return None
