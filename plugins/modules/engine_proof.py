#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove that a container which an account starts runs with enforced limits."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_proof
short_description: Prove that containers of root and of users run with enforced limits
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Starts a container as each of O(users) with limits of cpu, memory and processes, reads from outside, as
    root, what the kernel enforces on its first process, and removes the container.
  - A user's container is started within the user's own systemd manager (C(systemd-run --user)), where
    cgroup delegation is real, by the engine's command from the system's own directories.
  - Nothing of a user's runs as root. Every command and every read has a limit of time and of size. The
    container has no network, and ends by itself after 120 s whatever goes wrong.
  - What it proves of a user. Limits, capabilities, seccomp mode, no_new_privileges and id maps in RV(proofs)
    are read by root from C(/proc) and the cgroup file system, of a process that lies below the cgroup of the
    user's systemd manager, carries the user's uid, and is process 1 of a PID namespace. That process is the
    one that the user's engine names. So a user who wants to deceive can show a container that they started
    with other options, and RV(proofs[].said) and the texts of errors are the user's word. It proves that the
    host can enforce limits on this user, not that it does on each of their containers.
  - Podman makes its storage for an account that never ran it, and that stays.
options:
  engine:
    description: Whose command starts the container. V(docker) is the rootless daemon of each user.
    type: str
    choices: [podman, docker]
    default: podman
  users:
    description: Names of accounts. C(root) is accepted with O(engine=podman).
    type: list
    elements: str
    required: true
  image:
    description:
      - Reference of an image that the account has already; it is not pulled. It needs a program C(sleep).
      - Without it an image is made of the host's static busybox, and removed afterwards.
    type: str
  cpus:
    description: Cores that the container gets. 0 asks for no limit, and none is proven.
    type: float
    default: 0.5
  memory_mib:
    description: Memory that the container gets, in MiB. 0 asks for no limit, and none is proven.
    type: int
    default: 64
  pids:
    description:
      - Processes that the container may have. 0 gives no option, so that the limits in RV(proofs[].facts)
        have the engine's own default.
    type: int
    default: 32
attributes:
  check_mode:
    description: No container is started, and nothing is proven.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Prove that limits are enforced
  bulkhead.hardening.engine_proof:
    users: [root, alice]
  register: proof

- name: Fail where they are not
  ansible.builtin.assert:
    that: proof.proofs | rejectattr('proven') | length == 0
    fail_msg: "{{ proof.proofs | rejectattr('proven') | map(attribute='reason') | join('; ') }}"
"""

RETURN = r"""
proofs:
  description: One for each of O(users), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The account's name.
      type: str
    engine:
      description: As in O(engine).
      type: str
    proven:
      description: Whether every limit that was asked for is enforced.
      type: bool
    tried:
      description:
        - Whether it was tried. It is not in check mode, where the host lacks the engine or what an image is
          made of, and where the policy for images (C(policy.json)) refuses the one that is made.
      type: bool
    reason:
      description: Why it is not proven, or null.
      type: str
      sample: "not delegated to user@1000.service: cpu (found: memory, pids)"
    facts:
      description:
        - What the kernel says of the container's first process, or null. C(limits) has C(cpu_cores),
          C(memory_bytes) and C(pids), where null is no limit; C(capabilities) has lists of names, among them
          C(effective) and C(bounding); further C(seccomp), C(no_new_privileges), C(uid), C(uid_map),
          C(rlimits) (C(soft) and C(hard) by the names of ulimits, null for unlimited), C(lsm) (C(name),
          C(label) and C(mode)), C(cgroup) and C(pid).
      type: dict
    said:
      description: What the engine said, such as C(ipc_mode); of a user's it is the user's word.
      type: dict
    left:
      description: What could not be removed, with the reason.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof import ENGINES
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof_port import prove
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System

ARGUMENT_SPEC: dict[str, Any] = {
    "engine": {"type": "str", "choices": list(ENGINES), "default": "podman"},
    "users": {"type": "list", "elements": "str", "required": True},
    "image": {"type": "str"},
    "cpus": {"type": "float", "default": 0.5},
    "memory_mib": {"type": "int", "default": 64},
    "pids": {"type": "int", "default": 32},
}


def run(module: AnsibleModule, system: System) -> dict[str, Any]:
    """Prove it for all users, and warn of what is left."""
    proofs = prove(system, module.params, check_mode=module.check_mode)
    for proof in proofs:
        for left in proof["left"]:
            module.warn(f"{proof['user']}: could not be removed: {left}")
    return {"changed": False, "proofs": proofs}


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
