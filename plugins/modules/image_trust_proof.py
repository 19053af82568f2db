#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Try which images the policy of a host lets in."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_trust_proof
short_description: Try which images the policy of a host lets in
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Pulls each image as root with Podman into a storage of its own, which is thrown away. The images of the
    host are not touched.
  - A pull that fails for another reason than the policy (the registry does not answer, there is no such tag)
    proves no refusal; RV(proofs[].found) is C(error) then.
options:
  pulled:
    description: References of images that the policy has to let in.
    type: list
    elements: str
    default: []
  refused:
    description: References of images that the policy has to refuse.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: No image is pulled, and nothing is proven.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""

EXAMPLES = r"""
- name: Try one of each
  bulkhead.hardening.image_trust_proof:
    pulled: ["registry.example.com/production/app:1.2"]
    refused: ["registry.example.com/scratch/app:latest"]
  register: proof
"""

RETURN = r"""
proofs:
  description: One for each reference, first those of O(pulled); empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    reference:
      description: The image.
      type: str
    wanted:
      description: V(pulled) or V(refused).
      type: str
    found:
      description: V(pulled), V(refused) or V(error).
      type: str
    proven:
      description: Whether what was found is what is wanted.
      type: bool
    said:
      description: The end of what Podman said.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_trial import try_image
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System

WANTED = ("pulled", "refused")
ARGUMENT_SPEC: dict[str, Any] = {name: {"type": "list", "elements": "str", "default": []} for name in WANTED}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    system = System()
    proofs = [
        try_image(system, reference, wanted=wanted)
        for wanted in WANTED
        for reference in ([] if module.check_mode else module.params[wanted])
    ]
    module.exit_json(changed=False, proofs=proofs)


if __name__ == "__main__":
    main()
