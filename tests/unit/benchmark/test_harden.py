# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the benchmark of harden counts and compares with."""

from __future__ import annotations

import json

from benchmark.harden import Run, count_calls, pings


def test_each_module_is_counted_once() -> None:
    lines = [
        "Invoked with state=open managed={'files': []}",
        "Invoked with gather=['host', 'docker'] note=Invoked with care",
        "Accepted publickey for root",
        "",
    ]
    assert count_calls(lines) == 2


def test_as_many_pings_as_calls() -> None:
    (play,) = json.loads(pings(4))
    assert play["tasks"] == [{"ansible.builtin.ping": {}}] * 4
    assert play["gather_facts"] is False


def test_a_run_names_the_tasks_that_changed_something() -> None:
    tasks = [{"task": "Write", "changed": True}, {"task": "Verify", "changed": False}]
    assert Run(1.0, tasks, 2).changed == ["Write"]
