# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts that an operator names: of this host, not root, each once."""

from __future__ import annotations

import pwd
from collections.abc import Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, System

__all__ = ["AccountError", "named_accounts"]


class AccountError(BulkheadError):
    """A name cannot be meant; the text tells of all of them, and that nothing was changed."""


def named_accounts(system: System, names: Sequence[str], variable: str) -> list[pwd.struct_passwd]:
    """The accounts in their order.

    :param variable: of the role, for the message
    :raises AccountError: a name that nobody has, one twice, and root
    """
    accounts: list[pwd.struct_passwd] = []
    problems: list[str] = []
    for name in names:
        try:
            account = system.account_named(name)
        except NotThere:
            problems.append(f"{printable(name)}, which this host does not know")
            continue
        if account.pw_uid == 0:
            problems.append(f"{printable(name)}, which has uid 0")
        elif account in accounts:
            problems.append(f"{printable(name)} more than once")
        accounts.append(account)
    if problems:
        raise AccountError(
            f"{variable}: found {'; '.join(problems)}. Accepted are accounts of this host (getent passwd "
            "NAME) that are not root, each once. Nothing was changed."
        )
    return accounts
