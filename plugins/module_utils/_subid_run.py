# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Allocate subordinate ids: look, decide, write under the locks, and let Podman take them over."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid import decide
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import (
    LEAST_COUNT,
    SubidPlan,
    wanted_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_port import SubidHost, View
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    UNCHANGED,
    Range,
    SubidError,
)

__all__ = ["OPTIONS", "allocate"]

OPTIONS: dict[str, Any] = {
    "count": {"type": "int", "default": LEAST_COUNT},
    "reserved": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "start": {"type": "int", "required": True},
            "count": {"type": "int", "required": True},
            "reason": {"type": "str", "required": True},
            "owner": {"type": "str"},
        },
    },
    "migrate": {"type": "bool", "default": False},
}
LONGEST_WAIT = 3600
_LINE_SHOWN = 200


def allocate(params: dict[str, Any], host: SubidHost, *, check_mode: bool) -> dict[str, Any]:
    """Look, decide, act unless in check mode; what the module `subid` returns.

    :param params: the module's parameters
    :raises SubidError: whatever could not be done
    """
    view, plan = _look_and_write(params, host, check_mode=check_mode)
    if plan.migrate and not host.has_podman():
        plan.notices += [f"{user}: podman is not installed; its storage was left." for user in plan.migrate]
        plan.migrate = []
    if plan.migrate and not check_mode:
        with changing(params["checkpoint"]):
            _migrate(host, view, plan)
    lines = plan.lines()
    return {
        "changed": bool(lines),
        "source": view.host.source,
        "ranges": {
            user: {kind: [_shown(ids) for ids in plan.ranges(view.host, kind, user)] for kind in KINDS}
            for user in view.host.accounts
        },
        "added": [
            {"path": FILES[item.kind], "user": item.user, **_shown(item.ids)} for item in plan.additions
        ],
        "migrated": plan.migrate,
        "collisions": [collision.facts() for collision in plan.collisions],
        "unusable": [
            {
                "path": path,
                "line": line.line,
                "text": printable(line.text, limit=_LINE_SHOWN),
                "reason": line.reason,
            }
            for path, line in plan.unusable
        ],
        "pending": plan.pending,
        "notices": [*view.notices, *plan.notices],
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in lines)},
    }


def _look_and_write(params: dict[str, Any], host: SubidHost, *, check_mode: bool) -> tuple[View, SubidPlan]:
    """Look, decide, and write what was decided; again under the locks where somebody changed something.

    :raises SubidError: whatever could not be done; nothing is changed then
    """
    wanted = wanted_of(params)
    if not 0 <= params["lock_timeout"] <= LONGEST_WAIT:
        raise SubidError(
            f"lock_timeout: found {params['lock_timeout']}, accepted are 0 to {LONGEST_WAIT} s. {UNCHANGED}"
        )
    view = host.look(wanted)
    plan = decide(wanted, view.host)
    if check_mode or not plan.additions:
        return view, plan
    with changing(params["checkpoint"]), host.locks(params["lock_timeout"]):
        # Homes and directories, which can be slow, were looked at without holding anybody up.
        if host.basis() != view.basis:
            view = host.look(wanted)
            plan = decide(wanted, view.host)
        _write(host, view, plan)
    return view, plan


def _write(host: SubidHost, view: View, plan: SubidPlan) -> None:
    """Write the files that change, uids first, and read them back. The next run completes half of it."""
    written: list[str] = []
    for kind in KINDS:
        before = view.text(kind)
        after = plan.text(kind, before)
        if after == before:
            continue
        try:
            host.write(kind, after)
        except PortError as error:
            done = f"Written is {written[0]}; the next run completes it." if written else UNCHANGED
            raise SubidError(f"{error}. {done}") from error
        written.append(FILES[kind])
        if host.basis()[FILES[kind]] != after.encode("utf-8", "surrogateescape"):
            raise SubidError(f"{FILES[kind]}: written, and not as it was written when it was read back.")


def _migrate(host: SubidHost, view: View, plan: SubidPlan) -> None:
    """Let Podman take the new ranges over, and start again what the user's boot would start.

    :raises SubidError: it did not for a user; the ranges are there all the same
    """
    failed = []
    for user in plan.migrate:
        account = view.host.accounts[user]
        said = host.migrate(account)
        if said is not None:
            failed.append(f"{user}: {said}")
            continue
        left = host.start_containers(account)
        if left is not None:
            plan.notices.append(
                f"{user}: not all containers with the restart policy always run again: {left}"
            )
    if failed:
        raise SubidError(
            "The ranges are written, and not in force for all containers: podman system migrate failed for "
            f"{'; '.join(failed)}. Run it as that user."
        )


def _shown(ids: Range) -> dict[str, int]:
    return {"start": ids.start, "count": ids.count}
