# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What containers.conf gives new containers, and what policy.json trusts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_image_trust import (
    collect_image_trust,
    trust_of_policy,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman import (
    collect_podman,
    podman_version,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman_settings import (
    PODMAN_SETTINGS,
    effective_settings,
)
from unit.fake_system import FakeSystem

KEY = "/etc/containers/keys/a.pub"
SIGNED = {"type": "sigstoreSigned", "keyPath": KEY}
ANYTHING = {"type": "insecureAcceptAnything"}


@pytest.fixture
def host(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.write("/usr/bin/podman").chmod(0o755)
    system.answers["/usr/bin/podman", "--version"] = "podman version 5.4.2\n"
    return system


def value(name: str, *texts: str) -> Any:
    found = effective_settings((f"/etc/{number}.conf", text) for number, text in enumerate(texts))[name]
    return found.get("value", found)


def test_without_files_the_defaults_are_in_force() -> None:
    settings = effective_settings([])
    assert {name: entry["value"] for name, entry in settings.items()} == dict(PODMAN_SETTINGS)
    assert {entry["file"] for entry in settings.values()} == {None}


def test_a_later_file_replaces() -> None:
    assert value("containers.pids_limit", "[containers]\npids_limit=1", "[containers]\npids_limit=2") == 2
    settings = effective_settings([("/a", "[containers]\npids_limit=1"), ("/b", "[engine]\nruntime='runc'")])
    assert settings["containers.pids_limit"]["file"] == "/a"
    assert settings["engine.runtime"]["value"] == "runc"


def test_a_list_replaces_or_is_appended_to() -> None:
    first = '[containers]\nvolumes=["/a:/a"]'
    assert value("containers.volumes", first, '[containers]\nvolumes=["/b:/b"]') == ["/b:/b"]
    appended = '[containers]\nvolumes=["/b:/b", {append=true}]'
    assert value("containers.volumes", first, appended) == ["/a:/a", "/b:/b"]


@pytest.mark.parametrize(
    "text",
    [
        "[containers]\npids_limit='many'",
        "[containers]\npids_limit=true",
        "[containers]\nprivileged=1",
        "[containers]\nvolumes='/:/host'",
        "[containers]\nvolumes=[1]",
        "[containers]\nnetns=['host']",
        "[containers]\ndefault_capabilities=['NET_RAW', {append=true}]",
    ],
)
def test_a_value_of_another_type_is_unreadable(text: str) -> None:
    marked = [entry for entry in effective_settings([("/a", text)]).values() if "unreadable" in entry]
    assert len(marked) == 1


def test_what_is_no_toml_is_an_error() -> None:
    with pytest.raises(PortError, match="line 1"):
        effective_settings([("/a", "what is this")])


def test_root_s_podman_has_its_settings_and_its_trust(host: FakeSystem) -> None:
    host.write("/etc/containers/containers.conf.d/10-a.conf", "[containers]\nprivileged = true\n")
    host.write("/etc/containers/registries.conf", 'short-name-mode = "Enforcing"\n')
    podman = collect_podman(host)
    assert podman["settings"]["containers.privileged"]["value"] is True
    assert podman["short_name_mode"] == "enforcing"
    assert podman["image_trust"]["valid"] is False


def test_without_podman_there_are_no_settings(tmp_path: Path) -> None:
    podman = collect_podman(FakeSystem(tmp_path))
    assert (podman["settings"], podman["image_trust"]) == (None, None)
    assert podman_version(FakeSystem(tmp_path)) is None


def test_a_version_that_is_not_said_is_unreadable(host: FakeSystem) -> None:
    host.answers["/usr/bin/podman", "--version"] = "who knows\n"
    assert "unreadable" in podman_version(host)
    assert "unreadable" in collect_podman(host)["settings"]


def test_scopes_and_keys(host: FakeSystem) -> None:
    policy = {
        "default": [{"type": "reject"}],
        "transports": {
            "docker": {"a.example": [SIGNED], "b.example": [ANYTHING], "c.example": [ANYTHING, SIGNED]},
            "containers-storage": {"": [ANYTHING]},
        },
    }
    host.write("/etc/containers/policy.json", json.dumps(policy))
    host.write(KEY).chmod(0o664)
    host.write("/etc/containers/registries.d/default.yaml")
    host.write("/etc/containers/registries.d/README")
    trust = collect_image_trust(host)
    assert (trust["exists"], trust["valid"], trust["default"]) == (True, True, "reject")
    assert trust["accepting_scopes"] == ["docker:b.example"]
    assert [entry["requirement"] for entry in trust["scopes"]] == [
        "sigstoreSigned",
        "insecureAcceptAnything",
        "sigstoreSigned",
        "insecureAcceptAnything",
    ]
    assert [(entry["path"], entry["mode"]) for entry in trust["keys"]] == [(KEY, "0664")]
    assert [entry["path"] for entry in trust["lookaside_files"]] == [
        "/etc/containers/registries.d/default.yaml"
    ]


def test_a_key_that_is_not_there(host: FakeSystem) -> None:
    host.write("/etc/containers/policy.json", json.dumps({"default": [SIGNED]}))
    assert [entry["exists"] for entry in collect_image_trust(host)["keys"]] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"default": []}',
        '{"default": ["reject"]}',
        '{"default": [{"type": "trustMe"}]}',
        '{"default": [{"type": "reject"}], "tranports": {}}',
        '{"default": [{"type": "reject"}], "transports": []}',
        '{"default": [{"type": "reject"}], "transports": {"docker": []}}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"a": {}}}}',
        '{"default": [{"type": "signedBy", "keyPath": "relative"}]}',
        '{"default": [{"type": "signedBy", "keyPaths": [1]}]}',
        "[" * 100,
    ],
)
def test_a_policy_that_is_not_valid_says_why(text: str) -> None:
    trust = trust_of_policy(text)
    assert (trust["valid"], trust["default"], trust["scopes"]) == (False, None, [])
    assert trust["error"]


def test_too_many_scopes_are_not_read() -> None:
    scopes = {f"r{number}.example": [ANYTHING] for number in range(600)}
    assert trust_of_policy(json.dumps({"default": [ANYTHING], "transports": {"docker": scopes}}))["error"]
