# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyfiles and sets of lines, edited as text."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._keyfile_text import KeyfileText, LinesText
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError

BLANKS = "   "
UNIT = f"""# the admin's
[Unit]
After = network.target{BLANKS}

[Service]
; why it is so
ExecStart =
ExecStart = /usr/bin/dockerd \\
    -H fd://
LimitNOFILE = 1024
"""


def test_lines_change_and_everything_else_stays() -> None:
    text = KeyfileText(UNIT)
    text.set(["Service", "LimitNOFILE"], "2048")
    text.set(["Service", "Restart"], "always")
    text.set(["Service", "ExecStart"], ["", "/usr/bin/dockerd"])
    text.set(["Unit", "After"], ["a.target", "b.target"])
    text.set(["Install", "WantedBy"], "multi-user.target")
    assert (
        text.text
        == f"""# the admin's
[Unit]
After = a.target{BLANKS}
After = b.target

[Service]
; why it is so
ExecStart =
ExecStart = /usr/bin/dockerd
LimitNOFILE = 2048
Restart = always

[Install]
WantedBy = multi-user.target
"""
    )


def test_a_value_that_is_continued_stays_as_it_is_written() -> None:
    text = KeyfileText(UNIT)
    text.set(["Service", "ExecStart"], ["x", "/usr/bin/dockerd      -H fd://"])
    assert "ExecStart =x\nExecStart = /usr/bin/dockerd \\\n    -H fd://\n" in text.text


def test_a_new_drop_in() -> None:
    text = KeyfileText.new()
    text.set(["Service", "ExecStart"], ["", "/usr/bin/dockerd"])
    text.set(["Unit", "After"], "x")
    assert text.text == "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd\n\n[Unit]\nAfter=x\n"
    text.remove(["Service", "ExecStart"])
    text.remove(["Service"])
    text.remove(["Unit", "After"])
    text.remove(["Unit"])
    assert text.value == {}


@pytest.mark.parametrize("before", ["", "a=1", "a=1\n", "[S]", "[S]\nx=y\n\n", "\n", "# c", "a=1\r\n[S]\r\n"])
def test_what_came_goes_again_to_the_byte(before: str) -> None:
    text = KeyfileText(before)
    for path in (["S", "new"], ["T", "new"], ["top"]):
        text.set(path, ["1", "2"])
    assert ("\r\n" in text.text) == ("\r\n" in before)
    text.remove(["top"])
    text.remove(["S", "new"])
    text.remove(["T", "new"])
    text.remove(["T"])
    if "[S]" not in before:
        text.remove(["S"])
    assert text.text == before


def test_the_elements_of_a_repeated_key() -> None:
    text = KeyfileText("[N]\ndns=1\n# between\ndns=2\n")
    text.add_element(["N", "dns"], "3")
    assert text.text == "[N]\ndns=1\n# between\ndns=2\ndns=3\n"
    text.remove_element(["N", "dns"], 0)
    assert text.text == "[N]\n# between\ndns=2\ndns=3\n"
    text.remove_element(["N", "dns"], 0)
    text.remove_element(["N", "dns"], 0)
    assert text.text == "[N]\n# between\n"
    text.add_element(["N", "dns"], "4")
    assert text.text == "[N]\ndns=4\n# between\n"


@pytest.mark.parametrize(
    ("key", "value", "expected"), [("a/b", 5, "5"), ("a/b", ["x"], "x"), ("a/b", ["x", 1], ["x", "1"])]
)
def test_a_value_becomes_what_a_keyfile_holds(key: str, value: Any, expected: Any) -> None:
    assert KeyfileText.normalised(key.split("/"), value) == expected


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("a/b", True, "true and false in quotes"),
        ("a/b", None, "accepted is a text"),
        ("a/b", [], "no way to write an empty list"),
        ("a/b", "x\n[evil]", "line break"),
        ("a/b", " x", "white space at its ends"),
        ("a/b", "x\\", "a \\\\ at its end"),
        ("a/b/c", "x", "no deeper"),
        ("a", {}, "no deeper"),
        ("a]/b", "x", "as the name of a section"),
        ("a/b=c", "x", "as the name of a key"),
        ("a/#b", "x", "as the name of a key"),
        ("a/", "x", "as the name of a key"),
    ],
)
def test_what_a_keyfile_cannot_hold_is_refused(key: str, value: Any, reason: str) -> None:
    with pytest.raises(MergeError, match=reason):
        KeyfileText.normalised(key.split("/"), value)


def test_a_text_that_is_no_keyfile_is_refused() -> None:
    with pytest.raises(MergeError, match="it is not a keyfile: line 1"):
        KeyfileText("nonsense")


def test_lines_come_and_go() -> None:
    before = "# rules\n-w /a\n\n  -w /b  "
    text = LinesText(before)
    text.add_element(["lines"], "-w /c")
    assert text.text == before + "\n-w /c"
    text.remove_element(["lines"], 0)
    assert text.value == {"lines": ["-w /b", "-w /c"]}
    text.remove_element(["lines"], 1)
    assert text.text == "# rules\n\n  -w /b  "
    text.remove(["lines"])
    assert text.text == "# rules\n\n"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("rules", ["a"], "one key, lines"),
        ("lines", "a", "one key, lines, with a list"),
        ("lines", ["a", "a"], "there twice"),
        ("lines", ["# a"], "a comment"),
        ("lines", [], "leave the key out"),
        ("lines", [""], "empty"),
        ("lines", ["a\nb"], "line break"),
    ],
)
def test_what_is_no_set_of_lines_is_refused(key: str, value: Any, reason: str) -> None:
    with pytest.raises(MergeError, match=reason):
        LinesText.normalised([key], value)
