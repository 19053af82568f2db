# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the program of the dead man's switch: the sources that it needs, in one file that Python runs.

The sources come through the import system, so that it works from a module that Ansible has packed, from a
checkout and from an installed collection. A program of the host's own is needed because the packed
module is gone when the timer fires.
"""

from __future__ import annotations

import importlib.util
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_private import write_private
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._dead_man import main as dead_man

__all__ = ["program_sources", "write_program"]

# Imported, so that Ansible packs it and what it needs.
ENTRY = dead_man.__module__
PACKAGE = ENTRY.rpartition(".")[0]
_IMPORT = re.compile(rf"^from ({re.escape(PACKAGE)}\.\w+) import", re.MULTILINE)
_MAIN = f"import sys\n\nfrom {ENTRY} import main\n\nsys.exit(main(sys.argv[1:]))\n"


def write_program(path: str) -> None:
    """Write the program for root only; raises `CheckpointError` when a source cannot be had."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, source in program_sources():
            archive.writestr(f"{name.replace('.', '/')}.py", source)
        for package in _packages():
            archive.writestr(f"{package.replace('.', '/')}/__init__.py", "")
        archive.writestr("__main__.py", _MAIN)
    write_private(path, content.getvalue())


def program_sources() -> Iterator[tuple[str, str]]:
    """`(name, source)` of the entry and of everything that it imports from the collection."""
    waiting, seen = [ENTRY], {ENTRY}
    while waiting:
        name = waiting.pop()
        source = _source(name)
        yield name, source
        for imported in _IMPORT.findall(source):
            if imported not in seen:
                seen.add(imported)
                waiting.append(imported)


def _source(name: str) -> str:
    specification = importlib.util.find_spec(name)
    loader = None if specification is None else specification.loader
    # zipimport's loader has the method without being registered as an InspectLoader on Python 3.9.
    read: Optional[Callable[[str], Optional[str]]] = getattr(loader, "get_source", None)
    source = None if read is None else read(name)
    if source is None:
        raise CheckpointError(f"confirm_within: the source of {name} cannot be had. {UNCHANGED}")
    return source


def _packages() -> Iterator[str]:
    parts = PACKAGE.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
