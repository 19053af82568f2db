# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache: where it is, its locks, and the ssh keys of the lab."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.commands import output_of, program
from lab.progress import Progress

LOCK_LIMIT = 1800.0


def cache_directory() -> Path:
    """${BULKHEAD_CACHE:-~/.cache/bulkhead}, made if missing; private to its owner, for it holds keys."""
    chosen = os.environ.get("BULKHEAD_CACHE") or str(Path.home() / ".cache" / "bulkhead")
    directory = Path(chosen).absolute()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


@contextmanager
def locked(path: Path, *, progress: Progress, subject: str, limit: float = LOCK_LIMIT) -> Iterator[None]:
    """Hold an exclusive lock file; it is released by the kernel even if this process is killed."""
    with path.open("a") as handle:
        for elapsed in progress.ticks(subject, f"waiting for the lock {path.name}"):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if elapsed > limit:
                    raise
        yield


@dataclass(frozen=True)
class Keys:
    """The two key pairs: `lab` logs in as root, `host` is what every machine identifies itself with."""

    directory: Path

    @property
    def login(self) -> Path:
        return self.directory / "lab_ed25519"

    @property
    def host(self) -> Path:
        return self.directory / "host_ed25519"

    @staticmethod
    def public(private: Path) -> str:
        """Type and key, without the comment."""
        return " ".join(private.with_suffix(".pub").read_text().split()[:2])


def lab_keys(progress: Progress) -> Keys:
    """The keys of this cache, made on first use.

    They live beside the images because the images contain them: no other user can read either.
    """
    keys = Keys(cache_directory() / "keys")
    keys.directory.mkdir(mode=0o700, exist_ok=True)
    with locked(keys.directory / "lock", progress=progress, subject="keys"):
        for private in (keys.login, keys.host):
            if not private.with_suffix(".pub").exists():
                private.unlink(missing_ok=True)
                keygen = program("ssh-keygen", "openssh-client")
                output_of(
                    [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "bulkhead-lab", "-f", str(private)],
                    limit=30,
                )
    return keys
