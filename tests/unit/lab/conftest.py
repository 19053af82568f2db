# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures of the lab's unit tests: everything in a directory of the test, no machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.cache import Keys, lab_keys
from lab.image import Image
from lab.platforms import recipe_for
from lab.progress import Progress


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "cache"
    monkeypatch.setenv("BULKHEAD_CACHE", str(directory))
    yield directory


@pytest.fixture
def keys(cache: Path, progress: Progress) -> Keys:
    return lab_keys(progress)


@pytest.fixture
def image(cache: Path) -> Image:
    return Image(recipe_for("debian-13"), cache / "images" / "debian-13@0123456789ab")
