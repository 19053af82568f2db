# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong when keys are merged into a file; raised on the target too, where a restore merges."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

__all__ = ["MergeError"]
