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
  - Plans first, then acts. A reload comes before a restart when C(live-restore) has to be switched on by it,
    and the restart waits until the daemon says that it is on. There is one restart at most, and none if every
    key that needs one is in force anyway.
  - What costs more than O(allow) is not done, and is reported as pending with the reason; everything else is.
  - Compares process id and start time of every container before and after, and fails when one that should
    have run on did not, or when a container runs that the engine does not list. One that meanwhile ended with
    status 0 by itself is not missed.
  - Where C(userns-remap), C(data-root), C(exec-root) or C(storage-driver) changes, every container is stopped
    by name first, and the engine is restarted only once /proc shows that none is left. A container that ran
    on would be managed by nobody. When one is left, those that were stopped are started again.
  - Before a reload and before anything is stopped it looks for what would end the engine or keep it from
    starting again and that the engine's own validation misses, a seccomp profile that cannot be read and an
    authorization plugin that is not there among them.
  - Never starts an engine that does not run.
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
options:
  keys:
    description:
      - Keys that stand in the file or were taken out of it, with what is known of each. The filter
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
      removed:
        description: Whether the file does not name it any more.
        type: bool
        default: false
      parts:
        description: The members that changed, where the key is an object.
        type: list
        elements: str
        default: []
      foreign:
        description:
          - Whether somebody else wrote it. Then it is not brought into force for its own sake, but it counts
            for what a restart costs.
        type: bool
        default: false
  live_restore:
    description: Whether C(live-restore) is configured, in the file or by a flag.
    type: bool
    default: false
  allow:
    description:
      - How much may be disturbed. V(reload) only lets the daemon read its file again. V(restart) restarts it
        if every container runs on. V(stop_containers) also stops containers by name, and starts them again
        afterwards. V(move_data) also brings keys into force after which images, volumes and containers stay
        behind in another place.
    type: str
    choices: [reload, restart, stop_containers, move_data]
    default: restart
    version_added: "0.2.0"
  withheld:
    description: Keys that were asked for and not written, each with the reason. They are shown in the plan.
    type: dict
    default: {}
    version_added: "0.2.0"
  impossible:
    description:
      - Keys that a rule forbids here and that were not written, each with the rule. The plan shows them.
    type: dict
    default: {}
    version_added: "0.2.0"
  side_effects:
    description:
      - What the engine will do by itself to the rest of the host. It is shown in the plan. The filter
        P(bulkhead.hardening.docker_engine_plan#filter) works it out.
    type: list
    elements: dict
    default: []
    version_added: "0.2.0"
  units_changed:
    description: Whether this run changed drop-ins or environment files of the service.
    type: bool
    default: false
    version_added: "0.2.0"
  units_owned:
    description:
      - Whether drop-ins of the service are owned. Then a running daemon whose command line is not that of its
        next start needs a restart.
    type: bool
    default: false
    version_added: "0.2.0"
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
    description: Shows the plan.
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
plan:
  description:
    - What was planned before anything was done. The key V(docker.service) stands for the unit's own files.
  returned: success
  type: dict
  contains:
    effects:
      description:
        - One entry per key. C(effect) is V(none), V(reload), V(restart), V(new_containers) (a restart, after
          which only new or newly started containers get it), V(without_containers) (a restart while no
          container runs), V(stop_containers) (a restart that ends C(containers)), V(move_data) or
          V(impossible) (a rule forbids the key here, and it was not written).
      type: list
      elements: dict
    steps:
      description: The steps in their order.
      type: list
      elements: str
    stops:
      description: The containers that the steps stop, why, and whether they are started again.
      type: list
      elements: dict
    pending:
      description: Keys that do not come into force by this run, each with the reason.
      type: dict
    side_effects:
      description: O(side_effects).
      type: list
      elements: dict
userns_preflight:
  description:
    - What is left behind when C(userns-remap) changes. Null when it does not, and, except in check mode, when
      it is not brought into force.
  returned: success
  type: dict
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
    stopped:
      description: Whether the plan stopped it.
      type: bool
"""

from calendar import timegm
from collections.abc import Collection, Iterable
from dataclasses import replace
from time import strptime
from typing import Any, Callable, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import (
    ALLOWED,
    Activation,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    UNIT_KEY,
    EngineState,
    RunningContainer,
    WrittenKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_plan_text import plan_lines
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_userns_preflight import (
    userns_preflight,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing

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
            "removed": {"type": "bool", "default": False},
            "parts": {"type": "list", "elements": "str", "default": []},
            "foreign": {"type": "bool", "default": False},
        },
    },
    "live_restore": {"type": "bool", "default": False},
    "allow": {"type": "str", "choices": list(ALLOWED), "default": "restart"},
    "withheld": {"type": "dict", "default": {}},
    "impossible": {"type": "dict", "default": {}},
    "side_effects": {"type": "list", "elements": "dict", "default": []},
    "units_changed": {"type": "bool", "default": False},
    "units_owned": {"type": "bool", "default": False},
    "socket": {"type": "path", "default": "/run/docker.sock"},
    "timeout": {"type": "int", "default": 120},
    "checkpoint": {"type": "str"},
}
# Steps that only look or wait are not named among the actions.
_ACTIONS = ("daemon_reload", "reload", "stop_containers", "restart", "start_containers")


def parse_time(text: str) -> float:
    """`2026-11-23T15:20:00.250000Z` -> seconds since the epoch."""
    whole, _point, fraction = text.rstrip("Z").partition(".")
    return timegm(strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def written_key(option: dict[str, Any]) -> WrittenKey:
    """Read one element of the option `keys`."""
    since: Optional[float] = None if option["since"] is None else parse_time(option["since"])
    return WrittenKey(
        option["name"],
        since,
        in_force=option["in_force"],
        differs=option["differs"],
        removed=option["removed"],
        parts=tuple(option["parts"]),
        foreign=option["foreign"],
    )


def unit_key(service: DockerService, *, changed: bool, owned: bool) -> list[WrittenKey]:
    """The unit's own files as one more key, when its next start differs from the running daemon."""
    if changed or (owned and service.command_differs()):
        return [WrittenKey(UNIT_KEY, None, in_force=False, differs=True)]
    return []


def act(service: DockerService, activation: Activation) -> None:
    """Carry out the steps in their order."""
    stopped = [stop.container for stop in activation.stops]
    again = [stop.container for stop in activation.stops if stop.started_again]
    steps: dict[str, Callable[[], None]] = {
        "daemon_reload": service.daemon_reload,
        "reload": service.reload,
        "await_live_restore": service.await_live_restore,
        "stop_containers": lambda: service.stop_containers(stopped),
        "prove_none_left": service.prove_none_left,
        "restart": service.restart,
        "start_containers": lambda: service.start_containers(again),
    }
    checked = False
    for step in activation.steps:
        if step != "daemon_reload" and not checked:
            service.refuse_bad_start()
            checked = True
        try:
            steps[step]()
        except DockerServiceError as error:
            if step in ("stop_containers", "prove_none_left"):
                raise _started_again(service, stopped, error) from error
            raise
        if step in ("reload", "restart"):
            service.await_answer()


def _started_again(
    service: DockerService, stopped: Iterable[RunningContainer], error: DockerServiceError
) -> DockerServiceError:
    """Start what was stopped for a restart that does not come; the error with what became of it."""
    try:
        names = service.start_known(stopped)
    except DockerServiceError as failure:
        return DockerServiceError(f"{error}. After that, {failure}")
    return DockerServiceError(f"{error}. Started again: {', '.join(names) or 'none'}")


def survivors(
    before: EngineState, after: EngineState, service: DockerService, stopped: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Every container that ran before, and whether the same process still runs and is still known.

    :param stopped: ids of those that the plan stopped
    """
    listed = {container.id: container.pid for container in after.containers}
    return [
        {
            "name": container.name,
            "pid": container.pid,
            "survived": listed.get(container.id) == container.pid
            and service.start_ticks(container.pid) == container.start_ticks,
            "stopped": container.id in stopped,
        }
        for container in before.containers
    ]


def check(service: DockerService, before: EngineState, activation: Activation) -> list[dict[str, Any]]:
    """Look again after the steps; raises `DockerServiceError` when a container is lost or unmanaged.

    One that had no process before, because its restart policy was about to start it, cannot lose it.
    """
    stopped = {stop.container.id for stop in activation.stops}
    after = service.state()
    containers = survivors(before, after, service, stopped)
    running = {container.id for container in after.containers if container.pid}
    doubtful = [
        container
        for container, entry in zip(before.containers, containers)
        if container.pid and not entry["survived"] and not entry["stopped"]
    ]
    doubtful += [
        stop.container
        for stop in activation.stops
        if stop.started_again and stop.container.pid and stop.container.id not in running
    ]
    excused = service.changed_by_themselves([container.id for container in doubtful])
    changed = [container for container in doubtful if container.id not in excused]
    problems = {
        "do not run any more": [each.name for each in changed if each.id not in running],
        "should have run on and were restarted": [each.name for each in changed if each.id in running],
        "run and the engine does not list them": service.unlisted_containers(),
    }
    found = [f"these containers {what}: {', '.join(names)}" for what, names in problems.items() if names]
    if found:
        steps = " and ".join(step for step in activation.steps if step in _ACTIONS)
        raise DockerServiceError(f"after {steps} {'; '.join(found)}")
    return containers


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, decide, act unless in check mode, look again."""
    options = module.params
    system = System()
    service = DockerService(system, socket=options["socket"], timeout=options["timeout"])
    before = service.state()
    # In check mode nothing is written that systemd could call newer.
    before = replace(before, needs_daemon_reload=before.needs_daemon_reload or options["units_changed"])
    keys = [written_key(option) for option in options["keys"]]
    keys += unit_key(service, changed=options["units_changed"], owned=options["units_owned"])
    activation = decide(
        before,
        keys,
        live_restore_wanted=options["live_restore"],
        allow=options["allow"],
        withheld=options["withheld"],
        impossible=options["impossible"],
    )
    plan = {**activation.as_json(), "side_effects": options["side_effects"]}
    actions = [step for step in activation.steps if step in _ACTIONS]
    # not in every run that only finds it withheld: the engine has to add up all its images for it
    moving = (module.check_mode or "userns-remap" in activation.settled) and any(
        entry["key"] == "userns-remap" and entry["effect"] == "move_data" for entry in plan["effects"]
    )
    outcome: dict[str, Any] = {
        "changed": bool(actions),
        "actions": actions,
        "plan": plan,
        "userns_preflight": userns_preflight(system, socket=options["socket"]) if moving else None,
        "settled": list(activation.settled),
        "pending": [{"key": key, "reason": reason} for key, reason in sorted(activation.pending.items())],
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in plan_lines(plan))},
    }
    if not actions or module.check_mode:
        return {**outcome, "containers": survivors(before, before, service)}
    with changing(options["checkpoint"]):
        act(service, activation)
    return {**outcome, "containers": check(service, before, activation)}


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
