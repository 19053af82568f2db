# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An answer that logs may show."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, seal, unseal
from hypothesis import given
from hypothesis import strategies as st

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES)
def test_what_was_sealed_comes_back(value: Any) -> None:
    key = new_key()
    assert unseal(seal(value, key), key) == value


def test_the_text_is_not_in_it_and_no_two_answers_share_a_key() -> None:
    sealed = seal(["hunter2-planted"] * 3, new_key())
    assert b"hunter2" not in base64.b64decode(sealed)
    assert sealed != seal(["hunter2-planted"] * 3, new_key())


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(ValueError):
        unseal(seal({"a": "a long enough text"}, new_key()), new_key())
