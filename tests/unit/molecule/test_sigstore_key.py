# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The encryption of the tests' sigstore keys is NaCl's secretbox."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "molecule" / "sigstore_key.py"
KEY = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"
NONCE = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37"
MESSAGE = (
    "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01"
    "233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd"
    "4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
)
TAG = "f3ffc7703f9400e52a7dfb4b3d3305d9"


def test_the_known_answer() -> None:
    """Key, nonce and message of "Cryptography in NaCl" (Bernstein, 2009), section 10."""
    secretbox = runpy.run_path(str(SCRIPT))["secretbox"]
    sealed = secretbox(bytes.fromhex(KEY), bytes.fromhex(NONCE), bytes.fromhex(MESSAGE))
    assert sealed[:16].hex() == TAG
    assert len(sealed) == 16 + len(MESSAGE) // 2
