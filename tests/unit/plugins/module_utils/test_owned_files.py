# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files are replaced as a whole, validated before, and no interruption leaves half a change."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pwd
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _owned_files
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    Ledger,
    LedgerError,
    OwnedFile,
    OwnedKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore
from ansible_collections.bulkhead.hardening.plugins.module_utils._owned_files import (
    NewText,
    OwnedFileError,
    Validator,
    read_file,
    validate_texts,
    write_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import primary_group

NOBODY = 65534  # an account that every system has
ACCEPTING = Validator(System(), [])


def _entry(path: Path) -> OwnedKey:
    return OwnedKey(
        owner="o",
        path=str(path),
        key=("icc",),
        before={"absent_from": 1},
        set=False,
        time="2026-11-23T15:20:00.250000Z",
        role="o",
        collection_version="0.1.0",
    )


def _new(path: Path, text: str | None, *, created: bool = False) -> NewText:
    content = path.read_bytes() if path.exists() else None
    return NewText(
        str(path), text, None if content is None else hashlib.sha256(content).hexdigest(), created=created
    )


@pytest.fixture
def store(tmp_path: Path) -> LedgerStore:
    return LedgerStore(str(tmp_path / "state"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "docker" / "daemon.json"
    path.parent.mkdir()
    path.write_text("old")
    return path


def _write(store: LedgerStore, *texts: NewText, validator: Validator = ACCEPTING, **options: Any) -> None:
    entries = tuple(_entry(Path(text.path)) for text in texts if text.text is not None)
    options.setdefault("entries", entries)
    options.setdefault("released", set())
    write_files(texts, store=store, validator=validator, **options)


def _write_it(store: LedgerStore, new: NewText, validator: Validator) -> None:
    _write(store, new, validator=validator)


def _only_validate(_store: LedgerStore, new: NewText, validator: Validator) -> None:
    validate_texts([new], validator)


def test_a_file_is_replaced_and_the_ledger_knows(store: LedgerStore, target: Path) -> None:
    _write(store, _new(target, "new"))
    assert target.read_text() == "new"
    ledger = store.read()
    assert ledger.keys == (_entry(target),)
    assert ledger.files == {str(target): OwnedFile(False, hashlib.sha256(b"new").hexdigest())}
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["daemon.json"]


def test_the_ledger_is_for_root_only(store: LedgerStore, target: Path) -> None:
    _write(store, _new(target, "new"))
    assert stat.S_IMODE(Path(store.path).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(store.path).parent.stat().st_mode) == 0o700


def test_mode_and_attributes_are_kept(store: LedgerStore, target: Path) -> None:
    target.chmod(0o640)
    try:
        os.setxattr(target, "user.origin", b"admin")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    before = {name: os.getxattr(target, name) for name in os.listxattr(target)}
    _write(store, _new(target, "new"))
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert {name: os.getxattr(target, name) for name in os.listxattr(target)} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(store: LedgerStore, target: Path) -> None:
    os.chown(target, 1234, 4321)
    _write(store, _new(target, "new"))
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


def test_a_new_file_is_readable_and_its_directory_is_made(store: LedgerStore, tmp_path: Path) -> None:
    path = tmp_path / "fresh" / "daemon.json"
    _write(store, _new(path, "new", created=True))
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert store.read().files[str(path)].created


def test_a_released_file_goes_with_its_entries(store: LedgerStore, target: Path) -> None:
    _write(store, _new(target, "new"))
    _write(store, _new(target, None), released={_entry(target).id})
    assert not target.exists()
    assert store.read() == Ledger()


@pytest.fixture
def dropin(store: LedgerStore, tmp_path: Path) -> Path:
    """A file whose directory was made for it, and which another was then put beside."""
    path = tmp_path / "docker.service.d" / "50-limits.conf"
    _write(store, _new(path, "new", created=True))
    assert store.read().files[str(path)].directories_made == 1
    return path


def _release(store: LedgerStore, path: Path) -> None:
    _write(store, _new(path, None), released={_entry(path).id})


def test_a_directory_that_was_made_for_a_file_goes_with_it(store: LedgerStore, dropin: Path) -> None:
    _write(store, _new(dropin, "changed", created=True))
    _release(store, dropin)
    assert not dropin.parent.exists()
    assert store.read() == Ledger()


@pytest.mark.parametrize("first", ["50-limits.conf", "60-more.conf"])
def test_it_goes_with_the_last_of_our_files(store: LedgerStore, dropin: Path, first: str) -> None:
    files = {path.name: path for path in (dropin, dropin.with_name("60-more.conf"))}
    _write(store, _new(files["60-more.conf"], "new", created=True))
    _release(store, files.pop(first))
    assert dropin.parent.is_dir()
    _release(store, *files.values())
    assert not dropin.parent.exists()


def test_every_directory_that_was_made_for_a_file_goes_with_it(store: LedgerStore, tmp_path: Path) -> None:
    path = tmp_path / "containers.rootless.conf.d" / "1002" / "99-bulkhead.conf"
    _write(store, _new(path, "new", created=True))
    assert store.read().files[str(path)].directories_made == 2
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    _release(store, path)
    assert not path.parents[1].exists()


def test_a_refused_file_leaves_none_of_its_directories(store: LedgerStore, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.conf"
    with pytest.raises(OwnedFileError, match="refuses the new content"):
        _write(store, _new(path, "new", created=True), validator=Validator(System(), ["/bin/false", "%s"]))
    assert not path.parents[1].exists()


def test_a_directory_that_was_there_stays_when_it_is_empty(store: LedgerStore, target: Path) -> None:
    target.unlink()
    _write(store, _new(target, "new", created=True))
    assert not store.read().files[str(target)].directories_made
    _release(store, target)
    assert list(target.parent.iterdir()) == []


def test_a_directory_with_something_of_somebody_else_s_stays(store: LedgerStore, dropin: Path) -> None:
    dropin.with_name("admin.conf").write_text("theirs")
    _release(store, dropin)
    assert [entry.name for entry in dropin.parent.iterdir()] == ["admin.conf"]
    assert store.read() == Ledger()


@pytest.mark.parametrize("became", ["nothing", "link", "file"])
def test_what_stands_where_the_directory_was_is_left(
    store: LedgerStore, dropin: Path, tmp_path: Path, became: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    dropin.parent.rename(elsewhere)
    (elsewhere / dropin.name).unlink()
    if became == "link":
        dropin.parent.symlink_to(elsewhere)
    elif became == "file":
        dropin.parent.write_text("theirs")
    _write(store, released={_entry(dropin).id})
    assert elsewhere.is_dir()
    assert os.path.lexists(dropin.parent) == (became != "nothing")
    assert store.read() == Ledger()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
@pytest.mark.parametrize("became", ["a user's", "everybody's"])
def test_a_directory_that_others_can_replace_by_now_is_left(
    store: LedgerStore, dropin: Path, became: str
) -> None:
    dropin.unlink()
    if became == "a user's":
        os.chown(dropin.parent, NOBODY, 0)
    else:
        dropin.parent.chmod(0o777)
    _write(store, released={_entry(dropin).id})
    assert dropin.parent.is_dir()
    assert store.read() == Ledger()


def test_a_kill_before_the_directory_goes_leaves_it_to_the_next_run(
    store: LedgerStore, dropin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_path: str) -> None:
        raise Killed

    monkeypatch.setattr(os, "rmdir", die)
    with pytest.raises(Killed):
        _release(store, dropin)
    monkeypatch.undo()
    assert dropin.parent.is_dir()
    _write(store, released={_entry(dropin).id})
    assert not dropin.parent.exists()


def test_a_directory_that_cannot_be_removed_is_an_error_and_is_tried_again(
    store: LedgerStore, dropin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(OwnedFileError, match="service.d: Read-only file system. The files are written"):
        _release(store, dropin)
    monkeypatch.undo()
    _write(store, released={_entry(dropin).id})
    assert not dropin.parent.exists()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_ledger_from_before_knows_of_no_directory(version: str) -> None:
    facts = {"created": True, "sha256": "0", **({"format": "json"} if version != "1.0" else {})}
    document = {"schema_version": version, "files": {"/etc/x.d/y": facts}, "keys": []}
    ledger = Ledger.parse(json.dumps(document))
    assert ledger.files == {"/etc/x.d/y": OwnedFile(True, "0")}
    assert "directories_made" not in ledger.render()


def test_the_ledger_remembers_a_directory() -> None:
    ledger = Ledger(files={"/etc/x.d/y": OwnedFile(True, "0", directories_made=2)})
    assert Ledger.parse(ledger.render()) == ledger


def test_a_file_that_changed_since_it_was_read_is_left(store: LedgerStore, target: Path) -> None:
    planned = _new(target, "new")
    target.write_text("edited meanwhile")
    with pytest.raises(OwnedFileError, match="somebody changed it while"):
        _write(store, planned)
    assert target.read_text() == "edited meanwhile"
    assert store.read() == Ledger()


def test_the_validator_sees_the_new_text_and_its_refusal_changes_nothing(
    store: LedgerStore, target: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "validator"
    script.write_text(f'#!/bin/sh\ncp "$2" {seen}\necho "$2: bad value hunter2" >&2\nexit 1\n')
    script.chmod(0o755)
    validator = Validator(System(), [str(script), "--config-file", "%s"], ["hunter2"])
    with pytest.raises(OwnedFileError) as caught:
        _write(store, _new(target, "new"), validator=validator)
    assert f"{target}: bad value (secret)" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert seen.read_text() == "new"
    assert target.read_text() == "old"
    assert [entry.name for entry in target.parent.iterdir()] == ["daemon.json"]


def test_a_refused_new_file_leaves_no_directory(store: LedgerStore, tmp_path: Path) -> None:
    path = tmp_path / "fresh" / "daemon.json"
    with pytest.raises(OwnedFileError, match="refuses the new content"):
        _write(store, _new(path, "new"), validator=Validator(System(), ["/bin/false", "%s"]))
    assert not path.parent.exists()


def test_check_mode_validates_elsewhere(target: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "validator"
    script.write_text(f'#!/bin/sh\necho "$1" > {seen}\ngrep -q new "$1"\n')
    script.chmod(0o755)
    validator = Validator(System(), [str(script), "%s"])
    validate_texts([_new(target, "new")], validator)
    validated = seen.read_text().strip()
    assert not validated.startswith(str(target.parent))
    assert not Path(validated).exists()
    with pytest.raises(OwnedFileError, match="refuses"):
        validate_texts([_new(target, "other")], validator)


def test_a_missing_validator_is_named(store: LedgerStore, target: Path) -> None:
    with pytest.raises(OwnedFileError, match="validator could not be run: /none"):
        _write(store, _new(target, "new"), validator=Validator(System(), ["/none", "%s"]))
    assert target.read_text() == "old"


@pytest.mark.parametrize("failing", ["fsync", "rename", "mkstemp"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EPERM])
def test_an_unwritable_disk_changes_nothing(
    store: LedgerStore, target: Path, monkeypatch: pytest.MonkeyPatch, failing: str, code: int
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OSError(code, os.strerror(code))

    with store.lock():
        store.write(Ledger())
    place = _owned_files.tempfile if failing == "mkstemp" else os
    monkeypatch.setattr(place, failing, refuse)
    with pytest.raises(BulkheadError) as caught:
        _write(store, _new(target, "new"))
    monkeypatch.undo()
    assert os.strerror(code) in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert target.read_text() == "old"
    assert store.read() == Ledger()
    assert [entry.name for entry in target.parent.iterdir()] == ["daemon.json"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code may catch it."""


@pytest.mark.parametrize("survived", range(12))
def test_a_kill_at_any_call_leaves_the_old_or_the_new_file(
    store: LedgerStore, target: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    calls = {"left": survived}

    def dying(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if calls["left"] == 0:
                raise Killed
            calls["left"] -= 1
            return real(*arguments, **options)

        return call

    planned = _new(target, "new")
    for name in ("rename", "fsync", "unlink"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    killed = False
    try:
        _write(store, planned)
    except Killed:
        killed = True
    monkeypatch.undo()
    assert killed == (survived < 10)
    text, ledger = target.read_text(), store.read()
    assert text in ("old", "new")
    if text == "new":
        assert ledger.keys == (_entry(target),)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"schema_version": "9"}', b"\xff", b'{"schema_version":"1.0"}']
)
def test_a_damaged_ledger_is_refused_and_nothing_is_touched(
    store: LedgerStore, target: Path, content: bytes
) -> None:
    Path(store.path).parent.mkdir(mode=0o700)
    Path(store.path).write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger.json: .* Nothing was changed"):
        _write(store, _new(target, "new"))
    assert target.read_text() == "old"
    assert Path(store.path).read_bytes() == content


def test_a_second_writer_is_refused(store: LedgerStore, target: Path) -> None:
    with store.lock(), pytest.raises(LedgerError, match="another run is writing"):
        _write(LedgerStore(str(Path(store.path).parent)), _new(target, "new"))


def test_a_link_within_the_directory_is_kept(store: LedgerStore, target: Path) -> None:
    real = target.with_name("real.json")
    target.rename(real)
    target.symlink_to("real.json")
    _write(store, _new(target, "new"))
    assert target.is_symlink()
    assert real.read_text() == "new"


def test_a_link_out_of_the_directory_is_refused(store: LedgerStore, target: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    target.rename(elsewhere)
    target.symlink_to(elsewhere)
    with pytest.raises(OwnedFileError, match="symbolic link that leads out of"):
        read_file(str(target))
    with pytest.raises(OwnedFileError, match="symbolic link that leads out of"):
        _write(store, NewText(str(target), "new", None))
    assert elsewhere.read_text() == "old"


def test_what_is_no_text_file_is_refused(target: Path) -> None:
    target.write_bytes(b"{\xff}")
    with pytest.raises(OwnedFileError, match="byte 1 is not UTF-8"):
        read_file(str(target))
    target.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(OwnedFileError, match="longer than 1048576 bytes"):
        read_file(str(target))
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(OwnedFileError, match="not a regular file"):
        read_file(str(target))


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(BulkheadError, match="absolute path"):
        read_file("daemon.json")
    with pytest.raises(BulkheadError, match="absolute path"):
        read_file("/etc/docker/../shadow")


def test_a_value_being_replaced_is_settled_after_the_write(store: LedgerStore, target: Path) -> None:
    entry = replace(_entry(target), set=True, replaces={"value": False})
    _write(store, _new(target, "new"), entries=(entry,))
    assert store.read().keys == (replace(entry, replaces=None),)


def test_a_file_s_own_validator_judges_that_file_alone(store: LedgerStore, target: Path) -> None:
    other = target.with_name("other.conf")
    validator = Validator(System(), [], own={str(target): ["/bin/false", "%s"]})
    _write(store, _new(other, "new"), validator=validator)
    assert other.read_text() == "new"
    with pytest.raises(OwnedFileError, match="/bin/false refuses the new content"):
        _write(store, _new(target, "new"), validator=validator)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away, and sets a security context")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user.origin", b"admin"),
        ("trusted.origin", b"admin"),
        ("security.selinux", b"system_u:object_r:container_config_t:s0\x00"),
        # acl(5), version 2: user::rw-, user:1234:r--, group::r--, mask::r--, other::---
        (
            "system.posix_acl_access",
            bytes.fromhex(
                "0200000001000600ffffffff02000400d204000004000400ffffffff10000400ffffffff20000000ffffffff"
            ),
        ),
    ],
)
def test_every_attribute_is_kept(store: LedgerStore, target: Path, name: str, value: bytes) -> None:
    os.chown(target, 1234, 4321)
    target.chmod(0o640)
    try:
        os.setxattr(target, name, value)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            pytest.skip(f"this file system has no {name}")
        raise
    mode = target.stat().st_mode
    _write(store, _new(target, "new"))
    assert os.getxattr(target, name) == value
    assert (target.stat().st_uid, target.stat().st_gid, target.stat().st_mode) == (1234, 4321, mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
class TestUserFile:
    """A file below a directory that a user can write."""

    @pytest.fixture
    def theirs(self, tmp_path: Path) -> Path:
        for directory in (tmp_path, *tmp_path.parents):
            if str(directory).startswith("/tmp/"):
                directory.chmod(directory.stat().st_mode | 0o011)
        home = tmp_path / "home"
        home.mkdir()
        path = home / "containers.conf"
        path.write_text("old")
        path.chmod(0o600)
        for owned in (home, path):
            os.chown(owned, NOBODY, primary_group(NOBODY))
        return path

    def test_it_is_read_and_written_as_the_user_and_the_ledger_stays_root_s(
        self, store: LedgerStore, theirs: Path
    ) -> None:
        assert read_file(str(theirs))["text"] == "old"
        _write(store, _new(theirs, "new"))
        assert theirs.read_text() == "new"
        assert (theirs.stat().st_uid, stat.S_IMODE(theirs.stat().st_mode)) == (NOBODY, 0o600)
        assert Path(store.path).stat().st_uid == 0
        _write(store, _new(theirs, None), entries=(), released={_entry(theirs).id})
        assert not theirs.exists()
        _write(store, _new(theirs, "again", created=True))
        assert theirs.stat().st_uid == NOBODY

    def test_the_directories_that_were_made_for_it_go_with_the_last_file(
        self, store: LedgerStore, theirs: Path
    ) -> None:
        policy = theirs.parent / ".config" / "containers" / "containers.conf.d" / "50-bulkhead.conf"
        registries = policy.parents[1] / "registries.conf"
        _write(store, _new(policy, "new", created=True))
        _write(store, _new(registries, "new", created=True))
        assert store.read().files[str(policy)].directories_made == 3
        assert store.read().files[str(registries)].directories_made == 2
        _release(store, policy)
        assert [path.name for path in registries.parent.iterdir()] == ["registries.conf"]
        _release(store, registries)
        assert [path.name for path in theirs.parent.iterdir()] == ["containers.conf"]

    def test_directories_that_are_root_s_or_hold_something_stay(
        self, store: LedgerStore, theirs: Path
    ) -> None:
        (theirs.parent / ".config").mkdir()
        policy = theirs.parent / ".config" / "containers" / "policy.json"
        os.chown(theirs.parent / ".config", NOBODY, primary_group(NOBODY))
        _write(store, _new(policy, "new", created=True))
        assert store.read().files[str(policy)].directories_made == 1
        (policy.parent / "theirs").write_text("")
        _release(store, policy)
        assert [path.name for path in policy.parent.iterdir()] == ["theirs"]

    @pytest.mark.parametrize("groups", [[4], []])
    def test_it_keeps_its_group_where_the_user_is_in_it(
        self, store: LedgerStore, theirs: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int]
    ) -> None:
        monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, *groups])
        os.chown(theirs, NOBODY, 4)
        _write(store, _new(theirs, "new"))
        assert theirs.read_text() == "new"
        assert theirs.stat().st_gid == (groups[0] if groups else primary_group(NOBODY))

    def test_a_link_to_a_file_of_root_s_is_neither_read_nor_written(
        self, store: LedgerStore, theirs: Path, target: Path
    ) -> None:
        planned = _new(theirs, "new")
        theirs.unlink()
        theirs.symlink_to(target)
        with pytest.raises(BulkheadError, match="symbolic link"):
            read_file(str(theirs))
        with pytest.raises(BulkheadError, match=r"symbolic link.*Nothing was changed"):
            _write(store, planned)
        assert target.read_text() == "old"
        assert store.read() == Ledger()

    def test_a_hard_link_to_a_file_of_root_s_is_not_read(self, theirs: Path, target: Path) -> None:
        target.chmod(0o600)
        theirs.unlink()
        theirs.hardlink_to(target)
        with pytest.raises(BulkheadError, match="as user 65534: Permission denied"):
            read_file(str(theirs))

    def test_a_link_swapped_in_after_the_last_look_changes_nothing_of_root_s(
        self, store: LedgerStore, theirs: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = _new(theirs, "new")
        settle = LedgerStore.write

        def swap_then_write(self: LedgerStore, ledger: Ledger) -> None:
            theirs.unlink(missing_ok=True)
            theirs.symlink_to(target)
            monkeypatch.undo()
            settle(self, ledger)

        monkeypatch.setattr(LedgerStore, "write", swap_then_write)
        with pytest.raises(BulkheadError, match=r"Nothing was changed"):
            _write(store, planned)
        assert target.read_text() == "old"
        assert theirs.is_symlink()
        assert store.read().keys == ()

    def test_the_validator_sees_the_new_text(self, store: LedgerStore, theirs: Path) -> None:
        with pytest.raises(OwnedFileError, match="refuses the new content"):
            _write(store, _new(theirs, "new"), validator=Validator(System(), ["/bin/grep", "old", "%s"]))
        assert theirs.read_text() == "old"
        _write(store, _new(theirs, "new"), validator=Validator(System(), ["/bin/grep", "-q", "new", "%s"]))
        assert theirs.read_text() == "new"

    @pytest.mark.parametrize("phase", [_write_it, _only_validate])
    def test_the_validator_is_the_user_with_nothing_of_root_s(
        self, store: LedgerStore, theirs: Path, monkeypatch: pytest.MonkeyPatch, phase: Any
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(theirs.parent.parent))  # root's, and perhaps out of the user's reach
        monkeypatch.setenv("OF_ROOT", "1")
        probe = (
            'cat "$0" >/dev/null; stat -c "%U %a" "$0" "${0%/*}"; touch "${0%/*}/x" 2>&- && echo open\n'
            'echo "$(id -u):$(id -g):$(id -G) $HOME $XDG_RUNTIME_DIR ${OF_ROOT-clean}"; exit 1'
        )
        account = pwd.getpwuid(NOBODY)
        with pytest.raises(OwnedFileError) as caught:
            phase(store, _new(theirs, "new"), Validator(System(), ["/bin/sh", "-c", probe, "%s"]))
        ids, home = f"{NOBODY}:{account.pw_gid}:{account.pw_gid}", account.pw_dir
        said = f"{account.pw_name} 600\nroot 711\n{ids} {home} /run/user/{NOBODY} clean"
        assert said in str(caught.value)
        assert theirs.read_text() == "old"
