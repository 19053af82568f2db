# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drift: keys that the ledger says are ours, and that somebody changed since. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile import Keyfile, line_values
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    Ledger,
    LedgerError,
    OwnedKey,
    same,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._optional_parsers import (
    CannotTell,
    optional_parser,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import is_sensitive, shown
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    owner_of_path,
    primary_group,
    read_as,
)

__all__ = ["drift", "ledger_drift", "read_ledger"]

FILE_LIMIT = 1024 * 1024
LEDGER_LIMIT = 16 * 1024 * 1024

# What the standard library can parse on every host; for the others see `optional_parser`.
_VALUES: Mapping[str, Callable[[str], Any]] = {
    "json": json.loads,
    "keyfile": lambda text: Keyfile.parse(text).value,
    "lines": line_values,
}


def ledger_drift(system: System, state_directory: str = "/var/lib/bulkhead") -> list[dict[str, Any]]:
    """What differs between the ledger of a host and its files; an empty list without a ledger.

    Each is ``{path, key, owner, set, found, state}``. ``key`` is the list of names, ``set`` and ``found`` are
    values of JSON without credentials (``"(secret)"`` for a sensitive key), and ``state`` is

    - ``changed``: another value is there
    - ``absent``: the key, or our element of its list (``set``), is not there any more; ``found`` is null
    - ``edited``: the file is not as it was written, and its format cannot be read here, so that the keys may
      be as they were set or not: ``key`` is null
    - ``unreadable``: the file could not be read: ``key`` is null, ``found`` says why

    :raises LedgerError: there is a ledger, and it cannot be read
    """
    return drift(read_ledger(system, state_directory), lambda file: _read(system, file))


def read_ledger(system: System, state_directory: str = "/var/lib/bulkhead") -> Ledger:
    """The ledger of a host; an empty one where there is none.

    :raises LedgerError: there is a ledger, and it cannot be read
    """
    path = f"{state_directory}/ledger.json"
    try:
        return Ledger.parse(system.read_text(path, limit=LEDGER_LIMIT))
    except NotThere:
        return Ledger()
    except LedgerError as error:
        raise LedgerError(f"{path}: {error}.") from None


def drift(ledger: Ledger, read: Callable[[str], Optional[bytes]]) -> list[dict[str, Any]]:
    """See `ledger_drift`; `read` gives the bytes of a file (None: there is none) or raises an error."""
    found: list[dict[str, Any]] = []
    for path in sorted({entry.path for entry in ledger.keys}):
        entries = ledger.of_file(path)
        try:
            content = read(path)
        except BulkheadError as error:
            found.append(_of_file(entries, "unreadable", str(error)))
            continue
        found += _file_drift(ledger, path, entries, content)
    return found


def _read(system: System, path: str) -> Optional[bytes]:
    uid = owner_of_path(path)
    if uid is not None:
        return read_as(uid, primary_group(uid), path, FILE_LIMIT)
    try:
        return system.read_bytes(path, limit=FILE_LIMIT)
    except NotThere:
        return None


def _file_drift(
    ledger: Ledger, path: str, entries: Sequence[OwnedKey], content: Optional[bytes]
) -> list[dict[str, Any]]:
    if content is None:
        return [_of_key(entry, "absent", None) for entry in entries]
    facts = ledger.files.get(path)
    if facts is not None and facts.wrote(hashlib.sha256(content).hexdigest()):
        return []
    format_name = "json" if facts is None else facts.format
    parse = _VALUES.get(format_name) or optional_parser(format_name)
    if parse is None:
        return [_of_file(entries, "edited", None)]
    try:
        document = parse(content.decode("utf-8"))
    except CannotTell:
        return [_of_file(entries, "edited", None)]
    except (ValueError, RecursionError, BulkheadError) as error:
        return [_of_file(entries, "unreadable", f"not of its format any more ({type(error).__name__})")]
    differing = (_key_drift(entry, document) for entry in entries)
    return [item for item in differing if item is not None]


def _key_drift(entry: OwnedKey, document: Any) -> Optional[dict[str, Any]]:
    value = document
    for name in entry.key:
        if not isinstance(value, dict) or name not in value:
            return _of_key(entry, "absent", None)
        value = value[name]
    if entry.element is not None:
        elements = value if isinstance(value, list) else [value]
        there = any(same(item, entry.set) for item in elements)
        return None if there else _of_key(entry, "absent", None)
    return None if entry.made(value) else _of_key(entry, "changed", value)


def _of_key(entry: OwnedKey, state: str, found: Any) -> dict[str, Any]:
    secret = entry.secret or is_sensitive(entry.key)
    return {
        "path": entry.path,
        "key": list(entry.key),
        "owner": entry.owner,
        "set": "(secret)" if secret else shown(entry.set),
        "found": "(secret)" if secret and found is not None else shown(found),
        "state": state,
    }


def _of_file(entries: Sequence[OwnedKey], state: str, found: Optional[str]) -> dict[str, Any]:
    return {
        "path": entries[0].path,
        "key": None,
        "owner": ", ".join(sorted({entry.owner for entry in entries})),
        "set": None,
        "found": found,
        "state": state,
    }
