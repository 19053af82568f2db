# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys are merged, owned and released; everything else in the file is somebody else's."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    Ledger,
    OwnedFile,
    OwnedKey,
    same,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import (
    CurrentFile,
    FilePlan,
    Owner,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import ABSENT, WantedKeys
from hypothesis import given
from hypothesis import strategies as st

PATH = "/etc/docker/daemon.json"
OWNER = Owner("docker_engine", "bulkhead.hardening.docker_engine", "0.1.0")
NAMES = st.sampled_from(["icc", "log-opts", "max-size", "labels", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
INDENTS = st.sampled_from([None, 2, "\t"])


class Host:
    """A file and a ledger that plans are applied to, as the target side does."""

    def __init__(self, text: str | None, ledger: Ledger | None = None) -> None:
        self.text = text
        self.ledger = ledger or Ledger()

    def read(self) -> CurrentFile:
        return CurrentFile(
            path=PATH,
            text=self.text,
            sha256=None if self.text is None else _sha256(self.text),
            keys=self.ledger.of_file(PATH),
            facts=self.ledger.files.get(PATH),
        )

    def merge(
        self, keys: dict[str, Any], at_least: Any = (), owner: Owner = OWNER, lists: Any = ()
    ) -> FilePlan:
        wanted = WantedKeys.from_options(keys, at_least, lists)
        plan = decide(self.read(), wanted, owner=owner, format_name="json")
        files = {} if plan.text is None else {PATH: OwnedFile(plan.created, _sha256(plan.text))}
        written = self.ledger.with_keys(plan.entries).settled(
            set(plan.released), files if plan.changed else {}
        )
        self.text, self.ledger = plan.text, Ledger.parse(written.render())
        return plan

    @property
    def document(self) -> Any:
        return None if self.text is None else json.loads(self.text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mergeable(document: Any, keys: dict[str, Any]) -> bool:
    """No wanted path leads through a value that is no object."""
    return isinstance(document, dict) and all(
        not (isinstance(value, dict) and value and name in document) or _mergeable(document[name], value)
        for name, value in keys.items()
    )


@given(OBJECTS, INDENTS, OBJECTS)
def test_merging_twice_equals_merging_once(document: Any, indent: Any, keys: dict[str, Any]) -> None:
    if not _mergeable(document, keys):
        return
    host = Host(json.dumps(document, indent=indent))
    host.merge(keys)
    once, ledger = host.text, host.ledger
    again = host.merge(keys)
    assert not again.changed
    assert (host.text, host.ledger) == (once, ledger)


@given(OBJECTS, INDENTS, OBJECTS)
def test_foreign_keys_and_their_order_are_never_touched(
    document: Any, indent: Any, keys: dict[str, Any]
) -> None:
    if not _mergeable(document, keys):
        return
    host = Host(json.dumps(document, indent=indent))
    host.merge(keys)
    foreign = [name for name in document if name not in keys]
    assert [name for name in host.document if name in foreign] == foreign
    assert all(same(host.document[name], document[name]) for name in foreign)


@given(OBJECTS, INDENTS, OBJECTS, OBJECTS)
def test_release_gives_back_what_was_there(
    document: Any, indent: Any, first: dict[str, Any], second: dict[str, Any]
) -> None:
    host = Host(json.dumps(document, indent=indent))
    try:
        host.merge(first)
        host.merge(second)
    except MergeError:
        return
    host.merge({})
    assert same(host.document, document)
    assert host.ledger == Ledger()


@given(OBJECTS.filter(bool), INDENTS)
def test_release_of_added_keys_gives_the_bytes_from_before(document: Any, indent: Any) -> None:
    before = json.dumps(document, indent=indent) + "\n"
    host = Host(before)
    host.merge({"live-restore": True, "added": {"max-file": "3", "max-length": "4"}})
    host.merge({"live-restore": True})
    host.merge({})
    assert host.text == before


@given(OBJECTS.filter(bool))
def test_a_file_of_ours_comes_and_goes(keys: dict[str, Any]) -> None:
    host = Host(None)
    host.merge(keys)
    assert same(host.document, keys)
    host.merge({})
    assert host.text is None


def test_a_file_of_ours_that_was_edited_since_stays() -> None:
    host = Host(None)
    host.merge({"icc": False})
    assert host.text is not None
    host.text += "\n"
    host.merge({})
    assert host.text == "{}\n\n"


def test_an_edit_is_remembered_when_we_write_the_file_again() -> None:
    host = Host(None)
    host.merge({"icc": False})
    assert host.text is not None
    host.text += "\n"
    host.merge({"icc": True})
    host.merge({})
    assert host.text == "{}\n\n"


def test_a_file_of_ours_goes_where_only_values_of_ours_were_edited() -> None:
    host = Host(None)
    host.merge({"icc": False, "mtu": 1400})
    assert host.text is not None
    host.text = host.text.replace("1400", "1300")
    assert host.merge({"icc": False, "mtu": 1400}).changed
    host.merge({})
    assert host.text is None


def test_what_somebody_set_before_us_is_ours_from_then_on() -> None:
    host = Host('{"mtu": 1500}')
    host.merge({"mtu": 1400})
    host.text = '{"mtu": 1300}'
    plan = host.merge({"mtu": 1300})
    assert not plan.changed
    assert [(entry.before, entry.set) for entry in host.ledger.keys] == [
        ({"value": 1500, "text": "1500"}, 1300)
    ]
    assert not host.merge({"mtu": 1300}).entries
    host.merge({})
    assert host.document == {"mtu": 1500}


def test_a_file_with_keys_of_others_stays() -> None:
    host = Host(None)
    host.merge({"icc": False})
    assert host.text is not None
    host.text = host.text.replace("{", '{ "debug": true,')
    host.merge({})
    assert host.document == {"debug": True}


def test_a_key_that_somebody_changed_since_is_drift_and_is_set_again() -> None:
    host = Host('{"icc": true}')
    host.merge({"icc": False})
    host.text = '{"icc": "edited"}'
    plan = host.merge({"icc": False})
    assert [(change.before, change.after, change.why) for change in plan.changes] == [
        ("edited", False, "drift")
    ]
    host.merge({})
    assert host.document == {"icc": True}


def test_an_edited_key_is_left_as_it_is_on_release() -> None:
    host = Host("{}")
    host.merge({"mtu": 1400})
    host.text = '{"mtu": 9000}'
    plan = host.merge({})
    assert not plan.changed
    assert plan.kept == (("mtu",),)
    assert host.document == {"mtu": 9000}
    assert host.ledger == Ledger()


def test_a_value_that_is_there_anyway_is_not_taken_over() -> None:
    host = Host('{"icc": false}')
    assert not host.merge({"icc": False}).changed
    host.merge({})
    assert host.document == {"icc": False}


def test_a_value_being_changed_is_ours_before_and_after_the_write() -> None:
    host = Host("{}")
    host.merge({"mtu": 1400})
    interrupted = decide(
        host.read(), WantedKeys.from_options({"mtu": 1300}, ()), owner=OWNER, format_name="json"
    )
    host.ledger = host.ledger.with_keys(interrupted.entries)  # the ledger was written, the file was not
    host.merge({})
    assert host.document == {}


def test_two_owners_of_a_key_are_an_error_that_names_both() -> None:
    host = Host("{}")
    host.merge({"icc": False})
    with pytest.raises(MergeError, match="icc: other and docker_engine want different values"):
        host.merge({"icc": True}, owner=Owner("other", "other", "1"))
    assert host.merge({"icc": False}, owner=Owner("other", "other", "1")).changed is False


def test_a_path_through_another_value_is_refused() -> None:
    with pytest.raises(MergeError, match="log-opts: an object has to stand here"):
        Host('{"log-opts": "max-size=1m"}').merge({"log-opts": {"max-size": "10m"}})


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(MergeError, match="known are: json, keyfile, lines, toml, yaml"):
        decide(Host("").read(), WantedKeys({}), owner=OWNER, format_name="xml")


SIZE = {"key": ["log-opts", "max-size"], "value": "10m", "stronger": "smaller_size"}
SECCOMP = {"key": ["seccomp-profile"], "value": "builtin", "weak": ["unconfined"]}


@pytest.mark.parametrize(
    ("document", "floor", "expected"),
    [
        ({}, SIZE, "10m"),
        ({"log-opts": {"max-size": "1m"}}, SIZE, "1m"),
        ({"log-opts": {"max-size": "512k"}}, SIZE, "512k"),
        ({"log-opts": {"max-size": "1g"}}, SIZE, "10m"),
        ({"log-opts": {"max-size": "-1"}}, SIZE, "10m"),
        ({"log-opts": {"max-size": 5}}, SIZE, 5),
    ],
)
def test_a_floor_never_loosens(document: Any, floor: Any, expected: Any) -> None:
    host = Host(json.dumps(document))
    for _run in range(3):
        host.merge({}, [floor])
        assert host.document["log-opts"]["max-size"] == expected
    host.merge({})
    assert host.document == document


@pytest.mark.parametrize(
    ("document", "expected"),
    [({}, ABSENT), ({"seccomp-profile": "/p"}, "/p"), ({"seccomp-profile": "unconfined"}, "builtin")],
)
def test_only_a_weak_value_is_replaced(document: Any, expected: Any) -> None:
    host = Host(json.dumps(document))
    for _run in range(3):
        host.merge({}, [SECCOMP])
        assert host.document.get("seccomp-profile", ABSENT) == expected


def test_a_former_value_of_ours_is_no_stronger_value() -> None:
    host = Host("{}")
    host.merge({"log-opts": {"max-size": "1m"}})
    host.merge({}, [SIZE])
    assert host.document == {"log-opts": {"max-size": "10m"}}


def test_a_named_value_goes_before_a_floor() -> None:
    host = Host("{}")
    host.merge({"log-opts": {"max-size": "1g"}}, [SIZE])
    assert host.document == {"log-opts": {"max-size": "1g"}}


@pytest.mark.parametrize("order", [{}, {"stronger": "bigger"}, {"stronger": "smaller_size", "weak": []}])
def test_a_floor_without_a_known_order_is_refused(order: dict[str, Any]) -> None:
    with pytest.raises(MergeError, match="at_least"):
        WantedKeys.from_options({}, [{"key": ["a"], "value": 1, **order}])


def test_an_entry_s_own_value_is_recognised_by_type() -> None:
    entry = OwnedKey("o", PATH, ("a",), {"absent_from": 1}, True, "", "", "")
    assert entry.made(True)
    assert not entry.made(1)


OTHER = Owner("other", "other", "1")


@pytest.mark.parametrize(
    ("first", "second", "other_key"),
    [
        ({"a": 1}, {"a": {"b": 1}}, "a"),
        ({"a": [1]}, {"a": {"b": 1}}, "a"),
        ({"a": {"b": 1}}, {"a": [1]}, "a.b"),
        ({"a": {}}, {"a": {"b": 1}}, "a"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": 2}}, "a.b.c"),
    ],
)
def test_an_owner_of_a_part_or_of_the_whole_is_an_error_that_names_both(
    first: dict[str, Any], second: dict[str, Any], other_key: str
) -> None:
    host = Host("{}")
    host.merge(first)
    text = host.text
    with pytest.raises(
        MergeError, match=rf"other and docker_engine want different values for {other_key}|an object has"
    ):
        host.merge(second, owner=OTHER)
    assert host.text == text


def test_owners_of_neighbours_do_not_disturb_each_other() -> None:
    host = Host("{}")
    host.merge({"a": {"b": 1}})
    host.merge({"a": {"c": 2}}, owner=OTHER)
    host.merge({})
    assert host.document == {"a": {"c": 2}}
    host.merge({}, owner=OTHER)
    assert host.text == "{}"


def _lists(*elements: Any, mode: str = "additive") -> list[dict[str, Any]]:
    return [{"key": ["dns"], "mode": mode, "elements": list(elements)}]


def test_an_additive_list_keeps_what_others_added_and_gives_back_only_ours() -> None:
    host = Host('{"dns": ["::1"]}')
    host.merge({}, lists=_lists("::1", "::2"))
    assert [entry.set for entry in host.ledger.keys] == ["::2"]
    host.text = '{"dns": ["::1", "::2", "::3"]}'
    assert not host.merge({}, lists=_lists("::1", "::2")).changed
    host.merge({})
    assert host.document == {"dns": ["::1", "::3"]}


def test_an_element_that_somebody_removed_is_drift_and_comes_back() -> None:
    host = Host("{}")
    host.merge({}, lists=_lists("::1", "::2"))
    host.text = '{"dns": ["::1"]}'
    plan = host.merge({}, lists=_lists("::1", "::2"))
    assert [(change.after, change.why, change.element) for change in plan.changes] == [("::2", "drift", True)]
    host.merge({})
    assert host.document == {}


def test_an_authoritative_list_is_set_whole() -> None:
    host = Host('{"dns": ["::1"]}')
    host.merge({}, lists=_lists("::2", mode="authoritative"))
    assert host.document == {"dns": ["::2"]}
    host.merge({})
    assert host.text == '{"dns": ["::1"]}'


def test_a_list_may_change_its_mode() -> None:
    host = Host('{"dns": ["::1"]}')
    host.merge({}, lists=_lists("::2"))
    host.merge({}, lists=_lists("::3", mode="authoritative"))
    assert host.document == {"dns": ["::3"]}
    host.merge({}, lists=_lists("::4"))
    assert host.document == {"dns": ["::1", "::4"]}
    host.merge({})
    assert host.text == '{"dns": ["::1"]}'


def test_a_key_that_two_owners_want_alike_is_the_second_s_once_the_first_lets_go() -> None:
    before = '{"icc": true}'
    host = Host(before)
    host.merge({"icc": False})
    assert not host.merge({"icc": False}, owner=OTHER).changed
    assert [entry.owner for entry in host.ledger.keys] == [OWNER.name]
    host.merge({})
    assert host.text == before
    host.merge({"icc": False}, owner=OTHER)
    assert [(entry.owner, entry.before["value"]) for entry in host.ledger.keys] == [(OTHER.name, True)]
    host.merge({}, owner=OTHER)
    assert host.text == before


def test_two_owners_add_to_one_list_and_none_may_have_it_whole() -> None:
    host = Host("{}")
    host.merge({}, lists=_lists("::1"))
    host.merge({}, lists=_lists("::2"), owner=OTHER)
    with pytest.raises(MergeError, match="dns: other and docker_engine want different values for this key"):
        host.merge({}, lists=_lists("::2", mode="authoritative"), owner=OTHER)
    host.merge({})
    assert host.document == {"dns": ["::2"]}
    host.merge({}, owner=OTHER)
    assert host.text == "{}"


def test_a_list_that_another_owns_whole_takes_no_further_elements() -> None:
    host = Host("{}")
    host.merge({"dns": ["::1"]})
    with pytest.raises(MergeError, match="dns: other and docker_engine"):
        host.merge({}, lists=_lists("::2"), owner=OTHER)
    assert not host.merge({}, lists=_lists("::1"), owner=OTHER).changed


def test_elements_want_a_list() -> None:
    with pytest.raises(MergeError, match="dns: a list has to stand here"):
        Host('{"dns": "::1"}').merge({}, lists=_lists("::2"))


def test_an_unknown_mode_and_a_key_named_twice_are_refused() -> None:
    with pytest.raises(MergeError, match="lists: mode: found 'merge', accepted are: additive, authoritative"):
        WantedKeys.from_options({}, [], _lists(mode="merge"))
    for keys in ({"dns": {"x": 1}}, {"dns": []}):
        with pytest.raises(MergeError, match="lists: dns: it is named twice"):
            WantedKeys.from_options(keys, [], _lists("::1"))
    with pytest.raises(MergeError, match="at_least: dns: lists names it too"):
        WantedKeys.from_options({}, [{"key": ["dns"], "value": 1, "weak": [2]}], _lists("::1"))


def test_the_way_a_value_was_written_comes_back() -> None:
    host = Host('{"mtu": 1.50e3, "log-opts": { }}')
    host.merge({"mtu": 1400, "log-opts": {"max-size": "1m"}})
    host.merge({"mtu": 1300, "log-opts": {"max-file": "3"}})
    host.merge({})
    assert host.text == '{"mtu": 1.50e3, "log-opts": { }}'


def test_a_file_that_was_being_written_when_the_power_went_is_still_ours() -> None:
    host = Host(None)
    host.merge({"icc": False})
    facts = host.ledger.files[PATH]
    interrupted = OwnedFile(True, "of another text", next_sha256=facts.sha256)
    host.ledger = Ledger(host.ledger.keys, {PATH: interrupted})
    host.merge({})
    assert host.text is None
