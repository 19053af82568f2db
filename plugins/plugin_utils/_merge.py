# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what becomes of a file whose keys belong to several owners: pure functions from texts to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    EntryId,
    OwnedFile,
    OwnedKey,
    same,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._json_text import JsonText
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import (
    ABSENT,
    Absent,
    KeyPath,
    WantedKeys,
)

__all__ = ["FORMATS", "CurrentFile", "FilePlan", "KeyChange", "Owner", "decide"]


class Document(Protocol):
    """A text of some format whose keys can be set and removed without touching the rest of it."""

    text: str

    @property
    def value(self) -> dict[str, Any]: ...
    def set(self, path: Sequence[str], value: Any) -> None: ...
    def remove(self, path: Sequence[str]) -> None: ...


class Format(Protocol):
    """How texts of a format become documents; raises `MergeError` for a text that is none."""

    def __call__(self, text: str) -> Document: ...
    def new(self) -> Document: ...


FORMATS: dict[str, Format] = {"json": JsonText}


@dataclass(frozen=True)
class CurrentFile:
    """A file as it was read (text ``None``: there is none), and what the ledger says of it."""

    path: str
    text: str | None
    sha256: str | None
    keys: tuple[OwnedKey, ...] = ()
    facts: OwnedFile | None = None


@dataclass(frozen=True)
class Owner:
    """Who sets the keys."""

    name: str
    role: str
    collection_version: str


@dataclass(frozen=True)
class KeyChange:
    """One key that changes.

    :ivar why: ``set``; ``drift`` when somebody changed our value since; ``released`` when it goes back
    """

    key: KeyPath
    before: Any
    after: Any
    why: str


@dataclass(frozen=True)
class FilePlan:
    """What becomes of one file. ``changed`` and every diff follow from ``changes``.

    :ivar text: the text after; ``None``: the file goes away (or is not there and stays so)
    :ivar entries: ledger entries to write before the file
    :ivar released: the entries that go once the file is written
    :ivar owned: all entries of this owner afterwards
    :ivar kept: keys whose value of somebody else stays: stronger than ours, or edited since we set it
    """

    current: CurrentFile
    text: str | None
    changes: tuple[KeyChange, ...] = ()
    entries: tuple[OwnedKey, ...] = ()
    released: tuple[EntryId, ...] = ()
    owned: tuple[OwnedKey, ...] = ()
    kept: tuple[KeyPath, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.changes)

    @property
    def created(self) -> bool:
        """Whether the file is, or was, made by this collection."""
        return self.current.text is None or (self.current.facts is not None and self.current.facts.created)


def decide(current: CurrentFile, wanted: WantedKeys, *, owner: Owner, format_name: str) -> FilePlan:
    """Plan how the wanted keys get into the file, and how those that the owner wants no longer leave it.

    :raises MergeError: the file is not of its format, a value stands where an object has to be, or another
        owner wants another value for the same key
    """
    if format_name not in FORMATS:
        raise MergeError(f"the format {format_name!r} is not known, known are: {', '.join(FORMATS)}")
    parse = FORMATS[format_name]
    document = parse.new() if current.text is None else parse(current.text)
    merge = _Merge(current, document, owner)
    merge.run(wanted)
    return merge.plan()


def _look_up(document: dict[str, Any], path: KeyPath) -> Any:
    value: Any = document
    for depth, name in enumerate(path):
        if not isinstance(value, dict):
            raise MergeError(f"{'.'.join(path[:depth])}: an object has to stand here, found another value")
        if name not in value:
            return ABSENT
        value = value[name]
    return value


def _absent_from(document: dict[str, Any], path: KeyPath) -> int:
    """How many names of the path lead to the first that is missing."""
    return next(depth for depth in range(1, len(path) + 1) if _look_up(document, path[:depth]) is ABSENT)


class _Merge:
    """One merge while it is worked out; `plan` is its result."""

    def __init__(self, current: CurrentFile, document: Document, owner: Owner) -> None:
        self.current = current
        self.document = document
        self.owner = owner
        self.ours = {entry.key: entry for entry in current.keys if entry.owner == owner.name}
        self.others = {entry.key: entry for entry in current.keys if entry.owner != owner.name}
        self.changes: list[KeyChange] = []
        self.entries: list[OwnedKey] = []
        self.released: list[EntryId] = []
        self.kept: list[KeyPath] = []

    def run(self, wanted: WantedKeys) -> None:
        settled = self._settle(wanted)
        for key, entry in list(self.ours.items()):
            if key not in settled:
                self._release(entry)
        before_sets = self.document.value
        for key, value in settled.items():
            self._set(key, value, before_sets)

    def plan(self) -> FilePlan:
        owned = {**self.ours, **{entry.key: entry for entry in self.entries}}
        return FilePlan(
            current=self.current,
            text=self._text(owned),
            changes=tuple(self.changes),
            entries=tuple(self.entries),
            released=tuple(self.released),
            owned=tuple(owned.values()),
            kept=tuple(self.kept),
        )

    def _text(self, owned: dict[KeyPath, OwnedKey]) -> str | None:
        if not self.changes:
            return self.current.text
        facts = self.current.facts
        untouched = facts is not None and facts.created and facts.sha256 == self.current.sha256
        if untouched and not owned and not self.others and not self.document.value:
            return None
        return self.document.text

    def _settle(self, wanted: WantedKeys) -> dict[KeyPath, Any]:
        settled = dict(wanted.exact)
        for floor in wanted.floors:
            if floor.gives_way_to(self._foreign(floor.key)):
                if self._foreign(floor.key) is not ABSENT:
                    self.kept.append(floor.key)
            else:
                settled[floor.key] = floor.value
        return settled

    def _foreign(self, key: KeyPath) -> Any:
        """What others gave the key: the value in the file, or the one before ours."""
        value, entry = _look_up(self.document.value, key), self.ours.get(key)
        if entry is None or value is ABSENT or not entry.made(value):
            return value
        return entry.before.get("value", ABSENT)

    def _release(self, entry: OwnedKey) -> None:
        value = _look_up(self.document.value, entry.key)
        self.released.append(entry.id)
        del self.ours[entry.key]
        if value is ABSENT:
            return
        if not entry.made(value):
            self.kept.append(entry.key)
            return
        before = entry.before.get("value", ABSENT)
        if isinstance(before, Absent):
            self._remove(entry)
        elif same(before, value):
            return
        else:
            self.document.set(entry.key, before)
        self.changes.append(KeyChange(entry.key, value, before, "released"))

    def _remove(self, entry: OwnedKey) -> None:
        """Remove the key, and the objects above it that were made for it and are empty now."""
        self.document.remove(entry.key)
        for depth in range(len(entry.key) - 1, entry.before["absent_from"] - 1, -1):
            if _look_up(self.document.value, entry.key[:depth]) != {}:
                return
            self.document.remove(entry.key[:depth])

    def _set(self, key: KeyPath, value: Any, before_sets: dict[str, Any]) -> None:
        found, entry = _look_up(self.document.value, key), self.ours.get(key)
        self._refuse_second_owner(key, value)
        if found is not ABSENT and same(found, value):
            return
        drifted = entry is not None and not entry.made(found)
        self.entries.append(self._entry(key, value, found, before_sets))
        self.document.set(key, value)
        self.changes.append(KeyChange(key, found, value, "drift" if drifted else "set"))

    def _entry(self, key: KeyPath, value: Any, found: Any, before_sets: dict[str, Any]) -> OwnedKey:
        known = self.ours.get(key)
        if known is not None:
            return replace(
                known,
                set=value,
                time="",
                role=self.owner.role,
                collection_version=self.owner.collection_version,
                replaces={"value": known.set},
            )
        before = (
            {"value": found} if found is not ABSENT else {"absent_from": self._made_from(key, before_sets)}
        )
        return OwnedKey(
            owner=self.owner.name,
            path=self.current.path,
            key=key,
            before=before,
            set=value,
            time="",
            role=self.owner.role,
            collection_version=self.owner.collection_version,
        )

    def _made_from(self, key: KeyPath, before_sets: dict[str, Any]) -> int:
        """Depth from which the path is ours: missing now, or made before for a neighbour still owned."""
        depths: list[int] = [
            entry.before["absent_from"]
            for entry in (*self.ours.values(), *self.others.values())
            if "absent_from" in entry.before
            and entry.key[: entry.before["absent_from"]] == key[: entry.before["absent_from"]]
        ]
        return min([*depths, _absent_from(before_sets, key)])

    def _refuse_second_owner(self, key: KeyPath, value: Any) -> None:
        other = self.others.get(key)
        if other is not None and not same(other.set, value):
            raise MergeError(
                f"{'.'.join(key)}: {self.owner.name} and {other.owner} want different values for this key"
            )
