"""Root's Podman: version and policy files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman import collect_podman
from unit.fake_system import FakeSystem


@pytest.fixture
def host(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write("/usr/bin/podman").chmod(0o755)
    system.answers["/usr/bin/podman", "--version"] = "podman version 5.4.2\n"
    return system


def test_without_podman_nothing_is_run(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    podman = collect_podman(system)
    assert (podman["installed"], podman["version"], podman["image_policy_default"]) == (False, None, None)
    assert system.ran == []


def test_version(host: FakeSystem) -> None:
    podman = collect_podman(host)
    assert (podman["installed"], podman["version"]) == (True, "5.4.2")
    assert host.ran == [("/usr/bin/podman", "--version")]


def test_a_development_version_keeps_its_text(host: FakeSystem) -> None:
    host.answers["/usr/bin/podman", "--version"] = "podman version 6.1.0-dev\n"
    podman = collect_podman(host)
    assert (podman["version"], podman["version_text"]) == ("6.1.0", "6.1.0-dev")


def test_the_files_in_effect(host: FakeSystem) -> None:
    for path in (
        "/usr/share/containers/containers.conf",
        "/etc/containers/containers.conf",
        "/etc/containers/containers.conf.d/10-a.conf",
        "/etc/containers/containers.conf.d/README",
        "/usr/share/containers/storage.conf",
        "/etc/containers/registries.conf",
    ):
        host.write(path)
    files = {entry["path"]: entry["exists"] for entry in collect_podman(host)["policy_files"]}
    assert files == {
        "/etc/containers/policy.json": False,
        "/usr/share/containers/containers.conf": True,
        "/etc/containers/containers.conf": True,
        "/etc/containers/containers.conf.d/10-a.conf": True,
        "/usr/share/containers/storage.conf": True,
        "/etc/containers/registries.conf": True,
    }


def test_podman_6_takes_one_main_file_and_pools_the_drop_ins(host: FakeSystem) -> None:
    host.answers["/usr/bin/podman", "--version"] = "podman version 6.0.0\n"
    host.write("/usr/share/containers/containers.conf")
    host.write("/etc/containers/containers.conf")
    host.write("/usr/share/containers/registries.conf.d/50-a.conf", "unqualified-search-registries = ['usr']")
    host.write("/etc/containers/registries.conf.d/50-a.conf", "unqualified-search-registries = ['etc']")
    host.write("/usr/share/containers/registries.rootful.conf.d/60-b.conf", "")
    podman = collect_podman(host)
    paths = [entry["path"] for entry in podman["policy_files"]]
    assert "/usr/share/containers/containers.conf" not in paths
    assert "/usr/share/containers/registries.conf.d/50-a.conf" not in paths
    assert "/usr/share/containers/registries.rootful.conf.d/60-b.conf" in paths
    assert podman["unqualified_search_registries"] == ["etc"]


@pytest.mark.parametrize(
    "requirements, expected",
    [
        (["insecureAcceptAnything"], "insecureAcceptAnything"),
        (["reject"], "reject"),
        (["insecureAcceptAnything", "signedBy"], "signedBy"),
    ],
)
def test_the_strictest_requirement_is_the_policy(
    host: FakeSystem, requirements: list[str], expected: str
) -> None:
    policy = {"default": [{"type": name} for name in requirements]}
    host.write("/etc/containers/policy.json", json.dumps(policy))
    assert collect_podman(host)["image_policy_default"] == expected


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"default": []}', '{"default": [{"type": "new"}]}', "[" * 100_000]
)
def test_a_policy_that_is_not_understood_is_unreadable(host: FakeSystem, text: str) -> None:
    host.write("/etc/containers/policy.json", text)
    default: Any = collect_podman(host)["image_policy_default"]
    assert "/etc/containers/policy.json" in default["unreadable"]


def test_registries_that_are_not_understood_are_unreadable(host: FakeSystem) -> None:
    host.write("/etc/containers/registries.conf", "what is this\n")
    podman = collect_podman(host)
    assert "unreadable" in podman["unqualified_search_registries"]
    assert "unreadable" in podman["insecure_registries"]
