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
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
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
        Afterwards the user's C(podman-restart.service) is started again where it is enabled, which starts
        those with the restart policy V(always).
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
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_port import SubidHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_run import OPTIONS, allocate

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "required": True},
    **OPTIONS,
    "lock_timeout": {"type": "int", "default": 30},
    "checkpoint": {"type": "str"},
}


def run(module: AnsibleModule, host: SubidHost) -> dict[str, Any]:
    """Look, decide, act unless in check mode."""
    return allocate(module.params, host, check_mode=module.check_mode)


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
