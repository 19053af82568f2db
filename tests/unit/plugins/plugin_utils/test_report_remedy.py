# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The remedy of a control as YAML: what is copied is read back as what was meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_remedy import merged_yaml, remedy
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="'\"]"), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.text("a \n\r:#'"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _of(variable: str, value: Any) -> dict[str, Any]:
    return {"role": "docker_engine", "variable": variable, "value": value}


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("docker_engine_settings['icc']", False, "docker_engine_settings: {icc: false}"),
        ('docker_engine_settings["icc"]', False, "docker_engine_settings: {icc: false}"),
        (
            "docker_engine_files.docker_socket.mode",
            "0660",
            "docker_engine_files: {docker_socket: {mode: '0660'}}",
        ),
        ("docker_engine_profile", "strict", "docker_engine_profile: strict"),
        ("docker_engine_settings['hosts']", ["fd://"], "docker_engine_settings: {hosts: ['fd://']}"),
    ],
)
def test_one_line_to_copy(variable: str, value: Any, line: str) -> None:
    assert remedy(_of(variable, value)).yaml == line


@given(KEYS, VALUES)
def test_the_line_reads_back_as_what_was_meant(key: str, value: Any) -> None:
    line = remedy(_of(f"docker_engine_settings['{key}']", value)).yaml
    assert line is not None
    assert len(line.splitlines()) == 1
    assert yaml.safe_load(line) == {"docker_engine_settings": {key: value}}


@pytest.mark.parametrize("variable", ["a b: c", "x['open", "{{ 7*7 }}", "x['a'] or true", "x\ny: 1"])
def test_what_is_no_variable_becomes_one_quoted_key(variable: str) -> None:
    line = remedy(_of(variable, 1)).yaml
    assert line is not None
    assert yaml.safe_load(line) == {variable: 1}


def test_without_a_variable_there_is_a_reason() -> None:
    found = remedy({"none": "made elsewhere\x1b"})
    assert (found.yaml, found.reason) == (None, "made elsewhere\\u001b")
    assert remedy(None).reason == "No role remedies this"


def test_all_together_is_one_dictionary_per_variable() -> None:
    shared = ["a"]
    merged = merged_yaml(
        [
            remedy(_of("settings['icc']", False)),
            remedy(_of("settings['hosts']", shared)),
            remedy({"none": "elsewhere"}),
            remedy(_of("settings['dns']", shared)),
            remedy(_of("settings['icc']", True)),
            remedy(_of("profile", "strict")),
        ]
    )
    assert yaml.safe_load(merged) == {
        "settings": {"icc": False, "hosts": ["a"], "dns": ["a"]},
        "profile": "strict",
    }
    assert "&" not in merged
    assert merged_yaml([remedy({"none": "elsewhere"})]) == ""


def test_a_value_and_a_key_below_it_do_not_mix() -> None:
    merged = merged_yaml([remedy(_of("settings", "all")), remedy(_of("settings['icc']", False))])
    assert yaml.safe_load(merged) == {"settings": "all"}
