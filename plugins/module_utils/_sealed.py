# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module sends back, kept out of logs: the connection prints a module's whole answer at -vvv.

The controller makes a key for one call and hands it over with the module's arguments, which are not printed.
The answer is the text combined with as many bytes of SHAKE-256 of that key (FIPS 202, an extendable-output
function), used once. It keeps a log from telling secrets; on its way the connection protects the answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

__all__ = ["new_key", "seal", "unseal"]

_KEY_BYTES = 32


def new_key() -> str:
    """A key for one answer, as text."""
    return secrets.token_hex(_KEY_BYTES)


def seal(value: Any, key: str) -> str:
    """Any JSON value, unreadable without the key."""
    return base64.b64encode(_combined(json.dumps(value).encode("ascii"), key)).decode("ascii")


def unseal(text: str, key: str) -> Any:
    """The value that `seal` was given; raises `ValueError` for another key or a damaged text."""
    return json.loads(_combined(base64.b64decode(text, validate=True), key))


def _combined(content: bytes, key: str) -> bytes:
    stream = hashlib.shake_256(bytes.fromhex(key)).digest(len(content))
    return (int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(content), "big")
