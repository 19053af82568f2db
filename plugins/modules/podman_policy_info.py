#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what a policy for Podman is decided from; `plugins/action/podman_policy_info.py` opens the answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: podman_policy_info
short_description: Read Podman's configuration, and measure a container of it
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Reads in one call what P(bulkhead.hardening.podman_policy_files#filter) and
    P(bulkhead.hardening.podman_policy_verdict#filter) work with.
  - Starts, with O(prove), a container as root and as each of O(users) without any option of its own, reads
    its limits and rights from C(/proc) and the cgroup file system as root, and removes it; see
    M(bulkhead.hardening.engine_proof).
  - A user's files are read as that user, without following a link, and C(podman info) runs within the user's
    own systemd manager. What they say is the user's word.
options:
  users:
    description: Names of users, beside root, whose Podman is looked at.
    type: list
    elements: str
    default: []
  prove:
    description: Whether containers are started to measure what is in force. In check mode none is.
    type: bool
    default: false
  image:
    description:
      - Reference of an image that every one of the accounts has already; it is not pulled. It needs a program
        C(sleep).
      - Without it an image is made of the host's static busybox, and removed afterwards.
    type: str
  seal:
    description: Set by the action plugin; do not set it.
    type: str
attributes:
  check_mode:
    description: Reads the same, starts no container, and asks only accounts that have storage of Podman's.
    support: full
  diff_mode:
    description: It changes no setting.
    support: none
notes:
  - C(podman info) makes the storage of an account that never ran it, root's in check mode too, and that
    stays.
"""

EXAMPLES = r"""
- name: Read what Podman has for root and alice
  bulkhead.hardening.podman_policy_info:
    users: [alice]
    prove: true
  register: podman
"""

RETURN = r"""
podman:
  description:
    - V(installed); and where it is V(version), V(info) (the document of C(podman info), or null with
      V(reason)), V(files) (path -> text, or null where it could not be read), V(users) (objects of V(name),
      V(uid), V(home), V(info) and V(reason)), and V(auto_userns_ids).
    - The texts of files can hold credentials. They reach the controller unreadable for logs, and stand in the
      task's result, so give the task C(no_log).
  returned: success
  type: dict
proofs:
  description: As of M(bulkhead.hardening.engine_proof), for root and O(users); empty without O(prove).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof_port import prove
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_gather import gather_podman
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, seal

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "default": []},
    "prove": {"type": "bool", "default": False},
    "image": {"type": "str"},
    "seal": {"type": "str", "no_log": True},
}

# Without options of its own, so that what is measured is the policy.
_WITHOUT_OPTIONS = {"engine": "podman", "cpus": 0.0, "memory_mib": 0, "pids": 0}


def run(module: AnsibleModule, system: System) -> dict[str, Any]:
    """Gather, then measure; warn of what is left."""
    params = module.params
    found = gather_podman(system, params["users"], check_mode=module.check_mode)
    proofs: list[dict[str, Any]] = []
    if params["prove"] and found["installed"]:
        names = ["root", *(user["name"] for user in found["users"])]
        request = {**_WITHOUT_OPTIONS, "users": names, "image": params["image"]}
        proofs = prove(system, request, check_mode=module.check_mode)
    for proof in proofs:
        for left in proof["left"]:
            module.warn(f"{proof['user']}: could not be removed: {left}")
    sealed = seal(found, params["seal"] or new_key())  # a connection prints the answer at -vvv
    return {"changed": False, "sealed": sealed, "proofs": proofs}


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
