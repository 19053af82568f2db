# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Choosing a port on the loopback address."""

from __future__ import annotations

import socket

from lab.ssh import ADDRESS


def free_port() -> int:
    """A port that nobody listens on right now.

    Another program may take it before QEMU does: whoever starts QEMU tries another one then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
