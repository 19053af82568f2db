# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container is started with to prove its limits, and what its kernel facts prove. Pure.

Sources: podman-run(1) of 4.3.1 and 5.4.2, docker-run(1) of 20.10 and 26.1; cgroup-v2 in the kernel's
documentation; elf(5).
"""

from __future__ import annotations

import io
import re
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import root_outside

__all__ = [
    "CONTAINER_SECONDS",
    "DID_NOT_START",
    "ENGINES",
    "EngineProofError",
    "Limits",
    "Trial",
    "check_request",
    "container_id",
    "is_static_program",
    "proof_image",
    "refusal",
]

ENGINES = ("podman", "docker")
DID_NOT_START = "the container did not start"  # how the reason begins where the engine refuses it
CONTAINER_SECONDS = 120  # whatever goes wrong, the container ends by then

_REFERENCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,510}")
_ID = re.compile(r"[0-9a-f]{64}")
_LEAST_MEMORY_MIB = 16  # runc and crun need some of it to start the container in
_CORES_TOLERANCE = 0.005
_PROGRAM_INTERPRETER = 3  # PT_INTERP of elf(5): the program wants a dynamic linker


class EngineProofError(BulkheadError):
    """What was asked for cannot be tried; nothing was started."""


@dataclass(frozen=True)
class Limits:
    """What a container is started with; 0: no option is given, and the engine's own default counts.

    :ivar cpus: cores
    :ivar memory_mib: MiB
    :ivar pids: processes
    """

    cpus: float
    memory_mib: int
    pids: int

    def controllers(self) -> list[str]:
        """The cgroup controllers that enforce them."""
        wanted = {"cpu": self.cpus, "memory": self.memory_mib, "pids": self.pids}
        return [name for name, limit in wanted.items() if limit]

    def options(self) -> list[str]:
        """The options of `podman run` and `docker run`."""
        chosen = {
            "--cpus": f"{self.cpus:g}" if self.cpus else "",
            "--memory": f"{self.memory_mib}m" if self.memory_mib else "",
            "--pids-limit": str(self.pids or ""),
        }
        return [word for name, value in chosen.items() if value for word in (name, value)]


@dataclass(frozen=True)
class Trial:
    """The commands of one proof.

    :ivar program: path of the engine's command, from the system's own directories
    :ivar token: what is random in the names
    :ivar image: a reference; ``None``: an image is made, and removed afterwards
    """

    engine: str
    program: str
    token: str
    image: Optional[str]
    limits: Limits

    @property
    def name(self) -> str:
        return f"bulkhead-proof-{self.token}"

    @property
    def reference(self) -> str:
        return self.image or f"localhost/bulkhead-proof:{self.token}"

    def import_command(self) -> list[str]:
        """Makes the image from a tar on standard input."""
        return [self.program, "import", "-", self.reference]

    def start_command(self) -> list[str]:
        """Starts the container with the engine's defaults, but for the limits, and prints its id."""
        return [
            *(self.program, "run", "--detach", "--name", self.name, "--pull", "never"),
            *("--network", "none", "--user", "0", "--stop-timeout", "0"),
            *self.limits.options(),
            *("--entrypoint", "sleep", self.reference, str(CONTAINER_SECONDS)),
        ]

    def inspect_command(self) -> list[str]:
        """Prints how the container's IPC namespace was made, which nothing outside shows."""
        return [
            *(self.program, "container", "inspect", "--format", "{{.HostConfig.IpcMode}}"),
            self.name,
        ]

    def removal_commands(self) -> list[list[str]]:
        """What takes the container away, and the image that was made for it."""
        image = [] if self.image else [[self.program, "rmi", "--force", self.reference]]
        return [[self.program, "rm", "--force", self.name], *image]


def check_request(params: Mapping[str, Any]) -> None:
    """Refuse what cannot be meant.

    :param params: the options of the module
    :raises EngineProofError: with the option, what was found, and what is accepted
    """
    problems = []
    if params["engine"] == "docker" and "root" in params["users"]:
        problems.append(
            "users: found root with engine docker, accepted are users who have a rootless daemon of their own"
        )
    image = params["image"]
    if image is not None and _REFERENCE.fullmatch(image) is None:
        problems.append(f"image: found {image!r}, accepted is a reference such as localhost/busybox:1")
    if not 0 <= params["cpus"] <= 1024 or 0 < params["cpus"] < 0.01:
        problems.append(f"cpus: found {params['cpus']:g}, accepted are 0 (none) or 0.01 to 1024")
    memory = params["memory_mib"]
    if memory != 0 and not _LEAST_MEMORY_MIB <= memory <= 1 << 20:
        problems.append(
            f"memory_mib: found {memory}, accepted are 0 (none) or {_LEAST_MEMORY_MIB} to {1 << 20}"
        )
    if not 0 <= params["pids"] <= 1 << 22:
        problems.append(f"pids: found {params['pids']}, accepted are 0 (the engine's default) to {1 << 22}")
    if problems:
        raise EngineProofError(f"{'; '.join(problems)}. Nothing was started.")


def container_id(output: str) -> Optional[str]:
    """The id in what a start printed: its last line; ``None`` when that is none."""
    last = output.strip().rpartition("\n")[2].strip()
    return last if _ID.fullmatch(last) else None


def is_static_program(content: bytes) -> bool:
    """Whether it is an ELF program of 64 bits that runs without a dynamic linker (elf(5))."""
    if content[:5] != b"\x7fELF\x02" or len(content) < 64:
        return False
    order = "<" if content[5] == 1 else ">"
    (start,) = struct.unpack_from(f"{order}Q", content, 32)
    size, count = struct.unpack_from(f"{order}HH", content, 54)
    places = [start + number * size for number in range(count)]
    if not places or places[-1] + 4 > len(content):
        return False
    kinds = [struct.unpack_from(f"{order}I", content, place)[0] for place in places]
    return _PROGRAM_INTERPRETER not in kinds


def proof_image(busybox: bytes) -> bytes:
    """The tar of an image that holds busybox, and `sleep` as a link to it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        directory = tarfile.TarInfo("bin")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(directory)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = len(busybox), 0o755
        archive.addfile(program, io.BytesIO(busybox))
        link = tarfile.TarInfo("bin/sleep")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
    return made.getvalue()


def refusal(facts: Mapping[str, Any], limits: Limits, *, uid: int) -> Optional[str]:
    """Why the facts of a container's first process prove nothing; ``None``: they prove the limits.

    :param facts: as the module returns them, in ``facts``
    :param uid: the user's, 0 for root
    """
    if uid and facts["uid"] != uid:
        return f"the container's first process runs as user {facts['uid']}, not as {uid}"
    if uid and root_outside(facts["uid_map"]) != uid:
        return "the container's root is not this user: it has no user namespace of this user's"
    asked = {
        "cpu_cores": (limits.cpus, "cpu.max"),
        "memory_bytes": (limits.memory_mib << 20, "memory.max"),
        "pids": (limits.pids, "pids.max"),
    }
    wrong = [
        f"{file}: found {'no limit' if found is None else f'{found:g}'}, asked for was {wanted:g}"
        for name, (wanted, file) in asked.items()
        for found in [facts["limits"][name]]
        if wanted and (found is None or abs(found - wanted) > _CORES_TOLERANCE)
    ]
    return f"the limits are not enforced: {'; '.join(wrong)}" if wrong else None
