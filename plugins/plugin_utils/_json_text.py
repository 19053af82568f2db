# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON as text, for the controller; the target merges with the same class when it restores a file."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._json_text import JsonText

__all__ = ["JsonText"]
