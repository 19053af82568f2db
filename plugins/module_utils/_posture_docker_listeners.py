# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On which TCP addresses a process listens: its socket inodes against the kernel's tables."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from typing import NamedTuple

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, ProcessHandle

__all__ = ["Listener", "parse_tcp_table", "tcp_listeners"]

_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
_SOCKET = re.compile(r"socket:\[(\d+)\]")
TABLE_LIMIT = 16 * 1024 * 1024


class Listener(NamedTuple):
    """A listening TCP socket; `address` in its usual notation (`0.0.0.0`, `::`)."""

    address: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this host can reach it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


def tcp_listeners(process: ProcessHandle) -> list[Listener]:
    """The process's own listening TCP sockets, in its network namespace. Raises `PortError`."""
    inodes = set()
    for number in process.list_directory("fd"):
        try:
            match = _SOCKET.fullmatch(process.read_link(f"fd/{number}"))
        except NotThere:
            continue  # closed meanwhile
        if match:
            inodes.add(match[1])
    found = set()
    for table in ("net/tcp", "net/tcp6"):
        try:
            text = process.read_text(table, limit=TABLE_LIMIT)
        except NotThere:
            continue  # a kernel without IPv6
        found |= {listener for inode, listener in parse_tcp_table(text) if inode in inodes}
    return sorted(found)


def parse_tcp_table(text: str) -> list[tuple[str, Listener]]:
    """The listening sockets in /proc/net/tcp or tcp6 (proc_net(5)) with their inodes as text."""
    listeners = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _colon, port = fields[1].partition(":")
            listeners.append((fields[9], Listener(_address(address), int(port, 16))))
    return listeners


def _address(digits: str) -> str:
    """The kernel prints the address as 32 bit words in the machine's own byte order."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    order = "<" if sys.byteorder == "little" else ">"
    packed = struct.pack(f"{order}{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
