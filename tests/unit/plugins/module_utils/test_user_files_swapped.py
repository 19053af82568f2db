# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user puts in the place of their file, also mid-run: on every way to it root's stay as they are."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _user_files
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_files import (
    capture_file,
    put_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import ABSENT, FileState
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore
from ansible_collections.bulkhead.hardening.plugins.module_utils._owned_files import (
    NewText,
    Validator,
    write_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    read_as,
    remove_directory_as,
    write_as,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = pwd.getpwnam("nobody")
NAME = "containers.conf"
SECRET = b"root's own"
LIMIT = 1024
WANTED = FileState("file", sha256=hashlib.sha256(b"new").hexdigest(), size=3, mode=0o600, uid=NOBODY.pw_uid)

Act = Callable[[str], Any]


class Place:
    """`home` is a user's with `.config/containers/containers.conf`, `etc` is root's with the same names."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.etc = directory / "etc"
        self.state = directory / "state"
        self.path = self.home / ".config" / "containers" / NAME
        for path, content in ((self.path, b"theirs"), (self.etc / "containers" / NAME, SECRET)):
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        for theirs in (self.home, *self.home.rglob("*")):
            os.chown(theirs, NOBODY.pw_uid, NOBODY.pw_gid)
        self.before = self.of_root()

    def of_root(self) -> dict[str, Any]:
        """Everything of root's: owner, mode, times and content."""
        return {
            str(path): (
                *(path.lstat().st_uid, path.lstat().st_mode, path.lstat().st_mtime_ns),
                path.read_bytes() if path.is_file() else b"",
            )
            for path in (self.etc, *self.etc.rglob("*"))
        }

    def swap(self, name: str) -> None:
        """Let a directory of the user's be a link to the one of root's, once."""
        theirs = self.home / name
        if not theirs.is_symlink():
            theirs.rename(self.home / "kept")
            theirs.symlink_to(self.etc if name == ".config" else self.etc / "containers")

    @property
    def kept(self) -> Path:
        """The file, after the swap."""
        return next((self.home / "kept").rglob(NAME))


@pytest.fixture
def place() -> Iterator[Place]:
    """In a directory that other users can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Place(Path(name))


def read(path: str) -> None:
    read_as(NOBODY.pw_uid, NOBODY.pw_gid, path, LIMIT)


def write(path: str) -> None:
    write_as(NOBODY.pw_uid, NOBODY.pw_gid, path, b"new", 0o600)


def remove(path: str) -> None:
    write_as(NOBODY.pw_uid, NOBODY.pw_gid, path, None, 0)


def put_back(path: str) -> None:
    put_file(path, WANTED, b"new")


def take_back(path: str) -> None:
    put_file(path, ABSENT, None)


def own(path: str) -> None:
    write_files(
        [NewText(path, "new", hashlib.sha256(b"theirs").hexdigest())],
        store=LedgerStore(str(Path(path).parents[3] / "state")),
        entries=(),
        released=set(),
        validator=Validator(System(), []),
    )


# How often each becomes the user: `own` looks for directories, reads twice, and writes.
ONCE = (read, write, remove, put_back, take_back)
TURNS = [*((act, 1) for act in ONCE), *((own, turn) for turn in range(1, 5))]
turns = pytest.mark.parametrize(("act", "turn"), TURNS, ids=[f"{act.__name__}-{turn}" for act, turn in TURNS])


def _before_turn(monkeypatch: pytest.MonkeyPatch, turn: int, swap: Callable[[], object]) -> None:
    """Swap when the path has been judged, and the child is about to begin."""
    as_user, calls = _user_files._as_user, itertools.count(1)

    def swap_then_act(*arguments: Any, **options: Any) -> bytes | None:
        if next(calls) == turn:
            swap()
        return as_user(*arguments, **options)

    monkeypatch.setattr(_user_files, "_as_user", swap_then_act)


@turns
@pytest.mark.parametrize("name", [".config", ".config/containers"])
def test_a_directory_that_becomes_a_link_is_named_and_not_followed(
    place: Place, monkeypatch: pytest.MonkeyPatch, act: Act, turn: int, name: str
) -> None:
    _before_turn(monkeypatch, turn, lambda: place.swap(name))
    with pytest.raises(BulkheadError, match=f"{place.path}: as user .*symbolic link.*Nothing was changed"):
        act(str(place.path))
    assert (place.home / name).is_symlink()
    assert place.of_root() == place.before
    assert place.kept.read_bytes() == b"theirs"


@turns
def test_a_directory_that_goes_away_takes_nothing_of_root_s_along(
    place: Place, monkeypatch: pytest.MonkeyPatch, act: Act, turn: int
) -> None:
    _before_turn(monkeypatch, turn, lambda: (place.home / ".config").rename(place.home / "kept"))
    with contextlib.suppress(BulkheadError):
        act(str(place.path))
    assert place.of_root() == place.before
    assert place.kept.read_bytes() == b"theirs"
    assert {path.lstat().st_uid for path in place.home.rglob("*")} == {NOBODY.pw_uid}


@pytest.mark.parametrize("act", [*ONCE, own])
def test_a_link_in_the_place_of_an_open_directory_leads_nowhere(
    place: Place, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    parent = _user_files._parent

    @contextlib.contextmanager
    def open_then_swap(*arguments: Any, **options: Any) -> Iterator[int]:
        with parent(*arguments, **options) as descriptor:
            place.swap(".config")
            yield descriptor

    monkeypatch.setattr(_user_files, "_parent", open_then_swap)
    with contextlib.suppress(BulkheadError):
        act(str(place.path))
    assert (place.home / ".config").is_symlink()
    assert place.of_root() == place.before
    kept = list((place.home / "kept" / "containers").iterdir())
    if act in (remove, take_back):
        assert kept == []
    else:
        assert [path.name for path in kept] == [NAME]
        assert kept[0].read_bytes() == (b"new" if act in (write, put_back) else b"theirs")


def test_a_directory_that_was_just_made_and_becomes_a_link_is_not_followed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.home / ".config").rename(place.home / "kept")

    def put_a_link(name: str, _mode: int, *, dir_fd: int) -> None:
        os.symlink(place.etc, name, dir_fd=dir_fd)

    monkeypatch.setattr(_user_files.os, "mkdir", put_a_link)
    with pytest.raises(BulkheadError, match=f"{place.path}: as user .*symbolic link.*Nothing was changed"):
        put_back(str(place.path))
    assert place.of_root() == place.before


@pytest.mark.parametrize("step", ["_regular_or_none", "_take_attributes"])
@pytest.mark.parametrize("act", [write, put_back])
def test_a_file_that_becomes_a_link_while_it_is_replaced_is_not_written_through(
    place: Place, monkeypatch: pytest.MonkeyPatch, act: Act, step: str
) -> None:
    do = getattr(_user_files, step)

    def do_then_swap(parent: int, name: str, *more: Any) -> Any:
        done = do(parent, name, *more)
        os.unlink(name, dir_fd=parent)
        os.symlink(place.etc / "containers" / NAME, name, dir_fd=parent)
        return done

    monkeypatch.setattr(_user_files, step, do_then_swap)
    with contextlib.suppress(BulkheadError):
        act(str(place.path))
    assert place.of_root() == place.before
    assert [path.name for path in place.path.parent.iterdir()] == [NAME]


def test_no_directory_is_removed_where_one_above_it_becomes_a_link(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.etc / "containers" / "empty").mkdir()
    before = place.of_root()
    _before_turn(monkeypatch, 1, lambda: place.swap(".config"))
    with pytest.raises(BulkheadError, match="symbolic link"):
        remove_directory_as(NOBODY.pw_uid, NOBODY.pw_gid, str(place.path.parent / "empty"))
    assert place.of_root() == before


def _fifo(place: Place) -> None:
    os.mkfifo(place.path)


def _directory(place: Place) -> None:
    place.path.mkdir()


def _huge(place: Place) -> None:
    place.path.touch()
    os.truncate(place.path, 1 << 40)


def _device(place: Place) -> None:
    try:
        os.mknod(place.path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        pytest.skip("this root may make no device")


def _hard_link(place: Place) -> None:
    (place.etc / "containers" / NAME).chmod(0o600)
    os.link(place.etc / "containers" / NAME, place.path)


def _readable_hard_link(place: Place) -> None:
    os.link(place.etc / "containers" / NAME, place.path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_fifo, "not a regular file"),
        (_directory, "Is a directory|not a regular file"),
        (_huge, f"longer than {LIMIT} bytes"),
        (_device, "not a regular file|Permission denied"),
        (_hard_link, "Permission denied"),
        (_readable_hard_link, None),
    ],
)
def test_what_is_no_file_of_the_user_s_is_noted_and_left(
    place: Place, make: Callable[[Place], None], reason: str | None
) -> None:
    place.path.unlink()
    make(place)
    if "hard_link" not in make.__name__:
        os.chown(place.path, NOBODY.pw_uid, NOBODY.pw_gid)
    kind, before = stat.S_IFMT(place.path.lstat().st_mode), place.of_root()
    begun = time.monotonic()
    state, content = capture_file(str(place.path), limit=LIMIT)
    if reason is None:
        # They may read it anyway, and get one of their own with the same content.
        assert (state.kind, state.uid, content) == ("file", None, SECRET)
    else:
        assert (state.kind, content) == ("unreadable", None)
        assert re.search(reason, state.target or ""), state.target
    for act in (put_back, take_back):
        with contextlib.suppress(BulkheadError):
            act(str(place.path))
    assert time.monotonic() - begun < 5
    assert place.of_root() == before
    if kind != stat.S_IFREG:
        assert stat.S_IFMT(place.path.lstat().st_mode) == kind


_MOUNT = (
    'mount -t tmpfs -o "uid=$1,gid=$2,mode=755,size=16k" none "$3" && echo theirs > "$3/config"'
    ' && chown "$1:$2" "$3/config" && mount -o "remount,$4" "$3" && exec "$5" -c "$6" "$1" "$2" "$3"'
)
_ACT = f"""
import os, sys
from pathlib import Path
from {write_as.__module__} import UserFileError, read_as, write_as

uid, gid, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3], "config")
try:
    write_as(uid, gid, str(path), b"x" * 65536, 0o600)
except UserFileError as error:
    print(error)
assert read_as(uid, gid, str(path), 100) == b"theirs\\n"
assert os.listdir(path.parent) == ["config"]
"""


def _mounts() -> bool:
    try:
        tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False)
    except FileNotFoundError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not _mounts(), reason="mount namespaces are not allowed here")
@pytest.mark.parametrize(
    ("option", "reason"), [("ro", "Read-only file system"), ("rw", "No space left on device")]
)
def test_a_home_that_is_a_mount_and_refuses_keeps_the_file_that_it_has(
    place: Place, option: str, reason: str
) -> None:
    uid, gid = str(NOBODY.pw_uid), str(NOBODY.pw_gid)
    script = ["sh", "-c", _MOUNT, "sh", uid, gid, str(place.home), option, sys.executable, _ACT]
    done = subprocess.run(["unshare", "--mount", *script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{place.home}/config: as user {uid}: {reason}. Nothing was changed.\n"
