# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what a user's file names as that user: root would read for them what they may not read."""

from __future__ import annotations

from typing import Protocol

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UserFileError,
    primary_group,
    read_as,
)

__all__ = ["Reader", "UserReader"]

_LIMIT = 1024 * 1024


class Reader(Protocol):
    """The host, as far as texts are read from it: root's `System` is one too."""

    def read_text(self, path: str, *, limit: int = ...) -> str:
        """The text of a regular file of at most `limit` bytes; raises `PortError`."""


class UserReader:
    """The host as one user may read it."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def read_text(self, path: str, *, limit: int = _LIMIT) -> str:
        """See `Reader`."""
        try:
            content = read_as(self._uid, primary_group(self._uid), path, limit)
        except UserFileError as error:
            raise PortError(str(error)) from error
        if content is None:
            raise NotThere(f"{path}: as user {self._uid}: No such file or directory")
        return content.decode("utf-8", "surrogateescape")
