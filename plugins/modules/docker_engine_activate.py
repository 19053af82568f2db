#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring written keys of daemon.json into force without losing containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine_activate
short_description: Bring written keys of daemon.json into force without losing containers
version_added: "0.1.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Reloads the daemon when a key needs it, and waits until it says that C(live-restore) is on when that is
    one of them. Only then restarts it, once, and only if a key needs it that is not in force anyway.
  - Does not restart when that would end containers (C(live-restore) is off, the engine is in a swarm, or it
    is older than 23.0 and a container runs with C(--rm)). Such keys, and those of the default bridge while
    containers run, are reported as pending with the reason.
  - Compares process id and start time of every container before and after, and fails when one did not
    survive.
  - Never starts an engine that does not run.
options:
  keys:
    description:
      - Keys that stand in the file, with what is known of each. The filter
        P(bulkhead.hardening.docker_engine_activation#filter) makes this list.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The key.
        type: str
        required: true
      since:
        description: When it was written, RFC 3339 with microseconds. Absent when this run wrote it.
        type: str
      in_force:
        description: Whether its value was in force before it was written.
        type: bool
        default: false
      differs:
        description: Whether another value was measured.
        type: bool
        default: false
  live_restore:
    description: Whether C(live-restore) is configured, in the file or by a flag.
    type: bool
    default: false
  socket:
    description: The engine's socket.
    type: path
    default: /run/docker.sock
  timeout:
    description: Seconds to wait for the daemon after a reload or a restart.
    type: int
    default: 120
attributes:
  check_mode:
    description: Predicts what a real run does.
    support: full
  diff_mode:
    description: Shows the steps.
    support: full
"""

EXAMPLES = r"""
- name: Activate what was written
  bulkhead.hardening.docker_engine_activate:
    live_restore: true
    keys:
      - name: live-restore
      - name: no-new-privileges
"""

RETURN = r"""
actions:
  description: What was done (in check mode, what would be), in this order.
  returned: success
  type: list
  elements: str
  sample: [reload, restart]
settled:
  description: Keys that are in force, or came into force.
  returned: success
  type: list
  elements: str
pending:
  description: Keys that are not in force yet.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: The key.
      type: str
    reason:
      description: What it waits for.
      type: str
containers:
  description: Every container that ran before.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    pid:
      description: Process id of its first process.
      type: int
    survived:
      description: Whether the same process still runs.
      type: bool
"""

from calendar import timegm
from time import strptime
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    Activation,
    EngineState,
    WrittenKey,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System

ARGUMENT_SPEC: dict[str, Any] = {
    "keys": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": False,
        "options": {
            "name": {"type": "str", "required": True},
            "since": {"type": "str"},
            "in_force": {"type": "bool", "default": False},
            "differs": {"type": "bool", "default": False},
        },
    },
    "live_restore": {"type": "bool", "default": False},
    "socket": {"type": "path", "default": "/run/docker.sock"},
    "timeout": {"type": "int", "default": 120},
}


def parse_time(text: str) -> float:
    """`2026-11-23T15:20:00.250000Z` -> seconds since the epoch."""
    whole, _point, fraction = text.rstrip("Z").partition(".")
    return timegm(strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def written_key(option: dict[str, Any]) -> WrittenKey:
    """Read one element of the option `keys`."""
    since: Optional[float] = None if option["since"] is None else parse_time(option["since"])
    return WrittenKey(option["name"], since, in_force=option["in_force"], differs=option["differs"])


def act(service: DockerService, activation: Activation) -> None:
    """Carry out the steps in their order."""
    if activation.reload:
        service.reload()
        service.await_answer()
    if activation.await_live_restore:
        service.await_live_restore()
    if activation.restart:
        service.restart()
        service.await_answer()


def survivors(before: EngineState, after: EngineState, service: DockerService) -> list[dict[str, Any]]:
    """Every container that ran before, and whether the same process still runs and is still known."""
    listed = {container.id: container.pid for container in after.containers}
    return [
        {
            "name": container.name,
            "pid": container.pid,
            "survived": listed.get(container.id) == container.pid
            and service.start_ticks(container.pid) == container.start_ticks,
        }
        for container in before.containers
    ]


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, decide, act unless in check mode, look again."""
    service = DockerService(System(), socket=module.params["socket"], timeout=module.params["timeout"])
    before = service.state()
    keys = [written_key(option) for option in module.params["keys"]]
    activation = decide(before, keys, live_restore_wanted=module.params["live_restore"])
    actions = [name for name in ("reload", "restart") if getattr(activation, name)]
    outcome: dict[str, Any] = {
        "changed": bool(actions),
        "actions": actions,
        "settled": list(activation.settled),
        "pending": [{"key": key, "reason": reason} for key, reason in sorted(activation.pending.items())],
        "diff": {"before": "", "after": "".join(f"{action} docker.service\n" for action in actions)},
    }
    if not actions or module.check_mode:
        return {**outcome, "containers": survivors(before, before, service)}
    act(service, activation)
    after = survivors(before, service.state(), service)
    lost = [container["name"] for container in after if not container["survived"]]
    if lost:
        raise DockerServiceError(
            f"after {' and '.join(actions)} these containers do not run any more: {', '.join(lost)}"
        )
    return {**outcome, "containers": after}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = run(module)
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
