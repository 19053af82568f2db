# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of the collection: one base, one subclass per domain, caught once in each plugin's ``main``."""

from __future__ import annotations

__all__ = ["BulkheadError"]


class BulkheadError(Exception):
    """Something a user has to know: says what was found, what is accepted, and what was (not) changed."""
