# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undo a run in a file that somebody has edited since: what the run did goes, the edits stay.

Three versions: `base` is what the run left, `current` what is there, `target` what was before the run. JSON
is merged key by key, starting from the target's own text; every other text line by line. Where both changed
the same thing the target's version wins and it is called a conflict; the caller keeps the other beside.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._json_text import JsonText
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

__all__ = ["Merged", "merge_content", "merge_ledger", "merge_value"]

_ABSENT = object()


@dataclass(frozen=True)
class Merged:
    """The content that a file gets, None: it goes away; `conflicts`: what both had changed, in words."""

    content: Optional[bytes]
    conflicts: tuple[str, ...] = ()


def merge_value(base: Any, current: Any, target: Any) -> tuple[Any, bool]:
    """`(value, conflict)` of something that has no parts."""
    if current in (base, target):
        return target, False
    return (current, False) if base == target else (target, True)


def merge_content(
    path: str, base: Optional[bytes], current: Optional[bytes], target: Optional[bytes]
) -> Merged:
    """Merge the contents of a file, None where it is absent."""
    value, conflict = merge_value(base, current, target)
    if not conflict:
        return Merged(value)
    if current is None or (base is None and target is not None):
        reason = "it was removed since" if current is None else "it was made anew since"
        return Merged(target, (reason,))
    try:
        texts = [(content or b"").decode("utf-8") for content in (base, current, target)]
    except UnicodeDecodeError:
        return Merged(target, ("it is not text",))
    merged = _merge_json(*texts) if path.endswith(".json") else None
    text, conflicts = merged if merged is not None else _merge_lines(*texts)
    if target is None and not text.strip():
        return Merged(None, conflicts)
    return Merged(text.encode("utf-8"), conflicts)


def _merge_json(base: str, current: str, target: str) -> Optional[tuple[str, tuple[str, ...]]]:
    """None where one of the texts is no JSON object, so that lines are merged."""
    try:
        documents = [JsonText(text) if text.strip() else JsonText.new() for text in (base, current, target)]
    except MergeError:
        return None
    result = documents[2]
    conflicts: list[str] = []
    for key in _changed_keys(documents[0].value, documents[1].value):
        before, now, then = (_at(document.value, key) for document in documents)
        if _same(now, then):
            continue
        if not _same(before, then):
            conflicts.append(f"the key {'.'.join(key)} was changed since")
        elif now is _ABSENT:
            _remove(result, key)
        else:
            _set(result, key, now, conflicts)
    if not target.strip() and not result.value:
        return "", tuple(conflicts)
    return result.text, tuple(conflicts)


def _changed_keys(before: Any, now: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of the smallest parts in which two documents differ."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return [] if _same(before, now) else [path]
    names = [*now, *(name for name in before if name not in now)]
    keys = []
    for name in names:
        keys += _changed_keys(before.get(name, _ABSENT), now.get(name, _ABSENT), (*path, name))
    return keys


def _same(one: Any, other: Any) -> bool:
    """Equal in JSON's sense: true is not 1."""
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _at(value: Any, key: Sequence[str]) -> Any:
    for name in key:
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _remove(document: JsonText, key: Sequence[str]) -> None:
    if _at(document.value, key) is not _ABSENT:
        document.remove(key)


def _set(document: JsonText, key: Sequence[str], value: Any, conflicts: list[str]) -> None:
    for depth in range(1, len(key)):
        above = _at(document.value, key[:depth])
        if above is not _ABSENT and not isinstance(above, dict):
            conflicts.append(f"the key {'.'.join(key)} was changed since")
            return
    document.set(key, value)


def _merge_lines(base: str, current: str, target: str) -> tuple[str, tuple[str, ...]]:
    """Merge between the lines that all three have in common."""
    lines = [text.splitlines(keepends=True) for text in (base, current, target)]
    in_current, in_target = _matches(lines[0], lines[1]), _matches(lines[0], lines[2])
    result: list[str] = []
    conflicts: list[str] = []
    at = [0, 0, 0]
    common = [i for i in range(len(lines[0])) if i in in_current and i in in_target]
    for index in [*common, len(lines[0])]:
        ends = [index, in_current.get(index, len(lines[1])), in_target.get(index, len(lines[2]))]
        parts = [text[start:end] for text, start, end in zip(lines, at, ends)]
        chosen, conflict = merge_value(*parts)
        result += chosen
        if conflict:
            conflicts.append(f"line {ends[1] - len(parts[1]) + 1} and around it were changed since")
        if index < len(lines[0]):
            result.append(lines[0][index])
        at = [end + 1 for end in ends]
    return "".join(result), tuple(conflicts)


def _matches(base: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """Which line of `base` is which of `other`."""
    blocks = difflib.SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}


def merge_ledger(
    base: Optional[bytes], current: Optional[bytes], target: Optional[bytes]
) -> Optional[Merged]:
    """Merge the ledger by its entries, which stand in a list; None where one version is no ledger."""
    try:
        documents = [_ledger(content) for content in (base, current, target)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    merged: dict[str, dict[str, Any]] = {}
    conflicts: list[str] = []
    for part in ("files", "keys"):
        merged[part] = _merge_mapping(*[document[part] for document in documents], report=conflicts.append)
    if target is None and not merged["files"] and not merged["keys"]:
        return Merged(None, tuple(conflicts))
    whole = {
        "schema_version": max(document["schema_version"] or "" for document in documents[1:]),
        "files": merged["files"],
        "keys": list(merged["keys"].values()),
    }
    return Merged((json.dumps(whole, indent=1) + "\n").encode("utf-8"), tuple(conflicts))


def _ledger(content: Optional[bytes]) -> dict[str, Any]:
    if content is None:
        return {"schema_version": None, "files": {}, "keys": {}}
    document = json.loads(content)
    identity = ("owner", "path", "key", "element")
    entries = {json.dumps([entry.get(name) for name in identity]): entry for entry in document["keys"]}
    return {"schema_version": document["schema_version"], "files": dict(document["files"]), "keys": entries}


def _merge_mapping(
    base: Mapping[str, Any],
    current: Mapping[str, Any],
    target: Mapping[str, Any],
    *,
    report: Callable[[str], None],
) -> dict[str, Any]:
    result = {}
    for name in [*target, *(name for name in current if name not in target)]:
        value, conflict = merge_value(*(part.get(name, _ABSENT) for part in (base, current, target)))
        if conflict:
            report(f"the entry {name} was changed since")
        if value is not _ABSENT:
            result[name] = value
    return result
