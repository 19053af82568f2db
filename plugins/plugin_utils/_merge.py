# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what becomes of a file whose keys belong to several owners: pure functions from texts to a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._json_text import JsonText
from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile_text import KeyfileText, LinesText
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    EntryId,
    OwnedFile,
    OwnedKey,
    same,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import covered_by
from ansible_collections.bulkhead.hardening.plugins.module_utils._text_document import TextDocument
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_owners import refuse_second_owner
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._toml_text import TomlText
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import (
    ABSENT,
    Absent,
    KeyPath,
    WantedKeys,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._yaml_text import YamlText

__all__ = ["FORMATS", "CurrentFile", "FilePlan", "KeyChange", "Owner", "decide"]

FORMATS: dict[str, type[TextDocument]] = {
    "json": JsonText,
    "keyfile": KeyfileText,
    "lines": LinesText,
    "toml": TomlText,
    "yaml": YamlText,
}


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
    """One key that changes, or one element that comes into a list or leaves it.

    :ivar why: ``set``; ``drift`` when somebody changed our value since; ``released`` when it goes back
    :ivar element: the values are those of an element, not of the key
    """

    key: KeyPath
    before: Any
    after: Any
    why: str
    element: bool = False


@dataclass(frozen=True)
class FilePlan:
    """What becomes of one file. ``changed`` and every diff follow from ``changes``.

    :ivar text: the text after; ``None``: the file goes away (or is not there and stays so)
    :ivar entries: ledger entries to write before the file
    :ivar released: the entries that go once the file is written
    :ivar owned: all entries of this owner afterwards
    :ivar kept: keys whose value of somebody else stays: stronger than ours, or edited since we set it
    :ivar created: whether all that is in the file is, or was, of this collection
    """

    current: CurrentFile
    text: str | None
    changes: tuple[KeyChange, ...] = ()
    entries: tuple[OwnedKey, ...] = ()
    released: tuple[EntryId, ...] = ()
    owned: tuple[OwnedKey, ...] = ()
    kept: tuple[KeyPath, ...] = ()
    created: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.changes)


def decide(
    current: CurrentFile,
    wanted: WantedKeys,
    *,
    owner: Owner,
    format_name: str,
    secret: Sequence[str] = (),
) -> FilePlan:
    """Plan how the wanted keys get into the file, and how those that the owner wants no longer leave it.

    :param secret: patterns of further keys that are shown to nobody, beside the table of `_sensitive`
    :raises MergeError: the file is not of its format, or cannot hold a wanted value; a value stands where an
        object or a list has to be; or another owner wants another value for the same key
    """
    if format_name not in FORMATS:
        raise MergeError(f"the format {format_name!r} is not known, known are: {', '.join(FORMATS)}")
    parse = FORMATS[format_name]
    document = parse.new() if current.text is None else parse(current.text)
    merge = _Merge(current, document, owner, secret)
    merge.run(_normalised(wanted, parse))
    return merge.plan()


def _normalised(wanted: WantedKeys, parse: type[TextDocument]) -> WantedKeys:
    return WantedKeys(
        exact={key: parse.normalised(key, value) for key, value in wanted.exact.items()},
        floors=tuple(
            replace(floor, value=parse.normalised(floor.key, floor.value)) for floor in wanted.floors
        ),
        additive={
            key: tuple(parse.normalised_element(key, element) for element in elements)
            for key, elements in wanted.additive.items()
        },
    )


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
    """How many names of the path lead to the first that is missing; one more than there are: to none."""
    missing = (depth for depth in range(1, len(path) + 1) if _look_up(document, path[:depth]) is ABSENT)
    return next(missing, len(path) + 1)


class _Merge:
    """One merge while it is worked out; `plan` is its result."""

    def __init__(
        self, current: CurrentFile, document: TextDocument, owner: Owner, secret: Sequence[str]
    ) -> None:
        self.current = current
        self.document = document
        self.owner = owner
        self.secret = secret
        self.ours = {entry.id: entry for entry in current.keys if entry.owner == owner.name}
        self.others = tuple(entry for entry in current.keys if entry.owner != owner.name)
        self.changes: list[KeyChange] = []
        self.entries: list[OwnedKey] = []
        self.released: list[EntryId] = []
        self.kept: list[KeyPath] = []
        self.start = document

    def run(self, wanted: WantedKeys) -> None:
        settled = self._settle(wanted)
        wanted_ids = {self._blank_entry(key, None).id for key in settled} | {
            self._blank_entry(key, element, whole=False).id
            for key, elements in wanted.additive.items()
            for element in elements
        }
        for entry in list(self.ours.values()):
            if entry.id not in wanted_ids:
                self._release(entry)
        self.start = type(self.document)(self.document.text)
        for key, value in settled.items():
            self._set(key, value)
        for key, elements in wanted.additive.items():
            for element in elements:
                self._add(key, element)

    def plan(self) -> FilePlan:
        owned = {**self.ours, **{entry.id: entry for entry in self.entries}}
        return FilePlan(
            current=self.current,
            text=self._text(bool(owned)),
            changes=tuple(self.changes),
            entries=tuple(self.entries),
            released=tuple(self.released),
            owned=tuple(owned.values()),
            kept=tuple(self.kept),
            created=self._all_ours(),
        )

    def _text(self, owned: bool) -> str | None:
        if not self.changes:
            return self.current.text
        there = self.current.text is not None
        if there and not owned and not self.others and not self.document.value and self._all_ours():
            return None
        return self.document.text

    def _all_ours(self) -> bool:
        """Whether we made the file, and nobody edited anything in it but values of our own keys."""
        text, facts = self.current.text, self.current.facts
        if text is None:
            return True
        if facts is None or not facts.created:
            return False
        return facts.wrote(self.current.sha256) or facts.wrote(self._without_drift(text))

    def _without_drift(self, text: str) -> str:
        """The checksum of the file as it would be with our values in it."""
        document = type(self.document)(text)
        for entry in self.current.keys:
            found = _look_up(document.value, entry.key)
            if entry.element is None and found is not ABSENT and not same(found, entry.set):
                document.set(entry.key, entry.set)
        return hashlib.sha256(document.text.encode("utf-8")).hexdigest()

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
        value, entry = _look_up(self.document.value, key), self._whole(key)
        if entry is None or value is ABSENT or not entry.made(value):
            return value
        return entry.before.get("value", ABSENT)

    def _whole(self, key: KeyPath) -> OwnedKey | None:
        return self.ours.get(self._blank_entry(key, None).id)

    def _release(self, entry: OwnedKey) -> None:
        self.released.append(entry.id)
        del self.ours[entry.id]
        value = _look_up(self.document.value, entry.key)
        if value is ABSENT:
            return
        if entry.element is not None:
            self._release_element(entry, value)
            return
        if not entry.made(value):
            self.kept.append(entry.key)
            return
        before = entry.before.get("value", ABSENT)
        if isinstance(before, Absent):
            self.document.remove(entry.key)
            self._remove_empty_above(entry, len(entry.key) - 1)
        elif same(before, value):
            return
        else:
            self._write(entry.key, before, entry)
        self.changes.append(KeyChange(entry.key, value, before, "released"))

    def _release_element(self, entry: OwnedKey, value: Any) -> None:
        elements = self.document.elements(value) or []
        places = [index for index, element in enumerate(elements) if same(element, entry.set)]
        if not places:
            return
        self.document.remove_element(entry.key, places[-1])
        self._remove_empty_above(entry, len(entry.key))
        self.changes.append(KeyChange(entry.key, entry.set, ABSENT, "released", element=True))

    def _remove_empty_above(self, entry: OwnedKey, depth: int) -> None:
        """Remove what was made for a key and is empty now; what was empty before is written as it was."""
        for length in range(depth, entry.before["absent_from"] - 1, -1):
            value = _look_up(self.document.value, entry.key[:length])
            if value is not ABSENT and value not in ({}, []):
                return
            if value is not ABSENT:
                self.document.remove(entry.key[:length])
        above = entry.key[: entry.before["absent_from"] - 1]
        value = _look_up(self.document.value, above)
        if "text" in entry.before and value in ({}, []):
            self.document.restore(above, entry.before["text"], value)

    def _set(self, key: KeyPath, value: Any) -> None:
        found, entry = _look_up(self.document.value, key), self._whole(key)
        refuse_second_owner(self.others, self.owner.name, key, value)
        if found is not ABSENT and same(found, value):
            if entry is not None and not entry.made(value):
                self.entries.append(self._entry(key, value, found))  # somebody was before us
            return
        drifted = entry is not None and not entry.made(found)
        self.entries.append(self._entry(key, value, found))
        self._write(key, value, entry)
        self.changes.append(KeyChange(key, found, value, "drift" if drifted else "set"))

    def _write(self, key: KeyPath, value: Any, entry: OwnedKey | None) -> None:
        """Set a value; the one from before ours in the way in which it was written."""
        before = {} if entry is None else entry.before
        there = _look_up(self.document.value, key) is not ABSENT
        if there and "text" in before and same(before.get("value", ABSENT), value):
            self.document.restore(key, before["text"], value)
        else:
            self.document.set(key, value)

    def _add(self, key: KeyPath, element: Any) -> None:
        found = _look_up(self.document.value, key)
        refuse_second_owner(self.others, self.owner.name, key, element, element=True)
        elements = [] if found is ABSENT else self.document.elements(found)
        if elements is None:
            raise MergeError(f"{'.'.join(key)}: a list has to stand here, found another value")
        if any(same(item, element) for item in elements):
            return
        blank = self._blank_entry(key, element, whole=False)
        drifted = blank.id in self.ours
        entry = replace(self.ours.get(blank.id, blank), time="")
        if not drifted:
            entry = replace(entry, before=self._absence(key))
        self.entries.append(entry)
        self.document.add_element(key, element)
        self.changes.append(KeyChange(key, ABSENT, element, "drift" if drifted else "set", element=True))

    def _entry(self, key: KeyPath, value: Any, found: Any) -> OwnedKey:
        known = self._whole(key)
        fresh = self._blank_entry(key, value)
        if known is not None:
            written = found if known.made(found) else known.set
            return replace(fresh, before=known.before, replaces={"value": written})
        if found is ABSENT:
            return replace(fresh, before=self._absence(key))
        raw = self.document.raw(key)
        return replace(fresh, before={"value": found, **({} if raw is None else {"text": raw})})

    def _blank_entry(self, key: KeyPath, value: Any, *, whole: bool = True) -> OwnedKey:
        return OwnedKey(
            owner=self.owner.name,
            path=self.current.path,
            key=key,
            before={},
            set=value,
            time="",
            role=self.owner.role,
            collection_version=self.owner.collection_version,
            element=None if whole else {"value": value},
            secret=covered_by(key, self.secret),
        )

    def _absence(self, key: KeyPath) -> dict[str, Any]:
        """What was before a key, or an element of it, that was not there.

        Ours are the depths that are missing now, or were made before for a neighbour that is still owned.
        """
        owned = [entry for entry in (*self.ours.values(), *self.others) if "absent_from" in entry.before]
        depth = min(
            [
                *(
                    int(entry.before["absent_from"])
                    for entry in owned
                    if entry.key[: entry.before["absent_from"]] == key[: entry.before["absent_from"]]
                ),
                self._missing_from(key),
            ]
        )
        texts = (
            entry.before["text"]
            for entry in (*owned, *self.entries)
            if "text" in entry.before
            and entry.before.get("absent_from") == depth
            and entry.key[: depth - 1] == key[: depth - 1]
        )
        text = next(texts, self._empty_text(key[: depth - 1]))
        return {"absent_from": depth, **({} if text is None else {"text": text})}

    def _missing_from(self, key: KeyPath) -> int:
        return _absent_from(self.start.value, key)

    def _empty_text(self, path: KeyPath) -> Any:
        """How an empty object or list is written that something comes into; None where it is not empty."""
        return self.start.raw(path) if _look_up(self.start.value, path) in ({}, []) else None
