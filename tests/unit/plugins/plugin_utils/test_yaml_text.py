# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""YAML edited as text: layout and comments stay, and what is not safe to change is refused."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._yaml_text import YamlText

FALCO = """# Falco's configuration
rules_files:
  - /etc/falco/falco_rules.yaml # the package's
  # ours would come here
  - /etc/falco/rules.d

engine:
  kind: modern_ebpf   # or kmod
  modern_ebpf: {cpus_for_each_buffer: 2, more: yes}
json_output: false
empty:
text: |
  kept
    as it is

# the end
"""


def test_keys_come_where_they_belong() -> None:
    text = YamlText(FALCO)
    text.set(["json_output"], True)
    text.set(["engine", "kind"], "kmod")
    text.set(["engine", "modern_ebpf", "drop"], "no")
    text.set(["engine", "new"], {"list": ["a b", 1], "deep": {"x": None}})
    text.set(["empty"], "1")
    text.set(["last"], 0.5)
    text.add_element(["rules_files"], "/etc/falco/more.yaml")
    assert (
        text.text
        == """# Falco's configuration
rules_files:
  - /etc/falco/falco_rules.yaml # the package's
  # ours would come here
  - /etc/falco/rules.d
  - /etc/falco/more.yaml

engine:
  kind: kmod   # or kmod
  modern_ebpf: {cpus_for_each_buffer: 2, more: yes, drop: "no"}
  new:
    list:
      - "a b"
      - 1
    deep:
      x: null
json_output: true
empty: "1"
text: |
  kept
    as it is

last: 0.5
# the end
"""
    )


def test_plain_values_are_of_yaml_1_2() -> None:
    document = YamlText("a: yes\nb: 0o17\nc: 010\nd: 1:20\ne: ~\nf: .inf\ng: 1e3\nh: !x 5\ni: 2026-11-24\n")
    assert document.value == {
        "a": "yes",
        "b": 15,
        "c": 10,
        "d": "1:20",
        "e": None,
        "f": float("inf"),
        "g": 1000.0,
        "h": "5",
        "i": "2026-11-24",
    }


def test_a_value_that_another_key_refers_to_is_not_changed() -> None:
    before = "a: &x 1\nb: *x\n"
    text = YamlText(before)
    with pytest.raises(MergeError, match="a: the way in which it is written"):
        text.set(["a"], 2)
    assert text.text == before
    text.set(["b"], 2)
    assert text.text == "a: &x 1\nb: 2\n"


def test_a_part_of_what_an_alias_stands_for_is_not_changed() -> None:
    before = "a: &x {k: 1, l: 1}\nb: *x\n"
    for path in (["b", "k"], ["a", "k"]):
        text = YamlText(before)
        with pytest.raises(MergeError, match="the way in which it is written|a key has no place"):
            text.set(path, 2)
        assert text.text == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [hunter2", "it is not YAML: line 1"),
        ("hunter2: 1\nhunter2: 2", "stands in it twice, line 2"),
        ("a: 1\n---\nb: 1", "several documents"),
        ("- a", "not a YAML mapping"),
        ("[a]: 1", "line 1: accepted as a key is a single value"),
        ("a: *x", "it is not YAML|refers to nothing"),
        ("a: &x [*x]", "refers to nothing"),
        ("a: \x01", "a character that is not allowed"),
        ("\ufeffa: 1", "byte order mark"),
        ("a: " + "[" * 70 + "]" * 70, "nested deeper than 64"),
        ("a: " + "[" * 30_000, "nested deeper than 64"),
    ],
)
def test_what_is_no_yaml_mapping_is_refused(text: str, reason: str) -> None:
    with pytest.raises(MergeError, match=reason):
        YamlText(text)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(MergeError, match="more than 100000 values"):
        YamlText("\n".join(lines))


def test_an_error_quotes_no_value() -> None:
    with pytest.raises(MergeError) as caught:
        YamlText("password: 'hunter2")
    assert "hunter2" not in str(caught.value)
