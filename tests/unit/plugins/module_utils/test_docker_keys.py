# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of daemon.json keys and the checks that follow from it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import (
    DOCKER_KEYS,
    check_key,
    key_of_flag,
    known_keys,
    nearest_key,
    parse_version,
)


@pytest.mark.parametrize(
    ("text", "expected"), [("26.1.5+dfsg1", (26, 1, 5)), ("20.10.24", (20, 10, 24)), ("29", (29,))]
)
def test_only_the_leading_numbers_of_a_version_count(text: str, expected: tuple[int, ...]) -> None:
    assert parse_version(text) == expected


def test_a_text_without_a_number_is_no_version() -> None:
    with pytest.raises(ValueError, match="not a version"):
        parse_version("dev")


def test_every_default_is_accepted_by_its_own_row() -> None:
    for row in DOCKER_KEYS.values():
        if row.default is not None:
            assert check_key(row.name, row.default, None) is None, row.name


def test_known_keys_follow_the_version() -> None:
    old, new = known_keys("20.10.24"), known_keys("29.7.2")
    assert "min-api-version" not in old
    assert "min-api-version" in new
    assert "oom-score-adjust" in old
    assert "oom-score-adjust" not in new
    assert {"icc", "live-restore", "userns-remap"} <= set(old) & set(new)


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("live_restore", "live-restore"),
        ("no-new-privilege", "no-new-privileges"),
        ("log-opt", "log-opts"),
        ("x", None),
    ],
)
def test_a_misspelled_key_finds_the_nearest(typo: str, near: str | None) -> None:
    assert nearest_key(typo) == near


@pytest.mark.parametrize(
    ("flag", "key"),
    [
        ("--host", "hosts"),
        ("-H", "hosts"),
        ("--log-opt", "log-opts"),
        ("--add-runtime", "runtimes"),
        ("--icc", "icc"),
        ("--live-restore", "live-restore"),
        ("-D", "debug"),
        ("--config-file", None),
        ("-z", None),
    ],
)
def test_a_flag_names_its_key(flag: str, key: str | None) -> None:
    assert key_of_flag(flag) == key


@pytest.mark.parametrize(
    ("name", "value", "version", "expected"),
    [
        ("live-restore", True, "20.10.24", None),
        ("log-opts", {"max-size": "10m", "max-file": "3"}, "26.1.5", None),
        ("default-ulimits", {"nofile": {"Name": "nofile", "Hard": 10, "Soft": 5}}, "26.1.5", None),
        ("ip", "127.0.0.1", "26.1.5", None),
        ("default-shm-size", "64M", "26.1.5", None),
        ("live_restore", True, "26.1.5", "daemon.json has no such key; did you mean live-restore?"),
        ("zzzzzz", True, "26.1.5", "zzzzzz: daemon.json has no such key."),
        (
            "min-api-version",
            "1.44",
            "26.1.5",
            "Docker Engine 29.0 brings this key, the installed",
        ),
        ("graph", "/x", "26.1.5", "Docker Engine 24.0 removed this key, the installed engine is 26.1.5."),
        ("live-restore", "yes", "26.1.5", "found a text ('yes'), accepted is true or false."),
        ("live-restore", None, "26.1.5", "found nothing, accepted is true or false."),
        ("mtu", True, "26.1.5", "found a boolean (True), accepted is a whole number."),
        ("log-opts", {"max-file": 3}, "26.1.5", "found an object, accepted is an object of texts"),
        ("log-level", "loud", "26.1.5", "accepted is one of: panic, fatal"),
        ("ip", "localhost", "26.1.5", "accepted is an IP address"),
        ("default-ulimits", {"nofile": {"Hard": 10}}, "26.1.5", "found an object"),
        ("default-shm-size", "lots", "26.1.5", "accepted is a size"),
    ],
)
def test_a_value_is_checked(name: str, value: Any, version: str, expected: str | None) -> None:
    problem = check_key(name, value, version)
    assert (problem is None) if expected is None else (expected in str(problem))


def test_a_subclass_is_named_by_what_it_is() -> None:
    class Tagged(str):
        """As Ansible tags the texts of a playbook."""

    assert "found a text ('yes')" in str(check_key("live-restore", Tagged("yes"), "26.1.5"))


def test_a_secret_is_never_quoted() -> None:
    problem = check_key("http-proxy", ["http://user:hunter2@proxy"], "26.1.5")
    assert problem is not None
    assert "hunter2" not in problem
