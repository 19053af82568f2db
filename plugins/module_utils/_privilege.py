# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a container is privileged, from what the kernel enforces and not from what an engine was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Confinement", "privileged_verdict"]


@dataclass(frozen=True)
class Confinement:
    """What holds a container in. Capabilities are bit masks, `every_capability` all that the kernel knows."""

    bounding: int
    permitted: int
    every_capability: int
    no_new_privileges: bool
    host_user_namespace: bool
    seccomp_mode: str
    lsm_mode: str
    masked_paths: Sequence[str]
    read_only_paths: Sequence[str]
    devices: Sequence[str]


_SYS_ADMIN = 1 << 21


def privileged_verdict(confinement: Confinement) -> dict[str, Any]:
    """`{in_force, reasons}`; without reasons when it is not privileged.

    The bounding set decides, since it limits what any process of the container can gain through execve(2)
    (capabilities(7)): `--privileged --user 1000` has an empty effective and a full bounding set, and one
    setuid program makes it root. Only no_new_privs on an init that holds nothing closes that way.
    CAP_SYS_ADMIN over the host's user namespace with neither seccomp nor an LSM is the same in fewer words.
    """
    whole = confinement.bounding & confinement.every_capability == confinement.every_capability
    unreachable = confinement.no_new_privileges and not confinement.permitted
    administrator = (
        confinement.host_user_namespace
        and bool(confinement.bounding & _SYS_ADMIN)
        and confinement.seccomp_mode == "disabled"
        and confinement.lsm_mode == "unconfined"
    )
    if unreachable or not (whole or administrator):
        return {"in_force": False, "reasons": []}
    return {"in_force": True, "reasons": _reasons(confinement, whole=whole)}


def _reasons(confinement: Confinement, *, whole: bool) -> list[str]:
    scope = "the host's" if confinement.host_user_namespace else "its own"
    capabilities = "every capability" if whole else "CAP_SYS_ADMIN"
    reasons = [f"the bounding set holds {capabilities} over {scope} user namespace"]
    if not confinement.permitted:
        reasons.append("its init holds none of them now, and a setuid program can gain them")
    if confinement.seccomp_mode == "disabled":
        reasons.append("seccomp is disabled")
    if confinement.lsm_mode == "unconfined":
        reasons.append("no LSM confines it")
    if not confinement.masked_paths and not confinement.read_only_paths:
        reasons.append("nothing of /proc and /sys is masked or read-only")
    if confinement.devices:
        reasons.append(f"{len(confinement.devices)} device nodes beyond the standard set are there")
    return reasons
