#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run users' own Docker daemons as their files say: look, decide, act, look again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_rootless_activate
short_description: Run Docker daemons of unprivileged users
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Looks at the Docker daemon of each user, and says what is to be done so that it runs as its files say and
    comes back after a reboot, and what has to wait. Then does it, all users in one call, through each user's
    own systemd manager.
  - The files are written by M(bulkhead.hardening.owned_config); what belongs in them says
    P(bulkhead.hardening.docker_rootless_files#filter).
  - A rootless daemon holds the network of its containers, so that they end with it, whatever C(live-restore)
    says. A daemon with running containers is restarted or
    stopped only with O(allow=stop_containers); otherwise it is reported as pending, with their names.
  - In check mode it looks and decides only.
options:
  users:
    description: Names of accounts.
    type: list
    elements: str
    required: true
  state:
    description: V(absent) stops and disables the daemons. Images, volumes and containers stay on the disk.
    type: str
    choices: [present, absent]
    default: present
  allow:
    description: How much a run may cost. V(restart) restarts daemons in which no container runs.
    type: str
    choices: [nothing, restart, stop_containers]
    default: restart
  needs:
    description:
      - By user, what the files need to come into force, of V(daemon_reload), V(reload) and V(restart), as
        P(bulkhead.hardening.docker_rootless_needs#filter) says.
    type: dict
    default: {}
  assumed:
    description:
      - Users who are taken to have ids and a manager although they do not, to predict what follows the
        role C(rootless_users) within one run. In a real run it has no effect.
    type: list
    elements: str
    default: []
  rootful:
    description:
      - V(disabled) stops and disables root's engine, its service and its socket, once the daemon of every
        user runs. How they were is noted first. One with running containers is stopped only with
        O(allow=stop_containers), and the containers are stopped first.
      - With O(state=absent), V(left_alone) makes the units what they were, if they were disabled by this.
    type: str
    choices: [left_alone, disabled]
    default: left_alone
attributes:
  check_mode:
    description: Predicts what a real run does.
    support: full
  diff_mode:
    description: Shows what is done, a line each.
    support: full
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
"""

EXAMPLES = r"""
- name: See how the daemons of two users are
  bulkhead.hardening.docker_rootless_activate:
    users: [amber, basil]
  check_mode: true
  register: found
"""

RETURN = r"""
host:
  description:
    - V(dockerd), V(script) and V(version), of what the daemons are started with, and V(now), the time in
      seconds since the epoch.
  returned: success
  type: dict
users:
  description:
    - By user V(uid), V(home), V(obstacle) (why no daemon can run, or null), V(enabled), V(running),
      V(version), V(started_at) and V(reloaded_at) (seconds since the epoch), V(containers) (names of those
      that run), V(data) (whether there are images) and V(configured) (what the user's C(daemon.json) says of
      the keys that decide which others the daemon starts with).
  returned: success
  type: dict
steps:
  description: What is done, or in check mode would be, in this order.
  returned: success
  type: list
  elements: str
  sample: ["enable amber", "start amber"]
rootful_off:
  description:
    - Whether root's engine neither runs nor starts with the host, or in check mode would not.
    - V(false) where it was not looked at, because nobody asked for it.
  returned: success
  type: bool
pending:
  description: By user (or V(root's engine)), why something was not done.
  returned: success
  type: dict
withheld:
  description: Users whose files have to stay as they are.
  returned: success
  type: list
  elements: str
"""

import time
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootful import (
    NAME,
    ROOTFUL,
    RootfulPlan,
    act_on_rootful,
    decide_rootful,
    look_at_rootful,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import (
    ALLOWED,
    DockerRootlessError,
    RootlessPlan,
    UserDaemon,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless_port import (
    act,
    look_at_host,
    look_at_users,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless_settings import (
    decisive_settings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "allow": {"type": "str", "choices": list(ALLOWED), "default": "restart"},
    "needs": {"type": "dict", "default": {}},
    "assumed": {"type": "list", "elements": "str", "default": []},
    "rootful": {"type": "str", "choices": list(ROOTFUL), "default": "left_alone"},
    "checkpoint": {"type": "str"},
}
# A daemon of 20.10 does not tell systemd when it is ready.
ANSWER_SECONDS = 120.0
POLL_SECONDS = 1.0


def run(module: AnsibleModule, system: System) -> dict[str, Any]:
    """Look, decide, act unless in check mode, look again."""
    params = module.params
    host = look_at_host(system)
    if params["state"] == "present" and params["users"]:
        host.refuse_missing()
    users = look_at_users(system, params["users"])
    if module.check_mode:
        users = [replace(user, obstacle="") if user.name in params["assumed"] else user for user in users]
    plan = decide(users, state=params["state"], allow=params["allow"], needs=params["needs"])
    rootful = _plan_rootful(system, params, plan)
    lines = [*plan.lines(), *rootful.lines()]
    if rootful.pending:
        plan.pending[NAME] = rootful.pending
    result = {
        "changed": bool(lines),
        "host": {
            "dockerd": host.dockerd,
            "script": host.script,
            "version": host.version,
            "now": system.now(),
        },
        "steps": lines,
        "pending": plan.pending,
        "withheld": plan.withheld,
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in lines)},
        "rootful_off": rootful.is_off(params["state"]),
    }
    if lines and not module.check_mode:
        with changing(params["checkpoint"]):
            act(system, plan.steps)
        users = _settled(system, params["users"], plan)
        with changing(params["checkpoint"]):
            act_on_rootful(system, rootful, params["state"])
    return {**result, "users": {user.name: _facts(system, user) for user in users}}


def _facts(system: System, user: UserDaemon) -> dict[str, Any]:
    return {**user.as_facts(), "configured": decisive_settings(system.account_named(user.name))}


def _plan_rootful(system: System, params: dict[str, Any], plan: RootlessPlan) -> RootfulPlan:
    if params["rootful"] == "left_alone" and params["state"] == "present":
        return RootfulPlan()
    return decide_rootful(
        look_at_rootful(system),
        rootful=params["rootful"],
        state=params["state"],
        allow=params["allow"],
        waiting=[name for name in params["users"] if name in plan.pending],
    )


def _settled(system: System, names: list[str], plan: RootlessPlan) -> list[UserDaemon]:
    """The daemons when what was done holds, for which one that starts has some time.

    :raises DockerRootlessError: it does not hold
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        users = look_at_users(system, names)
        problems = _problems(users, plan)
        if not problems:
            return users
        if time.monotonic() > deadline:
            raise DockerRootlessError(f"Done was: {'; '.join(plan.lines())}. Yet {'; '.join(problems)}.")
        time.sleep(POLL_SECONDS)


def _problems(users: list[UserDaemon], plan: RootlessPlan) -> list[str]:
    problems = []
    for user in users:
        mine = {what for what, name in plan.steps if name == user.name}
        if mine & {"start", "restart"}:
            if user.daemon is None:
                problems.append(f"{user.name}: the daemon was started and does not run")
            elif user.daemon.silence:
                problems.append(f"{user.name}: {user.daemon.silence}")
        if "enable" in mine and not user.enabled:
            problems.append(f"{user.name}: the unit was enabled, and the manager does not say so")
        if "stop" in mine and user.daemon is not None:
            problems.append(f"{user.name}: the daemon was stopped and runs")
    return problems


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = run(module, System())
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
