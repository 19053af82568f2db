# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AppArmor's restriction of user namespaces (Ubuntu 23.10 and later): a grant for each program.

With ``kernel.apparmor_restrict_unprivileged_userns=1`` a program without a profile that grants ``userns``
gets a namespace without capabilities. The grant is a profile that confines nothing and attaches to one path
(apparmor.d(5), flags=(unconfined); upstream ships such profiles for programs in /usr/bin). The restriction
stays on, and the profile ``unprivileged_userns``, which everything else falls into, is given nothing.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    HOST,
    UNCHANGED,
    AppArmorFacts,
    RootlessError,
    RootlessPlan,
    Step,
)

__all__ = ["PREFIX", "PROFILE_DIRECTORY", "decide_apparmor", "grant_file", "grant_lines", "grant_name"]

PROFILE_DIRECTORY = "/etc/apparmor.d"
PREFIX = "bulkhead-userns"
RESTRICTION = "kernel.apparmor_restrict_unprivileged_userns"
# Everything else would have to be quoted, or is a pattern to AppArmor.
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+")


def grant_name(path: str) -> str:
    """`/usr/bin/podman` -> `bulkhead-userns.usr.bin.podman`, of the profile and its file."""
    if not _PLAIN_PATH.fullmatch(path):
        raise RootlessError(
            f"rootless_users_programs: found {path!r}; accepted are absolute paths of letters, digits and "
            f"._+- that are no patterns. {UNCHANGED}"
        )
    return f"{PREFIX}{path.replace('/', '.')}"


def grant_file(path: str) -> str:
    """Where the grant for a program stands."""
    return f"{PROFILE_DIRECTORY}/{grant_name(path)}"


def grant_lines(path: str) -> list[str]:
    """The profile, as the lines of its file."""
    return ["abi <abi/4.0>,", f"profile {grant_name(path)} {path} flags=(unconfined) {{", "userns,", "}"]


def decide_apparmor(facts: AppArmorFacts, *, wanted: bool, plan: RootlessPlan) -> None:
    """Which grants are there afterwards.

    :param wanted: whether there are users who need one
    """
    needed = []
    if wanted and facts.restricted:
        needed = [
            program.path for program in facts.programs if program.attached in ("", grant_name(program.path))
        ]
    if needed and facts.unread:
        plan.leave(
            HOST,
            "apparmor",
            f"{RESTRICTION} is on, and it is not known which profiles grant userns: {facts.unread}",
        )
        return
    if needed and not facts.parser:
        plan.leave(
            HOST,
            "apparmor",
            f"{RESTRICTION} is on, and apparmor_parser is not installed, which loads a grant for "
            f"{', '.join(needed)}",
        )
        return
    names = [grant_name(path) for path in needed]
    for path in needed:
        plan.files.append(_file(grant_file(path), grant_lines(path)))
    plan.files += [_file(path, []) for path in facts.files if path.rpartition("/")[2] not in names]
    plan.steps += [
        Step("load_profile", grant_file(path)) for path in needed if grant_name(path) not in facts.loaded
    ]
    plan.steps += [Step("unload_profile", name) for name in facts.loaded if name not in names]


def _file(path: str, lines: list[str]) -> dict[str, Any]:
    file: dict[str, Any] = {"path": path, "format": "lines"}
    if lines:
        # -Q: not into the kernel, -T and -K: neither read nor write the cache (apparmor_parser(8)).
        file["validate"] = ["apparmor_parser", "-QTK", "%s"]
    return {**file, "keys": {"lines": lines} if lines else {}}
