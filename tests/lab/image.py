# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Building base images and keeping them in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.cache import Keys, cache_directory, lab_keys, locked
from lab.commands import output_of, program, run_long
from lab.gpt import ROOT_OFFSET, write_partition_table
from lab.image_files import ROOT_LABEL, image_files, write_archive
from lab.platforms import Recipe
from lab.progress import Progress

FORMAT = 1  # raise it when the way of building changes without the recipe or the files changing
BUILD_LIMIT = 1200.0


@dataclass(frozen=True)
class Image:
    """A finished base image; nothing in its directory changes any more except that saved states are added."""

    recipe: Recipe
    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"


def recipe_key(recipe: Recipe, keys: Keys) -> str:
    """Twelve hexadecimal digits that change when anything changes that ends up in the image."""
    files = {path: asdict(file) for path, file in image_files(recipe, keys).items()}
    text = json.dumps([FORMAT, asdict(recipe), files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def image_for(recipe: Recipe, progress: Progress) -> Image:
    """The image of a recipe: from the cache, or built now. Two commands never build the same one at once."""
    keys = lab_keys(progress)
    images = cache_directory() / "images"
    images.mkdir(mode=0o700, exist_ok=True)
    image = Image(recipe, images / f"{recipe.name}@{recipe_key(recipe, keys)}")
    with locked(images / f"{recipe.name}.lock", progress=progress, subject=recipe.name):
        if not image.directory.exists():
            _build(image, keys, progress)
        _prune(image, progress)
    return image


def mmdebstrap_arguments(recipe: Recipe, archive: Path, tar: Path) -> list[str]:
    """The build of the root file system; without a mirror, so that mmdebstrap takes its default one."""
    return [
        program("mmdebstrap", "mmdebstrap"),
        "--variant=minbase",
        *(f"--aptopt={option}" for option in recipe.apt_options),
        f"--setup-hook=tar-in {archive} /",
        f"--include={','.join(recipe.packages)}",
        '--customize-hook=chroot "$1" systemctl enable systemd-networkd.service',
        # Names of the kernel differ per release; these copies are what QEMU gets.
        '--customize-hook=cp "$1"/boot/vmlinuz-* "$1/vmlinuz.lab"',
        '--customize-hook=cp "$1"/boot/initrd.img-* "$1/initrd.lab"',
        f"--customize-hook=download /vmlinuz.lab {archive.parent / 'vmlinuz'}",
        f"--customize-hook=download /initrd.lab {archive.parent / 'initrd'}",
        '--customize-hook=rm "$1/vmlinuz.lab" "$1/initrd.lab"',
        "--skip=output/dev",  # device nodes cannot be unpacked by an ordinary user; the kernel makes its own
        recipe.suite,
        str(tar),
    ]


def file_system_arguments(recipe: Recipe, tar: Path, tree: Path, disk: Path) -> list[str]:
    """Unpack the root file system and make an ext4 of it, without loop devices and mounts."""
    script = (
        'mkdir "$2" && '
        'tar --extract --numeric-owner --xattrs --xattrs-include="*" -p --file "$1" -C "$2" && '
        'mkdir "$2/dev" && '
        '"$3" -q -F -t ext4 -L "$4" -E "offset=$5,root_owner=0:0" -d "$2" "$6" "$7" && '
        'rm -rf "$2"'
    )
    mke2fs = program("mke2fs", "e2fsprogs")
    offset = ROOT_OFFSET if recipe.boots_itself else 0
    size = f"{recipe.disk_gib}G"
    return [
        *(*_as_root(), "sh", "-c", script, "sh"),
        *(str(tar), str(tree), mke2fs, ROOT_LABEL, str(offset), str(disk), size),
    ]


def _build(image: Image, keys: Keys, progress: Progress) -> None:
    recipe = image.recipe
    part = image.directory.with_name(f"{recipe.name}.part")
    _remove(part)  # what a killed build left; the lock says that nobody else uses it
    part.mkdir(mode=0o700)
    archive, tar, tree = part / "files.tar", part / "root.tar", part / "tree"

    def step(phase: str, argv: list[str]) -> None:
        log = part / "build.log"
        run_long(argv, progress=progress, subject=recipe.name, phase=phase, log=log, limit=BUILD_LIMIT)

    try:
        write_archive(image_files(recipe, keys), archive)
        step("installing packages into the image", mmdebstrap_arguments(recipe, archive, tar))
        if recipe.boots_itself:
            write_partition_table(part / "disk.img", root_bytes=recipe.disk_gib * 1024**3)
        step("writing the root file system", file_system_arguments(recipe, tar, tree, part / "disk.img"))
        archive.unlink()
        tar.unlink()
        part.rename(image.directory)
    finally:
        _remove(part)
    progress.say(recipe.name, f"image ready: {image.directory}")


def _as_root() -> list[str]:
    """How an ordinary user works on files of root and of the system's users: in a user namespace."""
    if os.geteuid() == 0:
        return []
    return [program("unshare", "util-linux"), "--user", "--map-root-user", "--map-auto"]


def _remove(directory: Path) -> None:
    if directory.exists():
        output_of([*_as_root(), "rm", "-rf", str(directory)], limit=120)


def _prune(current: Image, progress: Progress) -> None:
    """Remove the images that an older recipe of the same name left, except where a machine runs on one."""
    for other in current.directory.parent.glob(f"{current.recipe.name}@*"):
        if other != current.directory and not _in_use(other):
            progress.say(current.recipe.name, f"removing the image of an older recipe: {other.name}")
            _remove(other)


def _in_use(directory: Path) -> bool:
    """Whether a process has a file of this directory open, as far as this user can see."""
    return any(path.startswith(f"{directory}/") for path in _open_files())


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue  # closed meanwhile, or of another user
