#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what decides on a host which images are trusted, and which images are there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_trust_info
short_description: Read which images a host trusts, and which it has
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Reads C(/etc/containers/policy.json), C(registries.d) and C(registries.conf), the releases of Podman and
    Skopeo, and for root and each of O(users) the names of their images and whether they have a policy of
    their own, which goes before the host's.
  - Starts no engine and makes no files. What lies in a home is read as its user, without following a link.
options:
  users:
    description: Names of accounts, beside root.
    type: list
    elements: str
    default: []
  sigstore:
    description:
      - Whether to find out if this host's Podman verifies sigstore signatures, by a made-up image that no
        policy lets in. The Podman of Debian 12 is built without, and refuses every image that has one.
    type: bool
    default: false
attributes:
  check_mode:
    description: It changes nothing.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Look at the host and at two users
  bulkhead.hardening.image_trust_info:
    users: [alice, bob]
  register: found
"""

RETURN = r"""
trust:
  description: What was found.
  returned: success
  type: dict
  contains:
    policy:
      description: The text of C(policy.json), or null.
      type: str
    registries_d:
      description: Path to text of each file in C(registries.d).
      type: dict
    registries_conf:
      description: Path to text of C(registries.conf) and its drop-ins.
      type: dict
    versions:
      description: The releases of C(podman) and C(skopeo), null where one is not installed.
      type: dict
    lack_of_sigstore:
      description:
        - Why no sigstore signature is verified here, as Podman says, or null. It is null without O(sigstore).
      type: str
    accounts:
      description:
        - Objects of C(user), C(uid), C(own_policy_path), C(own_policy) (whether it is there) and C(images) (a
          list of names). The last two are an object with the reason in C(unreadable) where they could not be
          read.
      type: list
      elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_look import look_at_trust
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_trial import lack_of_sigstore
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System

ARGUMENT_SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "default": []},
    "sigstore": {"type": "bool", "default": False},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        trust = look_at_trust(System(), module.params["users"])
        trust["lack_of_sigstore"] = lack_of_sigstore(System()) if module.params["sigstore"] else None
    except BulkheadError as error:
        module.fail_json(msg=f"{error}. Nothing was changed.")
    module.exit_json(changed=False, trust=trust)


if __name__ == "__main__":
    main()
