# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host made of a directory and of scripted commands, for tests of what reads through `System`."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, NotThere, System


class FakeSystem(System):
    """`write` puts files under the directory that stands for `/`; `answers` maps an argument list to output.

    An answer is the standard output of a command that succeeds, or a `Completed`. A command that is not
    scripted is not installed. `ran` keeps the argument lists in order.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.directory = root
        self.answers: dict[tuple[str, ...], str | Completed] = {}
        self.ran: list[tuple[str, ...]] = []
        self.time = 1_763_911_200.0  # 2025-11-23T15:20:00Z
        self.accounts: dict[int, pwd.struct_passwd] = {}
        self.groups: dict[str, grp.struct_group] = {}
        self.add_account("root", 0)
        self.add_group("root", 0)

    def write(self, path: str, content: str | bytes = "") -> Path:
        """Write a file, with the directories above it."""
        target = self.local(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        )
        return target

    def let_users_in(self) -> None:
        """Let every user through the tests' own directories, down to the one that stands for `/`."""
        for directory in (self.directory, *self.directory.parents):
            if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
                directory.chmod(directory.stat().st_mode | 0o011)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link (in /proc they dangle: `net:[4026531840]`)."""
        place = self.local(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def local(self, path: str) -> Path:
        return self.directory / path.lstrip("/")

    def add_process(
        self, pid: int, *, comm: str = "sleep", start_ticks: int = 100, **files: str | bytes
    ) -> None:
        """A /proc/PID with `stat`, and further files given by name."""
        numbers = ["0"] * 18 + [str(start_ticks)] + ["0"] * 20
        self.write(f"/proc/{pid}/stat", f"{pid} ({comm}) S {' '.join(numbers)}\n")
        self.write(f"/proc/{pid}/comm", f"{comm}\n")
        for name, content in files.items():
            self.write(f"/proc/{pid}/{name}", content)

    def add_account(self, name: str, uid: int, *, gid: int | None = None, home: str | None = None) -> None:
        fields: Any = (name, "x", uid, uid if gid is None else gid, "", home or f"/home/{name}", "/bin/sh")
        self.accounts[uid] = pwd.struct_passwd(fields)

    def add_group(self, name: str, gid: int, members: Sequence[str] = ()) -> None:
        fields: Any = (name, "x", gid, list(members))
        self.groups[name] = grp.struct_group(fields)

    def now(self) -> float:
        return self.time

    def account_name(self, uid: int) -> str:
        return self.accounts[uid].pw_name if uid in self.accounts else str(uid)

    def group_name(self, gid: int) -> str:
        return next((name for name, group in self.groups.items() if group.gr_gid == gid), str(gid))

    def account(self, uid: int) -> pwd.struct_passwd:
        if uid not in self.accounts:
            raise NotThere(f"user {uid}: no such account")
        return self.accounts[uid]

    def account_named(self, name: str) -> pwd.struct_passwd:
        found = [account for account in self.accounts.values() if account.pw_name == name]
        if not found:
            raise NotThere(f"user {name}: no such account")
        return found[0]

    def group(self, name: str) -> grp.struct_group:
        if name not in self.groups:
            raise NotThere(f"group {name}: no such group")
        return self.groups[name]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 10.0,
        output_limit: int = 4 * 1024 * 1024,
        environment: Mapping[str, str] | None = None,
        uid: int | None = None,
        gid: int | None = None,
        stdin: int | None = None,
    ) -> Completed:
        command = tuple(argv)
        self.ran.append(command)
        if command not in self.answers:
            raise NotThere(f"{command[0]}: No such file or directory")
        answer = self.answers[command]
        if isinstance(answer, Completed):
            return answer
        return Completed(argv=command, returncode=0, stdout=answer, stderr="")
