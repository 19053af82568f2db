# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The target's side of owned files: read them, and put new texts in their place so that no crash leaves half.

A file below a directory that a user can write is touched as that user only (`_user_files`), and validated as
that user: a validator may run what the text names (Podman its `conmon_path`), and much of it is the user's.

Order of a write: new texts into temporary files beside their targets, validated there; the ledger with the
new entries; the renames; the ledger without the released entries. Whatever is interrupted leaves every file
old or new, and a ledger that knows both values.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import (
    like,
    sync_directory,
    write_beside,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    EntryId,
    Ledger,
    LedgerError,
    OwnedFile,
    OwnedKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    PortError,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import without_credentials
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    NOT_REMOVED,
    UserFileError,
    missing_directories_as,
    owner_of_path,
    primary_group,
    read_as,
    read_file_as,
    remove_directory_as,
    write_as,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import account_environment

__all__ = [
    "NewText",
    "OwnedFileError",
    "Validator",
    "read_file",
    "resolve",
    "same_file",
    "target_of",
    "validate_texts",
    "write_files",
]

SIZE_LIMIT = 1024 * 1024
NEW_FILE_MODE = 0o644
NEW_DIRECTORY_MODE = 0o755
_VALIDATOR_SECONDS = 60.0
# Root's alone, and one that every user gets through, which root's TMPDIR need not be.
_RUN = "/run"
UNCHANGED = "Nothing was changed."


class OwnedFileError(BulkheadError):
    """A file could not be read, validated or written; the text says what was left as it was."""


@dataclass(frozen=True)
class NewText:
    """What a file becomes: `text` None: it goes away; `sha256` is of the content it was planned for."""

    path: str
    text: Optional[str]
    sha256: Optional[str]
    created: bool = False
    format: str = "json"


@dataclass(frozen=True)
class Validator:
    """Runs a command with `%s` replaced by a file's path; secrets never leave it in an error.

    `own` gives files a command of their own, by their path; all others have `argv`. `looks` gives files a
    look at what their content names on the host: content -> problems.
    """

    system: System
    argv: Sequence[str]
    secrets: Sequence[str] = ()
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    looks: Mapping[str, Callable[[System, str], list[str]]] = field(default_factory=dict)

    def check(self, temporary: str, path: str, text: str, uid: Optional[int] = None) -> None:
        """Raise `OwnedFileError` with what is wrong when the command or the look refuses the text.

        :param temporary: where the text lies
        :param uid: the user who decides what the file is, and as whom the command runs
        """
        command = self.own.get(path) or self.argv
        if command:
            self._run(command, temporary, path, uid)
        if path in self.looks:
            problems = self.looks[path](self.system, text)
            if problems:
                raise OwnedFileError(f"{path}: {self._shown('; '.join(problems))}. {UNCHANGED}")

    def _run(self, command: Sequence[str], temporary: str, path: str, uid: Optional[int]) -> None:
        argv = [word.replace("%s", temporary) for word in command]
        try:
            completed = self._completed(argv, uid)
        except PortError as error:
            raise OwnedFileError(f"{path}: the validator could not be run: {error}. {UNCHANGED}") from error
        if completed.returncode != 0:
            said = self._shown(
                (completed.stderr.strip() or completed.stdout.strip()).replace(temporary, path)
            )
            raise OwnedFileError(f"{path}: {argv[0]} refuses the new content: {said} {UNCHANGED}")

    def _completed(self, argv: Sequence[str], uid: Optional[int]) -> Completed:
        if uid is None:
            return self.system.run(argv, timeout=_VALIDATOR_SECONDS)
        account = self.system.account(uid)
        return self.system.run(
            argv,
            timeout=_VALIDATOR_SECONDS,
            environment=account_environment(account),
            uid=uid,
            gid=account.pw_gid,
        )

    def _shown(self, said: str) -> str:
        for secret in self.secrets:
            said = said.replace(secret, "(secret)")
        return without_credentials(said)[-2000:]


def resolve(path: str) -> str:
    """The file that a path names; a symbolic link may only lead to a file of the same directory.

    :raises OwnedFileError: for a relative path, or a link that leads elsewhere
    """
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise OwnedFileError(f"{path}: accepted is an absolute path without .. in it. {UNCHANGED}")
    directory = os.path.realpath(_directory(path))
    target = os.path.realpath(path)
    if _directory(target) != directory:
        raise OwnedFileError(f"{path}: it is a symbolic link that leads out of {directory}. {UNCHANGED}")
    return target


def target_of(path: str) -> str:
    """The file that a path names, for comparison; nobody's link is followed where a user can put one."""
    return path if owner_of_path(path) is not None else resolve(path)


def same_file(path: str, other: str) -> bool:
    """Whether two paths name one file, by a link within a directory. A link of `other` is no error."""
    if path == other or _directory(path) != _directory(other) or owner_of_path(path) is not None:
        return path == other
    return os.path.realpath(path) == os.path.realpath(other)


def _directory(path: str) -> str:
    return os.path.split(path)[0]


def read_file(path: str) -> dict[str, Any]:
    """`{path, text, sha256}` of a file, both None when there is none.

    :raises BulkheadError: not a regular file, longer than 1 MiB, unreadable, or not UTF-8
    """
    content = _content(path)
    if content is None:
        return {"path": path, "text": None, "sha256": None}
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OwnedFileError(f"{path}: byte {error.start} is not UTF-8. {UNCHANGED}") from None
    return {"path": path, "text": text, "sha256": hashlib.sha256(content).hexdigest()}


def _content(path: str) -> Optional[bytes]:
    uid = owner_of_path(path)
    if uid is not None:
        return read_as(uid, primary_group(uid), path, SIZE_LIMIT)
    target = resolve(path)
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise OwnedFileError(f"{path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OwnedFileError(f"{path}: it is not a regular file. {UNCHANGED}")
        content = stream.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise OwnedFileError(f"{path}: it is longer than {SIZE_LIMIT} bytes. {UNCHANGED}")
    return content


def validate_texts(texts: Sequence[NewText], validator: Validator) -> None:
    """Run the validator on every new text in a private directory elsewhere (check mode)."""
    for new in texts:
        if new.text is None:
            continue
        uid = owner_of_path(new.path)
        with _elsewhere(new.path, new.text, uid) as temporary:
            validator.check(temporary, new.path, new.text, uid)


@contextlib.contextmanager
def _elsewhere(path: str, text: str, uid: Optional[int]) -> Iterator[str]:
    """A file with the text, for the user alone to read, in a directory where root alone can put something."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-", dir=None if uid is None else _RUN) as directory:
        temporary = f"{directory}/{os.path.split(path)[1]}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8"))
            if uid is not None:
                os.fchown(descriptor, uid, primary_group(uid))
                os.chmod(directory, 0o711)
        yield temporary


def write_files(
    texts: Sequence[NewText],
    *,
    store: LedgerStore,
    entries: tuple[OwnedKey, ...],
    released: set[EntryId],
    validator: Validator,
) -> None:
    """Put every text in its place, with the ledger written around it.

    The ledger gets its new `entries` before, and loses those that are `released` afterwards.
    Raises `BulkheadError` with what was changed; in nearly every case nothing.
    """
    with store.lock(), contextlib.ExitStack() as cleanup:
        made = {directory for new in texts if new.text is not None for directory in _missing(new.path)}
        prepared = [(new, cleanup.enter_context(_prepared(new, validator))) for new in texts]
        ledger = store.read()
        made |= {above for path, facts in ledger.files.items() for above in _made_with(path, facts)}
        facts = {new.path: _facts(new, made) for new in texts}
        announced = ledger.announcing(entries, _announced(facts, ledger))
        if announced != ledger:
            store.write(announced)
        done: list[str] = []
        try:
            for new, put in prepared:
                put()
                done.append(new.path)
        except (OSError, UserFileError) as error:
            if not done:
                # Failing that, the entries name a value that the file does not have: the next run sets it.
                with contextlib.suppress(LedgerError):
                    store.write(ledger)
            outcome = f"Already written: {', '.join(done)}." if done else UNCHANGED
            raise OwnedFileError(f"{new.path}: {_reason(error)} {outcome}") from error
        settled = announced.settled(released, facts)
        _remove_directories(announced, settled)
        if settled != announced:
            store.write(settled)


def _reason(error: Exception) -> str:
    return f"{os.strerror(error.errno or 0)}." if isinstance(error, OSError) else str(error)


def _facts(new: NewText, made: set[str]) -> OwnedFile:
    sha256 = hashlib.sha256((new.text or "").encode("utf-8")).hexdigest()
    count = len(list(itertools.takewhile(made.__contains__, _directories(new.path))))
    return OwnedFile(new.created, sha256, new.format, directories_made=count)


def _announced(facts: Mapping[str, OwnedFile], ledger: Ledger) -> dict[str, OwnedFile]:
    """What files are until they are written: as they were written last, or already as they will be."""
    known = {path: ledger.files[path].sha256 for path in facts if path in ledger.files}
    return {
        path: replace(file, sha256=known.get(path, ""), next_sha256=file.sha256)
        for path, file in facts.items()
    }


def _directories(path: str) -> Iterator[str]:
    """The directories above a path, the nearest first."""
    while path != "/":
        path = _directory(path)
        yield path


def _made_with(path: str, facts: OwnedFile) -> list[str]:
    return list(itertools.islice(_directories(path), facts.directories_made))


def _missing(path: str) -> list[str]:
    """The directories that are to be made for a file."""
    uid = owner_of_path(path)
    if uid is not None:
        return missing_directories_as(uid, primary_group(uid), path)
    return list(itertools.takewhile(_is_missing, _directories(path)))


def _is_missing(directory: str) -> bool:
    return not os.path.isdir(directory)


def _remove_directories(before: Ledger, after: Ledger) -> None:
    """Directories that came with a file go once the ledger lets go of it, unless something lies in them.

    A run that is killed before has the file in its ledger still, and the next one comes by here.
    """
    gone = [path for path in before.files if path not in after.files]
    made = {(above, path) for path in gone for above in _made_with(path, before.files[path])}
    for directory, path in sorted(made, reverse=True):
        try:
            _remove_directory(directory, owner_of_path(path))
        except UserFileError:
            continue  # others can put something in its place by now, or its user is gone
        except OSError as error:
            if error.errno not in NOT_REMOVED:
                raise OwnedFileError(f"{directory}: {_reason(error)} The files are written.") from error


def _remove_directory(directory: str, uid: Optional[int]) -> None:
    if uid is None:
        os.rmdir(directory)
        sync_directory(_directory(directory))
    elif owner_of_path(directory) == uid:
        remove_directory_as(uid, primary_group(uid), directory)


@contextlib.contextmanager
def _prepared(new: NewText, validator: Validator) -> Iterator[Callable[[], None]]:
    """A validated new content, ready to be put in its place by a call."""
    found = _content(new.path)
    if (None if found is None else hashlib.sha256(found).hexdigest()) != new.sha256:
        raise OwnedFileError(f"{new.path}: somebody changed it while the change was planned. {UNCHANGED}")
    uid = owner_of_path(new.path)
    if uid is not None:
        validate_texts([new], validator)
        yield lambda: _put_as(uid, new)
        return
    target = resolve(new.path)
    if new.text is None:
        yield lambda: _replace(target, None)
        return
    with _directory_for(target), contextlib.ExitStack() as cleanup:
        try:
            give = _new_file if found is None else like(target)
            temporary = write_beside(target, new.text.encode("utf-8"), give)
        except OSError as error:
            raise OwnedFileError(f"{new.path}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
        cleanup.callback(_remove_if_there, temporary)
        validator.check(temporary, new.path, new.text)
        yield lambda: _replace(target, temporary)


def _put_as(uid: int, new: NewText) -> None:
    """Write or remove a user's file as the user; it keeps its mode, and its group where the user is in it."""
    gid = primary_group(uid)
    found = read_file_as(uid, gid, new.path, SIZE_LIMIT)
    content = None if new.text is None else new.text.encode("utf-8")
    mode, group = (found.mode, found.gid) if found else (NEW_FILE_MODE, None)
    write_as(uid, gid, new.path, content, mode, group=group, make_parents=True)


def _remove_if_there(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def _directory_for(target: str) -> Iterator[None]:
    """The file's directories, made where they are missing, and gone again when nothing came into them."""
    with contextlib.ExitStack() as cleanup:
        for directory in reversed(list(itertools.takewhile(_is_missing, _directories(target)))):
            try:
                os.mkdir(directory, NEW_DIRECTORY_MODE)
            except OSError as error:
                raise OwnedFileError(f"{directory}: {os.strerror(error.errno or 0)}. {UNCHANGED}") from error
            cleanup.callback(_remove_if_empty, directory)
        yield


def _remove_if_empty(directory: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(directory)


def _new_file(descriptor: int) -> None:
    os.fchmod(descriptor, NEW_FILE_MODE)


def _replace(target: str, temporary: Optional[str]) -> None:
    if temporary is None:
        os.unlink(target)
    else:
        os.rename(temporary, target)
    sync_directory(_directory(target))
