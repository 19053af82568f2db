# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built collection, installed as a user would: the README's first audit runs from it, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(300)


def run(directory: Path, *command: str | Path, **environment: str) -> str:
    """Run a command that must succeed; returns what it printed."""
    ended = subprocess.run(
        command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_installed_collection_audits_this_machine(tmp_path: Path) -> None:
    run(CHECKOUT, "ansible-galaxy", "collection", "build", "--output-path", tmp_path)
    (archive,) = tmp_path.glob("bulkhead-hardening-*.tar.gz")
    collections = tmp_path / "collections"
    # Ansible looks for collections on Python's path too, where the checkout is.
    apart = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "PYTHONPATH": ""}
    run(tmp_path, "ansible-galaxy", "collection", "install", "--offline", archive, "-p", collections, **apart)
    shipped = {entry.name for entry in (collections / "ansible_collections/bulkhead/hardening").iterdir()}
    assert not shipped & {"tests", "molecule", "build", "Makefile", ".ci"}

    printed = run(tmp_path, "ansible-playbook", "bulkhead.hardening.audit", **apart)
    assert "[WARNING]" not in printed
    (report,) = tmp_path.glob("**/localhost/report.json")
    assert json.loads(report.read_text(encoding="utf-8"))["schema_version"] == "1.0"
    assert report.with_suffix(".html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
