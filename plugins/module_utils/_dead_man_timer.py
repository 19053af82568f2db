# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timer of the dead man's switch: a transient systemd timer that runs a program of a checkpoint's own."""

from __future__ import annotations

import sys

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    UNCHANGED,
    CheckpointError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System

__all__ = ["arm", "armed", "disarm", "unit_name"]


def unit_name(identifier: str) -> str:
    """The unit of a checkpoint, without its ending."""
    return f"bulkhead-deadman-{identifier}"


def arm(system: System, identifier: str, program: str, state_directory: str, *, seconds: int) -> str:
    """Start the timer, and see that it runs; the name of its unit.

    The timer is transient: it does not survive a reboot, after which the next run finds the open checkpoint.

    :raises CheckpointError: systemd does not take it
    """
    unit = unit_name(identifier)
    argv = [
        "systemd-run",
        f"--unit={unit}",
        f"--on-active={seconds}",
        "--timer-property=AccuracySec=1s",
        "--collect",
        f"--description=Restore checkpoint {identifier} unless its run confirms it",
        "--",
        sys.executable,
        "-I",
        program,
        state_directory,
        identifier,
    ]
    try:
        completed = system.run(argv)
    except PortError as error:
        raise CheckpointError(f"confirm_within: the timer cannot be started: {error}. {UNCHANGED}") from error
    if completed.returncode != 0 or not armed(system, unit):
        said = completed.stderr.strip()[-500:]
        raise CheckpointError(f"confirm_within: systemd does not start the timer {unit}: {said} {UNCHANGED}")
    return unit


def disarm(system: System, unit: str) -> None:
    """Stop the timer of a checkpoint that is closed, and see that it is gone; raises `CheckpointError`."""
    system.run(["systemctl", "stop", f"{unit}.timer"])
    if armed(system, unit):
        raise CheckpointError(
            f"The dead man's switch {unit}.timer cannot be stopped. It will find its checkpoint closed."
        )


def armed(system: System, unit: str) -> bool:
    """Whether the timer runs (systemctl(1): is-active exits with 0 only for an active unit)."""
    return system.run(["systemctl", "is-active", "--quiet", f"{unit}.timer"]).returncode == 0
