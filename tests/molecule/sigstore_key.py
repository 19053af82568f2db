# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypts a PKCS #8 key (DER, standard input) as Skopeo takes it: scrypt and NaCl's secretbox, in PEM.

Skopeo 1.9 signs with such a key and cannot make one. For keys of tests only: the passphrase is `test`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import sys

PASSPHRASE = b"test"
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_QUARTERS = (
    *((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    *((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)


def _rotated(value: int, bits: int) -> int:
    value &= 0xFFFFFFFF
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def _core(key: bytes, block: bytes) -> tuple[list[int], list[int]]:
    words, inner = struct.unpack("<8I", key), struct.unpack("<4I", block)
    start = [_SIGMA[0], *words[:4], _SIGMA[1], *inner, _SIGMA[2], *words[4:], _SIGMA[3]]
    state = list(start)
    for _round in range(10):
        for a, b, c, d in _QUARTERS:
            state[b] ^= _rotated(state[a] + state[d], 7)
            state[c] ^= _rotated(state[b] + state[a], 9)
            state[d] ^= _rotated(state[c] + state[b], 13)
            state[a] ^= _rotated(state[d] + state[c], 18)
    return start, state


def _subkey(key: bytes, nonce: bytes) -> bytes:
    _start, state = _core(key, nonce)
    return struct.pack("<8I", *(state[place] for place in (0, 5, 10, 15, 6, 7, 8, 9)))


def _stream(key: bytes, nonce: bytes, length: int) -> bytes:
    made = b""
    for counter in range(-(-length // 64)):
        start, state = _core(key, nonce + struct.pack("<Q", counter))
        made += struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(start, state)))
    return made[:length]


def _poly1305(key: bytes, message: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for place in range(0, len(message), 16):
        total = (
            (total + int.from_bytes(message[place : place + 16] + b"\x01", "little")) * r % ((1 << 130) - 5)
        )
    return ((total + int.from_bytes(key[16:], "little")) % (1 << 128)).to_bytes(16, "little")


def secretbox(key: bytes, nonce: bytes, message: bytes) -> bytes:
    """XSalsa20 and Poly1305, the tag in front."""
    stream = _stream(_subkey(key, nonce[:16]), nonce[16:], 32 + len(message))
    sealed = bytes(a ^ b for a, b in zip(message, stream[32:]))
    return _poly1305(stream[:32], sealed) + sealed


def encrypted(der: bytes) -> str:
    """The PEM of an encrypted key."""
    salt, nonce = os.urandom(32), os.urandom(24)
    key = hashlib.scrypt(PASSPHRASE, salt=salt, n=32768, r=8, p=1, maxmem=1 << 26, dklen=32)
    parts = {name: base64.b64encode(value).decode() for name, value in (("salt", salt), ("nonce", nonce))}
    document = {
        "kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1}, "salt": parts["salt"]},
        "cipher": {"name": "nacl/secretbox", "nonce": parts["nonce"]},
        "ciphertext": base64.b64encode(secretbox(key, nonce, der)).decode(),
    }
    body = base64.encodebytes(json.dumps(document).encode()).decode()
    label = "ENCRYPTED COSIGN PRIVATE KEY"
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


if __name__ == "__main__":
    sys.stdout.write(encrypted(sys.stdin.buffer.read()))
