# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host around a Docker engine as something to act on: modes, own files, audit rules, group members."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Sequence
from typing import Callable, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import (
    AuditStatus,
    own_paths,
    parse_status,
    rule_words,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host import (
    DockerHostError,
    Found,
    OwnFile,
    PermissionStep,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import (
    replace_file,
    sync_directory,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_files import (
    as_port_errors,
    open_safely,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import parse_properties
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UNCHANGED,
    UserFileError,
    owner_of_path,
)

__all__ = ["DockerHost"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class DockerHost:
    """Looks through a `System` and acts on the same root."""

    def __init__(self, system: System, root: str = "/") -> None:
        self._system = system
        self._root = root.rstrip("/")

    def found(self, path: str) -> Optional[Found]:
        """Owner and mode of what a path names, None when there is nothing."""
        try:
            facts = self._system.stat(path, follow=False)
        except NotThere:
            return None
        return Found(
            mode=facts.mode,
            owner=self._system.account_name(facts.uid),
            group=self._system.group_name(facts.gid),
            obstacle=self._obstacle(path, facts.type),
        )

    def _obstacle(self, path: str, kind: str) -> Optional[str]:
        if kind == "link":
            return "it is a symbolic link"
        directory = path.rpartition("/")[0] or "/"
        above = self._system.stat(directory)
        sticky = above.mode & stat.S_ISVTX
        if above.uid != 0 or (above.mode & _OTHERS_WRITE and not sticky):
            return f"others than root can write to {directory}"
        return self._obstacle_above(directory if sticky else path)

    def _obstacle_above(self, path: str) -> Optional[str]:
        """Why a path may lead elsewhere when it is followed again."""
        try:
            uid = owner_of_path(f"{self._root}{path}")
        except UserFileError as error:
            return str(error).replace(f" {UNCHANGED}", "")
        return None if uid is None else f"user {uid} can replace a directory on the way to {path}"

    def check_names(self, owner: Optional[str], group: Optional[str]) -> None:
        """Raise `DockerHostError` for an owner or a group that does not exist."""
        if owner is not None:
            _user_id(owner)
        if group is not None:
            _group_id(group)

    def set_permissions(self, step: PermissionStep) -> None:
        """Change owner and mode of the file that was looked at, through a descriptor that follows no link."""
        uid, gid = _user_id(step.after.owner), _group_id(step.after.group)
        with as_port_errors(step.path):
            descriptor = open_safely(f"{self._root}{step.path}", os.O_PATH | os.O_NOFOLLOW)
            try:
                if stat.S_ISLNK(os.fstat(descriptor).st_mode):
                    raise DockerHostError(f"{step.path}: it became a symbolic link. It was left as it is.")
                # The mode first: at no moment does a new owner have a right that the file loses.
                os.chmod(f"/proc/self/fd/{descriptor}", step.after.mode)
                os.chown(f"/proc/self/fd/{descriptor}", uid, gid)
            finally:
                os.close(descriptor)

    def text(self, path: str) -> Optional[str]:
        """The text of one of our own files, None when there is none."""
        try:
            return self._system.read_text(path, follow=False)
        except NotThere:
            return None

    def has_directory_of(self, path: str) -> bool:
        """Whether the directory of a file is there."""
        return self._system.exists(path.rpartition("/")[0])

    def put(self, file: OwnFile, mode: int) -> None:
        """Put a file of our own in its place, or take it away, so that no crash leaves half of it."""
        target = f"{self._root}{file.path}"
        with as_port_errors(file.path):
            if file.text is not None:
                replace_file(target, file.text.encode(), lambda descriptor: os.fchmod(descriptor, mode))
                return
            os.unlink(target)
            sync_directory(target.rpartition("/")[0])

    def members(self, group: str) -> tuple[str, ...]:
        """The accounts on a group's list, without those whose primary group it is."""
        try:
            return tuple(self._system.group(group).gr_mem)
        except NotThere:
            return ()

    def has_primary_group(self, name: str, group: str) -> bool:
        """Whether it is the account's primary group, which no list can take away."""
        try:
            number = self._system.group(group).gr_gid
            passwd = self._system.read_text("/etc/passwd")
        except NotThere:
            return False
        rows = (line.split(":") for line in passwd.splitlines())
        return any(len(row) == 7 and row[0] == name and row[3] == str(number) for row in rows)

    def remove_member(self, name: str, group: str) -> None:
        """Take an account out of a group's list."""
        self._run(["gpasswd", "--delete", name, group])

    def audit_program(self) -> Optional[str]:
        """Path of auditctl, None where it is not installed."""
        return self._system.find_program("auditctl")

    def audit_status(self) -> AuditStatus:
        """Whether the rules are locked, and who records."""
        return parse_status(self._run(["auditctl", "-s"]))

    def audit_rules(self) -> str:
        """All loaded rules."""
        return self._run(["auditctl", "-l"])

    def exists(self, path: str) -> bool:
        """Whether there is anything of that name."""
        return self._system.exists(path)

    def load_rule(self, path: str, *, recursive: bool) -> None:
        """Load a rule."""
        self._run(["auditctl", "-a", *rule_words(path, recursive=recursive)])

    def remove_rule(self, path: str) -> None:
        """Take a rule of ours out of the kernel, whichever of its forms it has."""
        failed = ""
        for recursive in (False, True):
            try:
                self._run(["auditctl", "-d", *rule_words(path, recursive=recursive)])
            except DockerHostError as error:
                failed = str(error)
        if path in own_paths(self.audit_rules()):
            raise DockerHostError(f"the audit rule for {path} could not be taken out: {failed}")

    def needs_daemon_reload(self, unit: str) -> bool:
        """Whether the unit's files are newer than what systemd has loaded."""
        properties = parse_properties(
            self._run(["systemctl", "show", unit, "--property", "NeedDaemonReload"])
        )
        return properties.get("NeedDaemonReload") == "yes"

    def daemon_reload(self) -> None:
        """Let systemd read its units again; no unit is restarted by it."""
        self._run(["systemctl", "daemon-reload"])

    def _run(self, argv: Sequence[str]) -> str:
        try:
            completed = self._system.run(argv, timeout=60)
        except PortError as error:
            raise DockerHostError(f"{' '.join(argv)}: {error}") from error
        if completed.returncode != 0:
            said = completed.stderr.strip() or completed.stdout.strip()
            raise DockerHostError(f"{' '.join(argv)}: exit status {completed.returncode}: {said[-500:]}")
        return completed.stdout


def _user_id(name: str) -> int:
    return _number(name, "user", lambda known: pwd.getpwnam(known).pw_uid)


def _group_id(name: str) -> int:
    return _number(name, "group", lambda known: grp.getgrnam(known).gr_gid)


def _number(name: str, what: str, look_up: Callable[[str], int]) -> int:
    try:
        return look_up(name)
    except KeyError:
        if name.isdigit():
            return int(name)
        raise DockerHostError(
            f"found the {what} {name}, which does not exist; accepted is one that does. Nothing was changed."
        ) from None
