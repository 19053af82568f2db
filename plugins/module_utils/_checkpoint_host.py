# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a checkpoint holds besides files: unit states, live sysctls, modes of AppArmor and SELinux."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    SETTLED,
    CheckpointError,
    UnitState,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = [
    "read_apparmor",
    "read_selinux",
    "read_sysctls",
    "read_units",
    "sysctl_names",
    "systemctl",
    "unit_steps",
    "write_apparmor",
    "write_kernel_value",
]

SYSTEMCTL_SECONDS = 180.0
_PROFILES = "/sys/kernel/security/apparmor/profiles"
_ENFORCE = "/sys/fs/selinux/enforce"
# aa-enforce(8) and aa-complain(8), of the package apparmor-utils.
_MODE_PROGRAMS = {"enforce": "aa-enforce", "complain": "aa-complain"}


def read_units(system: System, names: Sequence[str]) -> dict[str, UnitState]:
    """The state of each unit, in one command; raises `CheckpointError` without systemd."""
    if not names:
        return {}
    argv = ["systemctl", "show", "--property=Id,UnitFileState,ActiveState", *names]
    try:
        completed = system.run(argv)
    except PortError as error:
        raise CheckpointError(f"the states of {', '.join(names)} cannot be read: {error}") from error
    blocks = completed.stdout.strip("\n").split("\n\n")
    if completed.returncode != 0 or len(blocks) != len(names):
        reason = completed.stderr.strip()[-500:] or "another number of answers than of units"
        raise CheckpointError(f"the states of {', '.join(names)} cannot be read: {reason}")
    return {name: _unit_state(block) for name, block in zip(names, blocks)}


def _unit_state(block: str) -> UnitState:
    properties = dict(line.partition("=")[::2] for line in block.splitlines())
    return UnitState(properties.get("UnitFileState", ""), properties.get("ActiveState", ""))


def unit_steps(wanted: Mapping[str, UnitState], found: Mapping[str, UnitState]) -> list[list[str]]:
    """The systemctl commands, as lists of verb and unit, that bring every unit back to its state."""
    steps: list[list[str]] = []
    for name, then in sorted(wanted.items()):
        now = found[name]
        if then.enabled != now.enabled and {then.enabled, now.enabled} <= set(SETTLED["enabled"]):
            if now.enabled == "masked":
                steps.append(["unmask", name])
            verb = {"enabled": "enable", "disabled": "disable", "masked": "mask"}[then.enabled]
            steps.append([verb, name])
        if now.active == "failed" and then.active in SETTLED["active"]:
            steps.append(["reset-failed", name])
        if then.active in SETTLED["active"] and then.active != now.active:
            steps.append(["start" if then.active == "active" else "stop", name])
    return steps


def systemctl(system: System, *words: str) -> None:
    """Run systemctl; raises `CheckpointError` with what it said."""
    command = " ".join(["systemctl", *words])
    try:
        completed = system.run(["systemctl", *words], timeout=SYSTEMCTL_SECONDS)
    except PortError as error:
        raise CheckpointError(f"{command}: {error}") from error
    if completed.returncode != 0:
        raise CheckpointError(f"{command} failed: {completed.stderr.strip()[-500:]}")


def read_sysctls(system: System, names: Iterable[str]) -> dict[str, Optional[str]]:
    """The live value of each, None where the kernel does not have it (a module is not loaded)."""
    return {name: _kernel_value(system, sysctl_path(name)) for name in names}


def sysctl_names(system: System, patterns: Iterable[str]) -> list[str]:
    """The names; one with a star in it becomes those that there are, in `net.ipv4.conf.br-*.forwarding`."""
    names: list[str] = []
    for pattern in patterns:
        before, star, after = pattern.partition("*")
        if not star:
            names.append(pattern)
            continue
        directory, beginning = sysctl_path(before).rsplit("/", 1)
        # a dot in the name of an interface would part the name of the sysctl
        names += [
            f"{before}{entry[len(beginning) :]}{after}"
            for entry in system.names_in(directory)
            if entry.startswith(beginning) and "." not in entry
        ]
    return names


def sysctl_path(name: str) -> str:
    """The file of a sysctl. A name with slashes may hold dots, of an interface `eth0.1` (sysctl.d(5))."""
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def read_selinux(system: System) -> Optional[str]:
    """ "1" enforcing, "0" permissive, None without SELinux."""
    return _kernel_value(system, _ENFORCE)


def read_apparmor(system: System, names: Sequence[str]) -> dict[str, Optional[str]]:
    """The mode of each loaded profile, None where it is not loaded."""
    if not names:
        return {}
    text = _kernel_value(system, _PROFILES) or ""
    modes = {}
    for line in text.splitlines():
        name, _space, mode = line.rpartition(" ")
        modes[name] = mode.strip("()")
    return {name: modes.get(name) for name in names}


def write_kernel_value(system: System, path: str, value: str) -> None:
    """Write a sysctl or /sys/fs/selinux/enforce; raises `CheckpointError`."""
    try:
        descriptor = os.open(system.socket_path(path), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{value}\n".encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise CheckpointError(f"{path}: {os.strerror(error.errno or 0)}") from error


def write_apparmor(system: System, name: str, mode: str) -> None:
    """Put a loaded profile into a mode; raises `CheckpointError` when no program on the host can."""
    program = _MODE_PROGRAMS.get(mode)
    if program is None or system.find_program(program) is None:
        raise CheckpointError(f"AppArmor profile {name}: nothing on this host puts it into mode {mode}")
    completed = system.run([program, name], timeout=SYSTEMCTL_SECONDS)
    if completed.returncode != 0:
        raise CheckpointError(f"{program} {name} failed: {completed.stderr.strip()[-500:]}")


def _kernel_value(system: System, path: str) -> Optional[str]:
    try:
        return system.read_text(path).strip("\n")
    except NotThere:
        return None
    except PortError as error:
        raise CheckpointError(f"{path}: {error}") from error
