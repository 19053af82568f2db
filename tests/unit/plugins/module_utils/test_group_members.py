# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Members come back into their groups, and no group or account of somebody else goes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_plan import Step, plan_restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    FileState,
    HostState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._group_members import (
    GROUP_FILES,
    undo_members,
)

BEFORE = b"root:x:0:\ndocker:x:998:bob,ops\n"
AFTER = b"root:x:0:\ndocker:x:998:ops\n"

# what the run left, what is there now, what was before, what it becomes
CASES: dict[str, tuple[bytes | None, bytes, bytes, bytes]] = {
    "nobody edited it": (AFTER, AFTER, BEFORE, BEFORE),
    "the run changed no member": (BEFORE, BEFORE, BEFORE, BEFORE),
    "a group came since": (
        AFTER,
        AFTER + b"new:x:7:\n",
        BEFORE,
        b"root:x:0:\ndocker:x:998:ops,bob\nnew:x:7:\n",
    ),
    "the run made a group": (AFTER, AFTER, b"root:x:0:\n", AFTER),
    "the group went since": (AFTER, b"root:x:0:\n", BEFORE, b"root:x:0:\n"),
    "a member came since": (AFTER, b"docker:x:998:ops,eve\n", BEFORE, b"docker:x:998:ops,eve,bob\n"),
    "somebody else took a member out since": (BEFORE, AFTER, BEFORE, AFTER),
    "the run was interrupted": (
        None,
        AFTER + b"new:x:7:\n",
        BEFORE,
        b"root:x:0:\ndocker:x:998:ops,bob\nnew:x:7:\n",
    ),
    "without members, and without a last line end": (b"a:!::\n", b"a:!::", b"a:!::bob\n", b"a:!::bob"),
    "lines that are no groups": (b"+\n", b"+\n# x\n", b"+\n", b"+\n# x\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_members(name: str) -> None:
    base, current, target, expected = CASES[name]
    assert undo_members(base, current, target) == expected


@pytest.mark.parametrize("path", GROUP_FILES)
@pytest.mark.parametrize("name", CASES)
def test_a_restore_gives_them_back_and_keeps_the_mode(name: str, path: str) -> None:
    base, current, target, expected = CASES[name]
    contents = {
        hashlib.sha256(text).hexdigest(): text for text in (base, current, target) if text is not None
    }

    def host(content: bytes | None, mode: int) -> Any:
        if content is None:
            return None
        checksum = hashlib.sha256(content).hexdigest()
        return HostState(files={path: FileState("file", checksum, len(content), mode=mode, uid=0, gid=0)})

    step = Step(base=host(base, 0o644), target=host(target, 0o644))
    plan = plan_restore(host(current, 0o640), [step], contents, beside="kept", ledger="/l")
    state = plan.state.files[path]
    assert plan.contents[state.sha256 or ""] == expected
    assert (state.mode, plan.conflicts) == (0o640, [])


@pytest.mark.parametrize("path", GROUP_FILES)
def test_a_member_that_an_interrupted_run_took_out_is_no_edit_of_somebody_else(path: str) -> None:
    states = {
        text: FileState("file", hashlib.sha256(text).hexdigest(), len(text), mode=0o644, uid=0, gid=0)
        for text in (BEFORE, AFTER)
    }
    contents = {state.sha256 or "": text for text, state in states.items()}
    step = Step(base=None, target=HostState(files={path: states[BEFORE]}))
    plan = plan_restore(
        HostState(files={path: states[AFTER]}), [step], contents, beside="kept", ledger="/l", ours=frozenset()
    )
    assert plan.conflicts == []
    assert list(plan.state.files) == [path]
