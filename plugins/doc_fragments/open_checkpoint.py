# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option of every module that changes a host within a transaction."""

from __future__ import annotations


class ModuleDocFragment:
    """Named as Ansible wants it."""

    DOCUMENTATION = r"""
options:
  checkpoint:
    description:
      - The open checkpoint of the run that this change belongs to, C(checkpoint_opened.id) of the role
        C(checkpoint).
      - Once the host has restored that by itself, because the run did not confirm in time, nothing is changed
        any more.
      - Without it the change is of no run, and is refused while a run holds the lock of the host.
    type: str
    version_added: "0.2.0"
"""
