# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undoing a run keeps what somebody edited since, and says where both had changed the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._three_way import (
    merge_content,
    merge_ledger,
)
from hypothesis import given
from hypothesis import strategies as st

# path, what the run left, what is there, what was before; what comes out, how many conflicts
CASES: dict[str, tuple[str, str | None, str | None, str | None, str | None, int]] = {
    "nobody edited": ("x", "run", "run", "before", "before", 0),
    "it is back already": ("x", "run", "before", "before", "before", 0),
    "the run had not touched it": ("x", "same", "edited", "same", "edited", 0),
    "the run had made it": ("x", "run", "run", None, None, 0),
    "the run had removed it": ("x", None, None, "before", "before", 0),
    "both removed it": ("x", "run", None, None, None, 0),
    "removed since": ("x", "run", None, "before", "before", 1),
    "made anew since": ("x", None, "edited", "before", "before", 1),
    "lines apart": ("x", "a\nrun\nb\nc\n", "a\nrun\nb\nc\nd\n", "a\nb\nc\n", "a\nb\nc\nd\n", 0),
    "the same line": ("x", "a\nrun\nb\n", "a\nedit\nb\n", "a\nold\nb\n", "a\nold\nb\n", 1),
    "undone by hand": ("x", "run\nb\nc\n", "old\nb\nd\n", "old\nb\nc\n", "old\nb\nd\n", 0),
    "a line in a text of the run's": ("x", "run\n", "run\nedit\n", None, None, 1),
    "another key": (
        "x.json",
        '{"icc": false}',
        '{"icc": false, "mtu": 1400}',
        '{"icc": true}',
        '{"icc": true, "mtu": 1400}',
        0,
    ),
    "the target's layout stays": (
        "x.json",
        '{"icc": false}',
        '{"icc": false, "mtu": 1400}',
        '{\n\t"icc": true\n}\n',
        '{\n\t"icc": true,\n\t"mtu": 1400\n}\n',
        0,
    ),
    "the same key": ("x.json", '{"icc": false}', '{"icc": "e"}', '{"icc": true}', '{"icc": true}', 1),
    "a member of the run's object": (
        "x.json",
        '{"o": {"run": 1}}',
        '{"o": {"run": 1, "edit": 2}}',
        "{}",
        '{\n  "o": {\n    "edit": 2\n  }\n}',
        0,
    ),
    "a key removed since": ("x.json", '{"a": 1, "run": 1}', '{"run": 1}', '{"a": 1}', "{}", 0),
    "an object became a value": (
        "x.json",
        '{"o": {"a": 1}}',
        '{"o": {"a": 1, "b": 2}}',
        '{"o": 7}',
        '{"o": 7}',
        1,
    ),
    "a JSON file of the run's": ("x.json", '{"run": 1}', '{"run": 1, "e": 2}', None, '{\n  "e": 2\n}\n', 0),
    "no JSON any more": ("x.json", '{"run": 1}', "{oops", '{"a": 1}', '{"a": 1}', 1),
}


@pytest.mark.parametrize("name", CASES)
def test_merge(name: str) -> None:
    path, *versions, expected, conflicts = CASES[name]
    base, current, target = (None if text is None else str(text).encode() for text in versions)
    merged = merge_content(path, base, current, target)
    assert merged.content == (None if expected is None else expected.encode())
    assert len(merged.conflicts) == conflicts


def test_what_is_no_text_is_a_conflict() -> None:
    merged = merge_content("x", b"\xff1", b"\xff2", b"\xff3")
    assert (merged.content, merged.conflicts) == (b"\xff3", ("it is not text",))


_LINES = st.lists(st.sampled_from("abcd"), max_size=6).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)
_JSON = st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(0, 2), st.booleans()), max_size=3)


@given(_LINES, _LINES, _LINES)
def test_without_an_edit_the_target_comes_back(base: str, current: str, target: str) -> None:
    for path in ("x", "x.json"):
        assert merge_content(path, base.encode(), base.encode(), target.encode()).content == target.encode()
        assert merge_content(path, base.encode(), current.encode(), base.encode()).content == current.encode()


@given(_JSON, _JSON, _JSON)
def test_every_key_of_json_is_decided_by_itself(
    base: dict[str, Any], current: dict[str, Any], target: dict[str, Any]
) -> None:
    versions = [json.dumps(value).encode() for value in (base, current, target)]
    merged = json.loads(merge_content("x.json", *versions).content or b"{}")
    for key in "abc":
        texts = [json.dumps(value.get(key, "absent")) for value in (base, current, target)]
        expected = texts[1] if texts[0] == texts[2] else texts[2]
        assert json.dumps(merged.get(key, "absent")) == expected


def _ledger(**keys: Any) -> bytes:
    entries = [{"path": "/p", "key": [key], "set": value} for key, value in keys.items()]
    return json.dumps({"schema_version": "1.0", "files": {}, "keys": entries}).encode()


def test_elements_of_one_list_are_entries_of_their_own() -> None:
    def ledger(*elements: str) -> bytes:
        entries = [
            {"owner": "o", "path": "/p", "key": ["list"], "element": {"value": element}}
            for element in elements
        ]
        return json.dumps({"schema_version": "1.1", "files": {}, "keys": entries}).encode()

    merged = merge_ledger(ledger("run"), ledger("run", "later"), ledger("a", "b"))
    assert merged is not None
    left = [entry["element"]["value"] for entry in json.loads(merged.content or b"")["keys"]]
    assert left == ["a", "b", "later"]


def test_the_ledger_is_merged_by_its_entries() -> None:
    merged = merge_ledger(_ledger(run=1), _ledger(run=1, later=2), _ledger(old=0))
    assert merged is not None and merged.conflicts == ()
    entries = json.loads(merged.content or b"")["keys"]
    assert [(entry["key"], entry["set"]) for entry in entries] == [(["old"], 0), (["later"], 2)]
    assert json.loads(merged.content or b"")["schema_version"] == "1.0"
    gone = merge_ledger(_ledger(run=1), _ledger(run=1), None)
    assert gone is not None and gone.content is None
    assert merge_ledger(b"[]", _ledger(), _ledger()) is None
