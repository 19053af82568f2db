# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger: which key of which file is ours, what it was before, what it was set to, when and by whom.

Stored on the host as ``ledger.json``, readable by root only, because it holds values from before::

    {"schema_version": "1.1",
     "files": {"/etc/docker/daemon.json": {"created": true, "sha256": "…", "format": "json"}},
     "keys": [{"owner": "docker_engine", "path": "/etc/docker/daemon.json", "key": ["log-opts", "max-size"],
               "before": {"absent_from": 1}, "set": "10m", "time": "2026-11-23T15:20:00.250000Z",
               "role": "bulkhead.hardening.docker_engine", "collection_version": "0.1.0"}]}

``before`` is ``{"value": …}``, or ``{"absent_from": n}`` when the path's first *n* names led to nothing. Its
``text`` is how the value, or the empty object that the key came into, was written: given back, it is the same
to the byte. ``replaces`` is there only while a value is being changed: what it was set to before. An entry
with ``element`` owns that one element of the list at its key; ``"secret": true`` says that the value is shown
to nobody. Schema 1.0 (collection 0.1) had neither of these, and JSON files only. A file has
``directories_made``, a number, where its nearest directories came with it, or with a neighbour of it in the
ledger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["EntryId", "Ledger", "LedgerError", "OwnedFile", "OwnedKey", "parse_entry", "same"]

SCHEMA_VERSION = "1.1"
KNOWN_VERSIONS = ("1.0", SCHEMA_VERSION)

# owner, path, key, and the element as JSON where an entry owns one element of a list
EntryId = tuple[str, str, tuple[str, ...], Optional[str]]

_BEFORE = ({"value"}, {"absent_from"})


class LedgerError(BulkheadError):
    """The ledger on the host is not one."""


@dataclass(frozen=True)
class OwnedKey:
    """One entry: a key of a file that a role set. `key` is the path of names from the top of the file."""

    owner: str
    path: str
    key: tuple[str, ...]
    before: dict[str, Any]
    set: Any
    time: str
    role: str
    collection_version: str
    replaces: Optional[dict[str, Any]] = None
    element: Optional[dict[str, Any]] = None
    secret: bool = False

    @property
    def id(self) -> EntryId:
        """What distinguishes the entry from every other."""
        element = None if self.element is None else json.dumps(self.element["value"], sort_keys=True)
        return (self.owner, self.path, self.key, element)

    def made(self, value: Any) -> bool:
        """Whether a value in the file is the one that we wrote (also halfway through a change)."""
        return same(value, self.set) or (self.replaces is not None and same(value, self.replaces["value"]))

    def as_json(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        entry = {
            "owner": self.owner,
            "path": self.path,
            "key": list(self.key),
            "before": self.before,
            "set": self.set,
            "time": self.time,
            "role": self.role,
            "collection_version": self.collection_version,
        }
        optional = {"replaces": self.replaces, "element": self.element, "secret": self.secret or None}
        return {**entry, **{name: value for name, value in optional.items() if value is not None}}


@dataclass(frozen=True)
class OwnedFile:
    """What is known of a file as a whole: whether we created it, and the checksum of what we wrote last.

    `next_sha256` is there only while the file is being written: the checksum of what it becomes.
    `directories_made`: so many of the nearest directories above it were not there before us, and go with it
    once they are empty.
    """

    created: bool
    sha256: str
    format: str = "json"
    next_sha256: Optional[str] = None
    directories_made: int = 0

    def wrote(self, sha256: Optional[str]) -> bool:
        """Whether a content is what we wrote (also halfway through a change), so that nobody edited it."""
        return sha256 is not None and sha256 in (self.sha256, self.next_sha256)

    def as_json(self) -> dict[str, Any]:
        """The facts as they stand in the file."""
        facts: dict[str, Any] = {"created": self.created, "sha256": self.sha256, "format": self.format}
        if self.next_sha256 is not None:
            facts["next_sha256"] = self.next_sha256
        return {**facts, "directories_made": self.directories_made} if self.directories_made else facts

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> OwnedFile:
        """Read the facts; those of collection 0.1 had no format."""
        return cls(
            created=bool(facts["created"]),
            sha256=str(facts["sha256"]),
            format=str(facts.get("format", "json")),
            next_sha256=facts.get("next_sha256"),
            directories_made=int(facts.get("directories_made", 0)),
        )


@dataclass(frozen=True)
class Ledger:
    """All entries, in the order in which they came."""

    keys: tuple[OwnedKey, ...] = ()
    files: dict[str, OwnedFile] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Ledger:
        """Read the file's text.

        :raises LedgerError: when it is not a ledger of this schema; nothing is guessed
        """
        try:
            document = json.loads(text)
            if document["schema_version"] not in KNOWN_VERSIONS:
                known = ", ".join(KNOWN_VERSIONS)
                raise LedgerError(f"its schema version is {document['schema_version']!r}, known are: {known}")
            keys = tuple(parse_entry(entry) for entry in document["keys"])
            files = {str(path): OwnedFile.from_json(facts) for path, facts in document["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerError(f"it is damaged ({type(error).__name__})") from None
        return cls(keys=keys, files=files)

    def render(self) -> str:
        """The text of the file."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "files": {path: known.as_json() for path, known in self.files.items()},
            "keys": [entry.as_json() for entry in self.keys],
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def of_file(self, path: str) -> tuple[OwnedKey, ...]:
        """The entries of one file."""
        return tuple(entry for entry in self.keys if entry.path == path)

    def with_keys(self, entries: tuple[OwnedKey, ...]) -> Ledger:
        """The ledger with these entries added, or put in the place of the same owner's for the same key."""
        fresh = {entry.id: entry for entry in entries}
        kept = tuple(fresh.pop(entry.id, entry) for entry in self.keys)
        return replace(self, keys=kept + tuple(fresh.values()))

    def announcing(self, entries: tuple[OwnedKey, ...], files: dict[str, OwnedFile]) -> Ledger:
        """The ledger before the files are written: with the new entries, and what the files will become."""
        return replace(self.with_keys(entries), files={**self.files, **files})

    def settled(self, released: set[EntryId], files: dict[str, OwnedFile]) -> Ledger:
        """The ledger once the files are written: without what was released, with the files' new checksums."""
        keys = tuple(replace(entry, replaces=None) for entry in self.keys if entry.id not in released)
        owned = {entry.path for entry in keys}
        known = {**self.files, **files}
        return Ledger(keys=keys, files={path: facts for path, facts in known.items() if path in owned})


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: unlike in Python, `true` is not 1, but 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right))
    return bool(left == right)


def parse_entry(entry: dict[str, Any]) -> OwnedKey:
    """Read one entry; raises `LedgerError`, `KeyError` or `TypeError` when it is none."""
    before = entry["before"]
    if set(before) - {"text"} not in _BEFORE:
        raise LedgerError("it is damaged (an entry without a value before)")
    for name in ("replaces", "element"):
        if not (entry.get(name) is None or set(entry[name]) == {"value"}):
            raise LedgerError(f"it is damaged (an entry whose {name} is not a value)")
    if not isinstance(entry["key"], list) or not all(isinstance(name, str) for name in entry["key"]):
        raise LedgerError("it is damaged (an entry whose key is not a path)")
    return OwnedKey(
        owner=str(entry["owner"]),
        path=str(entry["path"]),
        key=tuple(entry["key"]),
        before=dict(before),
        set=entry["set"],
        time=str(entry["time"]),
        role=str(entry["role"]),
        collection_version=str(entry["collection_version"]),
        replaces=entry.get("replaces"),
        element=entry.get("element"),
        secret=bool(entry.get("secret", False)),
    )
