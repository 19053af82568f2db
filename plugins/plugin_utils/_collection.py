# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of this collection: an installed one has a manifest, a checkout has galaxy.yml."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import yaml

__all__ = ["collection_version"]


@functools.lru_cache(maxsize=1)
def collection_version() -> str:
    """``0.1.0``; raises `OSError` when neither file is there, which is no collection."""
    root = Path(__file__).parents[2]
    manifest = root / "MANIFEST.json"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])
