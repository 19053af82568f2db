# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names, recipes and cache keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab import image_files
from lab.cache import Keys
from lab.errors import LabError
from lab.image import recipe_key
from lab.platforms import Recipe, accepted_names, recipe_for


def test_every_release_has_every_variant() -> None:
    names = accepted_names()
    assert len(names) == len(set(names)) == 12
    for release in ("debian-11", "debian-12", "debian-13", "debian-sid"):
        assert {release, f"{release}-bare", f"{release}-bootloader"} <= set(names)


@pytest.mark.parametrize("name", accepted_names())
def test_an_accepted_name_has_a_recipe_of_that_name(name: str) -> None:
    recipe = recipe_for(name)
    assert recipe.name == name
    assert recipe.boots_itself == name.endswith("-bootloader")
    assert {"openssh-server", "python3", "linux-image-amd64"} <= set(recipe.packages)


def test_a_bare_host_has_no_container_engine() -> None:
    assert {"docker.io", "podman"} <= set(recipe_for("debian-13").packages)
    assert not {"docker.io", "podman", "docker-cli"} & set(recipe_for("debian-13-bare").packages)


def test_an_unknown_name_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(LabError) as refusal:
        recipe_for("ubuntu-24.04")
    assert "'ubuntu-24.04'" in str(refusal.value)
    assert all(name in str(refusal.value) for name in accepted_names())


@pytest.mark.parametrize(
    "changed",
    [
        replace(recipe_for("debian-13"), packages=("python3",)),
        replace(recipe_for("debian-13"), suite="forky"),
        replace(recipe_for("debian-13"), disk_gib=9),
        replace(recipe_for("debian-13"), apt_options=("x",)),
        recipe_for("debian-13-bootloader"),
    ],
)
def test_a_changed_recipe_has_another_key(changed: Recipe, keys: Keys) -> None:
    assert recipe_key(recipe_for("debian-13"), keys) == recipe_key(recipe_for("debian-13"), keys)
    assert recipe_key(recipe_for("debian-13"), keys) != recipe_key(changed, keys)


def test_a_changed_file_or_key_of_the_lab_has_another_key(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recipe_key(recipe_for("debian-13"), keys)
    keys.login.with_suffix(".pub").write_text("ssh-ed25519 AAAAother comment\n")
    after_key = recipe_key(recipe_for("debian-13"), keys)
    monkeypatch.setattr(image_files, "_SSHD", "PermitRootLogin no\n")
    assert len({before, after_key, recipe_key(recipe_for("debian-13"), keys)}) == 3
