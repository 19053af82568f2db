# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where checkpoints lie on the host: a directory each, a manifest with its checksum, contents by theirs.

::

    /var/lib/bulkhead/checkpoints/20261124T212200Z-1f3a/   0700
        manifest.json                                      0600
        objects/<sha256>                                   0600, every content once
        reserve                                            space for the restore on a full disk

A checkpoint is made in a directory with another name and appears by one rename, complete. `baseline` is how
everything was before the collection first changed it; what later roles manage is added to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import (
    make_directory,
    read_document,
    read_private,
    remove_file,
    remove_tree,
    storing,
    write_document,
    write_private,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
    HostState,
    Managed,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import sync_directory

__all__ = ["BASELINE", "Checkpoint", "CheckpointStore"]

BASELINE = "baseline"
OBJECT_LIMIT = 1024 * 1024 * 1024
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}|baseline")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint.

    :ivar status: open, committed, restored (its run was undone), rolled_back (undone later), baseline
    :ivar holder: the run that opened it, as the run lock names it
    :ivar before: the host when it was opened; `after`: when it was committed
    :ivar containers: every container that ran when it was opened
    :ivar restored_by: run, next_run, deadman or rollback
    :ivar beside: files that look like what an interrupted write leaves, and were there before
    :ivar deadman: the unit of the dead man's switch, without its ending, None when it is not armed
    """

    id: str
    sequence: int
    status: str
    opened_at: str
    holder: Mapping[str, Any]
    managed: Managed
    before: HostState
    after: Optional[HostState] = None
    containers: tuple[Mapping[str, Any], ...] = ()
    closed_at: Optional[str] = None
    restored_by: Optional[str] = None
    confirm_within: int = 0
    deadman: Optional[str] = None
    engine_ran: bool = False
    beside: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return asdict(self)

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Checkpoint:
        """Read `as_json` back; raises `KeyError`, `TypeError` or `AttributeError` for anything else."""
        values = {field_.name: body[field_.name] for field_ in fields(cls)}
        values["managed"] = Managed.merged([body["managed"]])
        values["before"] = HostState.parse(body["before"])
        values["after"] = None if body["after"] is None else HostState.parse(body["after"])
        values["containers"] = tuple(body["containers"])
        values["beside"] = tuple(body["beside"])
        return cls(**values)

    def objects(self) -> set[str]:
        """The checksums of every content that belongs to it."""
        return self.before.objects() | (self.after.objects() if self.after else set())


@dataclass
class Contents:
    """Contents of files by their checksum, read once."""

    by_checksum: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes) -> str:
        """Keep a content; its checksum."""
        checksum = hashlib.sha256(content).hexdigest()
        self.by_checksum[checksum] = content
        return checksum

    def __getitem__(self, checksum: str) -> bytes:
        return self.by_checksum[checksum]


class CheckpointStore:
    """The checkpoints below a state directory. Whoever writes holds the run lock."""

    def __init__(self, directory: str) -> None:
        self._state_directory = directory
        self.directory = f"{directory}/checkpoints"

    def make(self) -> None:
        """The directories, where they are missing."""
        make_directory(self._state_directory)
        make_directory(self.directory)

    def path(self, identifier: str) -> str:
        """The directory of a checkpoint; raises `CheckpointError` for what is no id."""
        if _ID.fullmatch(identifier) is None:
            raise CheckpointError(
                f"name: found {identifier!r}; accepted are an id, last and baseline. {UNCHANGED}"
            )
        return f"{self.directory}/{identifier}"

    def identifiers(self) -> list[str]:
        """Every id that there is a directory for, sorted."""
        try:
            return sorted(name for name in os.listdir(self.directory) if _ID.fullmatch(name))
        except FileNotFoundError:
            return []

    def load(self, identifier: str) -> Checkpoint:
        """The manifest of a checkpoint, whose contents are not looked at yet.

        :raises CheckpointError: it is not there or damaged
        """
        path = f"{self.path(identifier)}/manifest.json"
        body = read_document(path)
        if body is None:
            raise CheckpointError(f"{path}: there is none. {UNCHANGED}")
        try:
            checkpoint = Checkpoint.parse(body)
        except (KeyError, TypeError, AttributeError):
            raise CheckpointError(f"{path}: it is damaged: parts are missing. {UNCHANGED}") from None
        if checkpoint.id != identifier:
            raise CheckpointError(f"{path}: it belongs to checkpoint {checkpoint.id!r}. {UNCHANGED}")
        return checkpoint

    def history(self) -> list[Checkpoint]:
        """Every checkpoint but the baseline, the oldest first; raises `CheckpointError` for a damaged one."""
        loaded = []
        for identifier in self.identifiers():
            try:
                loaded += [] if identifier == BASELINE else [self.load(identifier)]
            except CheckpointError as error:
                given_up = f"Remove {self.path(identifier)} to give this checkpoint up."
                raise CheckpointError(f"{error} {given_up}") from error
        return sorted(loaded, key=lambda checkpoint: checkpoint.sequence)

    def baseline(self) -> Optional[Checkpoint]:
        """How everything was before the collection, None before its first run."""
        return self.load(BASELINE) if BASELINE in self.identifiers() else None

    def read(self, checkpoint: Checkpoint) -> Contents:
        """Every content of a checkpoint, each compared with its checksum.

        :raises CheckpointError: one is missing or damaged
        """
        contents = Contents()
        for checksum in sorted(checkpoint.objects()):
            contents.by_checksum[checksum] = self.read_object(checkpoint.id, checksum)
        return contents

    def read_object(self, identifier: str, checksum: str) -> bytes:
        """One content; raises `CheckpointError` when it is missing or damaged."""
        path = f"{self.path(identifier)}/objects/{checksum}"
        content = read_private(path, limit=OBJECT_LIMIT)
        if content is None or hashlib.sha256(content).hexdigest() != checksum:
            reason = "it is not there" if content is None else "it is damaged: its checksum does not fit"
            raise CheckpointError(
                f"{path}: {reason}. Checkpoint {identifier} cannot be restored. {UNCHANGED}"
            )
        return content

    def create(self, checkpoint: Checkpoint, contents: Contents, *, reserve: int = 0) -> None:
        """Put a new checkpoint beside the others, complete, in one step."""
        path = self.path(checkpoint.id)
        temporary = f"{self.directory}/.new-{checkpoint.id}"
        self.make()
        self.clean()
        make_directory(temporary)
        make_directory(f"{temporary}/objects")
        for checksum in checkpoint.objects():
            write_private(f"{temporary}/objects/{checksum}", contents[checksum])
        if reserve:
            _reserve(f"{temporary}/reserve", reserve)
        write_document(f"{temporary}/manifest.json", checkpoint.as_json())
        with storing(path):
            os.rename(temporary, path)
            sync_directory(self.directory)

    def save(self, checkpoint: Checkpoint, contents: Optional[Contents] = None) -> None:
        """Write a changed manifest; the contents that are new to it come first."""
        if contents is not None:
            self.add_objects(checkpoint.id, checkpoint.objects(), contents)
        write_document(f"{self.path(checkpoint.id)}/manifest.json", checkpoint.as_json())

    def add_objects(self, identifier: str, checksums: Iterable[str], contents: Contents) -> None:
        """Store contents that a checkpoint does not have yet."""
        for checksum in sorted(checksums):
            path = f"{self.path(identifier)}/objects/{checksum}"
            if not os.path.lexists(path):
                write_private(path, contents[checksum])

    def free_reserve(self, identifier: str) -> None:
        """Give the reserved space back, before it is needed."""
        remove_file(f"{self.path(identifier)}/reserve")

    def remove(self, identifier: str) -> None:
        """Remove a checkpoint, out of sight in one step."""
        remove_tree(self.path(identifier))

    def clean(self) -> None:
        """Remove what an interrupted `create` or `remove` left."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.directory):
                if name.startswith((".new-", ".old-")):
                    remove_tree(f"{self.directory}/{name}")


def _reserve(path: str, size: int) -> None:
    """A file whose space is really taken (posix_fallocate(3)), not a hole."""
    with storing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
