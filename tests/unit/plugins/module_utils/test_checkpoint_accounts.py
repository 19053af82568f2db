# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of users among what roles declare."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_accounts import with_accounts
from unit.fake_system import FakeSystem


@pytest.fixture
def host(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.add_account("alice", 1000, home="/srv/homes/alice")
    return system


@pytest.mark.parametrize(
    ("declared", "taken"),
    [
        ("/etc/subuid", ["/etc/subuid"]),
        ("~alice/.config/x.conf", ["/srv/homes/alice/.config/x.conf"]),
        ("/etc/x.d/<uid of alice>/y.conf", ["/etc/x.d/1000/y.conf"]),
        ("/etc/~alice/x", ["/etc/~alice/x"]),
        ("~nobody_here/x", []),
        ("/etc/x.d/<uid of nobody_here>/y.conf", []),
    ],
)
def test_a_user_s_file_is_found_on_the_host(host: FakeSystem, declared: str, taken: list[str]) -> None:
    assert with_accounts(host, [{"files": [declared], "units": ["a.service"]}]) == [
        {"files": taken, "units": ["a.service"]}
    ]


def test_what_is_no_list_is_left_for_the_check_of_what_was_declared(host: FakeSystem) -> None:
    assert with_accounts(host, [{"files": "~alice/x"}, {"files": [1]}]) == [
        {"files": "~alice/x"},
        {"files": [1]},
    ]
