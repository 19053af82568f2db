# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Public keys out of files on the controller, as policy.json embeds them; a private key is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = ["KeyFileError", "gpg_key_data", "sigstore_key_data"]

_LIMIT = 256 * 1024
_ARMOR = re.compile(rb"-----BEGIN PGP ([A-Z ]+)-----[ \t]*\r?\n(.*?)-----END PGP \1-----", re.DOTALL)
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----[ \t]*\r?\n(.*?)-----END \1-----", re.DOTALL)
_PUBLIC_KEY, _SECRET_KEY = 6, 5  # RFC 4880 4.3, tags of packets


class KeyFileError(BulkheadError):
    """A file that is no public key."""


def gpg_key_data(paths: Sequence[str], base: str) -> str:
    """One keyring of all the files, in base64: a signature by any of the keys is enough.

    Armor is taken off, because containers/image without GPGME reads only the first of several armored blocks.

    :param base: directory that relative paths start from
    :raises KeyFileError: a file cannot be read, or holds something else than public keys
    """
    return base64.b64encode(b"".join(_keyring(path, _read(path, base)) for path in paths)).decode("ascii")


def sigstore_key_data(paths: Sequence[str], base: str) -> list[str]:
    """The public keys in PEM, each in base64.

    :raises KeyFileError: a file cannot be read, or holds something else than one public key
    """
    return [_pem(path, _read(path, base)) for path in paths]


def _read(path: str, base: str) -> bytes:
    try:
        with (Path(base) / path).open("rb") as stream:
            content = stream.read(_LIMIT + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror} (on the controller)") from error
    if len(content) > _LIMIT:
        raise KeyFileError(f"{path}: it is longer than {_LIMIT} bytes")
    return content


def _keyring(path: str, content: bytes) -> bytes:
    blocks = _ARMOR.findall(content)
    for label, _body in blocks:
        if label != b"PUBLIC KEY BLOCK":
            raise KeyFileError(
                f"{path}: found a PGP {label.decode().lower()}, accepted is a public key block"
            )
    keyring = b"".join(_unarmored(path, body) for _label, body in blocks) if blocks else content
    tag = _packet_tag(keyring)
    if tag == _SECRET_KEY:
        raise KeyFileError(f"{path}: found a secret key, accepted is a public one (gpg --export)")
    if tag != _PUBLIC_KEY:
        raise KeyFileError(f"{path}: found no OpenPGP public key, accepted is what gpg --export writes")
    return keyring


def _unarmored(path: str, body: bytes) -> bytes:
    lines = [line.strip() for line in body.splitlines()]
    start = lines.index(b"") + 1 if b"" in lines else 0  # headers end at an empty line
    payload = b"".join(line for line in lines[start:] if not line.startswith(b"="))
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error:
        raise KeyFileError(f"{path}: its armor is broken") from None


def _packet_tag(content: bytes) -> int | None:
    """The tag of the first packet (RFC 4880 4.2)."""
    if not content or not content[0] & 0x80:
        return None
    return content[0] & 0x3F if content[0] & 0x40 else (content[0] >> 2) & 0x0F


def _pem(path: str, content: bytes) -> str:
    blocks = _PEM.findall(content)
    labels = [label.decode() for label, _body in blocks]
    if labels != ["PUBLIC KEY"]:
        found = ", ".join(labels).lower() or "no PEM"
        raise KeyFileError(f"{path}: found {found}, accepted is one public key in PEM (cosign.pub)")
    try:
        der = base64.b64decode(b"".join(blocks[0][1].split()), validate=True)
    except binascii.Error:
        raise KeyFileError(f"{path}: its PEM is broken") from None
    if not der.startswith(b"\x30"):
        raise KeyFileError(f"{path}: its PEM holds no public key")
    return base64.b64encode(content).decode("ascii")
