# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes wrong when keys are merged into a file."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["MergeError"]


class MergeError(BulkheadError):
    """The file cannot take the keys; the text is the reason, without the file's name and content."""
