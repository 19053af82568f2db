# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON edited as text: what is not touched stays byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._json_text import JsonText
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from hypothesis import given
from hypothesis import strategies as st

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)
INDENTS = st.sampled_from([None, 0, 1, 2, 4, "\t"])


@given(OBJECTS, INDENTS)
def test_what_the_standard_library_writes_is_read_alike(document: dict[str, Any], indent: Any) -> None:
    text = json.dumps(document, indent=indent)
    assert JsonText(text).value == document
    assert JsonText(text).text == text


@given(OBJECTS, INDENTS, st.text(max_size=5), VALUES)
def test_a_member_set_is_there_and_the_others_are_as_before(
    document: dict[str, Any], indent: Any, name: str, value: Any
) -> None:
    text = JsonText(json.dumps(document, indent=indent))
    text.set([name], value)
    assert json.loads(text.text) == {**document, name: value}
    assert list(json.loads(text.text)) == list({**document, name: value})


@given(OBJECTS.filter(bool), INDENTS, VALUES)
def test_setting_a_new_member_and_removing_it_gives_the_bytes_from_before(
    document: dict[str, Any], indent: Any, value: Any
) -> None:
    before = json.dumps(document, indent=indent)
    text = JsonText(before)
    text.set(["a name that is not there", "below"], value)
    text.remove(["a name that is not there"])
    assert text.text == before


@given(OBJECTS.filter(bool), INDENTS, st.data())
def test_removing_takes_one_member_only(document: dict[str, Any], indent: Any, choice: st.DataObject) -> None:
    name = choice.draw(st.sampled_from(sorted(document)))
    text = JsonText(json.dumps(document, indent=indent))
    text.remove([name])
    assert json.loads(text.text) == {key: value for key, value in document.items() if key != name}


def test_the_author_s_own_layout_survives() -> None:
    text = JsonText('{\n    "labels": ["a",   "b"],\n\n    "mtu" :1.50e3,\n    "x": {"y": 1}\n}')
    text.set(["live-restore"], True)
    text.set(["x", "z"], {"deep": []})
    text.set(["mtu"], 1400)
    assert text.text == (
        '{\n    "labels": ["a",   "b"],\n\n    "mtu" :1400,\n    "x": {"y": 1, "z": {"deep": []}},\n'
        '    "live-restore": true\n}'
    )


def test_a_new_file_is_indented_by_two() -> None:
    text = JsonText.new()
    text.set(["log-opts", "max-size"], "10m")
    text.set(["live-restore"], True)
    assert text.text == '{\n  "log-opts": {\n    "max-size": "10m"\n  },\n  "live-restore": true\n}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("\ufeff{}", "byte order mark"),
        ("[]", "not a JSON object"),
        ("3", "not a JSON object"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' stands in it twice, line 1 column 24"),
        ('{"a": 1}\n}', "text behind the document, line 2 column 1"),
        ('{"a": 1,}', "Expecting property name"),
        ('{"a": 1', "Expecting ',' delimiter"),
        ('{"a" 1}', "Expecting ':' delimiter"),
        ('{"a": [1 2]}', "Expecting ',' delimiter"),
        ('{"a": [1,]}', "Expecting value"),
        ('{"a": NaN}', "Expecting value"),
        ('{"a": 01}', "Expecting ',' delimiter"),
        ('{"a": "b', "Unterminated string"),
        ('{"a": "\t"}', "Invalid control character"),
        ("{'a': 1}", "Expecting property name"),
        ("// comment\n{}", "Expecting value"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested deeper than 64 levels"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(MergeError, match=reason.replace("(", r"\(")):
        JsonText(text)


def test_the_error_quotes_nothing_of_the_file() -> None:
    with pytest.raises(MergeError) as caught:
        JsonText('{"https-proxy": hunter2}')
    assert "hunter2" not in str(caught.value)
