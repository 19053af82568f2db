# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the ledger lies on the host: a file for root only, replaced as a whole, one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import Ledger, LedgerError

__all__ = ["STATE_DIRECTORY", "LedgerStore"]

STATE_DIRECTORY = "/var/lib/bulkhead"
SIZE_LIMIT = 16 * 1024 * 1024
UNCHANGED = "Nothing was changed."


class LedgerStore:
    """The ledger in a directory of its own, mode 0700."""

    def __init__(self, directory: str = STATE_DIRECTORY) -> None:
        self._directory = directory
        self.path = f"{directory}/ledger.json"

    def read(self) -> Ledger:
        """The ledger; an empty one when there is none.

        :raises LedgerError: it cannot be read, or it is damaged: then nothing may be written either
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return Ledger()
            raise LedgerError(f"{self.path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise LedgerError(f"{self.path}: it is longer than {SIZE_LIMIT} bytes. {UNCHANGED}")
        try:
            return Ledger.parse(content.decode("utf-8"))
        except (LedgerError, UnicodeDecodeError) as error:
            reason = error if isinstance(error, LedgerError) else "it is not UTF-8"
            raise LedgerError(f"{self.path}: {reason}. {UNCHANGED} Restore it from a backup.") from None

    def write(self, ledger: Ledger) -> None:
        """Put the ledger in its place so that a crash leaves the old one or this one.

        :raises LedgerError: it cannot be written
        """
        temporary = f"{self.path}.new"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as stream:
                stream.write(ledger.render().encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, self.path)
            self._sync()
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise LedgerError(f"{self.path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the only right to write, for the block; makes the directory where it is missing.

        :raises LedgerError: another run holds it, or the directory is not root's own
        """
        try:
            self._make_directory()
            descriptor = os.open(
                f"{self._directory}/lock",
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
        except OSError as error:
            raise LedgerError(f"{self._directory}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise LedgerError(f"{self._directory}: another run is writing. {UNCHANGED}") from error
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        status = os.lstat(self._directory)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise LedgerError(f"{self._directory}: it has to be a directory of root's own. {UNCHANGED}")
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(self._directory, 0o700)

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
