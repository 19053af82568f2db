# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `rootless`: who is looked at, what is found, and what a hostile user cannot do."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import (
    _posture_rootless,
    _posture_rootless_survey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._home_storage import home_obstacle
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import parse_mountinfo
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless import collect_rootless
from unit.fake_system import FakeSystem

# The account is who runs the tests, or another where that is root.
UID = os.geteuid() or 61_001
BOB = UID + 1
MOUNTS = (
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "22 21 0:40 / /home rw,nosuid,nodev shared:2 - nfs4 server:/home rw\n"
)
INFO = {
    "ServerVersion": "26.1.5",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "Driver": "overlay2",
    "LoggingDriver": "json-file",
    "LiveRestoreEnabled": False,
    "ContainersRunning": 1,
    "DockerRootDir": "/home/amber/.local/share/docker",
    "Warnings": None,
    "Secret": "not kept",
}


class Host(FakeSystem):
    """A host with the account amber; what lies below a home or runtime directory belongs to that account."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.add_account("amber", UID)
        self.add_account("bob", BOB)
        self.write("/etc/subuid", "amber:100000:65536\n")
        self.write("/etc/subgid", "amber:100000:65536\n")
        self.write("/etc/passwd", f"amber:x:{UID}:{UID}::/home/amber:/bin/sh\n")
        self.write("/proc/1/mountinfo", MOUNTS)
        self.write("/proc/1/net/unix", "Num RefCount Protocol Flags Type St Inode Path\n")
        self.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
        self.theirs("/home/amber")
        self.theirs(f"/run/user/{UID}")

    def theirs(self, path: str, content: str | None = None, mode: int | None = None) -> Path:
        target = self.local(path)
        wanted = target if content is None else target.parent
        wanted.mkdir(parents=True, exist_ok=True)
        if content is not None:
            target.write_text(content, encoding="utf-8")
        place = target
        top = {"home": 2, "run": 3}[path.split("/")[1]]
        while len(place.relative_to(self.directory).parts) >= top:
            os.chown(place, UID, UID)
            place = place.parent
        if mode is not None:
            target.chmod(mode)
        return target

    def rootless(self, **options: Any) -> dict[str, Any]:
        options.setdefault("podman_version", "5.4.2")
        return collect_rootless(self, root=str(self.directory), **options)

    def user(self, **options: Any) -> dict[str, Any]:
        (user,) = [entry for entry in self.rootless(**options)["users"] if entry["name"] == "amber"]
        return dict(user)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    return Host(tmp_path)


@pytest.fixture
def user_of_podman(host: Host) -> Host:
    host.theirs("/home/amber/.local/share/containers/storage")
    return host


@contextlib.contextmanager
def daemon(host: Host, answer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A rootless Docker daemon at amber's socket, as whoever runs the tests."""
    path = host.local(f"/run/user/{UID}/docker.sock")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

        def address_string(self) -> str:
            return "socket"

    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket is short
    server = socketserver.ThreadingUnixStreamServer("docker.sock", Handler)
    os.chdir(here)
    path.chmod(0o666)
    if os.geteuid() == 0:
        os.chown(path, UID, UID)
    real = _posture_rootless_survey.unix_http
    # The listener is the tests' own process, whoever that is.
    monkeypatch.setattr(
        _posture_rootless_survey,
        "unix_http",
        lambda system, place, *, peer_uid, **options: real(
            system, place, peer_uid=0 if STARTED_BY_ROOT else peer_uid, **options
        ),
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


STARTED_BY_ROOT = os.geteuid() == 0


def test_a_host_without_users_has_an_empty_list(tmp_path: Path) -> None:
    found = collect_rootless(FakeSystem(tmp_path), podman_version=None, root=str(tmp_path))
    assert (found["users"], found["unknown_users"], found["all_looked_at"]) == ([], [], True)


def test_an_account_without_an_engine_is_not_looked_at_further(host: Host) -> None:
    user = host.user()
    assert (user["reasons"], user["uses_engine"], user["judged"]) == (["session", "subids"], False, False)
    assert (user["podman"], user["docker"], user["home_directory"]) == (None, None, None)
    assert user["subids"]["uid"]["count"] == 65536


def test_a_named_account_is_judged_without_an_engine(host: Host) -> None:
    user = host.user(users=["amber"])
    assert (user["uses_engine"], user["judged"]) == (False, True)
    assert user["podman"]["storage"] is False


def test_a_name_without_an_account(host: Host) -> None:
    assert host.rootless(users=["mallory"])["unknown_users"] == ["mallory"]


def test_root_is_no_rootless_user(host: Host) -> None:
    host.write("/etc/subuid", "root:100000:65536\n0:300000:65536\n")
    host.write("/var/lib/systemd/linger/root")
    assert "root" not in {user["name"] for user in host.rootless(users=["root"], running=[0])["users"]}


def test_who_runs_a_container_uses_an_engine(host: Host) -> None:
    assert host.user(running=[UID])["uses_engine"] is True


def test_a_limit_leaves_accounts_out_and_says_so(host: Host) -> None:
    host.write("/var/lib/systemd/linger/bob")
    found = host.rootless(most=1)
    assert [user["name"] for user in found["users"]] == ["bob"]
    assert "amber" in found["all_looked_at"]["unreadable"]
    named = host.rootless(most=0, users=["amber"])
    assert [user["name"] for user in named["users"]] == ["amber"]


def test_the_time_limit_leaves_accounts_out_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_posture_rootless, "SECONDS", -1.0)
    found = host.rootless()
    assert found["users"] == []
    assert "amber" in found["all_looked_at"]["unreadable"]


def test_home_and_its_file_system(user_of_podman: Host) -> None:
    user_of_podman.local("/home/amber").chmod(0o750)
    user = user_of_podman.user()
    assert user["home_directory"] == {"mode": "0750", "owned": True}
    assert user["home_file_system"] == {
        "mount_point": "/home",
        "type": "nfs4",
        "nosuid": True,
        "nodev": True,
        "noexec": False,
        "overlay": "fails",
    }


@pytest.mark.parametrize(
    ("filesystem", "expected"),
    [("ext4", "works"), ("fuse.mergerfs", "fails"), ("ceph", "fails"), ("bcachefs", "unknown")],
)
def test_the_posture_and_the_roles_agree_on_file_systems(
    user_of_podman: Host, filesystem: str, expected: str
) -> None:
    mounts = MOUNTS.replace("nfs4", filesystem)
    user_of_podman.write("/proc/1/mountinfo", mounts)
    assert user_of_podman.user()["home_file_system"]["overlay"] == expected
    amber = user_of_podman.account(UID)
    obstacle = home_obstacle(user_of_podman, amber, parse_mountinfo(mounts), ".local/share/docker")
    assert ("cannot hold the layers" in obstacle) is (expected == "fails")


@pytest.mark.parametrize("member", [True, False])
def test_a_member_of_the_group_docker_drives_the_engine_of_root(user_of_podman: Host, member: bool) -> None:
    user_of_podman.add_group("docker", 990, ["amber"] if member else ["bob"])
    assert user_of_podman.user()["drives_root_engine"] is member


def test_podman_by_the_host_s_files(user_of_podman: Host) -> None:
    user_of_podman.write("/etc/containers/containers.conf", "[containers]\npids_limit = 512\n")
    user_of_podman.write("/etc/containers/policy.json", '{"default": [{"type": "reject"}]}')
    podman = user_of_podman.user()["podman"]
    assert podman["settings"]["containers.pids_limit"]["value"] == 512
    assert podman["settings"]["containers.pids_limit"]["file"] == "/etc/containers/containers.conf"
    assert (podman["overrides"], podman["own_image_policy"]) == ([], False)
    assert podman["image_policy_default"] == "reject"


def test_the_user_s_own_files_override(user_of_podman: Host) -> None:
    user_of_podman.write("/etc/containers/containers.conf", "[containers]\npids_limit = 512\n")
    user_of_podman.write("/etc/containers/policy.json", '{"default": [{"type": "reject"}]}')
    own = "/home/amber/.config/containers"
    user_of_podman.theirs(f"{own}/containers.conf", '[containers]\npids_limit = 0\nnetns = "host"\n')
    user_of_podman.theirs(f"{own}/registries.conf", '[[registry]]\nlocation = "r.example"\ninsecure = true\n')
    user_of_podman.theirs(f"{own}/policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
    podman = user_of_podman.user()["podman"]
    assert podman["settings"]["containers.pids_limit"]["value"] == 0
    assert podman["settings"]["containers.netns"]["value"] == "host"
    assert [entry["keys"] for entry in podman["overrides"]] == [
        ["containers.pids_limit", "containers.netns"],
        ["registry.location", "registry.insecure"],
    ]
    assert podman["insecure_registries"] == ["r.example"]
    assert (podman["own_image_policy"], podman["image_policy_default"]) == (True, "insecureAcceptAnything")


def test_what_this_collection_put_there_is_no_override(user_of_podman: Host) -> None:
    own = "/home/amber/.config/containers/containers.conf.d/99-bulkhead.user.conf"
    user_of_podman.theirs(own, "[containers]\npids_limit = 100\n")
    podman = user_of_podman.user()["podman"]
    assert podman["overrides"] == []
    assert podman["settings"]["containers.pids_limit"]["value"] == 100


def test_an_unknown_version_of_podman_is_unreadable_and_not_absent(user_of_podman: Host) -> None:
    podman = user_of_podman.user(podman_version={"unreadable": "no"})["podman"]
    assert "unreadable" in podman["settings"]
    assert "unreadable" in podman["insecure_registries"]
    assert user_of_podman.user(podman_version=None)["podman"] is None


def test_a_file_that_is_no_toml_is_unreadable(user_of_podman: Host) -> None:
    user_of_podman.theirs("/home/amber/.config/containers/containers.conf", "what is this\n")
    podman = user_of_podman.user()["podman"]
    assert "unreadable" in podman["settings"]
    assert "unreadable" in podman["overrides"]
    assert podman["insecure_registries"] == []


def test_the_podman_socket(user_of_podman: Host) -> None:
    path = f"/run/user/{UID}/podman/podman.sock"
    assert user_of_podman.user()["podman"]["socket"]["exists"] is False
    user_of_podman.theirs(path, "", mode=0o600)
    row = f"0000: 00000002 00000000 00010000 0001 01 5 {path}\n"
    user_of_podman.write("/proc/1/net/unix", f"Num Path\n{row}")
    socket = user_of_podman.user()["podman"]["socket"]
    assert socket == {
        "path": path,
        "exists": True,
        "is_socket": False,
        "owned": True,
        "mode": "0600",
        "listening": True,
    }


def test_a_docker_that_does_not_run(host: Host) -> None:
    host.theirs("/home/amber/.config/systemd/user/docker.service", "[Service]\n")
    host.theirs(
        "/home/amber/.config/systemd/user/docker.service.d/override.conf",
        "[Service]\nEnvironment=DOCKERD_ROOTLESS_ROOTLESSKIT_DISABLE_HOST_LOOPBACK=false\n",
    )
    host.theirs("/home/amber/.config/docker/daemon.json", '{"icc": false, "hosts": ["tcp://0.0.0.0:2375"]}')
    docker = host.user()["docker"]
    assert docker["unit"]["exists"] is True
    assert (docker["unit"]["enabled"], docker["unit"]["host_loopback"]) == (False, True)
    assert (docker["running"], docker["info"]) == (False, None)
    assert docker["settings"]["icc"]["value"] is False
    assert docker["settings"]["hosts"]["value"] == ["tcp://0.0.0.0:2375"]
    assert docker["configuration_file"]["keys"] == ["hosts", "icc"]


@pytest.mark.parametrize(("text", "valid"), [("{", False), ("[]", False), ('{"icc": 1}', True), ("", True)])
def test_a_daemon_json_that_is_none(host: Host, text: str, valid: bool) -> None:
    host.theirs("/home/amber/.local/share/docker")
    host.theirs("/home/amber/.config/docker/daemon.json", text)
    docker = host.user()["docker"]
    assert docker["configuration_file"]["valid"] is valid
    assert ("unreadable" in docker["settings"]["icc"]) is (text != "")


def test_a_daemon_that_answers(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.theirs("/home/amber/.config/docker/daemon.json", '{"no-new-privileges": true}')
    with daemon(host, INFO, monkeypatch):
        docker = host.user()["docker"]
    assert docker["running"] is True
    assert docker["info"]["version"] == "26.1.5"
    assert docker["info"]["warnings"] == []
    assert "Secret" not in json.dumps(docker)
    setting = docker["settings"]["no-new-privileges"]
    assert (setting["value"], setting["configured"], setting["proof"]) == (False, True, "pending")
    assert docker["settings"]["live-restore"]["proof"] == "proven"


@pytest.mark.parametrize("answer", [[], "x", {"SecurityOptions": "all", "LiveRestoreEnabled": 3}])
def test_a_daemon_that_answers_nonsense(host: Host, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    with daemon(host, answer, monkeypatch):
        docker = host.user()["docker"]
    facts = [docker["info"]] if not isinstance(answer, dict) else list(docker["info"].values())
    assert any(isinstance(fact, dict) and "unreadable" in fact for fact in facts)


def test_a_socket_that_nobody_answers_is_unreadable(host: Host) -> None:
    host.theirs(f"/run/user/{UID}/docker.sock", "")
    docker = host.user()["docker"]
    assert "unreadable" in docker["running"]
    assert "unreadable" in docker["info"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("export DOCKER_HOST=unix:///run/user/{uid}/docker.sock", "own"),
        ("DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock", "own"),
        ("export DOCKER_HOST='unix:///var/run/docker.sock'", "root"),
        ("export DOCKER_HOST=tcp://name:secret@h.example:2375", "tcp"),
        ("export DOCKER_HOST=ssh://h.example", "other"),
        ("# DOCKER_HOST=tcp://h.example", None),
    ],
)
def test_where_the_client_goes(user_of_podman: Host, line: str, kind: str | None) -> None:
    user_of_podman.theirs("/home/amber/.bashrc", line.format(uid=UID) + "\n")
    user_of_podman.theirs("/home/amber/.docker/config.json", '{"auths": {}, "currentContext": "rootless"}')
    user = user_of_podman.user()
    assert user["docker_host"] == {"variable": kind, "context": "rootless"}
    assert "secret" not in json.dumps(user)


def test_links_lead_nowhere(user_of_podman: Host, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("[containers]\npids_limit = 7\n", encoding="utf-8")
    own = user_of_podman.theirs("/home/amber/.config/containers")
    (own / "containers.conf").symlink_to(secret)
    podman = user_of_podman.user()["podman"]
    assert "unreadable" in podman["settings"]
    assert "7" not in json.dumps(podman["settings"])


def test_a_linked_directory_leads_nowhere(user_of_podman: Host, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "policy.json").write_text('{"default": [{"type": "reject"}]}', encoding="utf-8")
    user_of_podman.theirs("/home/amber/.config")
    user_of_podman.local("/home/amber/.config/containers").symlink_to(elsewhere)
    podman = user_of_podman.user()["podman"]
    assert "unreadable" in podman["own_image_policy"]
    assert "unreadable" in podman["image_policy_default"]


def test_a_fifo_and_a_huge_file_are_unreadable_and_nothing_waits(user_of_podman: Host) -> None:
    own = user_of_podman.theirs("/home/amber/.config/containers")
    os.mkfifo(own / "containers.conf")
    (own / "containers.conf").chmod(0o666)
    with (own / "policy.json").open("wb") as file:
        file.truncate(1 << 30)
    (own / "policy.json").chmod(0o644)
    podman = user_of_podman.user()["podman"]
    assert "unreadable" in podman["settings"]
    assert "unreadable" in podman["own_image_policy"]


def test_many_drop_ins_are_refused(user_of_podman: Host) -> None:
    for number in range(60):
        user_of_podman.theirs(f"/home/amber/.config/containers/containers.conf.d/{number}.conf", "")
    assert "unreadable" in user_of_podman.user()["podman"]["settings"]


def test_a_home_that_is_not_there(host: Host) -> None:
    host.local("/home/amber").rmdir()
    user = host.user(users=["amber"])
    assert "unreadable" in user["podman"]
    assert user["linger"] is False


def test_a_home_that_cannot_be_looked_at_is_judged(host: Host) -> None:
    home = host.local("/home/amber")
    home.rmdir()
    home.write_text("", encoding="utf-8")
    user = host.user()
    assert "unreadable" in user["uses_engine"]
    assert "unreadable" in user["judged"]
    assert "unreadable" in user["podman"]


def test_id_programs(host: Host) -> None:
    host.write("/usr/bin/newuidmap").chmod(0o755)
    programs = {entry["name"]: entry for entry in host.rootless()["id_programs"]}
    assert (programs["newuidmap"]["mode"], programs["newuidmap"]["rights"]) == ("0755", "none")
    assert (programs["newgidmap"]["path"], programs["newgidmap"]["rights"]) == (None, None)


def test_which_sysctl_file_wins(host: Host) -> None:
    host.write("/proc/sys/user/max_user_namespaces", "11841\n")
    host.write("/etc/sysctl.d/50-a.conf", "user.max_user_namespaces = 11841\n")
    assert host.rootless()["changed_at_boot"] == []
    host.write("/usr/lib/sysctl.d/90-b.conf", "user.max_user_namespaces = 0\n")
    found = host.rootless()
    assert found["changed_at_boot"] == ["user.max_user_namespaces"]
    assert found["sysctls"]["user.max_user_namespaces"] == {
        "value": "11841",
        "boot_value": "0",
        "boot_file": "/usr/lib/sysctl.d/90-b.conf",
    }
    assert found["sysctls"]["kernel.unprivileged_userns_clone"] is None


@pytest.mark.parametrize(
    ("lines", "controllers"),
    [
        ("Delegate=pids memory cpu", ["cpu", "memory", "pids"]),
        ("Delegate=pids\nDelegate=io", ["io", "pids"]),
        ("Delegate=pids\nDelegate=\nDelegate=cpu", ["cpu"]),
        ("Delegate=yes", ["cpu", "cpuset", "io", "memory", "pids"]),
        ("Delegate=no", []),
        ("", []),
    ],
)
def test_delegation(host: Host, lines: str, controllers: list[str]) -> None:
    host.write("/usr/lib/systemd/system/user@.service", f"[Service]\n{lines}\n")
    assert host.rootless()["delegation"]["controllers"] == controllers


def test_a_drop_in_adds_to_the_unit_and_etc_hides_one_of_the_same_name(host: Host) -> None:
    host.write("/usr/lib/systemd/system/user@.service", "[Service]\nDelegate=pids\n")
    host.write("/usr/lib/systemd/system/user@.service.d/10.conf", "[Service]\nDelegate=io\n")
    host.write("/etc/systemd/system/user@.service.d/10.conf", "[Service]\nDelegate=cpu\n")
    assert host.rootless()["delegation"]["controllers"] == ["cpu", "pids"]


def test_collisions_of_the_whole_host_and_of_the_user(user_of_podman: Host) -> None:
    user_of_podman.write("/etc/subuid", "amber:100000:65536\nbob:120000:65536\nbad:0x10:5\n")
    found = user_of_podman.rootless()
    assert len(found["subids"]["collisions"]) == 1
    assert found["subids"]["unusable_lines"] == ["/etc/subuid, line 3"]
    (amber,) = [user for user in found["users"] if user["name"] == "amber"]
    assert len(amber["subids"]["uid"]["collisions"]) == 1
    assert amber["subids"]["gid"]["collisions"] == []


def test_ids_of_a_directory_are_not_said_to_collide_with_nothing(user_of_podman: Host) -> None:
    user_of_podman.write("/etc/nsswitch.conf", "subid: sss\n")
    user_of_podman.answers["getsubids", "amber"] = "0: amber 100000 65536\n"
    user_of_podman.answers["getsubids", "-g", "amber"] = "0: amber 100000 65536\n"
    found = user_of_podman.rootless()
    assert "not_applicable" in found["subids"]["collisions"]
    assert "sss" in found["all_looked_at"]["unreadable"]
    (amber,) = [user for user in found["users"] if user["name"] == "amber"]
    assert amber["subids"]["uid"]["count"] == 65536
    assert "not_applicable" in amber["subids"]["uid"]["collisions"]
    assert user_of_podman.rootless(users=["amber"])["all_looked_at"] is True


def test_two_hundred_accounts_without_an_engine(host: Host) -> None:
    """Each costs two processes and no command."""
    for number in range(200):
        host.add_account(f"u{number}", 70_000 + number)
    lines = "".join(f"u{number}:{1_000_000 + number * 65536}:65536\n" for number in range(200))
    host.write("/etc/subuid", lines)
    host.write("/etc/subgid", lines)
    host.local(f"/run/user/{UID}").rmdir()
    found = host.rootless()
    assert len(found["users"]) == 200
    assert found["all_looked_at"] is True
    assert host.ran == []
