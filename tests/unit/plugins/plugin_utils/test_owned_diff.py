# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan shows the keys that change, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import (
    CurrentFile,
    FilePlan,
    KeyChange,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._owned_diff import (
    diff_of,
    is_secret,
    secret_texts,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import ABSENT

PATTERNS = ["http-proxy", "proxies", "log-opts.*token*"]


def _diff(*changes: KeyChange, before: str | None = "{}", after: str | None = "{}") -> dict[str, str]:
    plan = FilePlan(CurrentFile("/etc/docker/daemon.json", before, "x"), after, changes=changes)
    return diff_of(plan, PATTERNS)


def test_keys_are_shown_before_and_after() -> None:
    shown = _diff(
        KeyChange(("mtu",), 1500, 1400, "set"),
        KeyChange(("icc",), ABSENT, False, "set"),
        KeyChange(("log-opts", "max-size"), "5g", "10m", "drift"),
        KeyChange(("debug",), True, ABSENT, "released"),
    )
    assert shown["before"] == 'debug: true\nlog-opts.max-size: "5g"\nmtu: 1500\n'
    assert shown["after"] == 'icc: false\nlog-opts.max-size: "10m"  (changed by somebody since)\nmtu: 1400\n'


def test_a_file_that_comes_or_goes_says_so() -> None:
    assert _diff(before=None)["before_header"].endswith("(does not exist)")
    assert _diff(after=None)["after_header"].endswith("(does not exist)")


def test_a_secret_shows_as_changed_only() -> None:
    shown = _diff(
        KeyChange(("http-proxy",), "http://u:hunter2@a", "http://u:hunter3@a", "set"),
        KeyChange(("log-opts", "splunk-token"), ABSENT, "hunter4", "set"),
        KeyChange(("proxies", "https-proxy"), "hunter5", ABSENT, "released"),
    )
    assert "hunter" not in str(shown)
    assert "http-proxy: (secret, changed)" in shown["after"]


@pytest.mark.parametrize(
    ("key", "secret"),
    [(("proxies", "no-proxy"), True), (("log-opts", "max-size"), False), (("userland-proxy",), False)],
)
def test_a_pattern_covers_a_key_and_what_is_below(key: tuple[str, ...], secret: bool) -> None:
    assert is_secret(key, PATTERNS) is secret


def test_every_secret_text_of_a_document_is_found() -> None:
    document: dict[str, Any] = {
        "http-proxy": ["http://one", {"x": "http://two"}],
        "log-opts": {"max-size": "10m", "my-token": "three-three"},
        "mtu": 1,
    }
    assert secret_texts(document, PATTERNS) == {"three-three", "http://one", "http://two"}
