# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the table of effects in docs/disruption.md from the code: ``python -m effects_table``."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    MOVES_DATA,
    UNIT_KEY,
    activation_of,
    reach_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS

__all__ = ["PAGE", "MARKS", "table", "with_table"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "disruption.md"
MARKS = ("<!-- effects: python -m effects_table -->\n", "<!-- end of effects -->\n")
# The newest engine that the facts of the table were read at.
_VERSION = "29.7.2"

_CLASSES = {
    ("reload", "engine"): "`reload`: read by a reload; no container is touched",
    ("reload", "created"): "`reload`, and only containers created afterwards get it",
    ("restart", "engine"): "`restart`: read by a restart; containers run on where live-restore holds",
    ("restart", "created"): "`new_containers`: a restart, and only containers created afterwards get it",
    ("restart", "started"): "`new_containers`: a restart, and containers get it at their next start",
    ("restart", "networks"): "`restart`, and only networks created afterwards get it",
    ("without_containers", "engine"): "`without_containers`: at a start while no container runs",
    ("move_data", "engine"): "`move_data`: images, volumes and containers stay behind in another place",
}
# Depends on the host, not on the key.
_IMPOSSIBLE = (
    "| `impossible`: a rule forbids it here, and it is not written | keys of a profile that the engine "
    "does not know, refuses in a swarm, does not take with its logging driver, or does not start with on "
    "this kernel |"
)


def table() -> str:
    """A row per class, with every key of daemon.json in one of them."""
    members: dict[tuple[str, str], list[str]] = {}
    for name in [*DOCKER_KEYS, UNIT_KEY]:
        members.setdefault((activation_of(name, _VERSION), reach_of(name)), []).append(name)
    members["move_data", "engine"] += [name for name in MOVES_DATA if "." in name]
    rows = [
        f"| {text} | {', '.join(f'`{name}`' for name in sorted(members.pop(kind)))} |"
        for kind, text in _CLASSES.items()
    ]
    if members:
        raise ValueError(f"no row for {sorted(members)}")
    return "\n".join(["| effect | keys |", "| --- | --- |", *rows, _IMPOSSIBLE]) + "\n"


def with_table(page: str) -> str:
    """The page with the table between its marks."""
    before, _begin, rest = page.partition(MARKS[0])
    _old, _end, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}{table()}{MARKS[1]}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
