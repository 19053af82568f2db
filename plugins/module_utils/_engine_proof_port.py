# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts a container as an account, reads from outside what the kernel enforces on it, and removes it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._cgroups import (
    CgroupLimits,
    CgroupMark,
    marks_of,
    parse_cgroup_file,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import REFUSED_BY_POLICY
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof import (
    DID_NOT_START,
    Limits,
    Trial,
    check_request,
    container_id,
    is_static_program,
    proof_image,
    refusal,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import read_mounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    NotThere,
    PortError,
    ProcessHandle,
    System,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import (
    ProcessStatus,
    id_map,
    read_lsm,
    read_status,
    resource_limits,
    selinux_enforcing,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import (
    UserSession,
    sealed_input,
)

__all__ = ["CHECK_MODE", "prove"]

CHECK_MODE = "check mode starts no container"

_BUSYBOX = ("/bin/busybox", "/usr/bin/busybox", "/usr/sbin/busybox", "/bin/busybox.static")
_BUSYBOX_LIMIT = 16 * 1024 * 1024
_IMPORT_SECONDS = 90.0  # the first command of a user's Podman takes 7 s on an emulated machine
_START_SECONDS = 60.0
_REMOVAL_SECONDS = 60.0
_SAID_LIMIT = 500


def prove(system: System, params: Mapping[str, Any], *, check_mode: bool) -> list[dict[str, Any]]:
    """One proof for each user.

    :param params: the options of the module `engine_proof`
    :raises EngineProofError: the options cannot be meant
    """
    check_request(params)
    program = system.find_program(params["engine"])
    image: Optional[bytes] = None
    lacking = None if program else f"{params['engine']} is not installed"
    if lacking is None and check_mode:
        lacking = CHECK_MODE
    if lacking is None and params["image"] is None:
        try:
            image, reason = _busybox_image(system)
            lacking = None if image else reason
        except PortError as error:
            lacking = str(error)
    return [_proof(system, name, params, program or "", image, lacking) for name in params["users"]]


def _proof(
    system: System,
    name: str,
    params: Mapping[str, Any],
    program: str,
    image: Optional[bytes],
    lacking: Optional[str],
) -> dict[str, Any]:
    proof: dict[str, Any] = {
        "user": name,
        "engine": params["engine"],
        "proven": False,
        "tried": False,
        "reason": lacking,
        "facts": None,
        "said": {},
        "left": [],
    }
    try:
        account = system.account_named(name)
        if account.pw_uid == 0 and name != "root":
            return {**proof, "reason": f"user {name}: it has uid 0; name root instead"}
    except PortError as error:
        return {**proof, "reason": printable(str(error))}
    if lacking is not None:
        return proof
    limits = Limits(params["cpus"], params["memory_mib"], params["pids"])
    trial = Trial(params["engine"], program, secrets.token_hex(6), params["image"], limits)
    proving = _Proving(system, UserSession(system, account), trial, image)
    reason = proving.reason()
    return {
        **proof,
        "tried": proving.tried,
        "proven": reason is None,
        "reason": reason,
        "facts": proving.facts,
        "said": proving.said,
        "left": proving.left,
    }


def _busybox_image(system: System) -> tuple[Optional[bytes], str]:
    """The tar of an image of the host's own static busybox, or ``None`` and the reason."""
    for path in _BUSYBOX:
        with contextlib.suppress(NotThere):
            facts = system.stat(path)
            if facts.uid != 0 or facts.mode & 0o022:
                return None, f"{path}: others than root can write it, so that it makes no image"
            content = system.read_bytes(path, limit=_BUSYBOX_LIMIT)
            if is_static_program(content):
                return proof_image(content), ""
    return None, "no image was given, and the host has no static busybox (package busybox-static) to make one"


class _Proving:
    """One proof for one account, within one call.

    :param image: tar of the image that is made where the trial has none of its own
    """

    def __init__(self, system: System, session: UserSession, trial: Trial, image: Optional[bytes]) -> None:
        self._system = system
        self._session = session
        self._trial = trial
        self._image = image
        self._uid = session.account.pw_uid
        self.tried = True
        self.facts: Optional[dict[str, Any]] = None
        self.said: dict[str, str] = {}
        self.left: list[str] = []

    def reason(self) -> Optional[str]:
        """Try it, and clean up whatever happens; ``None``: proven, otherwise why not."""
        before = self._session.unavailable() or self._session.missing_controllers(
            self._trial.limits.controllers()
        )
        if before is None and self._trial.engine == "docker":
            before = self._session.without_socket(
                "docker.sock", "no rootless Docker daemon of this user runs"
            )
        if before is not None:
            return before
        try:
            return self._tried()
        except PortError as error:
            return printable(str(error))
        finally:
            self._remove()

    def _tried(self) -> Optional[str]:
        trial = self._trial
        if trial.image is None:
            with sealed_input(self._image or b"") as tar:
                made = self._run(trial.import_command(), _IMPORT_SECONDS, stdin=tar)
            if made.returncode != 0 and REFUSED_BY_POLICY in made.stderr:
                self.tried = False
                return (
                    f"the policy of images refuses one that is imported ({_said(made)}). "
                    "image_trust_local_transports: accept lets it in, or name an image that the account has"
                )
            if made.returncode != 0:
                return f"the image could not be made: {_said(made)}"
        started = self._run(trial.start_command(), _START_SECONDS)
        identity = container_id(started.stdout)
        if started.returncode != 0 or identity is None:
            return f"{DID_NOT_START}: {_said(started)}"
        self.facts = self._facts_of(identity)
        if self.facts is None:
            where = self._session.cgroup if self._uid else "the host's cgroups"
            return f"below {where} there is no process of the container that {trial.program} says it started"
        if trial.engine == "podman":
            mode = self._run(trial.inspect_command(), _START_SECONDS)
            if mode.returncode == 0:
                self.said["ipc_mode"] = printable(mode.stdout.strip(), limit=_SAID_LIMIT)
        return refusal(self.facts, trial.limits, uid=self._uid)

    def _run(self, argv: list[str], seconds: float, *, stdin: Optional[int] = None) -> Completed:
        return self._session.run(argv, timeout=seconds, environment=self._environment(), stdin=stdin)

    def _environment(self) -> Mapping[str, str]:
        if self._trial.engine == "docker":
            return {"DOCKER_HOST": f"unix://{self._session.runtime_directory}/docker.sock"}
        return {}

    def _facts_of(self, identity: str) -> Optional[dict[str, Any]]:
        """The facts of the container's first process, looked for by its cgroup and not by what was said."""
        with self._system.process(1) as first:
            limits = CgroupLimits(self._system, read_mounts(first).mounts)
        for pid in self._system.pids():
            with contextlib.suppress(PortError), self._system.process(pid) as process:
                paths = parse_cgroup_file(process.read_text("cgroup"))
                mark = next((mark for mark in marks_of(paths) if mark.id == identity), None)
                if mark is None or not self._may_be(mark):
                    continue
                status = read_status(process)
                if status.namespace_pids[-1] == 1 and len(status.namespace_pids) > 1:
                    enforcing = selinux_enforcing(self._system)
                    return _facts(process, status, mark, limits.read(paths, mark.path), enforcing)
        return None

    def _may_be(self, mark: CgroupMark) -> bool:
        if self._uid == 0:
            return mark.user is None or mark.user == 0
        return mark.path.startswith(f"{self._session.cgroup}/")

    def _remove(self) -> None:
        """Take away what was made; what could not be is named in `left`, and ends by itself."""
        for argv in self._trial.removal_commands():
            try:
                done = self._run(argv, _REMOVAL_SECONDS)
            except PortError as error:
                self.left.append(f"{argv[-1]}: {printable(str(error))}")
                continue
            if done.returncode != 0 and not _was_not_there(done):
                self.left.append(f"{argv[-1]}: {_said(done)}")


def _facts(
    process: ProcessHandle,
    status: ProcessStatus,
    mark: CgroupMark,
    limits: Mapping[str, Any],
    enforcing: Optional[bool],
) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "uid": status.uid,
        "cgroup": printable(mark.path),
        "limits": dict(limits),
        "capabilities": status.capabilities.names(),
        "seccomp": status.seccomp(),
        "no_new_privileges": status.no_new_privileges,
        "uid_map": id_map(process),
        "rlimits": attempt(lambda: resource_limits(process)),
        "lsm": attempt(lambda: read_lsm(process, selinux_enforcing=enforcing)),
    }


def _was_not_there(completed: Completed) -> bool:
    said = (completed.stderr + completed.stdout).lower()
    return "no such" in said or "image not known" in said


def _said(completed: Completed) -> str:
    """The end of what a command said; of a user's it is the user's word."""
    said = completed.stderr.strip() or completed.stdout.strip() or "nothing"
    return f"exit status {completed.returncode}: {printable(said[-_SAID_LIMIT:])}"
