#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give users what rootless engines need: look, decide, act, look again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rootless_users_activate
short_description: Give users what rootless container engines need
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Looks at a host and at users of rootless engines, and says which files they need (RV(files), for
    M(bulkhead.hardening.owned_config)), what is to be done, and what has to wait.
  - Then does it, all users in one call. It reloads systemd, sets kernel values, lets users linger, starts
    their managers, enables Podman's restart unit as the user, and loads AppArmor grants.
  - A manager that runs without a wanted cgroup controller is restarted where nothing runs in it, or where
    O(restart_session) allows it. Otherwise it is reported as pending, with what would end.
  - Nothing is ever taken from a user. In check mode it looks and decides only.
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
options:
  users:
    description: Names of accounts. With an empty list, RV(files) are what gives everything back.
    type: list
    elements: str
    required: true
  linger:
    description: Whether the users' managers start at boot and stay after logout. V(false) leaves it as it is.
    type: bool
    default: true
  namespaces:
    description:
      - V(enabled) raises C(user.max_user_namespaces) and C(kernel.unprivileged_userns_clone) where they
        forbid user namespaces. V(left_alone) reports it.
    type: str
    choices: [left_alone, enabled]
    default: left_alone
  delegate:
    description: Cgroup controllers that users' managers get.
    type: list
    elements: str
    choices: [cpu, cpuset, io, memory, pids]
    default: [cpu, cpuset, io, memory, pids]
  ping_group_range:
    description: Two group ids, the groups that may ping without a capability. Empty leaves it alone.
    type: str
    default: ""
  unprivileged_port:
    description: The first port that users may bind. Without it, it is left alone.
    type: int
  containers_at_boot:
    description: Whether Podman containers with the restart policy C(always) come back after a reboot.
    type: bool
    default: true
  programs:
    description:
      - Paths of further programs that make user namespaces, beside the engines in the system's own
        directories. Each is given a grant where AppArmor restricts user namespaces.
    type: list
    elements: path
    default: []
  restart_session:
    description: Allows the restart of a user's manager, B(which ends the user's containers).
    type: bool
    default: false
  drop_in_changed:
    description: Whether the drop-in was, or in check mode would be, changed by this run.
    type: bool
    default: false
  missing_programs:
    description:
      - What C(newuidmap) or C(newgidmap) not being installed is. V(reported) is for who installs them then,
        and reports a missing session bus too, which otherwise waits in RV(pending).
    type: str
    choices: [error, reported]
    default: error
  subids:
    description:
      - What is wanted of subordinate ids. With it, RV(subids) is what M(bulkhead.hardening.subid) would do in
        check mode; it is never done here.
    type: dict
    suboptions:
      count:
        description: As in M(bulkhead.hardening.subid).
        type: int
        default: 65536
      reserved:
        description: As in M(bulkhead.hardening.subid).
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
            description: What they are for.
            type: str
            required: true
          owner:
            description: Whose own range may lie in it.
            type: str
      migrate:
        description: As in M(bulkhead.hardening.subid).
        type: bool
        default: false
attributes:
  check_mode:
    description: Predicts what a real run does.
    support: full
  diff_mode:
    description: Shows what is done, a line each.
    support: full
notes:
  - A restart can take minutes, because systemd waits for containers that ignore SIGTERM.
"""

EXAMPLES = r"""
- name: See what users would need
  bulkhead.hardening.rootless_users_activate:
    users: [amber, basil]
  check_mode: true
  register: found

- name: Show what has to wait
  ansible.builtin.debug:
    var: found.pending
"""

RETURN = r"""
files:
  description: For M(bulkhead.hardening.owned_config), the files and the keys that belong in them.
  returned: success
  type: list
  elements: dict
steps:
  description: What is done, or in check mode would be, in this order.
  returned: success
  type: list
  elements: str
  sample: ["daemon reload", "enable linger amber", "start amber 1001"]
restarted:
  description: Users whose manager is restarted.
  returned: success
  type: list
  elements: str
users:
  description:
    - By user, the facts of the session (V(linger), V(manager), V(bus), V(controllers), V(runtime_directory),
      V(subids)), V(containers_at_boot), and V(pending) by topic.
  returned: success
  type: dict
pending:
  description: What was not done, by user (or C(host)) and topic, with the reason.
  returned: success
  type: dict
  sample:
    "amber: delegation": "the running user@1001.service lacks cpuset, io; …"
programs_missing:
  description: Programs that map subordinate ids and are not installed; see O(missing_programs).
  returned: success
  type: list
  elements: str
subids:
  description: What M(bulkhead.hardening.subid) returns in check mode.
  returned: when O(subids) is given
  type: dict
"""

import re
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._id_programs import ID_PROGRAMS
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_act import apply
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_look import look
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    CONTROLLERS,
    UNCHANGED,
    HostFacts,
    RootlessError,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_plan import decide, outcome
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import (
    wanted_of as check_options,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_port import SubidHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_run import OPTIONS as SUBID_OPTIONS
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_run import allocate
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import SubidError

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "required": True},
    "linger": {"type": "bool", "default": True},
    "namespaces": {"type": "str", "choices": ["left_alone", "enabled"], "default": "left_alone"},
    "delegate": {
        "type": "list",
        "elements": "str",
        "choices": list(CONTROLLERS),
        "default": list(CONTROLLERS),
    },
    "ping_group_range": {"type": "str", "default": ""},
    "unprivileged_port": {"type": "int"},
    "containers_at_boot": {"type": "bool", "default": True},
    "programs": {"type": "list", "elements": "path", "default": []},
    "restart_session": {"type": "bool", "default": False},
    "drop_in_changed": {"type": "bool", "default": False},
    "missing_programs": {"type": "str", "choices": ["error", "reported"], "default": "error"},
    "subids": {"type": "dict", "options": SUBID_OPTIONS},
    "checkpoint": {"type": "str"},
}
LAST_GID = 2**31 - 1  # net/ipv4/ping.c takes no larger ones from a user namespace's init
LAST_PORT = 65535
BUS_UNIT = "dbus.socket"


def wanted_of(params: dict[str, Any]) -> Wanted:
    """The options, checked; raises `RootlessError`."""
    ping, port = params["ping_group_range"].split(), params["unprivileged_port"]
    numbers = [int(word) for word in ping if re.fullmatch(r"[0-9]{1,10}", word)]
    if ping and (len(ping) != 2 or len(numbers) != 2 or max(numbers) > LAST_GID):
        raise RootlessError(
            f"rootless_users_ping_group_range: found {params['ping_group_range']!r}; accepted are two group "
            f"ids up to {LAST_GID}, as in 0 {LAST_GID}. {UNCHANGED}"
        )
    if port is not None and not 0 <= port <= LAST_PORT:
        raise RootlessError(
            f"rootless_users_unprivileged_port: found {port}; accepted are 0 to {LAST_PORT}. {UNCHANGED}"
        )
    return Wanted(
        users=tuple(params["users"]),
        linger=params["linger"],
        namespaces=params["namespaces"] == "enabled",
        delegate=tuple(name for name in CONTROLLERS if name in params["delegate"]),
        ping_group_range=" ".join(ping),
        unprivileged_port=port,
        containers_at_boot=params["containers_at_boot"],
        programs=tuple(params["programs"]),
        restart_session=params["restart_session"],
        drop_in_changed=params["drop_in_changed"],
    )


def missing_programs(host: HostFacts, params: dict[str, Any]) -> list[str]:
    """The programs that map ids and are not there; raises `RootlessError` where that is an error."""
    missing = [name for name in ID_PROGRAMS if name not in host.id_programs] if params["users"] else []
    if missing and params["missing_programs"] == "error":
        raise RootlessError(
            f"{' and '.join(missing)} not found on this host, without which no user's ids are mapped, and "
            "rootless_users_packages is left_alone. Set it to distribution to have them installed (package "
            f"uidmap on Debian, shadow-utils on Fedora). {UNCHANGED}"
        )
    if params["users"] and params["missing_programs"] == "reported" and not host.bus_unit:
        missing.append(BUS_UNIT)
    return missing


def subids_found(params: dict[str, Any], host: SubidHost) -> dict[str, Any]:
    """What the module `subid` would do, if it was asked for; nothing is written."""
    if params["subids"] is None:
        return {}
    asked = {**params["subids"], "users": params["users"], "lock_timeout": 0}
    try:
        check_options(asked)
    except SubidError as error:
        raise RootlessError(f"rootless_users_{error}") from error
    return {"subids": allocate(asked, host, check_mode=True)}


def run(module: AnsibleModule, system: System) -> dict[str, Any]:
    """Look, decide, act unless in check mode, look again."""
    wanted = wanted_of(module.params)
    host, users = look(system, wanted)
    missing = missing_programs(host, module.params)
    plan = decide(wanted, host, users)
    steps = [step.line() for step in plan.steps]
    result = {
        "changed": bool(steps),
        "files": plan.files,
        "steps": steps,
        "restarted": [step.subject for step in plan.steps if step.kind == "restart"],
        "programs_missing": missing,
        **subids_found(module.params, SubidHost(system)),
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in steps)},
    }
    if not plan.steps or module.check_mode:
        return {**result, **outcome(users, plan)}
    with changing(module.params["checkpoint"]):
        apply(system, wanted, plan.steps)
    wanted = replace(wanted, drop_in_changed=False)
    host, users = look(system, wanted)
    after = decide(wanted, host, users)
    if after.steps:
        raise RootlessError(
            f"Done, and still to be done when it was looked at again: "
            f"{'; '.join(step.line() for step in after.steps)}. Done was: {'; '.join(steps)}."
        )
    return {**result, **outcome(users, after)}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome_ = run(module, System())
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome_)


if __name__ == "__main__":
    main()
