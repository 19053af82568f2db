#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Allocate subordinate ids that overlap with nothing, and change no range that is there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: subid
short_description: Allocate subordinate ids for rootless containers
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Gives each user a range of subordinate uids and one of gids, unless they have enough, that overlaps with
    no other range, no real uid or gid, nothing in O(reserved), and not with the ids that C(useradd) and
    C(groupadd) give (C(UID_MIN) to C(UID_MAX) of C(/etc/login.defs)).
  - Adds lines to C(/etc/subuid) and C(/etc/subgid). A line that is there is never changed or taken away, be
    it a comment, a range of somebody else or damaged.
  - Reports ranges that collide, and what would have to happen.
  - Waits for C(useradd), C(usermod) and C(userdel), and they wait for it, by their own locks.
  - Where subordinate ids come from a directory (C(subid) in C(/etc/nsswitch.conf)), it reads them by
    C(getsubids), and edits nothing.
options:
  users:
    description: Names of accounts. With an empty list, the module only reports.
    type: list
    elements: str
    required: true
  count:
    description:
      - How many ids of each kind a user has at least, in one range or several.
      - A range that is added has that many, or C(SUB_UID_COUNT) and C(SUB_GID_COUNT) of C(/etc/login.defs)
        where those are more.
    type: int
    default: 65536
  reserved:
    description: Ids that nobody gets, such as those of Kubernetes' user namespaces or of a directory.
    type: list
    elements: dict
    default: []
    suboptions:
      start:
        description: The first id.
        type: int
        required: true
      count:
        description: How many.
        type: int
        required: true
      reason:
        description: What they are for. It stands in messages.
        type: str
        required: true
      owner:
        description: Whose own range may lie in it without being a collision, V(kubelet) for example.
        type: str
  migrate:
    description:
      - Allows C(podman system migrate) for a user whose Podman has storage, B(which stops their containers).
      - Without it such a user gets no ids, and is reported as pending.
    type: bool
    default: false
  lock_timeout:
    description: How many seconds to wait for somebody else's locks.
    type: int
    default: 30
attributes:
  check_mode:
    description: Predicts what a real run does.
    support: full
  diff_mode:
    description: Shows what changes, a line each.
    support: full
notes:
  - A user who has storage gets further ids only behind those that they have, because engines map a user's
    ranges in ascending order. Storage that no range belongs to any more gets none.
  - Where C(/etc/subuid) does not exist, it is made, and from then on C(useradd) gives ranges to new accounts.
seealso:
  - name: Subordinate ids
    description: What is kept free, what is never touched, and what to do about a collision.
    link: https://github.com/bulkhead/bulkhead.hardening/blob/main/docs/subordinate-ids.md
"""

EXAMPLES = r"""
- name: Give the users of rootless containers their ids
  bulkhead.hardening.subid:
    users: [alice, bob]
    reserved:
      - start: 2147483648
        count: 7208960
        reason: Kubernetes' user namespaces
        owner: kubelet

- name: Report collisions
  bulkhead.hardening.subid:
    users: []
"""

RETURN = r"""
source:
  description: Where subordinate ids come from, V(files) or the directory that C(/etc/nsswitch.conf) names.
  returned: success
  type: str
  sample: files
ranges:
  description: The ranges of each user afterwards, by kind.
  returned: success
  type: dict
  sample:
    alice:
      uid: [{"start": 100000, "count": 65536}]
      gid: [{"start": 100000, "count": 65536}]
added:
  description: The ranges that were added.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    user:
      description: Whose it is.
      type: str
    start:
      description: The first id.
      type: int
    count:
      description: How many.
      type: int
migrated:
  description: Users for whom C(podman system migrate) ran.
  returned: success
  type: list
  elements: str
collisions:
  description: Ranges that were there before and that overlap with something, also those of other users.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file, or the command that printed the ranges.
      type: str
    kind:
      description:
        - V(ranges) of several owners overlap, V(same_owner) has two that do, V(account) is a real uid or gid
          in a range, V(reserved) is a range in O(reserved).
      type: str
    lines:
      description: The lines, from 1.
      type: list
      elements: int
    owners:
      description: The owners that the lines name.
      type: list
      elements: str
    text:
      description: The same in words.
      type: str
unusable:
  description: Lines that programs do not understand, or not all in the same way. They were left.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    line:
      description: The line, from 1.
      type: int
    text:
      description: What it says, at most 200 characters.
      type: str
    reason:
      description: What is wrong with it.
      type: str
pending:
  description: By user, what was not done, why, and what would have to happen.
  returned: success
  type: dict
  sample:
    alice: "/etc/subuid: no range, and Podman has storage. …"
notices:
  description: What else to know.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
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

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "required": True},
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
    "lock_timeout": {"type": "int", "default": 30},
}

LONGEST_WAIT = 3600
_LINE_SHOWN = 200


def look_and_write(module: AnsibleModule, host: SubidHost) -> tuple[View, SubidPlan]:
    """Look, decide, and write what was decided; again under the locks where somebody changed something.

    :raises SubidError: whatever could not be done; nothing is changed then
    """
    params = module.params
    wanted = wanted_of(params)
    if not 0 <= params["lock_timeout"] <= LONGEST_WAIT:
        raise SubidError(
            f"lock_timeout: found {params['lock_timeout']}, accepted are 0 to {LONGEST_WAIT} s. {UNCHANGED}"
        )
    view = host.look(wanted)
    plan = decide(wanted, view.host)
    if module.check_mode or not plan.additions:
        return view, plan
    with host.locks(params["lock_timeout"]):
        # Homes and directories, which can be slow, were looked at without holding anybody up.
        if host.basis() != view.basis:
            view = host.look(wanted)
            plan = decide(wanted, view.host)
        write(host, view, plan)
    return view, plan


def write(host: SubidHost, view: View, plan: SubidPlan) -> None:
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


def migrate(host: SubidHost, view: View, plan: SubidPlan) -> None:
    """Let Podman take the new ranges over.

    :raises SubidError: it did not for a user; the ranges are there all the same
    """
    failed = []
    for user in plan.migrate:
        said = host.migrate(view.host.accounts[user])
        if said is not None:
            failed.append(f"{user}: {said}")
    if failed:
        raise SubidError(
            "The ranges are written, and not in force for all containers: podman system migrate failed for "
            f"{'; '.join(failed)}. Run it as that user."
        )


def run(module: AnsibleModule, host: SubidHost) -> dict[str, Any]:
    """Look, decide, act unless in check mode."""
    view, plan = look_and_write(module, host)
    if plan.migrate and not host.has_podman():
        plan.notices += [f"{user}: podman is not installed; its storage was left." for user in plan.migrate]
        plan.migrate = []
    if not module.check_mode:
        migrate(host, view, plan)
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


def _shown(ids: Range) -> dict[str, int]:
    return {"start": ids.start, "count": ids.count}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = run(module, SubidHost(System()))
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
