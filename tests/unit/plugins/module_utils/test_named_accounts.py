# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts by their names: every problem in one answer, and nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import (
    AccountError,
    named_accounts,
)
from unit.fake_system import FakeSystem


def test_the_accounts_come_in_their_order(tmp_path: Path) -> None:
    host = FakeSystem(tmp_path)
    host.add_account("amber", 1001)
    host.add_account("basil", 1000)
    assert [account.pw_uid for account in named_accounts(host, ["amber", "basil"], "users")] == [1001, 1000]


def test_every_name_that_cannot_be_meant_is_told(tmp_path: Path) -> None:
    host = FakeSystem(tmp_path)
    host.add_account("amber", 1001)
    host.add_account("toor", 0)
    with pytest.raises(AccountError) as caught:
        named_accounts(host, ["amber", "basil", "amber", "toor"], "rootless_users_names")
    assert str(caught.value) == (
        "rootless_users_names: found basil, which this host does not know; amber more than once; toor, which "
        "has uid 0. Accepted are accounts of this host (getent passwd NAME) that are not root, each once. "
        "Nothing was changed."
    )
