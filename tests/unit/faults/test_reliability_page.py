# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/reliability.md tells of every fault what came of it, by `python -m faults --write`."""

from __future__ import annotations

import re

from faults.__main__ import MARKS, PAGE, named_faults

ROW = re.compile(r"^\| ([a-z][^|]*?) \| ([^|]*) \| (\d+) \| (\d+) \|$", re.M)


def counted() -> dict[str, tuple[str, int, int]]:
    """Fault -> machines, tried, survived."""
    part = PAGE.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    rows = ROW.findall(part)
    return {
        fault: (machines, int(tried), int(survived))
        for fault, machines, tried, survived in rows
        if tried.isdigit()
    }


def test_every_fault_is_counted_on_both_machines_and_was_survived() -> None:
    rows = counted()
    names = {name.removeprefix("test_").replace("_", " ") for name in named_faults()}
    assert rows.keys() == names | {"killed before a task"}
    for fault, (machines, tried, survived) in rows.items():
        assert machines == "debian-12, debian-13", fault
        assert tried == survived >= 2, fault
