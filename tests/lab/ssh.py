# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reaching a machine by ssh: the options, the banner, one command."""

from __future__ import annotations

import socket
from pathlib import Path

from lab.cache import Keys
from lab.commands import output_of, program

ADDRESS = "127.0.0.1"


def known_hosts_line(port: int, keys: Keys) -> str:
    return f"[{ADDRESS}]:{port} {Keys.public(keys.host)}\n"


def ssh_options(known_hosts: Path) -> list[str]:
    """Nothing of the user's own configuration, and only the host key that the lab put into the image."""
    return [
        *("-F", "none"),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", f'UserKnownHostsFile="{known_hosts}"'),
        *("-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", "ConnectTimeout=20"),
    ]


def ssh_arguments(port: int, login: Path, known_hosts: Path) -> list[str]:
    """The command up to and with the host; a remote command may follow."""
    ssh = program("ssh", "openssh-client")
    return [ssh, *ssh_options(known_hosts), "-i", str(login), "-p", str(port), f"root@{ADDRESS}"]


def banner_answers(port: int, *, limit: float = 3.0) -> bool:
    """Whether the guest's ssh server itself answers; QEMU accepts the connection long before."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=limit) as connection:
            connection.settimeout(limit)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def run_remote(arguments: list[str], script: str, *, limit: float) -> str:
    """Run a shell script on the machine, given by standard input, and return its standard output."""
    return output_of([*arguments, "sh -eu -s"], stdin=script, limit=limit)
