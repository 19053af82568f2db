# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of users among what roles declare: homes and numbers are known on the host alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System

__all__ = ["with_accounts"]

_HOME = re.compile(r"^~([^/]+)(?=/)")
_NUMBER = re.compile(r"<uid of ([^>]+)>")


def with_accounts(system: System, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What roles declare, with ``~NAME/`` as the home of a user and ``<uid of NAME>`` as their number.

    A file of a user who does not exist is left out: there can be none.
    """
    return [
        {name: _resolved(system, value) if name == "files" else value for name, value in part.items()}
        for part in parts
    ]


def _resolved(system: System, paths: Any) -> Any:
    if not isinstance(paths, (list, tuple)):
        return paths
    resolved = [_path(system, path) if isinstance(path, str) else path for path in paths]
    return [path for path in resolved if path is not None]


def _path(system: System, path: str) -> Optional[str]:
    try:
        path = _HOME.sub(lambda match: system.account_named(match[1]).pw_dir, path)
        return _NUMBER.sub(lambda match: str(system.account_named(match[1]).pw_uid), path)
    except NotThere:
        return None
