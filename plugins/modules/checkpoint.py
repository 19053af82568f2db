#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction around a run: the target's side, see `plugins/action/checkpoint.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkpoint
short_description: Put a host back to how it was before a run
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Takes what a run may change (files with content, mode, owner and extended attributes or their absence,
    states of units, live sysctls, modes of AppArmor profiles and SELinux), and puts it back.
  - Everything lies under C(/var/lib/bulkhead), readable by root only. A damaged checkpoint is refused as a
    whole, before anything is touched.
  - Between V(open) and V(commit) the run holds the lock of the host. Another run waits or fails, and says who
    holds it.
  - Opening and committing is bookkeeping and never counts as a change. A restore does.
  - A restore undoes runs, the newest first, and keeps what somebody edited since. JSON is merged key by key,
    other text line by line. Where the same thing was changed, the version from before the run goes into the
    file, and the edited one is kept beside it as C(NAME.admin-ID).
  - See docs/transaction.md.
options:
  state:
    description:
      - V(open) takes the host's state. V(commit) looks whether the host is healthy and ends the run; where it
        is not, V(commit) fails and leaves the checkpoint open. V(restore) undoes.
      - V(list) and V(status) only look. V(prune) removes old checkpoints, never the baseline or an open one.
    type: str
    choices: [open, commit, restore, list, prune, status]
    required: true
  name:
    description:
      - For V(restore), the id of a checkpoint, V(last), or V(baseline) (before the collection first ran).
      - For V(commit), the id that V(open) returned.
    type: str
  managed:
    description:
      - What the run may change, a mapping for each role with the lists C(files), C(attributes) (mode and
        owner only; for private keys and sockets), C(units), C(sysctls), C(engines), C(apparmor_profiles), and
        C(selinux), which is true or false.
      - Among the files C(~alice/) is the home of that user, and C(<uid of alice>) their number; a file of a
        user who does not exist is left out.
      - C(/etc/docker/**) among the attributes stands for everything below that directory, and a star in the
        name of a sysctl for the interfaces that there are.
    type: list
    elements: dict
    default: []
  confirm_within:
    description:
      - Seconds after which the host restores the checkpoint by itself unless the run commits, by a systemd
        timer of its own. V(0) is never. A reboot ends the timer; the next run restores then.
    type: int
    default: 0
  interrupted:
    description:
      - What V(open) does with a run that did not come to its end. V(resume) goes on under its checkpoint.
    type: str
    choices: [restore, resume]
    default: restore
  lock_wait:
    description: Seconds to wait for another run on the same host. V(0) fails at once.
    type: int
    default: 0
  lock_lease:
    description: Seconds without a call after which a run of another controller counts as gone.
    type: int
    default: 1800
  takeover:
    description: Take the lock from a run that is known to have ended.
    type: bool
    default: false
  size_limit:
    description: Bytes that the managed files may have in all.
    type: int
    default: 67108864
  keep:
    description: How many of the newest checkpoints V(commit) and V(prune) leave. V(0) leaves all of them.
    type: int
    default: 0
  allow:
    description:
      - What V(restore) may cost the engine, as for C(docker_engine_allow). V(restart) restarts it where
        containers run on. V(stop_containers) ends those that do not, V(move_data) all of them.
      - A restore that takes more fails, with nothing changed and the containers named. A run that undoes
        itself, the next run and the dead man's switch are not asked.
    type: str
    choices: [reload, restart, stop_containers, move_data]
    default: restart
  probe_image:
    description:
      - For V(commit), an image on the host from which a container is started for the health check, without
        network; its own command has to end with status 0. Empty starts V(localhost/bulkhead-probe:latest)
        where the host has it, and nothing otherwise.
    type: str
    default: ""
  may_stop:
    description: Names of containers that the run was allowed to stop, so that V(commit) does not miss them.
    type: list
    elements: str
    default: []
  engine_may_stop:
    description: Whether the run was allowed to disable the engine, so that V(commit) does not miss it.
    type: bool
    default: false
  pending:
    description:
      - What each role was asked for and did not bring into force, a mapping of keys to reasons (or a list of
        C(key) and C(reason)) for each. V(commit) writes it down on the host, so that an audit shows it.
    type: dict
    default: {}
  state_directory:
    description: Directory of the checkpoints, made with mode 0700.
    type: path
    default: /var/lib/bulkhead
  run:
    description: Set by the action plugin; do not set it.
    type: dict
  gone:
    description: Set by the action plugin; do not set it.
    type: list
    elements: str
    default: []
  alive:
    description: Set by the action plugin; do not set it.
    type: list
    elements: str
    default: []
  unknown:
    description: Set by the action plugin; do not set it.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: V(restore) shows what it would do. V(open) and V(commit) write nothing.
    support: full
  diff_mode:
    description: Shows what V(restore) does, never the content of files.
    support: full
"""

EXAMPLES = r"""
- name: Take the state of what the play may change
  bulkhead.hardening.checkpoint:
    state: open
    managed:
      - files: [/etc/docker/daemon.json]
        units: [docker.service]
        engines: [docker]
    confirm_within: 900
  register: opened

- name: Change it
  ansible.builtin.import_tasks: change.yml

- name: See that the host is well
  bulkhead.hardening.checkpoint:
    state: commit
    name: "{{ opened.id }}"

- name: Undo the last run
  bulkhead.hardening.checkpoint:
    state: restore
    name: last
"""

RETURN = r"""
id:
  description: The checkpoint, null in check mode.
  returned: open and commit
  type: str
  sample: 20261124T212200Z-1f3a
resumed:
  description: Whether the run goes on under a checkpoint that was there.
  returned: open
  type: bool
recovered:
  description: What was restored first because an earlier run did not end, as for V(restore), or null.
  returned: open
  type: dict
interrupted:
  description: The checkpoints that a real run would recover first.
  returned: open in check mode
  type: list
  elements: str
engines:
  description: The engines that are installed on the host.
  returned: open
  type: list
  elements: str
containers:
  description: Every container that runs.
  returned: open
  type: list
  elements: dict
dropped:
  description: Whether the checkpoint was dropped because the run changed nothing.
  returned: commit
  type: bool
changes:
  description: What the run changed, a sentence each.
  returned: commit
  type: list
  elements: str
probed:
  description: Whether the health check has started a container. Without an image for it there is none.
  returned: commit
  type: bool
restored:
  description: Files that are to the byte as they were.
  returned: restore
  type: list
  elements: str
merged:
  description: Files that are as they were and keep an edit that somebody made since.
  returned: restore
  type: list
  elements: str
conflicts:
  description: Files of which somebody had changed the same part since.
  returned: restore
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    reasons:
      description: Which parts.
      type: list
      elements: str
    kept_beside:
      description: Where the edited version is, null when there was none to keep.
      type: str
checkpoints:
  description: The checkpoints that were undone (restore), or all of them (list, status).
  returned: restore, list and status
  type: list
  elements: raw
actions:
  description: What was done, in this order. In check mode what would be put back.
  returned: restore
  type: list
  elements: str
survivors:
  description: Names of the containers that ran on while the engine was put back.
  returned: restore
  type: list
  elements: str
losses:
  description: The containers that the restore ends, each with its reason. In check mode those that it would.
  returned: restore
  type: list
  elements: str
reasons:
  description: Why the engine was put back as it was, and in check mode why the restore would be refused.
  returned: restore
  type: list
  elements: str
pending:
  description: Keys of an engine whose old value waits for something.
  returned: restore
  type: list
  elements: dict
proven:
  description:
    - Whether files, attributes, units, sysctls and LSM modes were read again and are as before, and Docker's
      containers run that ran when the restore began and were not to end; after a run that did not end well,
      also those that ran before it. What the kernel or systemd has otherwise is a failure; RV(unproven) says
      what is left.
    - A key of the engine under RV(pending) is as before in the file, and not yet in force.
  returned: restore, not in check mode
  type: bool
summary:
  description: All of this in sentences.
  returned: restore
  type: str
unproven:
  description:
    - Containers that ended without being in the plan or that no engine lists, and files of users that were
      left.
  returned: restore
  type: list
  elements: str
pruned:
  description: The checkpoints that were removed.
  returned: commit and prune
  type: list
  elements: str
holder:
  description: Who holds the lock of the host, null when nobody does.
  returned: open, status, and when another run holds it
  type: dict
restoring:
  description: Whether a restore was begun that did not come to its end.
  returned: status
  type: bool
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_commit import (
    commit_checkpoint,
    list_checkpoints,
    prunable,
    prune,
    status,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_open import (
    OpenRequest,
    open_checkpoint,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_outlook import ALLOW
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_pending import parse_pending
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_restore import restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    CheckpointError,
    Managed,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_text import restore_text
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import Transaction
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import Claim, Holder, RunLocked

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {
        "type": "str",
        "choices": ["open", "commit", "restore", "list", "prune", "status"],
        "required": True,
    },
    "name": {"type": "str"},
    "managed": {"type": "list", "elements": "dict", "default": []},
    "confirm_within": {"type": "int", "default": 0},
    "interrupted": {"type": "str", "choices": ["restore", "resume"], "default": "restore"},
    "lock_wait": {"type": "int", "default": 0},
    "lock_lease": {"type": "int", "default": 1800},
    "takeover": {"type": "bool", "default": False},
    "size_limit": {"type": "int", "default": 64 * 1024 * 1024},
    "keep": {"type": "int", "default": 0},
    "allow": {"type": "str", "choices": list(ALLOW), "default": "restart"},
    "probe_image": {"type": "str", "default": ""},
    "may_stop": {"type": "list", "elements": "str", "default": []},
    "engine_may_stop": {"type": "bool", "default": False},
    "pending": {"type": "dict", "default": {}},
    "state_directory": {"type": "path", "default": "/var/lib/bulkhead"},
    "run": {"type": "dict"},
    "gone": {"type": "list", "elements": "str", "default": []},
    "alive": {"type": "list", "elements": "str", "default": []},
    "unknown": {"type": "list", "elements": "str", "default": []},
}
REQUIRED_IF = [("state", "restore", ["name"])]
NUMBERS = ("confirm_within", "lock_wait", "lock_lease", "size_limit", "keep")


def transaction(parameters: dict[str, Any]) -> Transaction:
    """The run and the host that a call is about; raises `CheckpointError` for a number below zero."""
    for name in NUMBERS:
        if parameters[name] < 0:
            found = f"{name}: found {parameters[name]}; accepted are numbers from 0."
            raise CheckpointError(f"{found} Nothing was changed.")
    claim = Claim(
        wait=parameters["lock_wait"],
        lease=parameters["lock_lease"],
        gone=parameters["gone"],
        alive=parameters["alive"],
        unknown=parameters["unknown"],
        takeover=parameters["takeover"],
    )
    return Transaction(
        System(),
        parameters["state_directory"],
        Holder(**parameters["run"]),
        claim,
        size_limit=parameters["size_limit"],
    )


def run(parameters: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what the option `state` says."""
    call = transaction(parameters)
    state, name = parameters["state"], parameters["name"]
    if state == "open":
        request = OpenRequest(
            Managed.merged(with_accounts(call.system, parameters["managed"])),
            confirm_within=parameters["confirm_within"],
            interrupted=parameters["interrupted"],
        )
        return open_checkpoint(call, request, check_mode=check_mode)
    if state == "restore":
        return _restored(
            restore(call, name, check_mode=check_mode, allow=parameters["allow"]), check_mode=check_mode
        )
    if state == "list":
        return {"changed": False, "checkpoints": list_checkpoints(call)}
    if state == "prune" and check_mode:
        return prunable(call, parameters["keep"])
    if state == "status" or check_mode:
        return status(call)
    if state == "prune":
        with call.locked(keep=False):
            return prune(call, parameters["keep"])
    return commit_checkpoint(
        call,
        name,
        may_stop=parameters["may_stop"],
        engine_may_stop=parameters["engine_may_stop"],
        keep=parameters["keep"],
        probe_image=parameters["probe_image"] or None,
        pending=parse_pending(parameters["pending"]),
    )


def _restored(outcome: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    proven = {} if check_mode else {"proven": not outcome["unproven"]}
    diff = {"before": "", "after": "".join(f"{action}\n" for action in outcome["actions"])}
    summary = restore_text(outcome, check_mode=check_mode)
    return {"changed": bool(outcome["actions"]), **outcome, **proven, "summary": summary, "diff": diff}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    try:
        outcome = run(module.params, check_mode=module.check_mode)
    except RunLocked as error:
        module.fail_json(msg=str(error), holder=asdict(error.holder), ask=error.ask)
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
