# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the files that systemd-sysctl reads at boot; what they decide is in `_sysctl_files`."""

from __future__ import annotations

from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_files import SYSCTL_DIRECTORIES

__all__ = ["read_sysctl_files"]


def read_sysctl_files(system: System) -> dict[str, Optional[str]]:
    """Path -> text of every file of sysctl.d(5); None: it could not be read.

    A link to nothing or to /dev/null is an empty text: it hides the files of its name.
    """
    texts: dict[str, Optional[str]] = {}
    for directory in SYSCTL_DIRECTORIES:
        if directory == "/lib/sysctl.d" and _is_link(system, "/lib"):
            continue
        for name in system.names_in(directory):
            path = f"{directory}/{name}"
            if not name.endswith(".conf"):
                continue
            try:
                texts[path] = system.read_text(path) if system.stat(path).type == "file" else ""
            except NotThere:
                texts[path] = ""
            except PortError:
                texts[path] = None
    return texts


def _is_link(system: System, path: str) -> bool:
    try:
        return system.stat(path, follow=False).type == "link"
    except NotThere:
        return False
