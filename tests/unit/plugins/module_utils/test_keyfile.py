# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyfiles are read as systemd reads them, and every place is known."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile import (
    Keyfile,
    KeyfileError,
    line_values,
)

DROP_IN = """# ours
top = 1

[Service]
ExecStart=
ExecStart = /usr/bin/dockerd \\
# a comment between
   -H fd://\t
; another
Environment=

[Unit]
After=a
[Service]
ExecStart=/third\\
"""


def test_sections_repeated_keys_and_continued_lines() -> None:
    assert Keyfile.parse(DROP_IN).value == {
        "top": "1",
        "Service": {"ExecStart": ["", "/usr/bin/dockerd     -H fd://", "/third"], "Environment": ""},
        "Unit": {"After": "a"},
    }


def test_every_value_s_place_is_known() -> None:
    written = [DROP_IN[item.value_start : item.value_end] for item in Keyfile.parse(DROP_IN).assignments]
    continued = "/usr/bin/dockerd \\\n# a comment between\n   -H fd://"
    assert written == ["1", "", continued, "", "a", "/third\\"]


@pytest.mark.parametrize("text", ["", "\n", "# x", "; x\\\n", "\r\n"])
def test_a_text_without_keys_is_empty(text: str) -> None:
    assert Keyfile.parse(text).value == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[Service]\nhunter2\n", "line 2: accepted are key=value"),
        ("=x", "line 1: accepted are key=value"),
        ("[Service\n", "line 1: a heading"),
        ("[]\n", "line 1: a heading"),
        ("a=1\n[a]\n", "a is both a key before the first section and a section"),
    ],
)
def test_what_is_no_keyfile_is_refused_without_quoting_it(text: str, reason: str) -> None:
    with pytest.raises(KeyfileError) as caught:
        Keyfile.parse(text)
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_lines_that_count() -> None:
    assert line_values("# c\n-w /a\n\n  -w /b  \r\n-w /c") == {"lines": ["-w /a", "-w /b", "-w /c"]}
    assert line_values("# c\n") == {}
