# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a host what a plan says: files, attributes, engine, units, sysctls, LSM modes, with the least loss."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import RULES_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules_load import load_own_rules
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_engine import (
    DOCKER_FILE,
    DOCKER_UNIT,
    docker_socket,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_files import (
    capture_attributes,
    put_attributes,
    put_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import (
    read_apparmor,
    read_selinux,
    read_sysctls,
    read_units,
    sysctl_path,
    systemctl,
    unit_steps,
    write_apparmor,
    write_kernel_value,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    CheckpointError,
    FileState,
    HostState,
    same_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host_port import DockerHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_restore import restore_engine
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    NOT_REMOVED,
    UserFileError,
    owner_of_path,
    primary_group,
    remove_directory_as,
)

__all__ = ["Applied", "apply", "changed_files", "engine_needed", "unit_changed"]

_ENGINE_SECONDS = 120.0
_UNIT_DIRECTORIES = ("/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/")
_DOCKER_FILES = (
    "/etc/default/docker",
    "/etc/docker/",
    "/etc/systemd/system/docker.service",
    "/etc/systemd/system/docker.socket",
)
_RUNNING = ("active", "activating", "reloading")
_SELINUX_ENFORCE = "/sys/fs/selinux/enforce"


@dataclass
class Applied:
    """What was done: `actions` in their order, and what the engine's part says of its containers.

    :ivar left: what could not be put back, because a user has something else there
    """

    actions: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    survivors: list[Any] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)


def apply(
    system: System,
    wanted: HostState,
    found: HostState,
    contents: Mapping[str, bytes],
    *,
    engines: tuple[str, ...] = (),
    containers: Sequence[Mapping[str, Any]] = (),
    taken_at: Optional[float] = None,
) -> Applied:
    """Bring the host from `found` to `wanted`. Done again after an interruption, it ends in the same state.

    :param taken_at: when the host was in the wanted state, in seconds since the epoch; ``None``: not known
    :param containers: those that ran in the wanted state, to be started again where they do not run any more
    :raises BulkheadError: a step failed; the text names it
    """
    applied = Applied()
    changed = changed_files(wanted, found)
    docker = engine_needed(system, wanted, found, engines=engines, containers=containers)
    for path in changed:
        if docker and path == DOCKER_FILE:
            continue
        try:
            _put(path, wanted, contents)
        except UserFileError as error:
            applied.left.append(str(error))  # it is the user's own; nothing else waits for it
            continue
        applied.actions.append(f"{path}: {_verb(wanted, found, path)}")
    _put_attributes(wanted, applied)
    if any(path.startswith(_UNIT_DIRECTORIES) for path in changed):
        systemctl(system, "daemon-reload")
        applied.actions.append("systemctl daemon-reload")
    if docker:
        _restore_docker(system, wanted, found, contents, changed, containers, applied, taken_at)
    _set_units(system, wanted, applied)
    if RULES_PATH in changed:
        applied.actions += load_own_rules(DockerHost(system))
    _set_kernel(system, wanted, applied)
    # A socket that systemd or the engine has made anew has their mode, not the one from before.
    _put_attributes(wanted, applied)
    _remove_directories(wanted, applied)
    return applied


def _put(path: str, wanted: HostState, contents: Mapping[str, bytes]) -> None:
    state = wanted.files[path]
    try:
        put_file(path, state, None if state.sha256 is None else contents[state.sha256])
    except OSError as error:
        raise CheckpointError(f"{path}: it could not be put back: {os.strerror(error.errno or 0)}") from error


def _verb(wanted: HostState, found: HostState, path: str) -> str:
    if wanted.files[path].kind == "absent":
        return "removed"
    return "made again" if found.files[path].kind == "absent" else "put back"


def _put_attributes(wanted: HostState, applied: Applied) -> None:
    for path, state in wanted.attributes.items():
        if state.kind == "absent" or same_file(state, capture_attributes(path)):
            continue
        try:
            put_attributes(path, state)
        except OSError as error:
            raise CheckpointError(
                f"{path}: its mode and owner could not be put back: {os.strerror(error.errno or 0)}"
            ) from error
        applied.actions.append(f"{path}: mode {state.mode or 0:04o}, owner {state.uid}:{state.gid}")


def _remove_directories(wanted: HostState, applied: Applied) -> None:
    """Directories that came with a file go with it, unless something else lies in them."""
    for path in sorted(wanted.absent_directories, reverse=True):
        try:
            uid = owner_of_path(path)
            if uid is None:
                os.rmdir(path)
            else:
                remove_directory_as(uid, primary_group(uid), path)
        except UserFileError as error:
            applied.left.append(str(error))
        except OSError as error:
            if error.errno not in NOT_REMOVED:
                raise CheckpointError(f"{path}: {os.strerror(error.errno or 0)}") from error


def changed_files(wanted: HostState, found: HostState) -> list[str]:
    """The files that are not as wanted. What could not be read is left, whatever it has become."""
    return [
        path
        for path, state in wanted.files.items()
        if state.kind != "unreadable" and not same_file(state, found.files[path])
    ]


def engine_needed(
    system: System,
    wanted: HostState,
    found: HostState,
    *,
    engines: Sequence[str],
    containers: Sequence[Mapping[str, Any]],
) -> bool:
    """Whether the engine has a part in a restore; `containers` as for `apply`."""
    if "docker" not in engines:
        return False
    if _docker_needed(wanted, found, changed_files(wanted, found)):
        return True
    return bool(containers) and _containers_missing(system, containers)


def unit_changed(changed: Sequence[str]) -> bool:
    """Whether files are among the changed ones that decide how the engine is started."""
    return any(_touches_docker(path) and path != DOCKER_FILE for path in changed)


def _touches_docker(path: str) -> bool:
    return path.startswith(_DOCKER_FILES)


def _docker_needed(wanted: HostState, found: HostState, changed: list[str]) -> bool:
    """Whether the engine has a part in it: its files change, or it does not run any more as it did."""
    then, now = wanted.units.get(DOCKER_UNIT), found.units.get(DOCKER_UNIT)
    if then is not None and then.active not in _RUNNING:
        return False
    stopped = then is not None and now is not None and now.active not in _RUNNING
    return stopped or any(_touches_docker(path) for path in changed)


def _containers_missing(system: System, containers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a container that ran then does not run now, though the engine itself is as it was."""
    try:
        state = DockerService(system, socket=docker_socket(system), timeout=_ENGINE_SECONDS).state()
    except DockerServiceError:
        return True  # it does not say; putting the engine back finds out
    running = {container.id for container in state.containers}
    return state.started_at is not None and any(entry["id"] not in running for entry in containers)


def _restore_docker(
    system: System,
    wanted: HostState,
    found: HostState,
    contents: Mapping[str, bytes],
    changed: list[str],
    containers: Sequence[Mapping[str, Any]],
    applied: Applied,
    taken_at: Optional[float],
) -> None:
    state = wanted.files.get(DOCKER_FILE)
    if state is None:
        return
    old = None if state.sha256 is None else contents[state.sha256]
    unit = found.units.get(DOCKER_UNIT)
    if unit is not None and unit.active == "failed":
        # systemd refuses to start a unit that failed too often (systemd.unit(5), StartLimitBurst=).
        systemctl(system, "reset-failed", DOCKER_UNIT)

    def write(content: Optional[bytes]) -> None:
        target = state if content == old else _like(state, found, content)
        try:
            put_file(DOCKER_FILE, target, content)
        except OSError as error:
            raise CheckpointError(f"{DOCKER_FILE}: {os.strerror(error.errno or 0)}") from error

    outcome = restore_engine(
        system,
        socket=docker_socket(system),
        path=DOCKER_FILE,
        old=old,
        write=write,
        other_files_changed=unit_changed(changed),
        timeout=_ENGINE_SECONDS,
        before=containers,
        taken_at=taken_at,
    )
    if DOCKER_FILE in changed:
        applied.actions.append(f"{DOCKER_FILE}: {_verb(wanted, found, DOCKER_FILE)}")
    applied.actions += outcome["actions"]
    applied.survivors += outcome["survivors"]
    applied.reasons += outcome["reasons"]
    applied.pending.update(outcome["pending"])
    _put(DOCKER_FILE, wanted, contents)


def _like(state: FileState, found: HostState, content: Optional[bytes]) -> FileState:
    """A step on the way: the file as it will be, or as it is where it goes away in the end."""
    if content is None:
        return ABSENT
    for candidate in (state, found.files[DOCKER_FILE]):
        if candidate.kind == "file":
            return candidate
    return FileState("file", mode=0o644, uid=0, gid=0)


def _set_units(system: System, wanted: HostState, applied: Applied) -> None:
    found = read_units(system, tuple(wanted.units))
    for step in unit_steps(wanted.units, found):
        systemctl(system, *step)
        applied.actions.append(" ".join(["systemctl", *step]))


def _set_kernel(system: System, wanted: HostState, applied: Applied) -> None:
    """Sysctls behind the engine, which sets some by itself when it starts; then the modes of the LSMs."""
    for name, value in read_sysctls(system, wanted.sysctls).items():
        then = wanted.sysctls[name]
        if then is not None and value is not None and value != then:
            write_kernel_value(system, sysctl_path(name), then)
            applied.actions.append(f"{name} = {then}")
    for name, mode in read_apparmor(system, tuple(wanted.apparmor)).items():
        then = wanted.apparmor[name]
        if then is not None and mode is not None and mode != then:
            write_apparmor(system, name, then)
            applied.actions.append(f"AppArmor profile {name}: {then}")
    if wanted.selinux is not None and read_selinux(system) not in (None, wanted.selinux):
        write_kernel_value(system, _SELINUX_ENFORCE, wanted.selinux)
        applied.actions.append(f"SELinux enforcing: {wanted.selinux}")
