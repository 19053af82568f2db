# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host of a few files below a directory, and runs of a controller on it, for tests of the transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_commit import commit_checkpoint
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_open import (
    OpenRequest,
    open_checkpoint,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_restore import restore
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import Managed
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_transaction import Transaction
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_lock import Claim, Holder
from unit.fake_system import FakeSystem

LEDGER = "ledger.json"


def holder(run: str = "one", controller: str = "laptop") -> Holder:
    return Holder(run=run, controller=controller, user="ops", pid=4711, process={})


class CheckpointHost:
    """`etc` holds the managed files `a.json`, `b.conf` and `new/c.conf`; `state` is the state directory."""

    def __init__(self, directory: Path) -> None:
        self.etc = directory / "etc"
        self.etc.mkdir()
        self.state = directory / "state"
        self.system = FakeSystem(directory / "root")
        self.system.local("/proc").mkdir(parents=True)
        self.names = ["a.json", "b.conf", "new/c.conf"]
        self.write("a.json", '{\n  "icc": true\n}\n')
        self.write("b.conf", "one\ntwo\nthree\n")

    def path(self, name: str) -> Path:
        return self.state / LEDGER if name == LEDGER else self.etc / name

    def write(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def half(self, name: str, text: str) -> None:
        """What a run writes that does not end: the ledger knows it before it is in the file."""
        written = {"created": False, "sha256": "0" * 64, "next_sha256": sha256(text.encode()).hexdigest()}
        ledger: dict[str, Any] = {"schema_version": "1.1", "files": {}, "keys": []}
        if self.path(LEDGER).exists():
            ledger = json.loads(self.path(LEDGER).read_text(encoding="utf-8"))
        ledger["files"][str(self.path(name))] = written
        self.write(LEDGER, json.dumps(ledger))
        self.write(name, text)

    def managed(self, **more: Any) -> Managed:
        files = tuple(str(self.path(name)) for name in self.names)
        return replace(Managed(files=files), **more)

    def transaction(self, run: str = "one", **claim: Any) -> Transaction:
        controller = claim.pop("controller", "laptop")
        return Transaction(self.system, str(self.state), holder(run, controller), Claim(**claim))

    def open(self, run: str = "one", *, interrupted: str = "restore", **claim: Any) -> dict[str, Any]:
        request = OpenRequest(self.managed(), interrupted=interrupted)
        return open_checkpoint(self.transaction(run, **claim), request)

    def commit(self, run: str = "one", **options: Any) -> dict[str, Any]:
        return commit_checkpoint(self.transaction(run), None, **options)

    def restore(
        self,
        name: str,
        run: str = "one",
        *,
        controller: str = "laptop",
        gone: Sequence[str] = (),
        **options: Any,
    ) -> dict[str, Any]:
        return restore(self.transaction(run, controller=controller, gone=gone), name, **options)

    def content(self) -> dict[str, tuple[int, bytes]]:
        """Mode and content of every file below `etc`."""
        return {
            str(path.relative_to(self.etc)): (
                path.stat().st_mode,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(self.etc.rglob("*"))
        }

    def run(self, changes: dict[str, str], run: str = "one") -> str:
        """A whole run that writes files and commits; the id of its checkpoint."""
        identifier: str = self.open(run)["id"]
        for name, text in changes.items():
            self.write(name, text)
        self.commit(run)
        return identifier
