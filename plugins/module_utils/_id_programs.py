# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""newuidmap and newgidmap, which map a user's subordinate ids, and the right that each needs."""

from __future__ import annotations

import struct

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import FileFacts, System

__all__ = ["ID_PROGRAMS", "rights_of"]

# The program and its capability (newuidmap(1)), with the capability's number in capability.h.
ID_PROGRAMS = {"newuidmap": ("cap_setuid", 7), "newgidmap": ("cap_setgid", 6)}


def rights_of(system: System, name: str, path: str, facts: FileFacts) -> str:
    """``setuid`` (root's), ``capability`` (a permitted one of the file's, as it needs it), or ``none``."""
    if facts.uid == 0 and facts.mode & 0o4000:
        return "setuid"
    attribute = system.extended_attribute(path, "security.capability") or b""
    # struct vfs_cap_data of capability.h: magic, then pairs of permitted and inheritable.
    permitted = struct.unpack_from("<I", attribute, 4)[0] if len(attribute) >= 8 else 0
    return "capability" if permitted & 1 << ID_PROGRAMS[name][1] else "none"
