# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proofs on a made-up host: what is started as whom, what proves, what does not, and that nothing stays."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof import (
    EngineProofError,
    Limits,
    container_id,
    is_static_program,
    proof_image,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._engine_proof_port import prove
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    FileFacts,
    PortError,
    TimeLimitExceeded,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import (
    UserSession,
    sealed_input,
)
from ansible_collections.bulkhead.hardening.plugins.modules import engine_proof
from unit.fake_containers import ContainerHost, status_text

ID = "d" * 64
ALICE = 61_001
MANAGER = f"/user.slice/user-{ALICE}.slice/user@{ALICE}.service"
UID_MAP = f"         0      {ALICE}          1\n         1     100000      65536\n"
STATIC = b"\x7fELF\x02\x01\x01" + b"\0" * 25 + (64).to_bytes(8, "little") + b"\0" * 14
STATIC += (
    (56).to_bytes(2, "little")
    + (1).to_bytes(2, "little")
    + b"\0" * 6
    + (1).to_bytes(4, "little")
    + b"\0" * 52
)
DYNAMIC = STATIC[:64] + (3).to_bytes(4, "little") + STATIC[68:]

RLIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max core file size        0                    unlimited            bytes
Max open files            1024                 524288               files
Max nice priority         0                    0
"""


@dataclass(frozen=True)
class Ran:
    """A command, as whom, and what stood before it."""

    argv: tuple[str, ...]
    before: tuple[str, ...]
    uid: int | None
    environment: dict[str, str]


class EngineHost(ContainerHost):
    """A host with Podman, Docker, a static busybox, and alice, whose manager runs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.add_account("alice", ALICE)
        self.commands: list[Ran] = []
        self.failing: dict[str, Completed | PortError] = {}
        self.sockets = {f"/run/user/{ALICE}/bus": ALICE, f"/run/user/{ALICE}/docker.sock": ALICE}
        self.cgroup: dict[int, str] = {
            0: f"/machine.slice/libpod-{ID}.scope",
            ALICE: f"{MANAGER}/user.slice/libpod-{ID}.scope",
        }
        self.carries = {0: 0, ALICE: ALICE}
        self.uid_map = UID_MAP
        self.limits = {"cpu.max": "50000 100000", "memory.max": "67108864", "pids.max": "32"}
        for name in ("podman", "docker", "systemd-run"):
            self.write(f"/usr/bin/{name}").chmod(0o755)
        self.write("/bin/busybox", STATIC)
        self.write("/sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n")
        self.write(f"/sys/fs/cgroup{MANAGER}/cgroup.controllers", "cpu memory pids\n")

    def stat(self, path: str, *, follow: bool = True) -> FileFacts:
        if path in self.sockets:
            return replace(super().stat("/proc"), type="socket", uid=self.sockets[path])
        return replace(super().stat(path, follow=follow), uid=0)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        words = tuple(argv)
        cut = words.index("--") + 1 if words[0] == "systemd-run" else 0
        ran = Ran(words[cut:], words[:cut], options.get("uid"), dict(options["environment"]))
        self.commands.append(ran)
        verb = ran.argv[1]
        if verb in self.failing:
            answer = self.failing[verb]
            if isinstance(answer, PortError):
                raise answer
            return answer
        if verb == "import":
            with os.fdopen(os.dup(options["stdin"]), "rb") as stream:
                content = stream.read()
            assert content == proof_image(STATIC)
        if verb == "run":
            self._start(ran.uid or 0)
        if verb == "rm":
            shutil.rmtree(self.local("/proc/70"), ignore_errors=True)
        output = {"run": f"a warning\n{ID}\n", "container": "private\n"}.get(verb, "")
        return Completed(words, 0, output, "")

    def _start(self, uid: int) -> None:
        cgroup = self.cgroup[uid]
        status = status_text(uid=self.carries[uid], pid=70, inner_pid=1)
        self.process_with(70, cgroup=cgroup, namespaces={}, status=status, uid_map=self.uid_map)
        self.write("/proc/70/limits", RLIMITS)
        for name, text in self.limits.items():
            self.write(f"/sys/fs/cgroup{cgroup}/{name}", f"{text}\n")

    def verbs(self) -> list[str]:
        return [ran.argv[1] for ran in self.commands]


@pytest.fixture
def host(tmp_path: Path) -> EngineHost:
    return EngineHost(tmp_path)


def _prove(host: EngineHost, *users: str, check_mode: bool = False, **options: Any) -> list[dict[str, Any]]:
    params = {"engine": "podman", "image": None, "cpus": 0.5, "memory_mib": 64, "pids": 32}
    return prove(host, {**params, "users": list(users), **options}, check_mode=check_mode)


def _reason(host: EngineHost, **options: Any) -> str:
    (proof,) = _prove(host, "alice", **options)
    assert proof["proven"] is False
    return str(proof["reason"])


def test_root_and_a_user_each_with_a_command_of_their_own(host: EngineHost) -> None:
    root, alice = _prove(host, "root", "alice")
    assert [root["proven"], alice["proven"]] == [True, True]
    assert alice["facts"]["limits"] == {
        "cpu_cores": 0.5,
        "memory_bytes": 67108864,
        "pids": 32,
        "cpu_weight": None,
    }
    assert alice["facts"]["capabilities"]["bounding"][0] == "CAP_CHOWN"
    assert (alice["facts"]["seccomp"]["mode"], alice["facts"]["no_new_privileges"]) == ("filter", False)
    assert alice["facts"]["rlimits"] == {
        "nofile": {"soft": 1024, "hard": 524288},
        "core": {"soft": 0, "hard": None},
        "nice": {"soft": 0, "hard": 0},
    }
    assert alice["facts"]["lsm"] == {"name": "apparmor", "label": "docker-default", "mode": "enforce"}
    assert alice["said"] == {"ipc_mode": "private"}
    assert host.verbs() == ["import", "run", "container", "rm", "rmi"] * 2
    assert {ran.uid for ran in host.commands[:5]} == {None}
    assert {ran.uid for ran in host.commands[5:]} == {ALICE}
    assert {ran.argv[0] for ran in host.commands} == {"/usr/bin/podman"}
    start = host.commands[6]
    name = start.argv[start.argv.index("--name") + 1]
    assert start.argv == (
        *("/usr/bin/podman", "run", "--detach", "--name", name, "--pull", "never", "--network", "none"),
        *("--user", "0", "--stop-timeout", "0", "--cpus", "0.5", "--memory", "64m", "--pids-limit", "32"),
        *("--entrypoint", "sleep", name.replace("bulkhead-proof-", "localhost/bulkhead-proof:"), "120"),
    )
    assert start.before == (
        *("systemd-run", "--user", "--pipe", "--wait", "--collect", "--quiet"),
        *("--property=RuntimeMaxSec=60", "--property=TimeoutStopSec=5"),
        "--property=UnsetEnvironment=INVOCATION_ID",
        *("--setenv=PATH=/usr/sbin:/usr/bin:/sbin:/bin", "--setenv=LANG=C.UTF-8", "--setenv=LC_ALL=C.UTF-8"),
        "--",
    )
    assert start.environment["XDG_RUNTIME_DIR"] == f"/run/user/{ALICE}"


def test_two_proofs_share_no_name(host: EngineHost) -> None:
    _prove(host, "root", "root")
    assert host.commands[1].argv != host.commands[6].argv


def test_an_image_that_was_given_is_neither_made_nor_removed(host: EngineHost) -> None:
    host.local("/bin/busybox").unlink()
    (proof,) = _prove(host, "alice", image="localhost/busybox:1")
    assert proof["proven"] is True
    assert host.verbs() == ["run", "container", "rm"]
    assert host.commands[0].argv[-2:] == ("localhost/busybox:1", "120")


def test_rootless_docker_is_asked_at_the_users_own_socket(host: EngineHost) -> None:
    host.cgroup[ALICE] = f"{MANAGER}/user.slice/docker-{ID}.scope"
    (proof,) = _prove(host, "alice", engine="docker")
    assert proof["proven"] is True
    assert host.verbs() == ["import", "run", "rm", "rmi"]
    for ran in host.commands:
        assert f"--setenv=DOCKER_HOST=unix:///run/user/{ALICE}/docker.sock" in ran.before
        assert (ran.argv[0], ran.uid) == ("/usr/bin/docker", ALICE)


def test_a_limit_that_was_not_asked_for_needs_no_controller_and_is_shown(host: EngineHost) -> None:
    host.write(f"/sys/fs/cgroup{MANAGER}/cgroup.controllers", "memory pids\n")
    host.limits["pids.max"] = "2048"
    (proof,) = _prove(host, "alice", cpus=0, pids=0)
    assert proof["proven"] is True
    assert proof["facts"]["limits"]["pids"] == 2048
    assert not {"--cpus", "--pids-limit"} & set(host.commands[1].argv)


def test_a_policy_of_images_that_refuses_the_import_is_no_failure_of_the_engine(host: EngineHost) -> None:
    said = "Error: Source image rejected: Running image tarball:/var/tmp/x is rejected by policy."
    host.failing["import"] = Completed((), 125, "", said)
    (proof,) = _prove(host, "alice")
    assert (proof["proven"], proof["tried"]) == (False, False)
    assert "image_trust_local_transports: accept" in proof["reason"]
    assert said in proof["reason"]
    assert "run" not in host.verbs()
    host.failing["import"] = Completed((), 125, "", "Error: no space left on device")
    (proof,) = _prove(host, "alice")
    assert proof["tried"] is True
    assert "the image could not be made" in proof["reason"]


def test_check_mode_starts_nothing_and_says_so(host: EngineHost) -> None:
    (proof,) = _prove(host, "alice", check_mode=True)
    assert (proof["proven"], proof["reason"]) == (False, "check mode starts no container")
    assert host.commands == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda host: host.sockets.pop(f"/run/user/{ALICE}/bus"), "no systemd manager of this user runs"),
        (lambda host: host.sockets.update({f"/run/user/{ALICE}/bus": 7}), "is no socket of this user's"),
        (lambda host: host.local("/usr/bin/systemd-run").unlink(), "systemd-run is not installed"),
        (lambda host: host.local("/usr/bin/podman").unlink(), "podman is not installed"),
        (lambda host: host.accounts.pop(ALICE), "user alice: no such account"),
        (lambda host: host.add_account("alice", 0), "it has uid 0"),
        (lambda host: host.local("/bin/busybox").unlink(), "the host has no static busybox"),
        (lambda host: host.write("/bin/busybox", DYNAMIC), "the host has no static busybox"),
        (lambda host: host.local("/bin/busybox").chmod(0o777), "others than root can write it"),
        (
            lambda host: host.write(f"/sys/fs/cgroup{MANAGER}/cgroup.controllers", "memory pids\n"),
            f"not delegated to user@{ALICE}.service: cpu (found: memory, pids)",
        ),
        (
            lambda host: host.local("/sys/fs/cgroup/cgroup.controllers").unlink(),
            "no unified cgroup hierarchy",
        ),
    ],
)
def test_what_is_missing_before_the_first_command(
    host: EngineHost, spoil: Callable[[EngineHost], Any], reason: str
) -> None:
    spoil(host)
    assert reason in _reason(host)
    assert host.commands == []


def test_no_rootless_daemon(host: EngineHost) -> None:
    host.sockets.pop(f"/run/user/{ALICE}/docker.sock")
    assert "no rootless Docker daemon of this user runs" in _reason(host, engine="docker")
    host.sockets[f"/run/user/{ALICE}/docker.sock"] = 0
    assert "is no socket of this user's" in _reason(host, engine="docker")
    assert host.commands == []


@pytest.mark.parametrize(
    ("limit", "text", "reason"),
    [
        ("cpu.max", "max 100000", "cpu.max: found no limit, asked for was 0.5"),
        ("memory.max", "max", "memory.max: found no limit, asked for was 6.71089e+07"),
        ("pids.max", "2048", "pids.max: found 2048, asked for was 32"),
    ],
)
def test_a_limit_that_the_kernel_does_not_have(host: EngineHost, limit: str, text: str, reason: str) -> None:
    host.limits[limit] = text
    assert _reason(host) == f"the limits are not enforced: {reason}"


def test_a_process_outside_the_users_manager_proves_nothing(host: EngineHost) -> None:
    host.cgroup[ALICE] = f"/user.slice/user-{ALICE}.slice/session-3.scope/libpod-{ID}.scope"
    assert "there is no process of the container" in _reason(host)
    host.cgroup[ALICE] = f"/machine.slice/libpod-{ID}.scope"
    assert "there is no process of the container" in _reason(host)


def test_another_users_process_proves_nothing(host: EngineHost) -> None:
    host.carries[ALICE] = 1000
    assert "runs as user 1000, not as 61001" in _reason(host)
    host.carries[ALICE] = ALICE
    host.uid_map = "         0          0 4294967295\n"
    assert "no user namespace of this user's" in _reason(host)


def test_a_users_process_proves_nothing_of_root(host: EngineHost) -> None:
    host.cgroup[0] = host.cgroup[ALICE]
    (proof,) = _prove(host, "root")
    assert "there is no process of the container" in proof["reason"]


@pytest.mark.parametrize(
    ("verb", "answer", "reason"),
    [
        (
            "import",
            Completed((), 125, "", "no space left on device"),
            "could not be made: exit status 125: no space",
        ),
        (
            "run",
            Completed((), 126, "", "crun: no cpu\x1b[31m\udcff"),
            "did not start: exit status 126: crun: no cpu",
        ),
        ("run", Completed((), 0, "../../etc/passwd\n", ""), "did not start: exit status 0: ../../etc"),
        ("run", TimeLimitExceeded("systemd-run: no end after 70 s"), "systemd-run: no end after 70 s"),
    ],
)
def test_what_fails_on_the_way_is_said_and_cleaned_up(
    host: EngineHost, verb: str, answer: Completed | PortError, reason: str
) -> None:
    host.failing[verb] = answer
    (proof,) = _prove(host, "alice")
    assert proof["proven"] is False
    assert reason in proof["reason"]
    proof["reason"].encode("utf-8")
    assert host.verbs()[-2:] == ["rm", "rmi"]
    assert proof["left"] == []


def test_what_was_not_there_is_not_left(host: EngineHost) -> None:
    host.failing["rm"] = Completed((), 1, "", "Error: no such container: bulkhead-proof-1")
    host.failing["rmi"] = Completed((), 1, "", "Error: localhost/bulkhead-proof:1: image not known")
    assert _prove(host, "alice")[0]["left"] == []


def test_what_is_left_is_named(host: EngineHost) -> None:
    host.failing["rm"] = Completed((), 125, "", "conmon exited prematurely")
    host.failing["rmi"] = TimeLimitExceeded("systemd-run: no end after 70 s")
    (proof,) = _prove(host, "alice")
    assert proof["proven"] is True
    first, second = proof["left"]
    assert first.startswith("bulkhead-proof-") and first.endswith(
        "exit status 125: conmon exited prematurely"
    )
    assert second.endswith("systemd-run: no end after 70 s")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"engine": "docker", "users": ["root"]}, "users: found root with engine docker"),
        ({"image": "--privileged"}, "image: found '--privileged'"),
        ({"image": "a b"}, "image: found 'a b'"),
        ({"cpus": -1}, "cpus: found -1, accepted are"),
        ({"cpus": 0.001}, "cpus: found 0.001, accepted are"),
        ({"memory_mib": 1}, "memory_mib: found 1, accepted are"),
        ({"pids": -1}, "pids: found -1, accepted are"),
    ],
)
def test_bad_options_start_nothing(host: EngineHost, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(EngineProofError) as caught:
        _prove(host, **{"users": ["alice"], **options})
    assert problem in str(caught.value)
    assert str(caught.value).endswith("Nothing was started.")
    assert host.commands == []


@pytest.mark.parametrize("output", ["", "abc\n", f"{ID}x\n", f"{ID}\nError\n"])
def test_what_is_no_id(output: str) -> None:
    assert container_id(output) is None


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", STATIC[:40], STATIC[:64], DYNAMIC, b"\x7fELF\x01" + STATIC[5:]]
)
def test_what_is_no_static_program(content: bytes) -> None:
    assert not is_static_program(content)


def test_static_programs() -> None:
    assert is_static_program(STATIC)
    assert not is_static_program(Path("/bin/sh").read_bytes())


def test_the_image_is_the_same_each_time_and_its_sleep_is_busybox() -> None:
    assert proof_image(STATIC) == proof_image(STATIC)
    with tarfile.open(fileobj=io.BytesIO(proof_image(STATIC))) as archive:
        assert archive.getmember("bin/busybox").mode == 0o755
        assert archive.getmember("bin/sleep").linkname == "busybox"


def test_no_limits_no_options() -> None:
    assert (Limits(0, 0, 0).options(), Limits(0, 0, 0).controllers()) == ([], [])


def test_a_users_input_cannot_be_written() -> None:
    with sealed_input(b"content") as descriptor:
        assert os.read(descriptor, 100) == b"content"
        with pytest.raises(OSError):
            os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_TRUNC)


def test_root_needs_no_manager(host: EngineHost) -> None:
    session = UserSession(host, host.account(0))
    assert session.unavailable() is None
    assert session.missing_controllers(["cpu"]) is None


def test_what_is_left_is_a_warning(host: EngineHost) -> None:
    host.failing["rm"] = Completed((), 125, "", "busy")
    warnings: list[str] = []

    class Module:
        """What `run` needs of AnsibleModule."""

        params = {
            **{"engine": "podman", "image": None, "cpus": 0.5, "memory_mib": 64, "pids": 32},
            "users": ["alice"],
        }
        check_mode = False
        warn = staticmethod(warnings.append)

    outcome = engine_proof.run(Module(), host)  # type: ignore[arg-type]  # it stands for one
    assert outcome["changed"] is False
    assert len(warnings) == 1
    assert warnings[0].startswith("alice: could not be removed: bulkhead-proof-")
