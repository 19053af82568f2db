# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is gathered of Podman, as whom, what of it cannot be read, and when no command runs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _podman_gather
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import AccountError
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_gather import gather_podman
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    FileFacts,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, unseal
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError
from ansible_collections.bulkhead.hardening.plugins.modules import podman_policy_info
from unit.fake_system import FakeSystem

INFO = {"version": {"Version": "5.4.2"}, "store": {"graphDriverName": "overlay"}}
OWN = os.getuid()
KEY = new_key()


class PodmanHost(FakeSystem):
    """A host with Podman and alice, whose manager runs; her home is the test's own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.home = root / "alice"
        self.home.mkdir()
        self.add_account("alice", 1000, home=str(self.home))
        self.write("/usr/bin/podman").chmod(0o755)
        self.write("/usr/bin/systemd-run").chmod(0o755)
        self.bus = True
        self.answer = Completed((), 0, json.dumps(INFO), "")
        self.asked: list[tuple[str | None, tuple[str, ...]]] = []

    def stat(self, path: str, *, follow: bool = True) -> FileFacts:
        if path == "/run/user/1000/bus" and self.bus:
            return FileFacts(**{**super().stat("/usr").__dict__, "type": "socket", "uid": 1000})
        return super().stat(path, follow=follow)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        words = tuple(argv)
        command = words[words.index("--") + 1 :] if words[0] == "systemd-run" else words
        self.asked.append((options.get("uid"), command))
        if command[1:] == ("--version",):
            return Completed(command, 0, "podman version 4.3.1\n", "")
        return self.answer


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PodmanHost:
    """Alice's files are read by the process itself, since a test may not be able to become her."""
    look, read = _podman_gather.look_as, _podman_gather.read_as
    monkeypatch.setattr(_podman_gather, "look_as", lambda _uid, _gid, *rest: look(OWN, os.getgid(), *rest))
    monkeypatch.setattr(_podman_gather, "read_as", lambda _uid, _gid, *rest: read(OWN, os.getgid(), *rest))
    return PodmanHost(tmp_path)


def test_every_file_that_a_podman_could_read_is_there(host: PodmanHost) -> None:
    paths = [
        "/usr/share/containers/containers.conf",
        "/etc/containers/storage.conf",
        "/etc/containers/registries.conf.d/10-a.conf",
        "/etc/containers/containers.rootful.conf.d/10-a.conf",
        "/etc/containers/containers.rootless.conf.d/1000/10-a.conf",
        "/root/.config/containers/containers.conf.d/1.conf",
    ]
    for path in [*paths, "/etc/containers/registries.conf.d/readme"]:
        host.write(path, "a = 1\n")
    host.add_account("root", 0, home="/root")
    own = host.home / ".config/containers"
    (own / "containers.conf.d").mkdir(parents=True)
    (own / "storage.conf").write_text("b = 1\n")
    (own / "containers.conf.d/9.conf").write_text("c = 1\n")
    files = gather_podman(host, ["alice"], check_mode=False)["files"]
    assert files == {
        **dict.fromkeys(paths, "a = 1\n"),
        f"{own}/storage.conf": "b = 1\n",
        f"{own}/containers.conf.d/9.conf": "c = 1\n",
    }


def test_what_cannot_be_read_is_said_and_never_missing(
    host: PodmanHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("/etc/containers/storage.conf", b"\xff")
    own = host.home / ".config/containers"
    own.mkdir(parents=True)
    os.mkfifo(own / "storage.conf")
    real = _podman_gather.look_as

    def refused(uid: int, gid: int, path: str, *rest: Any) -> Any:
        if path.endswith("registries.conf.d"):
            raise UserFileError("a link leads to it")
        return real(uid, gid, path, *rest)

    monkeypatch.setattr(_podman_gather, "look_as", refused)
    assert gather_podman(host, ["alice"], check_mode=False)["files"] == {
        "/etc/containers/storage.conf": None,
        f"{own}/storage.conf": None,
        f"{own}/registries.conf.d/?.conf": None,
    }


def test_podman_is_asked_as_root_and_within_the_user_s_manager(host: PodmanHost) -> None:
    found = gather_podman(host, ["alice"], check_mode=False)
    info = ("/usr/bin/podman", "info", "--format", "json")
    assert host.asked == [(1000, info), (None, info)]
    assert (found["version"], found["info"], found["reason"]) == ("5.4.2", INFO, "")
    assert found["users"] == [
        {"name": "alice", "uid": 1000, "home": str(host.home), "info": INFO, "reason": ""}
    ]


def test_check_mode_makes_no_user_s_storage(host: PodmanHost) -> None:
    (user,) = gather_podman(host, ["alice"], check_mode=True)["users"]
    assert user["info"] is None
    assert "check mode makes none" in user["reason"]
    (host.home / ".local/share/containers").mkdir(parents=True)
    (user,) = gather_podman(host, ["alice"], check_mode=True)["users"]
    assert user["info"] == INFO


def test_a_user_without_a_manager_has_a_reason(host: PodmanHost) -> None:
    host.bus = False
    (user,) = gather_podman(host, ["alice"], check_mode=False)["users"]
    assert user["info"] is None
    assert "loginctl enable-linger alice" in user["reason"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Completed((), 125, "", "time\nError: bad config"), "podman info ended with 125: Error: bad"),
        (Completed((), 0, "{", ""), "its answer is not JSON"),
        (Completed((), 0, "[]", ""), "its answer is no object"),
    ],
)
def test_an_answer_that_is_none_is_a_reason(host: PodmanHost, answer: Completed, reason: str) -> None:
    host.answer = answer
    found = gather_podman(host, [], check_mode=False)
    assert found["info"] is None
    assert reason in found["reason"]
    assert found["version"] == "4.3.1"


def test_who_is_no_user_is_named_and_nothing_is_asked(host: PodmanHost) -> None:
    with pytest.raises(AccountError) as caught:
        gather_podman(host, ["alice", "gone", "root"], check_mode=False)
    assert "found gone, which this host does not know" in str(caught.value)
    assert "root, which has uid 0" in str(caught.value)
    assert "Nothing was changed." in str(caught.value)
    assert host.asked == []


def test_a_host_without_podman_is_no_error(host: PodmanHost) -> None:
    host.local("/usr/bin/podman").unlink()
    assert gather_podman(host, ["alice"], check_mode=False) == {"installed": False}


@pytest.mark.parametrize(
    ("subuid", "subgid", "nsswitch", "known"),
    [
        ("containers:1:65536\n", "containers:1:65536\n", None, True),
        ("containers:1:65536\n", "alice:1:65536\n", None, False),
        (None, None, None, False),
        ("containers:1:65536\n", "containers:1:65536\n", "subid: sss\n", None),
    ],
)
def test_whether_userns_auto_has_ids(
    host: PodmanHost, subuid: str | None, subgid: str | None, nsswitch: str | None, *, known: bool | None
) -> None:
    contents = {"subuid": subuid, "subgid": subgid, "nsswitch.conf": nsswitch}
    for name, text in contents.items():
        if text is not None:
            host.write(f"/etc/{name}", text)
    assert gather_podman(host, [], check_mode=False)["auto_userns_ids"] is known


class Module:
    """Stands for AnsibleModule."""

    def __init__(self, *, check_mode: bool = False, **params: Any) -> None:
        self.params = {"users": [], "prove": True, "image": None, "seal": KEY, **params}
        self.check_mode = check_mode
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


def test_the_containers_are_started_without_options_as_root_and_as_each_user(
    host: PodmanHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def prove(_system: Any, request: Any, *, check_mode: bool) -> list[dict[str, Any]]:
        requests.append((request, check_mode))
        return [{"user": "root", "left": ["an image: busy"]}]

    monkeypatch.setattr(podman_policy_info, "prove", prove)
    module = Module(users=["alice"])
    outcome = podman_policy_info.run(module, host)  # type: ignore[arg-type]  # it stands for one
    ((request, check_mode),) = requests
    assert request == {
        "engine": "podman",
        "users": ["root", "alice"],
        "image": None,
        "cpus": 0.0,
        "memory_mib": 0,
        "pids": 0,
    }
    assert check_mode is False
    assert outcome["changed"] is False
    assert module.warned == ["root: could not be removed: an image: busy"]


def test_nothing_is_started_unless_asked_or_where_there_is_no_podman(
    host: PodmanHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman_policy_info, "prove", lambda *_a, **_k: pytest.fail("a container was started"))
    assert podman_policy_info.run(Module(prove=False), host)["proofs"] == []  # type: ignore[arg-type]
    host.local("/usr/bin/podman").unlink()
    assert podman_policy_info.run(Module(), host)["proofs"] == []  # type: ignore[arg-type]


def test_what_files_hold_is_in_no_plain_answer(host: PodmanHost) -> None:
    host.write("/etc/containers/containers.conf", '[containers]\nenv = ["TOKEN=hunter2-planted"]\n')
    outcome = podman_policy_info.run(Module(prove=False), host)  # type: ignore[arg-type]
    assert "hunter2" not in json.dumps(outcome)
    assert "hunter2" in unseal(outcome["sealed"], KEY)["files"]["/etc/containers/containers.conf"]
