# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every format holds the promises of owned keys, over random files; other parsers are the witnesses."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
import tomlkit
from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile import Keyfile, line_values
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import Ledger, OwnedFile
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import (
    FORMATS,
    CurrentFile,
    FilePlan,
    Owner,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import WantedKeys
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from unit.written_documents import WANTED, written

PATH = "/etc/x"
OWNER = Owner("ours", "ours", "0.2.0")
OTHER = Owner("other", "other", "0.2.0")
EVERY_FORMAT = pytest.mark.parametrize("format_name", sorted(FORMATS))
pytestmark = pytest.mark.timeout(300)
NO_PLACE = re.compile("has to stand here|a table stands here")

many = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(StringIO(text)) or {}


WITNESSES: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": lambda text: tomlkit.parse(text).unwrap(),
    "yaml": _yaml,
    "keyfile": lambda text: Keyfile.parse(text).value,
    "lines": line_values,
}


class Host:
    """A file and a ledger that plans are applied to, as the target side does."""

    def __init__(self, text: str | None, format_name: str) -> None:
        self.text = text
        self.format = format_name
        self.ledger = Ledger()

    def merge(self, keys: dict[str, Any], *, lists: Any = (), owner: Owner = OWNER) -> FilePlan:
        current = CurrentFile(
            PATH, self.text, _sha256(self.text), self.ledger.of_file(PATH), self.ledger.files.get(PATH)
        )
        wanted = WantedKeys.from_options(keys, (), lists)
        plan = decide(current, wanted, owner=owner, format_name=self.format)
        files = {}
        if plan.changed and plan.text is not None:
            files[PATH] = OwnedFile(plan.created, _sha256(plan.text) or "", self.format)
        ledger = self.ledger.with_keys(plan.entries).settled(set(plan.released), files)
        self.text, self.ledger = plan.text, Ledger.parse(ledger.render())
        return plan

    @property
    def document(self) -> Any:
        return WITNESSES[self.format](self.text or "")


def _sha256(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _merged(document: Any, keys: dict[str, Any], format_name: str) -> dict[str, Any]:
    """What the file should say, worked out without our code."""
    found = deepcopy(document)
    for name, value in keys.items():
        if isinstance(value, dict) and value:
            found[name] = _merged(found.get(name, {}), value, format_name)
        elif value != {} or format_name != "keyfile":
            found[name] = value
    return found


def _try(host: Host, keys: dict[str, Any], **options: Any) -> None:
    """Merge; a path through a value that is no object is the only error that random wishes may end in."""
    try:
        host.merge(keys, **options)
    except MergeError as error:
        if not NO_PLACE.search(str(error)):
            raise
        assume(False)


def _without_empty(keys: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if value != {}}


@EVERY_FORMAT
@given(data=st.data())
@many
def test_what_a_person_writes_is_read_as_the_witness_reads_it(format_name: str, data: st.DataObject) -> None:
    document, text = data.draw(written(format_name))
    assert WITNESSES[format_name](text) == document
    parsed = FORMATS[format_name](text)
    assert (parsed.value, parsed.text) == (document, text)


@EVERY_FORMAT
@given(data=st.data())
@many
def test_merging_sets_what_is_wanted_and_nothing_else(format_name: str, data: st.DataObject) -> None:
    document, text = data.draw(written(format_name))
    keys = _without_empty(data.draw(WANTED[format_name]))
    host = Host(text, format_name)
    _try(host, keys)
    assert host.document == _merged(document, keys, format_name)
    once, ledger = host.text, host.ledger
    assert not host.merge(keys).changed
    assert (host.text, host.ledger) == (once, ledger)


@EVERY_FORMAT
@given(data=st.data())
@many
def test_release_gives_the_bytes_from_before(format_name: str, data: st.DataObject) -> None:
    _document, before = data.draw(written(format_name))
    host = Host(before, format_name)
    for _run in range(2):
        _try(host, _without_empty(data.draw(WANTED[format_name])))
    host.merge({})
    assert host.text == before
    assert host.ledger == Ledger()


@pytest.mark.parametrize("format_name", sorted(set(FORMATS) - {"lines"}))
@given(data=st.data())
@many
def test_new_keys_are_only_insertions(format_name: str, data: st.DataObject) -> None:
    document, before = data.draw(written(format_name))
    assume(document)
    keys = {f"new-{name}": value for name, value in data.draw(WANTED[format_name]).items() if value != {}}
    host = Host(before, format_name)
    host.merge(keys)
    rest = iter(host.text or "")
    assert all(character in rest for character in before)


@EVERY_FORMAT
@given(data=st.data())
@many
def test_a_file_of_ours_comes_and_goes(format_name: str, data: st.DataObject) -> None:
    keys = _without_empty(data.draw(WANTED[format_name]))
    assume(keys)
    host = Host(None, format_name)
    host.merge(keys)
    assert host.document == keys
    host.merge({})
    assert host.text is None


@pytest.mark.parametrize("format_name", ["toml", "yaml", "keyfile", "lines"])
def test_a_comment_in_a_file_of_ours_keeps_it(format_name: str) -> None:
    section = format_name == "keyfile"
    first, second = (
        {"lines": [f"-w /{name}"]}
        if format_name == "lines"
        else {"a": {"x": name}}
        if section
        else {"x": name}
        for name in "ab"
    )
    host = Host(None, format_name)
    host.merge(first)
    assert host.text is not None
    host.text += "# the admin's\n"
    host.merge(second)
    host.merge({})
    assert host.text is not None
    assert "# the admin's\n" in host.text


LISTS = {
    "json": (["log-opts", "more"], st.integers(0, 5)),
    "toml": (["log-opts", "more"], st.integers(0, 5)),
    "yaml": (["log-opts", "more"], st.integers(0, 5)),
    "keyfile": (["Service", "more"], st.sampled_from("abcdef")),
    "lines": (["lines"], st.sampled_from("abcdef")),
}


def _list_at(document: Any, key: list[str]) -> list[Any]:
    for name in key:
        document = document.get(name, {}) if isinstance(document, dict) else {}
    return document if isinstance(document, list) else [] if document == {} else [document]


@EVERY_FORMAT
@given(data=st.data())
@many
def test_elements_are_added_beside_those_of_others_and_only_ours_go(
    format_name: str, data: st.DataObject
) -> None:
    key, element = LISTS[format_name]
    document, before = data.draw(written(format_name))
    host = Host(before, format_name)
    elements = st.lists(element, max_size=3, unique=True)
    found = _list_at(document, key)
    theirs, ours, later = data.draw(elements), data.draw(elements), data.draw(elements)
    _try(host, {}, lists=[{"key": key, "elements": theirs}], owner=OTHER)
    with_theirs = host.text
    for wanted in (ours, later):
        _try(host, {}, lists=[{"key": key, "elements": wanted}])
        expected = [*found, *theirs, *wanted]
        assert sorted(set(map(repr, _list_at(host.document, key)))) == sorted(set(map(repr, expected)))
        assert not host.merge({}, lists=[{"key": key, "elements": wanted}]).changed
    host.merge({})
    assert host.text == with_theirs
    host.merge({}, owner=OTHER)
    assert host.text == before
