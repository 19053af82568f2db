# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A reload with a file that the running daemon would refuse.

A daemon refuses to reload a file that names what its own command line has as a flag, and only says so in its
log (moby ``daemon/config/config.go`` Reload and findConfigurationConflicts, at 20.10 and 29.7). That is the
moment between a new file with ``hosts`` and the restart without ``-H``: live-restore has to be in force
before that restart, and could not come into force. So the daemon reads the file without what it would
refuse, and then the file goes back to its place, the same bytes. A run that ends in between leaves the
shorter file; the ledger knows what is missing, and the next run puts it there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from ansible_collections.bulkhead.hardening.plugins.module_utils._file_replacement import like, replace_file
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_files import as_port_errors
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    configuration_path,
    conflicts,
    parse_flags,
    read_configuration_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import unix_http

__all__ = ["acceptable_file", "await_reload"]

POLL_SECONDS = 0.5
# The engine's API, GET /events: a filter is JSON.
_RELOADED = quote(json.dumps({"type": ["daemon"], "event": ["reload"]}))


def await_reload(system: System, socket: str, *, uid: int, since: float, seconds: float) -> bool:
    """Whether an engine told of a reload that it did; systemd only sends the signal.

    :param socket: whose listener is `uid`
    :param since: seconds since the epoch
    :param seconds: how long to wait for it
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        span = f"since={since:.9f}&until={time.time():.9f}"
        with unix_http(system, socket, peer_uid=uid) as engine:
            if engine.get_lines(f"/events?{span}&filters={_RELOADED}"):
                return True
        time.sleep(POLL_SECONDS)
    return False


@contextlib.contextmanager
def acceptable_file(system: System, argv: Sequence[str]) -> Iterator[bool]:
    """For the block, the daemon's file is one that it accepts in a reload; yields whether that took a change.

    :param argv: the command line of the running daemon
    :raises PortError: the file cannot be read or replaced
    """
    path = configuration_path(list(argv))
    settings = read_configuration_file(system, path).settings
    refused = conflicts(settings, parse_flags(list(argv)))
    if not refused:
        yield False
        return
    content = system.read_bytes(path)
    shorter = {name: value for name, value in settings.items() if name not in refused}
    target = os.path.realpath(system.socket_path(path))
    with as_port_errors(path):
        replace_file(target, (json.dumps(shorter, indent=2) + "\n").encode(), like(target))
    try:
        yield True
    finally:
        with as_port_errors(path):
            replace_file(target, content, like(target))
