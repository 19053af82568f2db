"""Which Python versions this machine can really run: version managers leave shims that start nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Optional

__all__ = ["VERSIONS", "find"]

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def find(version: str) -> Optional[Path]:
    """An interpreter of that version (``3.12``) that starts, or ``None``: on the path, or built by pyenv."""
    directories = [Path(entry) for entry in os.get_exec_path()]
    directories += sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin"))
    candidates = (directory / f"python{version}" for directory in directories)
    return next((path for path in candidates if _starts(path, version)), None)


def _starts(interpreter: Path, version: str) -> bool:
    try:
        answer = subprocess.run(
            [interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == version
