# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A GUID partition table for images that boot through their own boot loader.

Layout of UEFI specification 2.10, section 5: a protective MBR, a header and 128 entries in front, copies of
both at the end. Two partitions: 1 MiB for GRUB's core image (BIOS boot), the root file system behind it.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

SECTOR = 512
MIB = 1024 * 1024
ROOT_OFFSET = 2 * MIB  # bytes

_ENTRIES, _ENTRY_BYTES = 128, 128
_ENTRY_SECTORS = _ENTRIES * _ENTRY_BYTES // SECTOR
_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
_LINUX_ROOT_X86_64 = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")


def disk_bytes(root_bytes: int) -> int:
    """Size of a disk whose root partition has the given size; one MiB at the end holds the second table."""
    return ROOT_OFFSET + root_bytes + MIB


def write_partition_table(disk: Path, *, root_bytes: int) -> None:
    """Make a sparse disk with the partition table on it."""
    total = disk_bytes(root_bytes)
    sectors = total // SECTOR
    first_root = ROOT_OFFSET // SECTOR
    partitions = [
        (_BIOS_BOOT, MIB // SECTOR, first_root - 1, "bios-boot"),
        (_LINUX_ROOT_X86_64, first_root, first_root + root_bytes // SECTOR - 1, "root"),
    ]
    entries = b"".join(_entry(*partition) for partition in partitions).ljust(_ENTRIES * _ENTRY_BYTES, b"\0")
    identity = uuid.uuid4()
    with disk.open("wb") as handle:
        handle.truncate(total)
        handle.write(_protective_mbr(sectors))
        handle.write(_header(entries, identity, sectors, here=1, other=sectors - 1, table=2))
        handle.write(entries)
        handle.seek((sectors - 1 - _ENTRY_SECTORS) * SECTOR)
        handle.write(entries)
        table = sectors - 1 - _ENTRY_SECTORS
        handle.write(_header(entries, identity, sectors, here=sectors - 1, other=1, table=table))


def _entry(kind: uuid.UUID, first: int, last: int, name: str) -> bytes:
    label = name.encode("utf-16-le")
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, uuid.uuid4().bytes_le, first, last, 0, label)


def _header(entries: bytes, identity: uuid.UUID, sectors: int, *, here: int, other: int, table: int) -> bytes:
    first_usable, last_usable = 2 + _ENTRY_SECTORS, sectors - 2 - _ENTRY_SECTORS
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART",
        0x00010000,
        92,  # bytes of this header
        0,  # its checksum, computed over itself with zero here
        0,
        here,
        other,
        first_usable,
        last_usable,
        identity.bytes_le,
        table,
        _ENTRIES,
        _ENTRY_BYTES,
        zlib.crc32(entries),
    )
    checksum = struct.pack("<I", zlib.crc32(header))
    return (header[:16] + checksum + header[20:]).ljust(SECTOR, b"\0")


def _protective_mbr(sectors: int) -> bytes:
    # One partition of type 0xee over the whole disk; active, because some BIOSes boot nothing else.
    whole = struct.pack(
        "<B3sB3sII", 0x80, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF)
    )
    return b"\0" * 446 + whole + b"\0" * 48 + b"\x55\xaa"
