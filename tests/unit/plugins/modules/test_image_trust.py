# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of a host's trust, and what a trial proves, on a made-up host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_look import look_at_trust
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_trial import try_image
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import UserFileError
from unit.fake_system import FakeSystem

REFERENCE = "registry.example.com/app:1"


class Host(FakeSystem):
    """A host with Podman, whose pulls come out as `pull` says."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("/usr/bin/podman").chmod(0o755)
        self.answers[("/usr/bin/podman", "--version")] = "podman version 5.4.2\n"
        self.pull: Completed | PortError = Completed((), 0, "id\n", "")
        self.storages: list[str] = []

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        if "pull" not in argv:
            return super().run(argv, **options)
        self.ran.append(tuple(argv))
        self.storages.append(argv[2])
        if isinstance(self.pull, PortError):
            raise self.pull
        return self.pull


def _read(files: dict[str, bytes]) -> Any:
    def read(uid: int, gid: int, path: str, limit: int) -> bytes | None:
        assert (uid, gid) == (1000, 1000)
        if files.get(path) == b"link":
            raise UserFileError(f"{path}: it is a link.")
        return files.get(path)

    return read


def _images(*names: str) -> str:
    return json.dumps([{"id": "a", "names": list(names)}, {"id": "b"}])


def test_a_bare_host(tmp_path: Path) -> None:
    trust = look_at_trust(FakeSystem(tmp_path), [])
    assert trust["policy"] is None
    assert trust["versions"] == {"podman": None, "skopeo": None}
    assert trust["registries_d"] == trust["registries_conf"] == {}
    assert trust["accounts"][0]["images"] == []
    assert trust["accounts"][0]["own_policy"] is False


def test_what_is_there_is_read(tmp_path: Path) -> None:
    system = Host(tmp_path)
    system.add_account("alice", 1000)
    system.write("/etc/containers/policy.json", "{}")
    system.write("/etc/containers/registries.d/default.yaml", "docker: {}")
    system.write("/etc/containers/registries.d/README", "no")
    system.write("/etc/containers/registries.conf.d/a.conf", "")
    system.write("/etc/containers/storage.conf", '[storage]\ngraphroot = "/srv/storage"\n')
    system.write("/srv/storage/overlay-images/images.json", _images(REFERENCE))
    home = "/home/alice/.local/share/containers/storage"
    files = {
        "/home/alice/.config/containers/policy.json": b"{}",
        f"{home}/overlay-images/images.json": _images("docker.io/library/x:1").encode(),
    }
    trust = look_at_trust(system, ["alice"], read_user=_read(files))
    assert trust["versions"]["podman"] == "5.4.2"
    assert list(trust["registries_d"]) == ["/etc/containers/registries.d/default.yaml"]
    assert list(trust["registries_conf"]) == ["/etc/containers/registries.conf.d/a.conf"]
    root, alice = trust["accounts"]
    assert root["images"] == [REFERENCE]
    assert (alice["own_policy"], alice["images"]) == (True, ["docker.io/library/x:1"])
    assert system.ran == [("/usr/bin/podman", "--version")]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"link"])
def test_what_a_user_makes_unreadable_is_said(tmp_path: Path, content: bytes) -> None:
    system = Host(tmp_path)
    system.add_account("alice", 1000)
    path = "/home/alice/.local/share/containers/storage/overlay-images/images.json"
    trust = look_at_trust(system, ["alice"], read_user=_read({path: content}))
    assert path in trust["accounts"][1]["images"]["unreadable"]


@pytest.mark.parametrize("document", ["{}", "null", '["x"]', '[{"names": "x"}]', '[{"names": [1]}]'])
def test_a_list_of_images_of_another_shape_names_none(tmp_path: Path, document: str) -> None:
    system = Host(tmp_path)
    system.write("/var/lib/containers/storage/vfs-images/images.json", document)
    assert look_at_trust(system, [])["accounts"][0]["images"] == []


def test_an_account_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotThere):
        look_at_trust(Host(tmp_path), ["nobody-here"])


@pytest.mark.parametrize(
    ("pull", "wanted", "found"),
    [
        (Completed((), 0, "id", ""), "pulled", "pulled"),
        (Completed((), 0, "id", ""), "refused", "pulled"),
        (Completed((), 125, "", "Error: Source image rejected: nobody signed"), "refused", "refused"),
        (Completed((), 125, "", "Error: connection refused"), "refused", "error"),
        (PortError("podman: no end after 300 s"), "refused", "error"),
    ],
)
def test_only_a_refusal_by_policy_is_one(tmp_path: Path, pull: Any, wanted: str, found: str) -> None:
    system = Host(tmp_path)
    system.pull = pull
    outcome = try_image(system, REFERENCE, wanted=wanted)
    assert outcome["found"] == found
    assert outcome["proven"] is (found == wanted)
    assert not Path(system.storages[0]).parent.exists()
    assert system.ran[-1][5:] == ("--storage-driver", "vfs", "pull", "--quiet", "--", REFERENCE)


def test_without_podman_nothing_is_proven(tmp_path: Path) -> None:
    assert try_image(FakeSystem(tmp_path), REFERENCE, wanted="refused")["found"] == "error"
