# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands as argument lists: in a clean environment, bounded in time and output, killed with their group."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import (
    NotThere,
    PortError,
    TimeLimitExceeded,
)

__all__ = ["CLEAN_ENVIRONMENT", "COMMAND_SECONDS", "OUTPUT_LIMIT", "Completed", "run_command"]

CLEAN_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
COMMAND_SECONDS = 10.0
OUTPUT_LIMIT = 4 * 1024 * 1024
# What a killed command gets to end in. One that waits for a user's file system may not end at all.
_END_SECONDS = 1.0


@dataclass(frozen=True)
class Completed:
    """A command that ended by itself, and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run_command(
    argv: Sequence[str],
    *,
    timeout: float = COMMAND_SECONDS,
    output_limit: int = OUTPUT_LIMIT,
    environment: Optional[Mapping[str, str]] = None,
    uid: Optional[int] = None,
    gid: Optional[int] = None,
    stdin: Optional[int] = None,
) -> Completed:
    """Run a command in a session of its own, in `/`, its environment clean plus `environment`.

    `stdin` is a descriptor that it may read; without one it has no input. `uid` and `gid` drop to that user,
    without supplementary groups. Raises `PortError` when it cannot be started, writes more than
    `output_limit` bytes or has not ended after `timeout` seconds (its process group is killed then). An exit
    status other than 0 is a result, not an error.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**CLEAN_ENVIRONMENT, **(environment or {})},
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    except OSError as error:
        failed = NotThere if error.errno == errno.ENOENT else PortError
        raise failed(f"{argv[0]}: {error.strerror}") from error
    try:
        streams = _collect(process, timeout=timeout, output_limit=output_limit)
        returncode = process.wait()
    finally:
        _end_group(process)
    stdout, stderr = (bytes(stream).decode("utf-8", "surrogateescape") for stream in streams)
    return Completed(argv=tuple(argv), returncode=returncode, stdout=stdout, stderr=stderr)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the group of a command that has not been waited for (its number cannot be reused before)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        _wait_at_most(process, _END_SECONDS)
        if process.returncode is None:
            process.returncode = -signal.SIGKILL  # the kernel keeps it, and it goes with this run
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _collect(
    process: subprocess.Popen[bytes], *, timeout: float, output_limit: int
) -> tuple[bytearray, bytearray]:
    program = str(process.args[0]) if isinstance(process.args, list) else "command"
    deadline = time.monotonic() + timeout
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, buffer in ((process.stdout, output), (process.stderr, errors)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, buffer)
        while selector.get_map() or process.poll() is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeLimitExceeded(f"{program}: no end after {timeout:g} s")
            if not selector.get_map():
                _wait_at_most(process, remaining)
                continue
            for key, _events in selector.select(remaining):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
                if len(key.data) > output_limit:
                    raise PortError(f"{program}: wrote more than {output_limit} bytes")
    return output, errors


def _wait_at_most(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
