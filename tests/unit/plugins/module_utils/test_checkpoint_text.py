# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run says of a restore: nothing is called proven that was not read again."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_text import restore_text

OUTCOME: dict[str, list[Any]] = {
    "actions": ["/etc/docker/daemon.json: put back"],
    "losses": [],
    "pending": [],
    "conflicts": [],
    "reasons": [],
    "unproven": [],
}


def test_what_was_read_again_is_proven() -> None:
    assert restore_text(OUTCOME) == (
        "The host was restored: /etc/docker/daemon.json: put back. Read again and proven to be as before the "
        "run: files, modes, owners, units and sysctls. Of Docker's containers none ended but those that are "
        "named here."
    )


def test_nothing_to_do_is_said() -> None:
    assert restore_text({**OUTCOME, "actions": []}).startswith("The host was restored: nothing had changed.")


def test_what_is_not_proven_is_not_called_so() -> None:
    text = restore_text({**OUTCOME, "unproven": ["container web ended, and the plan did not say so"]})
    assert "could NOT be proven to be as before: container web ended" in text
    assert "proven to be as before the run" not in text


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"losses": ["container web ends: why"]}, "Containers that ended: container web ends: why."),
        (
            {"pending": [{"key": "icc", "reason": "at the next start without containers"}]},
            "Not as before in the running engine yet: icc (at the next start without containers).",
        ),
        (
            {"conflicts": [{"path": "/a", "reasons": ["the key x"], "kept_beside": "/a.admin-1"}]},
            "Edits of somebody else's: /a (the key x), the edited version is kept in /a.admin-1.",
        ),
        (
            {"conflicts": [{"path": "/a", "reasons": ["a link"], "kept_beside": None}]},
            "Edits of somebody else's: /a (a link), it could not be kept.",
        ),
        ({"reasons": ["db was started again"]}, "The reasons: db was started again."),
    ],
)
def test_every_part_reaches_the_reader(part: dict[str, Any], expected: str) -> None:
    assert expected in restore_text({**OUTCOME, **part})


def test_check_mode_claims_nothing() -> None:
    text = restore_text({**OUTCOME, "losses": ["container web ends: why"]}, check_mode=True)
    assert text == (
        "This would be restored: /etc/docker/daemon.json: put back. "
        "Containers that would end: container web ends: why."
    )
