# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/reliability.md tells of every fault on which machines it was tried, and that it was survived."""

from __future__ import annotations

import re

from faults.__main__ import MARKS, PAGE, named_faults

ROW = re.compile(r"^\| ([a-z][^|]*?) \| (debian-[^|]*) \| (\d+) \| (\d+) \|$", re.M)


def test_every_fault_is_counted_and_was_survived() -> None:
    part = PAGE.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    rows = ROW.findall(part)
    named = {name.removeprefix("test_").replace("_", " ") for name in named_faults()}
    assert {fault for fault, *_ in rows} == named | {"killed before a task"}
    assert {machine for _fault, machines, *_ in rows for machine in machines.split(", ")} == {
        "debian-12",
        "debian-13",
    }
    for fault, machines, tried, survived in rows:
        assert int(tried) == int(survived) >= len(machines.split(", ")), fault
