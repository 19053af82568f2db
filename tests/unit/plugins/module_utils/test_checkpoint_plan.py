# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore plans for what was never there."""

from __future__ import annotations

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_plan import Step, plan_restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import ABSENT, HostState


def test_what_was_never_there_stays_away() -> None:
    nothing = HostState(attributes={"/etc/sysconfig/docker": ABSENT})
    plan = plan_restore(nothing, [Step(nothing, nothing)], {}, beside="admin-1", ledger="/ledger.json")
    assert plan.state.attributes == {"/etc/sysconfig/docker": ABSENT}
    assert not plan.restored
