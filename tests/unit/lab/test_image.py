# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an image is made: files, commands, partition table, pruning."""

from __future__ import annotations

import os
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from lab.cache import Keys
from lab.gpt import ROOT_OFFSET, SECTOR, write_partition_table
from lab.image import Image, file_system_arguments, image_for, mmdebstrap_arguments, recipe_key
from lab.image_files import image_files, write_archive
from lab.platforms import recipe_for
from lab.progress import Progress


def test_the_archive_belongs_to_root_and_hides_the_keys(keys: Keys, tmp_path: Path) -> None:
    archive = tmp_path / "files.tar"
    write_archive(image_files(recipe_for("debian-13-bare"), keys), archive)
    with tarfile.open(archive) as opened:
        members = {member.name: member for member in opened.getmembers()}
        login = opened.extractfile("root/.ssh/authorized_keys")
        assert login is not None
        assert login.read().decode() == Keys.public(keys.login) + "\n"
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert members["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert members["root/.ssh"].mode == 0o700
    assert members["etc"].mode == 0o755
    assert members["etc/systemd/system/apt-daily.timer"].linkname == "/dev/null"


def test_the_private_login_key_is_in_no_image(keys: Keys) -> None:
    private = keys.login.read_text()
    assert all(private not in file.content for file in image_files(recipe_for("debian-13"), keys).values())


def test_the_root_file_system_is_built_from_the_default_mirror(tmp_path: Path) -> None:
    argv = mmdebstrap_arguments(recipe_for("debian-sid-bare"), tmp_path / "files.tar", tmp_path / "root.tar")
    assert argv[0].endswith("/mmdebstrap")
    assert argv[1:4] == [
        "--variant=minbase",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        f"--setup-hook=tar-in {tmp_path}/files.tar /",
    ]
    assert argv[-2:] == ["sid", str(tmp_path / "root.tar")]
    assert not [argument for argument in argv if "://" in argument]


@pytest.mark.parametrize(("uid", "prefix"), [(0, []), (1000, ["--user", "--map-root-user", "--map-auto"])])
def test_an_ordinary_user_writes_the_disk_in_a_user_namespace(
    uid: int, prefix: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    argv = file_system_arguments(
        recipe_for("debian-13-bootloader"), Path("root.tar"), Path("tree"), Path("disk.img")
    )
    assert argv[: argv.index("sh")][1:] == prefix
    assert argv[-7:-5] == ["root.tar", "tree"]
    assert argv[-4:] == ["lab-root", str(ROOT_OFFSET), "disk.img", "8G"]


def test_the_partition_table_is_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    write_partition_table(disk, root_bytes=16 * 1024 * 1024)
    content = disk.read_bytes()
    assert content[510:512] == b"\x55\xaa"
    assert content[450] == 0xEE
    last = len(content) // SECTOR - 1
    for here, other in ((1, last), (last, 1)):
        header = content[here * SECTOR : here * SECTOR + 92]
        assert header[:8] == b"EFI PART"
        assert struct.unpack("<I", header[16:20])[0] == zlib.crc32(header[:16] + b"\0" * 4 + header[20:])
        assert struct.unpack("<QQ", header[24:40]) == (here, other)
        table = struct.unpack("<Q", header[72:80])[0] * SECTOR
        entries = content[table : table + 128 * 128]
        assert struct.unpack("<I", header[88:92])[0] == zlib.crc32(entries)
        first, end = struct.unpack("<QQ", entries[128 + 32 : 128 + 48])
        assert (first * SECTOR, (end - first + 1) * SECTOR) == (ROOT_OFFSET, 16 * 1024 * 1024)
        assert last * SECTOR >= table + len(entries) or here == 1


def test_old_images_go_unless_a_process_has_them_open(cache: Path, keys: Keys, progress: Progress) -> None:
    recipe = recipe_for("debian-13-bare")
    images = cache / "images"
    current = images / f"{recipe.name}@{recipe_key(recipe, keys)}"
    unused, used = images / f"{recipe.name}@old1", images / f"{recipe.name}@old2"
    neighbour = images / "debian-13@old"
    for directory in (current, unused, used, neighbour):
        directory.mkdir(parents=True)
    with (used / "disk.img").open("w"):
        assert image_for(recipe, progress) == Image(recipe, current)
    assert sorted(path.name for path in images.iterdir() if path.is_dir()) == sorted(
        [current.name, used.name, neighbour.name]
    )


def test_a_failed_build_leaves_no_image_and_shows_the_log(
    cache: Path, keys: Keys, progress: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    failing = programs / "mmdebstrap"
    failing.write_text("#!/bin/sh\necho E: no such suite >&2\nexit 7\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(Exception, match=r"status 7\n.*last lines of (?s:.*)E: no such suite"):
        image_for(recipe_for("debian-13"), progress)
    assert [path.name for path in (cache / "images").iterdir()] == ["debian-13.lock"]
