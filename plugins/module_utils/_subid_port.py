# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host as something to allocate subordinate ids on: its files, accounts, locks, and users' engines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import like, replace_file
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_files import as_port_errors
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import RESTART_UNIT
from ansible_collections.bulkhead.hardening.plugins.module_utils._shadow_locks import shadow_locks
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid import users_in_question
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import (
    Account,
    Host,
    Storage,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_storage import held_maps, storage_of
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    LAST_ID,
    LOGIN_DEFS,
    UNCHANGED,
    SubidError,
    SubidFile,
    local_sources_only,
    parse_directory,
    parse_limits,
    parse_subids,
    subid_source,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import account_environment

__all__ = ["SubidHost", "View"]

NSSWITCH = "/etc/nsswitch.conf"
BASIS = (*FILES.values(), "/etc/passwd", "/etc/group", NSSWITCH, LOGIN_DEFS)
TEXT_LIMIT = 64 * 1024 * 1024
LOOK_UP_SECONDS = 60.0
MIGRATE_SECONDS = 600.0
NEW_FILE_MODE = 0o644


@dataclass(frozen=True)
class View:
    """The host as it was looked at. `basis`: the files' contents before, None for one that is not there."""

    host: Host
    basis: Mapping[str, Optional[bytes]]
    notices: tuple[str, ...] = ()

    def text(self, kind: str) -> str:
        """The text of /etc/subuid or /etc/subgid; empty when there is none."""
        return (self.basis[FILES[kind]] or b"").decode("utf-8", "surrogateescape")


class SubidHost:
    """Looks through a `System` and acts on the same root."""

    def __init__(self, system: System, root: str = "/") -> None:
        self._system = system
        self._root = root.rstrip("/")
        self._storage: dict[tuple[Account, bool], Storage] = {}

    def basis(self) -> dict[str, Optional[bytes]]:
        """The contents of the files that a plan depends on."""
        return {path: self._content(path) for path in BASIS}

    def _content(self, path: str) -> Optional[bytes]:
        # Shadow refuses links to its files (O_NOFOLLOW); the others are links on some systems.
        follow = path not in FILES.values()
        try:
            if not follow and self._system.stat(path, follow=False).type != "file":
                raise SubidError(f"{path}: accepted is a regular file, and no symbolic link. {UNCHANGED}")
            return self._system.read_bytes(path, limit=TEXT_LIMIT, follow=follow)
        except NotThere:
            return None
        except PortError as error:
            raise SubidError(f"{error}. {UNCHANGED}") from error

    def look(self, wanted: Wanted) -> View:
        """Everything that a plan depends on.

        :raises SubidError: a user does not exist, or something could not be read
        """
        basis = self.basis()
        texts = {path: (content or b"").decode("utf-8", "surrogateescape") for path, content in basis.items()}
        source = subid_source(texts[NSSWITCH])
        accounts, real = self._accounts(wanted.users)
        files = {kind: parse_subids(path, texts[path]) for kind, path in FILES.items()}
        if source != "files":
            files = {kind: self._directory(kind, wanted.users) for kind in KINDS}
        host = Host(
            files=files,
            limits={kind: parse_limits(kind, texts[LOGIN_DEFS]) for kind in KINDS},
            accounts=accounts,
            real=real,
            source=source,
        )
        in_question = users_in_question(wanted, host)
        host = replace(
            host,
            storage={
                user: self._storage_of(accounts[user], owners=owners) for user, owners in in_question.items()
            },
            held_maps={
                user: maps
                for user in wanted.users
                for maps in [held_maps(self._system, accounts[user], self._root)]
                if maps is not None
            },
        )
        return View(host, basis, tuple(_notices(texts[NSSWITCH])))

    def _storage_of(self, account: Account, *, owners: bool) -> Storage:
        """What a user's engines keep, looked at once: it may take seconds, during which nobody is to wait."""
        key = (account, owners)
        if key not in self._storage:
            self._storage[key] = storage_of(account, owners=owners, root=self._root)
        return self._storage[key]

    def _accounts(self, users: Sequence[str]) -> tuple[dict[str, Account], dict[str, dict[int, str]]]:
        """The wanted users' records, and who has which real id."""
        listed = _records(self._getent("passwd").stdout, 7)
        named = _records(self._getent("passwd", *users).stdout, 7) if users else []
        accounts = {row[0]: Account(row[0], int(row[2]), int(row[3]), row[5]) for row in named}
        missing = [user for user in users if user not in accounts]
        if missing:
            raise SubidError(
                f"users: found {', '.join(missing)}, which this host does not know; accepted are names of "
                f"accounts that exist (getent passwd NAME). {UNCHANGED}"
            )
        groups = _records(self._getent("group").stdout, 4)
        uids, gids = {}, {}
        for row in reversed(listed + named):
            uids[int(row[2])] = f"user {printable(row[0])}"
            gids[int(row[3])] = f"user {printable(row[0])}, as primary group"
        gids.update({int(row[2]): f"group {printable(row[0])}" for row in reversed(groups)})
        return accounts, {"uid": uids, "gid": gids}

    def _getent(self, database: str, *names: str) -> Completed:
        completed = self._run(["getent", database, *names])
        # 2: one or more of the names were not found (getent(1)).
        if completed.returncode not in (0, 2):
            raise _failed(completed)
        return completed

    def _directory(self, kind: str, users: Iterable[str]) -> SubidFile:
        """What getsubids says of the users; no ranges and a directory that is away look alike there."""
        option = ["-g"] if kind == "gid" else []
        outputs = [self._run(["getsubids", *option, user]) for user in users]
        return parse_directory(kind, [output.stdout for output in outputs if output.returncode == 0])

    def _run(self, argv: Sequence[str]) -> Completed:
        try:
            return self._system.run(argv, timeout=LOOK_UP_SECONDS, output_limit=TEXT_LIMIT)
        except PortError as error:
            raise SubidError(f"{' '.join(argv)}: {error}. {UNCHANGED}") from error

    def locks(self, seconds: float) -> AbstractContextManager[None]:
        """The locks of shadow's programs."""
        return shadow_locks(tuple(FILES.values()), seconds=seconds, root=self._root)

    def write(self, kind: str, text: str) -> None:
        """Put a file in its place as a whole, with the owner, mode and attributes of the one before."""
        target = f"{self._root}{FILES[kind]}"
        with as_port_errors(FILES[kind]):
            give = like(target) if os.path.lexists(target) else _new_file
            replace_file(target, text.encode("utf-8", "surrogateescape"), give)

    def has_podman(self) -> bool:
        """Whether Podman is installed."""
        return self._system.find_program("podman") is not None

    def migrate(self, account: Account) -> Optional[str]:
        """Bring new ranges into force for a user's containers, which stops them; None, or what went wrong."""
        environment = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
        runtime = f"/run/user/{account.uid}"
        argv = ["podman", "system", "migrate"]
        try:
            if self._system.exists(runtime):
                environment["XDG_RUNTIME_DIR"] = runtime
            completed = self._system.run(
                argv, timeout=MIGRATE_SECONDS, environment=environment, uid=account.uid, gid=account.gid
            )
        except PortError as error:
            return printable(str(error))
        return None if completed.returncode == 0 else str(_failed(completed))

    def start_containers(self, account: Account) -> Optional[str]:
        """Start what a migration stopped and Podman's own unit starts at boot; None, or what went wrong.

        Only where the user's manager runs and the unit is enabled. Once it ran it stays active
        (RemainAfterExit=), so that a start would do nothing.
        """
        runtime = f"/run/user/{account.uid}"
        try:
            if not self._system.exists(f"{runtime}/bus"):
                return None
            if self._systemctl(account, "is-enabled").stdout.strip() != "enabled":
                return None
            completed = self._systemctl(account, "restart")
        except PortError as error:
            return printable(str(error))
        return None if completed.returncode == 0 else str(_failed(completed))

    def _systemctl(self, account: Account, verb: str) -> Completed:
        """Asks the user's own manager about `RESTART_UNIT`, as the user."""
        return self._system.run(
            ["systemctl", "--user", verb, RESTART_UNIT],
            timeout=MIGRATE_SECONDS,
            environment=account_environment(self._system.account_named(account.name)),
            uid=account.uid,
            gid=account.gid,
        )


def _new_file(descriptor: int) -> None:
    os.fchmod(descriptor, NEW_FILE_MODE)


def _records(text: str, fields: int) -> list[list[str]]:
    """The rows of passwd(5) or group(5) whose ids are ids."""
    rows = [line.split(":") for line in text.split("\n")]
    numbers = (2, 3) if fields == 7 else (2,)
    return [
        row
        for row in rows
        if len(row) == fields
        and all(row[place].isascii() and row[place].isdigit() and len(row[place]) <= 10 for place in numbers)
        and int(row[2]) <= LAST_ID + 1
    ]


def _failed(completed: Completed) -> SubidError:
    said = printable(completed.stderr.strip() or completed.stdout.strip(), limit=500)
    return SubidError(f"{' '.join(completed.argv)}: exit status {completed.returncode}: {said}")


def _notices(nsswitch: str) -> list[str]:
    return [
        f"{NSSWITCH}: {database} also comes from a directory, whose ids may not all be listed. Give the ids "
        "that it uses in reserved."
        for database in ("passwd", "group")
        if not local_sources_only(nsswitch, database)
    ]
