# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The expression language: what it computes, what it refuses, and what hostile facts do to it (nothing)."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expressions import (
    ExpressionError,
    FactError,
    NotApplicableFact,
    compile_expression,
)
from hypothesis import given
from hypothesis import strategies as st

UNREADABLE = {"unreadable": "permission denied"}
FACTS: dict[str, Any] = {
    "yes": True,
    "no": False,
    "nothing": None,
    "number": 3,
    "text": "abc",
    "digits": "42",
    "names": ["CAP_CHOWN", "CAP_KILL"],
    "empty": [],
    "mode": "0640",
    "mapping": {"inner": {"leaf": 7}, "icc": {"value": False}, "has-dash": "x"},
    "items": [{"n": 1, "on": True, "deep": {"t": "a"}}, {"n": 5, "on": False, "deep": {"t": "b"}}],
    "unread": UNREADABLE,
    "partly": ["a", UNREADABLE],
    "partly_items": [{"n": 1, "other": UNREADABLE}, {"n": UNREADABLE, "other": 2}],
    "sandboxed": {"not_applicable": "gVisor: /proc shows the sandbox"},
}


def value(source: str) -> Any:
    return compile_expression(source).value(FACTS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("number == 3", True),
        ("number != 3", False),
        ("number < 4 and number >= 3", True),
        ("number > 3 or number <= 2", False),
        ("not yes", False),
        ("nothing == 3", False),
        ("nothing is none", True),
        ("number is not none", True),
        ("mapping.inner.leaf == 7", True),
        ("mapping['has-dash'] == 'x'", True),
        ("mapping['inner'].leaf in [6, 7]", True),
        ("'b' in text", True),
        ("'CAP_KILL' not in names", False),
        ("'inner' in mapping", True),
        ("nothing in ['a', none]", True),
        ("names is subset_of(['CAP_CHOWN', 'CAP_KILL', 'CAP_FOWNER'])", True),
        ("names is subset_of(['CAP_CHOWN'])", False),
        ("empty is subset_of([])", True),
        ("names | difference(['CAP_CHOWN'])", ["CAP_KILL"]),
        ("items | map(attribute='deep.t')", ["a", "b"]),
        ("items | map('n') | list", [1, 5]),
        ("items | selectattr('on') | map(attribute='n')", [1]),
        ("items | rejectattr('on') | map(attribute='n')", [5]),
        ("items | selectattr('n', 'gt', 2) | list | length == 1", True),
        ("items | selectattr('deep.t', 'in', ['b', 'c']) | list | length", 1),
        ("items | map(attribute='on') | any", True),
        ("items | map(attribute='on') | all", False),
        ("names | select('starting_with', 'CAP_K') | list", ["CAP_KILL"]),
        ("names | reject('ending_with', 'KILL') | list", ["CAP_CHOWN"]),
        ("names is containing('CAP_KILL')", True),
        ("digits | int > 41", True),
        ("text | length", 3),
        ("yes is true and no is false", True),
        ("number is equalto(3) and number is lt(4)", True),
    ],
)
def test_value(source: str, expected: Any) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("missing == 1", "missing is not there"),
        ("mapping.typo == 1", "mapping.typo is not there"),
        ("mapping['inner'].typo", "mapping['inner'].typo is not there"),
        ("nothing.key == 1", "nothing.key is not there: it was looked up in null"),
        ("text.upper", "text.upper is not there: it was looked up in a text"),
        ("number == 'three'", "number is a number and is compared with a text"),
        ("yes == 1", "yes is true or false and is compared with a number"),
        ("text < 3", "one is a text"),
        ("nothing > 3", "one is null"),
        ("digits in [42]", "looked for among values of another type"),
        ("number and yes", "number is a number where true or false is needed"),
        ("not names", "names is a list where true or false is needed"),
        ("text | list", "text is a text where a list is needed"),
        ("text | int", "no whole number"),
        ("nothing | length", "null, which has no length"),
        ("names | any", "where true or false is needed"),
        ("mode is mode_within('640')", "four octal digits"),
        ("nothing is mode_within('0640')", "four octal digits"),
        ("text is loopback", "no IP address"),
        ("unread == 1", "unread could not be read: permission denied"),
        ("unread != 1", "could not be read"),
        ("1 != unread", "could not be read"),
        ("not unread", "could not be read"),
        ("no or unread", "could not be read"),
        ("unread is none", "could not be read"),
        ("unread | length == 0", "could not be read"),
        ("unread.key == 1", "could not be read"),
        ("unread is subset_of([])", "could not be read"),
        ("'a' in partly", "could not be read"),
        ("'b' not in partly", "could not be read"),
        ("partly == ['a']", "could not be read"),
        ("partly is subset_of(['a'])", "could not be read"),
        ("partly | difference(['a']) | length == 0", "could not be read"),
        ("partly | select('equalto', 'a') | list | length == 1", "could not be read"),
        ("partly_items | selectattr('n', 'gt', 3) | list | length == 0", "could not be read"),
        ("partly_items | rejectattr('n', 'gt', 3) | list | length == 2", "could not be read"),
        ("items == [unread]", "could not be read"),
    ],
)
def test_unusable_fact_is_an_error(source: str, reason: str) -> None:
    with pytest.raises(FactError) as error:
        value(source)
    assert reason in str(error.value)


@pytest.mark.parametrize("source", ["sandboxed == 1", "sandboxed.effective == []", "not sandboxed"])
def test_fact_that_does_not_apply(source: str) -> None:
    with pytest.raises(NotApplicableFact, match="gVisor"):
        value(source)


def test_verdict_has_to_be_a_boolean() -> None:
    assert compile_expression("number == 3").verdict(FACTS) is True
    for source in ("number", "text", "nothing", "empty", "unread"):
        with pytest.raises(FactError):
            compile_expression(source).verdict(FACTS)


@pytest.mark.parametrize(
    "source",
    [
        "''.__class__.__mro__()",
        "text.upper()",
        "text|attr('__class__')",
        "lipsum()",
        "cycler.__init__.__globals__.os.popen('id')",
        "range(10)",
        "9 ** 9 ** 9",
        "9 * 9",
        "1 + 1",
        "'a' ~ 'b'",
        "-number",
        "yes if no else yes",
        "items[0]",
        "items[0:1]",
        "mapping[text]",
        "{'a': 1}",
        "a == b == c",
        "yes }}{% set x = 1 %}{{ yes",
        "{% for x in items %}x{% endfor %}",
        "{{ yes }}",
        "yes; no",
        "yes, ",
        "items | map('upper') | sort",
        "items | map(attribute=text)",
        "items | selectattr('n', 'odd')",
        "items | selectattr(text)",
        "items | selectattr('n', 'gt')",
        "items | select('gt', 1, 2)",
        "text is sameas(text)",
        "text is defined",
        "text | default('x')",
        "mode is mode_within",
        "mode is mode_within('0644', '0600')",
        "mode is mode_within(limit='0644')",
        "mode is mode_within(*names)",
        "names | list(**mapping)",
        "",
        " ",
        "# comment",
        "x" * 1001,
        "(" * 300 + "yes" + ")" * 300,
        "[" * 300 + "]" * 300,
    ],
)
def test_refused_when_compiled(source: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(source)


def test_python_attributes_are_not_there() -> None:
    for source in (
        "text.__class__",
        "mapping.items",
        "mapping['__class__']",
        "names.append",
        "lipsum",
        "self",
    ):
        with pytest.raises(FactError):
            value(source)


def test_keys_and_texts_of_a_hostile_posture_are_data() -> None:
    facts = json.loads('{"host": {"__class__": "x", "get": 1, "name": "{{ lipsum() }}{% raw %}"}}')
    assert compile_expression("host.__class__ == 'x' and host.get == 1").value(facts) is True
    assert compile_expression("host.name").value(facts) == "{{ lipsum() }}{% raw %}"


def test_settings_are_those_whose_value_is_taken() -> None:
    compiled = compile_expression(
        "docker.running and docker.settings['icc'].value == false or docker.settings['ip'].value in ['x']"
    )
    assert sorted(setting.source for setting in compiled.settings) == [
        "docker.settings['icc']",
        "docker.settings['ip']",
    ]
    assert [setting.source for setting in compile_expression("mapping.icc.value").settings] == ["mapping.icc"]


@given(mode=st.integers(0, 0o7777), limit=st.integers(0, 0o7777))
def test_mode_within_lets_no_bit_through(mode: int, limit: int) -> None:
    within = compile_expression(f"mode is mode_within('{limit:04o}')").value({"mode": f"{mode:04o}"})
    assert within is all(limit & bit for bit in (1 << n for n in range(12)) if mode & bit)


def test_mode_within_is_no_comparison_of_numbers() -> None:
    assert compile_expression("mode is mode_within('0700')").value({"mode": "0640"}) is False


@given(st.ip_addresses())
def test_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    expected = (mapped or address).is_loopback
    assert compile_expression("a is loopback").value({"a": str(address)}) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False)],
)
def test_loopback_examples(address: str, expected: bool) -> None:
    assert compile_expression("a is loopback").value({"a": address}) is expected


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    _json, st.sampled_from(["fact == fact", "'a' in fact", "fact | length > 0", "fact.x is none", "not fact"])
)
def test_any_fact_gives_a_boolean_or_a_fact_error(fact: Any, source: str) -> None:
    with contextlib.suppress(FactError, NotApplicableFact):
        assert isinstance(compile_expression(source).value({"fact": fact}), bool)
