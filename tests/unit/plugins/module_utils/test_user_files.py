# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a user's are touched as that user: whatever they put there, root's files stay out of reach."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import signal
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _user_files
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UserFileError,
    is_member,
    look_as,
    missing_directories_as,
    owner_of_path,
    primary_group,
    read_as,
    read_file_as,
    remove_directory_as,
    write_as,
)

UID, GID, LIMIT = 1234, 4321, 1024

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A user's directory, reached through directories that root alone can write."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, UID, GID)
    yield home


def _theirs(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    os.chown(path, UID, GID)
    return path


@as_root
def test_a_file_is_read_and_written_as_its_user(home: Path) -> None:
    path = _theirs(home / "config", b"old", 0o640)
    assert owner_of_path(str(path)) == UID
    found = read_file_as(UID, GID, str(path), LIMIT)
    assert found == _user_files.UserFile(b"old", 0o640, UID, GID)
    write_as(UID, GID, str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (UID, GID, 0o600)
    assert [entry.name for entry in home.iterdir()] == ["config"]
    write_as(UID, GID, str(path), None, 0)
    assert not path.exists()
    assert read_as(UID, GID, str(path), LIMIT) is None
    write_as(UID, GID, str(path), None, 0)


@as_root
def test_a_directory_is_looked_at_as_its_user(home: Path) -> None:
    (home / "storage").mkdir()
    os.chown(home / "storage", UID, GID)

    def look(descriptor: int) -> bytes:
        return f"{os.getresuid()} {os.getresgid()} {os.getgroups()} {os.fstat(descriptor).st_uid}".encode()

    seen = look_as(UID, GID, str(home / "storage"), look, 100)
    assert seen == f"({UID}, {UID}, {UID}) ({GID}, {GID}, {GID}) [] {UID}".encode()
    assert look_as(UID, GID, str(home / "nothing"), look, 100) is None
    (home / "link").symlink_to("/root")
    for name in ("link", "link/below"):
        with pytest.raises(UserFileError, match="a symbolic link"):
            look_as(UID, GID, str(home / name), look, 100)
    (home / "roots").mkdir(mode=0o700)
    with pytest.raises(UserFileError, match="Permission denied"):
        look_as(UID, GID, str(home / "roots"), look, 100)
    with pytest.raises(UserFileError, match="no answer"):
        look_as(UID, GID, str(home / "storage"), lambda _descriptor: b"x" * 10_000, 100)


@as_root
def test_directories_are_made_as_the_user_on_request_only(home: Path) -> None:
    path = home / ".config" / "containers" / "containers.conf"
    assert owner_of_path(str(path)) == UID
    with pytest.raises(UserFileError, match="its directory is not there"):
        write_as(UID, GID, str(path), b"new", 0o600)
    write_as(UID, GID, str(path), b"new", 0o600, make_parents=True)
    assert (path.parent.stat().st_uid, path.read_bytes()) == (UID, b"new")


@as_root
def test_the_directories_that_are_missing_are_told_and_removed_as_the_user(home: Path) -> None:
    path = home / ".config" / "containers" / "registries.conf"
    missing = [str(home / ".config"), str(path.parent)]
    assert missing_directories_as(UID, GID, str(path)) == missing
    write_as(UID, GID, str(path), b"new", 0o600, make_parents=True)
    assert missing_directories_as(UID, GID, str(path)) == []
    assert missing_directories_as(UID, GID, str(path.parent / "a" / "b")) == [str(path.parent / "a")]
    remove_directory_as(UID, GID, str(path.parent))
    assert path.exists(), "what lies in a directory keeps it"
    path.unlink()
    for directory in reversed(missing):
        remove_directory_as(UID, GID, directory)
        remove_directory_as(UID, GID, directory)
    assert list(home.iterdir()) == []


@as_root
def test_no_directory_is_looked_for_or_removed_behind_a_link(home: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots"
    (roots / "empty").mkdir(parents=True)
    (home / "link").symlink_to(roots)
    with pytest.raises(UserFileError, match="a symbolic link"):
        missing_directories_as(UID, GID, str(home / "link" / "below" / "file"))
    with pytest.raises(UserFileError, match="a symbolic link"):
        remove_directory_as(UID, GID, str(home / "link" / "empty"))
    remove_directory_as(UID, GID, str(home / "link"))
    assert (roots / "empty").is_dir()
    assert (home / "link").is_symlink()


@as_root
@pytest.mark.parametrize("kept", ["root's secret", "a world-readable file"])
def test_a_link_is_never_followed(home: Path, tmp_path: Path, kept: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's own")
    secret.chmod(0o600 if kept == "root's secret" else 0o644)
    (home / "config").symlink_to(secret)
    with pytest.raises(UserFileError, match="symbolic link.*Nothing was changed"):
        read_as(UID, GID, str(home / "config"), LIMIT)
    with pytest.raises(UserFileError, match="not a regular file"):
        write_as(UID, GID, str(home / "config"), b"new", 0o600)
    assert secret.read_bytes() == b"root's own"


@as_root
def test_a_directory_swapped_for_a_link_is_never_followed(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    (elsewhere / "config").write_bytes(b"root's own")
    (home / "containers").symlink_to(elsewhere)
    path = str(home / "containers" / "config")
    for act in (lambda: read_as(UID, GID, path, LIMIT), lambda: write_as(UID, GID, path, b"new", 0o600)):
        with pytest.raises(UserFileError, match="symbolic link"):
            act()
    assert (elsewhere / "config").read_bytes() == b"root's own"


@as_root
def test_a_link_swapped_in_after_the_path_was_looked_at_is_not_followed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's own")
    path = _theirs(home / "config", b"theirs")
    become = _user_files._become

    def swap_then_become(uid: int, gid: int, groups: Sequence[int]) -> None:
        path.unlink()
        path.symlink_to(secret)
        become(uid, gid, groups)

    monkeypatch.setattr(_user_files, "_become", swap_then_become)
    with pytest.raises(UserFileError, match="symbolic link"):
        read_as(UID, GID, str(path), LIMIT)


@as_root
def test_a_hard_link_to_a_file_of_root_s_gives_nothing_and_changes_nothing(
    home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's own")
    secret.chmod(0o600)
    os.link(secret, home / "config")
    with pytest.raises(UserFileError, match="Permission denied"):
        read_as(UID, GID, str(home / "config"), LIMIT)
    with pytest.raises(UserFileError, match="Permission denied"):
        write_as(UID, GID, str(home / "config"), b"new", 0o644)
    assert (secret.read_bytes(), stat.S_IMODE(secret.stat().st_mode)) == (b"root's own", 0o600)


@as_root
def test_a_fifo_does_not_block(home: Path) -> None:
    os.mkfifo(home / "config")
    os.chown(home / "config", UID, GID)
    begun = time.monotonic()
    with pytest.raises(UserFileError, match="not a regular file"):
        read_as(UID, GID, str(home / "config"), LIMIT)
    with pytest.raises(UserFileError, match="not a regular file"):
        write_as(UID, GID, str(home / "config"), b"new", 0o600)
    assert time.monotonic() - begun < 5


@as_root
def test_a_huge_file_is_refused_unread(home: Path) -> None:
    path = _theirs(home / "config", b"")
    os.truncate(path, 1 << 40)
    with pytest.raises(UserFileError, match="longer than 1024 bytes"):
        read_as(UID, GID, str(path), LIMIT)
    assert read_as(UID, GID, str(_theirs(home / "just", b"x" * LIMIT)), LIMIT) == b"x" * LIMIT


@as_root
def test_what_does_not_answer_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _theirs(home / "config", b"theirs")
    monkeypatch.setattr(_user_files, "SECONDS", 0.2)
    monkeypatch.setattr(_user_files, "_become", lambda _uid, _gid, _groups: time.sleep(30))
    with pytest.raises(UserFileError, match=r"no answer within 0.2 s"):
        read_as(UID, GID, str(path), LIMIT)


@as_root
def test_a_directory_of_root_s_below_a_user_s_is_not_written(home: Path) -> None:
    below = home / "below"
    below.mkdir(mode=0o755)
    (below / "config").write_bytes(b"root's own")
    path = str(below / "config")
    assert owner_of_path(path) == UID
    assert read_as(UID, GID, path, LIMIT) == b"root's own"
    with pytest.raises(UserFileError, match="Permission denied"):
        write_as(UID, GID, path, b"new", 0o644)


@as_root
def test_a_child_that_cannot_be_killed_is_left_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _theirs(home / "config", b"theirs")
    monkeypatch.setattr(_user_files, "SECONDS", 0.2)
    monkeypatch.setattr(_user_files, "_END_SECONDS", 0.2)
    monkeypatch.setattr(_user_files, "_become", lambda _uid, _gid, _groups: time.sleep(30))
    left: list[int] = []
    monkeypatch.setattr(_user_files.os, "kill", lambda pid, _signal: left.append(pid))
    begun = time.monotonic()
    with pytest.raises(UserFileError, match=r"no answer within 0.2 s"):
        read_as(UID, GID, str(path), LIMIT)
    assert time.monotonic() - begun < 20
    monkeypatch.undo()
    os.kill(left[0], signal.SIGKILL)
    os.waitpid(left[0], 0)


@as_root
def test_the_child_keeps_no_group_of_root_s(home: Path, tmp_path: Path) -> None:
    path = home / "config"
    path.write_bytes(b"for the group root")
    path.chmod(0o040)
    os.chown(path, 0, 0)
    groups = os.getgroups()
    os.setgroups([0])
    try:
        with pytest.raises(UserFileError, match="Permission denied"):
            read_as(UID, GID, str(path), LIMIT)
    finally:
        os.setgroups(groups)


@as_root
def test_extended_attributes_are_kept(home: Path) -> None:
    path = _theirs(home / "config", b"old")
    try:
        os.setxattr(path, "user.origin", b"them")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    before = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    write_as(UID, GID, str(path), b"new", 0o644)
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == before


@as_root
@pytest.mark.parametrize(("mode", "gid"), [(0o777, 0), (0o775, GID)])
def test_a_directory_of_no_single_user_s_is_refused(tmp_path: Path, mode: int, gid: int) -> None:
    (tmp_path / "open").mkdir()
    os.chown(tmp_path / "open", 0, gid)
    (tmp_path / "open").chmod(mode)
    with pytest.raises(UserFileError, match="others than its owner can write it.*chmod g-w,o-w .*/open"):
        owner_of_path(str(tmp_path / "open" / "config"))


def _groups(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    group = grp.struct_group((name, "x", GID, ["bob"]))
    monkeypatch.setattr(_user_files.grp, "getgrgid", lambda _gid: group)


@as_root
@pytest.mark.parametrize(
    ("owner", "mode", "group", "is_root_s"),
    [
        (0, 0o775, "docker", True),
        (0, 0o775, "staff", False),
        (0, 0o777, "docker", False),
        (UID, 0o775, "docker", False),
    ],
)
def test_a_directory_that_the_group_docker_writes_is_root_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, group: str, is_root_s: bool
) -> None:
    _groups(monkeypatch, group)
    (tmp_path / "docker").mkdir()
    os.chown(tmp_path / "docker", owner, GID)
    (tmp_path / "docker").chmod(mode)
    path = str(tmp_path / "docker" / "daemon.json")
    if is_root_s:
        assert owner_of_path(path) is None
    elif owner == UID:
        assert owner_of_path(path) == UID
    else:
        with pytest.raises(UserFileError, match="others than its owner can write it"):
            owner_of_path(path)


def test_a_directory_of_everybody_s_is_passed_through_and_not_written_to(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "ours").mkdir()
    (shared / "link").symlink_to("/no/such/directory")
    for name in ("ours/config", "ours/missing/config", "link/config"):
        assert owner_of_path(str(shared / name)) is None
    for name in ("config", "missing/config", "missing/deeper/config"):
        with pytest.raises(UserFileError, match=r"/tmp: everybody can write it.*Nothing was changed"):
            owner_of_path(str(shared / name))


@as_root
def test_a_link_of_root_s_leads_on_and_a_user_s_does_not(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("home")
    assert owner_of_path(str(tmp_path / "link" / "config")) == UID
    _theirs(home / "config", b"theirs")
    assert read_as(UID, GID, str(tmp_path / "link" / "config"), LIMIT) == b"theirs"
    os.chown(tmp_path / "link", UID, GID, follow_symlinks=False)
    with pytest.raises(UserFileError, match="symbolic link of user 1234's"):
        owner_of_path(str(tmp_path / "link" / "config"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/passwd/.config/x", "/passwd: it is not a directory"),  # homes that passwd(5) may well name
        ("/dev/null/.config/x", "/dev/null: it is not a directory"),
        (f"/etc/{'x' * 256}/x", "File name too long"),
    ],
)
def test_what_is_no_home_is_named(path: str, reason: str) -> None:
    with pytest.raises(UserFileError, match=f"{reason}\\. Nothing was changed"):
        owner_of_path(path)
    with pytest.raises(UserFileError, match=reason):
        look_as(UID, GID, path, lambda _descriptor: b"", 0)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_home_that_root_may_not_look_at_is_named(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(path: str) -> os.stat_result:
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(_user_files.os, "lstat", refuse)
    with pytest.raises(UserFileError, match=f"/home: {os.strerror(code)}. Nothing was changed"):
        owner_of_path("/home/alice/config")


def test_root_s_own_files_are_nobody_else_s() -> None:
    assert owner_of_path("/etc/docker/daemon.json") is None
    assert owner_of_path("/etc/no/such/directory/file") is None


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/../etc/passwd", "/"])
def test_an_unclear_path_is_refused(path: str) -> None:
    with pytest.raises(UserFileError, match="absolute path"):
        owner_of_path(path)


def test_an_account_has_a_primary_group() -> None:
    assert primary_group(0) == 0
    with pytest.raises(UserFileError, match="user 987654: there is no such account"):
        primary_group(987654)


@as_root
@pytest.mark.parametrize(("groups", "expected"), [([GID, 4], 4), ([GID], GID)])
def test_a_file_keeps_its_group_where_its_user_is_in_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int], expected: int
) -> None:
    monkeypatch.setattr(_user_files.pwd, "getpwuid", lambda _uid: pwd.getpwnam("nobody"))
    monkeypatch.setattr(_user_files.os, "getgrouplist", lambda _name, _gid: groups)
    path = _theirs(home / "config", b"old", 0o640)
    os.chown(path, UID, 4)
    write_as(UID, GID, str(path), b"new", 0o2640, group=4)
    status = path.stat()
    assert (path.read_bytes(), status.st_uid, status.st_gid) == (b"new", UID, expected)
    # Unlike chown(2), which takes it away, the mode comes after the group.
    assert stat.S_IMODE(status.st_mode) == 0o2640


@as_root
def test_the_child_has_that_one_group_and_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_user_files, "is_member", lambda _uid, group: group in (4, 0))
    below = home / "below"
    below.mkdir()
    os.chown(below, 0, 0)
    below.chmod(0o770)
    with pytest.raises(UserFileError, match="Permission denied"):
        write_as(UID, GID, str(below / "config"), b"new", 0o640, group=4)


def test_who_is_in_a_group_says_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        _user_files.os, "getgrouplist", lambda name, gid: asked.append((name, gid)) or [gid, 4]
    )
    assert is_member(0, 4)
    assert is_member(0, 0)
    assert not is_member(0, 5)
    assert set(asked) == {("root", 0)}
    assert not is_member(987654, 0)
