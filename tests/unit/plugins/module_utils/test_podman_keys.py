"""The table of Podman's keys: what each release knows, and what each would refuse or let through."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_keys import (
    PODMAN_KEYS,
    check_key,
    unknown_to,
)

VERSION = "5.4.2"


@pytest.mark.parametrize("row", PODMAN_KEYS.values(), ids=lambda row: row.dotted)
def test_the_secure_value_of_each_key_is_accepted(row: Any) -> None:
    if row.secure is not None:
        value = list(row.secure) if isinstance(row.secure, tuple) else row.secure
        assert check_key(row.path, value, VERSION) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("containers.pids_limit", 0),
        ("containers.pids_limit", True),
        ("containers.pids_limit", "2048"),
        ("containers.log_size_max", 5),
        ("containers.default_capabilities", ["NOPE"]),
        ("containers.default_ulimits", ["nofile"]),
        ("containers.default_ulimits", ["nofile=5:2"]),
        ("containers.default_ulimits", ["nofile=-1:2"]),
        ("containers.default_ulimits", ["bogus=1:1"]),
        ("containers.default_sysctls", ["kernel.bogus=1"]),
        ("containers.default_sysctls", ["bogus"]),
        ("containers.userns", "bogus"),
        ("containers.netns", "bogus"),
        ("containers.ipcns", "bogus"),
        ("containers.cgroups", "bogus"),
        ("containers.log_driver", "bogus"),
        ("containers.seccomp_profile", "unconfined"),
        ("containers.umask", "9999"),
        ("containers.keyring", "true"),
        ("containers.apparmor_profile", ""),
        ("engine.runtimes", {"x": "/bin/x"}),
        ("storage.options.overlay.ignore_chown_errors", True),
    ],
)
def test_what_podman_refuses_or_fails_on_later_is_refused(key: str, value: Any) -> None:
    problem = check_key(key.split("."), value, VERSION)
    assert problem is not None
    assert problem.startswith(f"{key}: found {value!r}, accepted is ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("containers.default_capabilities", ["CAP_CHOWN", "setuid"]),
        ("containers.default_ulimits", ["nofile=1024:1048576", "core=0", "nproc=5:-1"]),
        ("containers.userns", "keep-id:uid=1000"),
        ("containers.log_size_max", -1),
        ("engine.runtimes", {"runsc": ["/usr/bin/runsc"]}),
    ],
)
def test_what_podman_takes_is_taken(key: str, value: Any) -> None:
    assert check_key(key.split("."), value, VERSION) is None


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("containers.pid_limit", "did you mean containers.pids_limit?"),
        ("containers.no_new_keyring", "did you mean containers.keyring?"),
        ("containers.no_new_privileges", "no release of Podman has a default for it"),
        ("xyz", "found no such key"),
    ],
)
def test_an_unknown_key_is_answered(key: str, text: str) -> None:
    assert text in str(check_key(key.split("."), True, VERSION))


@pytest.mark.parametrize(
    ("key", "without", "with_it"),
    [
        ("containers.privileged", "4.7.2", "4.8.0"),
        ("engine.runtimes_flags", "5.6.1", "5.7.0"),
        ("network.default_host_ips", "5.8.6", "6.0.0-rc1"),
    ],
)
def test_what_a_release_brought(key: str, without: str, with_it: str) -> None:
    row = PODMAN_KEYS[tuple(key.split("."))]
    assert "does not know it" in str(unknown_to(without, row))
    assert unknown_to(with_it, row) is None


def test_what_podman_6_removed_is_refused_there() -> None:
    path = ("network", "firewall_driver")
    assert check_key(path, "iptables", "5.8.6") is None
    assert "which Podman 6.0 removed" in str(check_key(path, "iptables", "6.1.1"))


def test_a_version_begins_with_a_number() -> None:
    with pytest.raises(ValueError, match="is not a version"):
        parse_version("podman")
