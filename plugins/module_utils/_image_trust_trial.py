# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pulls an image into a storage that is thrown away, to see whether the policy in force lets it in.

A pull that fails proves nothing by itself: the registry may be away. Only the words with which
containers/image refuses by policy (``copy/single.go``, "Source image rejected") are a refusal.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System

__all__ = ["try_image"]

_SECONDS = 300.0
_REFUSED = "Source image rejected"
_SAID = 500


def try_image(system: System, reference: str, *, wanted: str) -> dict[str, Any]:
    """Whether an image is `pulled` or `refused`, as wanted.

    :return: `{reference, wanted, found, proven, said}`; `found` is `pulled`, `refused` or `error`
    """
    program = system.find_program("podman")
    if program is None:
        return _outcome(reference, wanted, "error", "podman is not installed")
    directory = tempfile.mkdtemp(prefix="bulkhead-trust-")
    try:
        completed = system.run(
            [
                *(program, "--root", f"{directory}/root", "--runroot", f"{directory}/run"),
                *("--storage-driver", "vfs", "pull", "--quiet", "--", reference),
            ],
            timeout=_SECONDS,
            environment={"HOME": "/root"},
        )
    except PortError as error:
        return _outcome(reference, wanted, "error", str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    said = (completed.stderr or completed.stdout).strip()
    if completed.returncode == 0:
        return _outcome(reference, wanted, "pulled", "")
    return _outcome(reference, wanted, "refused" if _REFUSED in said else "error", said)


def _outcome(reference: str, wanted: str, found: str, said: str) -> dict[str, Any]:
    return {
        "reference": reference,
        "wanted": wanted,
        "found": found,
        "proven": found == wanted,
        "said": printable(said[-_SAID:]),
    }
