# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The port through which the collection looks at a host: files, processes, commands, accounts.

Everything that is looked at may be hostile (a container, a user, a file system that never answers), so that
every operation is bounded in time and size, and no path is ever followed through /proc/PID/root and its kin.
The time limits use SIGALRM: a `System` belongs to the main thread.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._port_commands import (
    CLEAN_ENVIRONMENT,
    COMMAND_SECONDS,
    OUTPUT_LIMIT,
    Completed,
    run_command,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import (
    NotThere,
    PortError,
    TimeLimitExceeded,
    time_limit,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_files import (
    FileFacts,
    as_port_errors,
    file_facts,
    list_names,
    open_safely,
    read_bounded,
    refuse_foreign_root,
)

__all__ = [
    "CLEAN_ENVIRONMENT",
    "Completed",
    "FileFacts",
    "NotThere",
    "PortError",
    "ProcessHandle",
    "System",
    "TimeLimitExceeded",
    "parse_start_ticks",
    "time_limit",
]

TEXT_LIMIT = 1024 * 1024
ENTRY_LIMIT = 100_000
READ_SECONDS = 2.0


def parse_start_ticks(stat_line: str) -> int:
    """The start time, in clock ticks since boot, in the text of /proc/PID/stat (proc_pid_stat(5), field 22).

    The command name may hold spaces and parentheses, so that fields are counted behind the last parenthesis.
    """
    fields = stat_line.rpartition(")")[2].split()
    if len(fields) < 20 or not fields[19].isdigit():
        raise PortError("/proc/PID/stat: no start time in it")
    return int(fields[19])


def _with_clear_home(account: pwd.struct_passwd) -> pwd.struct_passwd:
    """The record with a home that paths are built from: passwd(5) may have it with a slash at its end."""
    name, password, uid, gid, gecos, home, shell = account
    return pwd.struct_passwd((name, password, uid, gid, gecos, home and os.path.normpath(home), shell))


class ProcessHandle:
    """A process held by a descriptor on its /proc directory, so that a reused pid is not believed.

    Leave the `with` block of `System.process` without an error, and everything that was read in it belongs to
    one and the same process.
    """

    def __init__(self, pid: int, directory: int) -> None:
        self.pid = pid
        self._directory = directory
        self.start_ticks = parse_start_ticks(self.read_text("stat"))

    def verify(self) -> None:
        """Raise `NotThere` unless the process is still the one that was opened."""
        if parse_start_ticks(self.read_text("stat")) != self.start_ticks:
            raise NotThere(f"process {self.pid}: it ended, and its number was given to another process")

    def read_text(self, name: str, *, limit: int = TEXT_LIMIT) -> str:
        """The text of /proc/PID/`name`."""
        return self._read(name, limit).decode("utf-8", "surrogateescape")

    def read_bytes(self, name: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """The bytes of /proc/PID/`name` (cmdline separates its words by NUL)."""
        return self._read(name, limit)

    def read_link(self, name: str) -> str:
        """The target text of the link /proc/PID/`name`; the link is not followed."""
        path = f"/proc/{self.pid}/{name}"
        refuse_foreign_root(path.rpartition("/")[0])
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            return os.readlink(name, dir_fd=self._directory)

    def list_directory(self, name: str, *, limit: int = ENTRY_LIMIT) -> list[str]:
        """The sorted names in /proc/PID/`name` (`fd`, `task`)."""
        path = self._path(name)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(
                name, os.O_RDONLY | os.O_DIRECTORY, directory=self._directory, follow=False
            )
            try:
                return list_names(descriptor, path, limit)
            finally:
                os.close(descriptor)

    def _path(self, name: str) -> str:
        path = f"/proc/{self.pid}/{name}"
        refuse_foreign_root(path)
        return path

    def _read(self, name: str, limit: int) -> bytes:
        path = self._path(name)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(name, os.O_RDONLY, directory=self._directory, follow=False)
            try:
                return read_bounded(descriptor, path, limit)
            finally:
                os.close(descriptor)


class System:
    """The host. Tests give another `root` (a directory that stands for `/`) and override `run`."""

    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")

    def read_text(self, path: str, *, limit: int = TEXT_LIMIT, follow: bool = True) -> str:
        """The text of a regular file of at most `limit` bytes (undecodable bytes become surrogates).

        `follow=False` refuses a symbolic link in any part of the path. Raises `PortError`.
        """
        return self.read_bytes(path, limit=limit, follow=follow).decode("utf-8", "surrogateescape")

    def read_bytes(self, path: str, *, limit: int = TEXT_LIMIT, follow: bool = True) -> bytes:
        """The content of a regular file, bounded like `read_text`."""
        refuse_foreign_root(path)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(self._local(path), os.O_RDONLY, follow=follow)
            try:
                return read_bounded(descriptor, path, limit)
            finally:
                os.close(descriptor)

    def list_directory(self, path: str, *, limit: int = ENTRY_LIMIT) -> list[str]:
        """The sorted names in a directory of at most `limit` entries."""
        refuse_foreign_root(path)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(self._local(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                return list_names(descriptor, path, limit)
            finally:
                os.close(descriptor)

    def names_in(self, path: str) -> list[str]:
        """The sorted names in a directory; none where there is no such directory."""
        try:
            return self.list_directory(path)
        except NotThere:
            return []

    def read_link(self, path: str) -> str:
        """The target text of a symbolic link, not followed."""
        refuse_foreign_root(path.rpartition("/")[0])
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            return os.readlink(self._local(path))

    def stat(self, path: str, *, follow: bool = True) -> FileFacts:
        """What stat(2) says of the file, or of a link itself (`follow=False`); raises `NotThere`."""
        refuse_foreign_root(path)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(self._local(path), os.O_PATH | (0 if follow else os.O_NOFOLLOW))
            try:
                return file_facts(os.fstat(descriptor))
            finally:
                os.close(descriptor)

    def extended_attribute(self, path: str, name: str) -> Optional[bytes]:
        """The value of an extended attribute (xattr(7)) of the file; None when it has none of that name.

        Raises `NotThere` for the file's own absence.
        """
        refuse_foreign_root(path)
        with time_limit(READ_SECONDS, path), as_port_errors(path):
            descriptor = open_safely(self._local(path), os.O_PATH)
            try:
                return os.getxattr(f"/proc/self/fd/{descriptor}", name)
            except OSError as error:
                if error.errno in (errno.ENODATA, errno.ENOTSUP):
                    return None
                raise
            finally:
                os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Whether there is a file of that name; another trouble than its absence is raised as `PortError`."""
        try:
            self.stat(path)
        except NotThere:
            return False
        return True

    def pids(self) -> list[int]:
        """The numbers of all processes, ascending."""
        return sorted(int(name) for name in self.list_directory("/proc") if name.isdigit())

    @contextlib.contextmanager
    def process(self, pid: int) -> Iterator[ProcessHandle]:
        """A handle on a process; who it is is checked again at the end of the block (raises `NotThere`)."""
        path = f"/proc/{pid}"
        with as_port_errors(path):
            directory = open_safely(self._local(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            handle = ProcessHandle(pid, directory)
            yield handle
            handle.verify()
        finally:
            os.close(directory)

    def socket_path(self, path: str) -> str:
        """The path under which this system's unix socket `path` is connected to."""
        refuse_foreign_root(path)
        return self._local(path)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def started_at(self, start_ticks: int) -> float:
        """When a process started, in seconds since the epoch, from its `start_ticks` (to 10 ms)."""
        booted = self.now() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return booted + start_ticks / os.sysconf("SC_CLK_TCK")

    def machine(self) -> str:
        """The processor architecture as the kernel names it, `x86_64`."""
        return os.uname().machine

    def account_name(self, uid: int) -> str:
        """The account's name, or its number as text when it has none."""
        with time_limit(READ_SECONDS, f"looking up user {uid}"):
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                return str(uid)

    def group_name(self, gid: int) -> str:
        """The group's name, or its number as text when it has none."""
        with time_limit(READ_SECONDS, f"looking up group {gid}"):
            try:
                return grp.getgrgid(gid).gr_name
            except KeyError:
                return str(gid)

    def account(self, uid: int) -> pwd.struct_passwd:
        """The account's record; raises `NotThere` when there is none."""
        with time_limit(READ_SECONDS, f"looking up user {uid}"):
            try:
                return _with_clear_home(pwd.getpwuid(uid))
            except KeyError as error:
                raise NotThere(f"user {uid}: no such account") from error

    def account_named(self, name: str) -> pwd.struct_passwd:
        """The account's record by its name; raises `NotThere` when there is none."""
        with time_limit(READ_SECONDS, f"looking up user {name}"):
            try:
                return _with_clear_home(pwd.getpwnam(name))
            except (KeyError, ValueError) as error:
                raise NotThere(f"user {name}: no such account") from error

    def group(self, name: str) -> grp.struct_group:
        """The group's record; raises `NotThere` when there is none."""
        with time_limit(READ_SECONDS, f"looking up group {name}"):
            try:
                return grp.getgrnam(name)
            except KeyError as error:
                raise NotThere(f"group {name}: no such group") from error

    def find_program(self, name: str) -> Optional[str]:
        """The path of an executable in the system's own directories (no PATH of a user), or None."""
        for directory in CLEAN_ENVIRONMENT["PATH"].split(":"):
            path = f"{directory}/{name}"
            with contextlib.suppress(NotThere):
                facts = self.stat(path)
                if facts.type == "file" and facts.mode & 0o111:
                    return path
        return None

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = COMMAND_SECONDS,
        output_limit: int = OUTPUT_LIMIT,
        environment: Optional[Mapping[str, str]] = None,
        uid: Optional[int] = None,
        gid: Optional[int] = None,
        stdin: Optional[int] = None,
    ) -> Completed:
        """Run a command; see `run_command` for the limits and the errors."""
        return run_command(
            argv,
            timeout=timeout,
            output_limit=output_limit,
            environment=environment,
            uid=uid,
            gid=gid,
            stdin=stdin,
        )

    def _local(self, path: str) -> str:
        return self._root + path
