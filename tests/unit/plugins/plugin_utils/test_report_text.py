# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strings of hosts are shown so that nothing unseen is left in them, and in the width that there is."""

from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import (
    NAME_LIMIT,
    columns,
    fit,
    moment,
    shown,
    visible,
)
from hypothesis import given
from hypothesis import strategies as st

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_nothing_unseen_is_left(text: str) -> None:
    assert not {unicodedata.category(character) for character in visible(text)} & UNSEEN


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=NAME_LIMIT))
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[2J\x07", "\\u001b[2J\\u0007"),
        ("invoice\u202egpj.exe", "invoice\\u202egpj.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("\x9b31m", "\\u009b31m"),
    ],
)
def test_the_unseen_is_written_out(text: str, written: str) -> None:
    assert visible(text) == written


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("a" * 5000, limit=10) == "aaaaaaaaaa… (5000 characters)"


@given(ANY_TEXT, st.integers(min_value=1, max_value=120))
def test_fit_takes_exactly_the_width(text: str, width: int) -> None:
    assert columns(fit(text, width)) == width


def test_fit_counts_wide_and_combining_characters() -> None:
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("e\u0301", 3) == "e\u0301  "


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (0, "0"),
        ("", '""'),
        ([], "[]"),
        (["a", 1], '["a", 1]'),
        ({"unreadable": "permission denied"}, "could not be read: permission denied"),
        ({"not_applicable": "gVisor"}, "not applicable: gVisor"),
        ({"unreadable": "x", "other": 1}, '{"unreadable": "x", "other": 1}'),
    ],
)
def test_values_are_shown_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_time_is_written_for_people_and_anything_else_as_it_is() -> None:
    assert moment("2026-11-03T05:07:09Z") == "3 November 2026, 05:07 UTC"
    assert moment("yesterday\n") == "yesterday\\n"
    assert moment(None) == "None"
