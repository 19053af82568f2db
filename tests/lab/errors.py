# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one error of the lab."""

from __future__ import annotations


class LabError(Exception):
    """Says what was tried, what was found, and what to do; shown to the user without a traceback."""
