# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a file would hold without an owner's keys is what giving them back leaves in it."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import Ledger, same
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_before import given_back
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import Owner
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from hypothesis import given
from unit.plugins.plugin_utils.test_merge import OBJECTS, OWNER, PATH, Host


def _before(host: Host) -> Any:
    return given_back(host.ledger, PATH, host.document, owner=OWNER.name)


@given(OBJECTS, OBJECTS, OBJECTS)
def test_it_is_what_a_release_leaves(document: Any, first: dict[str, Any], second: dict[str, Any]) -> None:
    host = Host(json.dumps(document))
    try:
        host.merge(first)
        host.merge(second)
    except MergeError:
        return
    predicted, owned = _before(host), bool(host.ledger.keys)
    host.merge({})
    assert same(predicted, host.document if owned else None)


def test_what_others_set_or_changed_since_is_left() -> None:
    host = Host("{}")
    host.merge({"icc": False, "log-opts": {"max-size": "1m"}})
    host.merge({"log-opts": {"max-file": "3"}}, owner=Owner("other", "other", "0.1.0"))
    host.text = str(host.text).replace("false", "true")
    assert _before(host) == {"icc": True, "log-opts": {"max-file": "3"}}


def test_without_an_entry_there_is_nothing_to_give_back() -> None:
    assert given_back(Ledger(), PATH, {"icc": False}, owner=OWNER.name) is None
