# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in force, what is configured, and what proves it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS, known_keys
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_listeners import Listener
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_settings import (
    Configuration,
    collect_settings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_witnesses import (
    WITNESSES,
    EngineEvidence,
)

# GET /info of Docker 26.1.5 on Debian 13, what the witnesses look at
INFO: dict[str, Any] = {
    "Driver": "overlay2",
    "Plugins": {"Authorization": None},
    "LoggingDriver": "json-file",
    "CgroupDriver": "systemd",
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Name": "docker.io", "Mirrors": [], "Secure": True, "Official": True}},
        "Mirrors": None,
    },
    "DockerRootDir": "/var/lib/docker",
    "ExperimentalBuild": False,
    "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "LiveRestoreEnabled": False,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}
EVIDENCE = EngineEvidence(
    info=INFO,
    version={"MinAPIVersion": "1.24"},
    engine=(26, 1, 5),
    networks=[{"default": True, "icc": True, "icc_witness": "network option and packet filter"}],
    bridge={
        "EnableIPv6": False,
        "Options": {
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
            "com.docker.network.bridge.name": "docker0",
            "com.docker.network.driver.mtu": "1500",
        },
    },
    listeners=[],
    proxies=False,
    holds_published=False,
    pid=549,
    pidfile_pid=549,
    created_since=[],
)
BEFORE, STARTED, AFTER = 1000.0, 2000.0, 3000.0
FLAGS = {"hosts": ["fd://"], "containerd": "/run/containerd/containerd.sock"}
UNTOUCHED = Configuration(
    file={},
    flags_now=FLAGS,
    flags_next=FLAGS,
    changed_at=BEFORE,
    started_at=STARTED,
    reloaded_at=None,
)


def setting(name: str, configuration: Configuration = UNTOUCHED, **evidence: Any) -> dict[str, Any]:
    seen = dataclasses.replace(EVIDENCE, **evidence)
    result: dict[str, Any] = collect_settings(configuration, seen, known=DOCKER_KEYS)[name]
    return result


def configured(*, changed_at: float = BEFORE, reloaded_at: float | None = None, **file: Any) -> Configuration:
    settings = {name.replace("_", "-"): value for name, value in file.items()}
    return dataclasses.replace(UNTOUCHED, file=settings, changed_at=changed_at, reloaded_at=reloaded_at)


def info(**fields: Any) -> dict[str, Any]:
    return {**INFO, **fields}


def test_every_audited_key_is_there_and_one_that_the_engine_lacks_is_null() -> None:
    settings = collect_settings(UNTOUCHED, EVIDENCE, known=known_keys("26.1.5"))
    assert set(settings) == {name for name, row in DOCKER_KEYS.items() if row.audited}
    assert settings["min-api-version"] is None
    assert settings["icc"] is not None


def test_a_default_that_was_seen() -> None:
    assert setting("live-restore") == {
        "value": False,
        "configured": False,
        "origin": "default",
        "proof": "proven",
        "witness": "GET /info: LiveRestoreEnabled",
    }


def test_a_configured_value_that_is_not_in_force_is_pending() -> None:
    """icc is off in the file, and the packet filter lets it pass (live-restore with running containers)."""
    assert setting("icc", configured(icc=False)) == {
        "value": True,
        "configured": False,
        "origin": "file",
        "proof": "pending",
        "witness": "network bridge: network option and packet filter",
    }


def test_without_a_witness_an_untouched_file_counts_as_configured() -> None:
    fact = setting("log-level", configured(log_level="warn"))
    assert (fact["value"], fact["proof"]) == ("warn", "configured")


def test_without_a_witness_a_file_changed_since_is_pending() -> None:
    fact = setting("log-level", configured(log_level="warn", changed_at=AFTER))
    assert fact["proof"] == "pending"
    assert "changed after the daemon started" in fact["value"]["unreadable"]
    assert fact["configured"] == "warn"


def test_a_reload_counts_for_the_keys_that_it_applies_only() -> None:
    reloaded = configured(
        default_ipc_mode="private", log_level="warn", changed_at=AFTER, reloaded_at=AFTER + 1
    )
    assert setting("default-ipc-mode", reloaded)["proof"] == "configured"
    assert setting("log-level", reloaded)["proof"] == "pending"


def test_a_change_in_the_second_of_the_reload_counts_as_read() -> None:
    same = configured(default_ipc_mode="private", changed_at=AFTER + 0.4, reloaded_at=AFTER)
    assert setting("default-ipc-mode", same)["proof"] == "configured"


def test_what_the_role_owns_is_shown_with_what_comes_back_without_it() -> None:
    file = configured(icc=False, log_opts={"max-size": "1m", "token": "s3cret"}, debug=True)
    owned = dataclasses.replace(file, given_back={"log-opts": {"token": "s3cret"}, "debug": True})
    settings = collect_settings(owned, EVIDENCE, known=DOCKER_KEYS)
    shown = {name: fact["unowned"] for name, fact in settings.items() if "unowned" in fact}
    assert shown == {"icc": True, "log-opts": {"token": "set (not shown)"}}


def test_an_old_reload_does_not_make_a_later_start_older() -> None:
    old = configured(default_ipc_mode="private", reloaded_at=BEFORE - 500)
    assert setting("default-ipc-mode", old)["proof"] == "configured"


def test_a_flag_is_proven_by_the_command_line() -> None:
    flags = dataclasses.replace(UNTOUCHED, flags_now={"iptables": False}, flags_next={"iptables": False})
    fact = setting("iptables", flags)
    assert (fact["value"], fact["origin"], fact["proof"]) == (False, "flag", "proven")
    assert fact["witness"] == "/proc/PID/cmdline"


@pytest.mark.parametrize(
    ("now", "then", "value"),
    [
        ({"iptables": False}, {}, False),
        ({}, {"iptables": False}, True),
        ({"iptables": True}, {"iptables": False}, True),
    ],
)
def test_a_flag_that_differs_at_the_next_start_is_pending(
    now: dict[str, Any], then: dict[str, Any], value: bool
) -> None:
    fact = setting("iptables", dataclasses.replace(UNTOUCHED, flags_now=now, flags_next=then))
    assert (fact["value"], fact["proof"]) == (value, "pending")


def test_without_a_daemon_nothing_is_in_force() -> None:
    stopped = dataclasses.replace(configured(icc=False), flags_now=None, started_at=None)
    fact = setting("icc", stopped, networks=[], info={}, listeners=None)
    assert (fact["configured"], fact["proof"]) == (False, "pending")
    assert fact["value"] == {"unreadable": "the daemon is not running"}


def test_an_invalid_file_hides_what_is_configured_and_not_what_is_in_force() -> None:
    invalid = dataclasses.replace(UNTOUCHED, file=None, changed_at=None)
    fact = setting("live-restore", invalid)
    assert (fact["value"], fact["proof"]) == (False, "pending")
    assert "not valid" in fact["configured"]["unreadable"]
    assert "unreadable" in setting("log-level", invalid)["value"]


def test_an_engine_that_does_not_answer_proves_nothing() -> None:
    silent = {"info": {}, "version": {}, "networks": [], "bridge": {}, "listeners": None}
    settings = {
        name: setting(name, **silent, proxies=None, pid=None, pidfile_pid=None)
        for name, row in DOCKER_KEYS.items()
        if row.audited
    }
    assert {name for name, fact in settings.items() if fact["proof"] == "proven"} == {"hosts"}  # a flag


@pytest.mark.parametrize(
    ("name", "file", "evidence", "value", "proof"),
    [
        ("no-new-privileges", True, {}, False, "pending"),
        ("no-new-privileges", False, {}, False, "proven"),
        ("no-new-privileges", True, {"engine": (20, 10, 24)}, True, "configured"),
        ("no-new-privileges", False, {"engine": (20, 10, 24), "created_since": [True]}, False, "configured"),
        ("no-new-privileges", True, {"engine": (20, 10, 24), "created_since": [True]}, True, "proven"),
        (
            "no-new-privileges",
            True,
            {"engine": (20, 10, 24), "created_since": [True, False]},
            False,
            "pending",
        ),
        (
            "no-new-privileges",
            True,
            {"info": info(SecurityOptions=["name=no-new-privileges"]), "created_since": [True]},
            True,
            "proven",
        ),
        (
            "no-new-privileges",
            True,
            {"info": info(SecurityOptions=["name=no-new-privileges"]), "created_since": [True, False]},
            False,
            "pending",
        ),
        (
            "seccomp-profile",
            "builtin",
            {"info": info(SecurityOptions=["name=seccomp,profile=default"])},
            "builtin",
            "proven",
        ),
        (
            "seccomp-profile",
            "builtin",
            {"info": info(SecurityOptions=["name=seccomp,profile=unconfined"])},
            "unconfined",
            "pending",
        ),
        ("seccomp-profile", "builtin", {"info": info(SecurityOptions=[])}, "unconfined", "pending"),
        ("default-cgroupns-mode", "private", {"info": info(SecurityOptions=[])}, "host", "pending"),
        ("selinux-enabled", True, {"info": info(SecurityOptions=["name=selinux"])}, True, "proven"),
        ("userns-remap", "default", {}, "", "pending"),
        (
            "userns-remap",
            "default",
            {"info": info(SecurityOptions=["name=userns"], DockerRootDir="/var/lib/docker/100000.100000")},
            "default",
            "proven",
        ),
        ("data-root", "/srv/docker", {}, "/var/lib/docker", "pending"),
        (
            "data-root",
            "/var/lib/docker",
            {"info": info(SecurityOptions=["name=userns"], DockerRootDir="/var/lib/docker/100000.100000")},
            "/var/lib/docker",
            "proven",
        ),
        ("userland-proxy", False, {"proxies": True}, True, "pending"),
        ("userland-proxy", False, {"holds_published": True}, False, "proven"),
        ("userland-proxy", False, {}, False, "configured"),
        ("userland-proxy", False, {"proxies": None, "holds_published": True}, False, "configured"),
        ("ip", "127.0.0.1", {}, "0.0.0.0", "pending"),
        ("ip-masq", False, {}, True, "pending"),
        ("ip-masq", True, {}, True, "proven"),
        ("ip-masq", True, {"bridge": {}}, True, "configured"),
        ("ipv6", True, {}, False, "pending"),
        ("ipv6", False, {}, False, "proven"),
        ("bridge", "br7", {}, "docker0", "pending"),
        ("bridge", "", {}, "", "proven"),
        ("bridge", "docker0", {}, "docker0", "proven"),
        ("mtu", 1400, {}, 1500, "pending"),
        ("mtu", 0, {}, 0, "proven"),
        ("mtu", 1400, {"bridge": {"Options": {"com.docker.network.driver.mtu": "1400"}}}, 1400, "proven"),
        ("bip", "10.0.0.1/24", {}, "10.0.0.1/24", "configured"),
        ("insecure-registries", ["r:5000"], {}, [], "pending"),
        (
            "insecure-registries",
            ["r:5000", "10.0.0.0/8"],
            {
                "info": info(
                    RegistryConfig={
                        "InsecureRegistryCIDRs": ["10.0.0.0/8", "127.0.0.0/8"],
                        "IndexConfigs": {"r:5000": {"Name": "r:5000", "Secure": False}},
                    }
                )
            },
            ["r:5000", "10.0.0.0/8"],
            "proven",
        ),
        (
            "registry-mirrors",
            ["https://mirror"],
            {"info": info(RegistryConfig={"Mirrors": ["https://mirror/"]})},
            ["https://mirror"],
            "proven",
        ),
        (
            "authorization-plugins",
            ["authz"],
            {"info": info(Plugins={"Authorization": ["authz"]})},
            ["authz"],
            "proven",
        ),
        ("runtimes", {"runsc": {"path": "/x"}}, {}, [], "pending"),
        (
            "runtimes",
            {"runsc": {"path": "/x"}},
            {"info": info(Runtimes={"runc": {}, "runsc": {}})},
            ["runsc"],
            "proven",
        ),
        ("exec-opts", ["native.cgroupdriver=cgroupfs"], {}, ["native.cgroupdriver=systemd"], "pending"),
        ("storage-driver", "overlay2", {}, "overlay2", "proven"),
        ("log-driver", "local", {}, "json-file", "pending"),
        ("metrics-addr", "127.0.0.1:9323", {}, "", "pending"),
        (
            "metrics-addr",
            "127.0.0.1:9323",
            {"listeners": [Listener("127.0.0.1", 9323)]},
            "127.0.0.1:9323",
            "proven",
        ),
        ("metrics-addr", "", {"listeners": [Listener("127.0.0.1", 9323)]}, "", "configured"),
        ("network-diagnostic-port", 2000, {"listeners": [Listener("::", 2000)]}, 2000, "proven"),
        ("network-diagnostic-port", 2000, {}, 0, "pending"),
        ("pidfile", "/run/x.pid", {"pidfile_pid": 1}, "/run/x.pid", "configured"),
        (
            "firewall-backend",
            "nftables",
            {"info": info(FirewallBackend={"Driver": "iptables+firewalld"})},
            "iptables",
            "pending",
        ),
        ("min-api-version", "1.44", {"version": {"MinAPIVersion": "1.24"}}, "1.24", "pending"),
    ],
)
def test_witnesses(name: str, file: Any, evidence: dict[str, Any], value: Any, proof: str) -> None:
    configuration = dataclasses.replace(UNTOUCHED, file={name: file})
    fact = setting(name, configuration, **evidence)
    assert (fact["value"], fact["proof"]) == (value, proof)


@pytest.mark.parametrize(
    ("hosts", "listeners", "proof"),
    [
        (["unix:///x"], [], "proven"),
        (["tcp://127.0.0.1:2375"], [Listener("127.0.0.1", 2375)], "proven"),
        (["tcp://127.0.0.1:2375"], [], "pending"),
        (["unix:///x"], [Listener("0.0.0.0", 2375)], "pending"),
    ],
)
def test_addresses_in_the_file_are_witnessed_by_sockets(
    hosts: list[str], listeners: list[Listener], proof: str
) -> None:
    configuration = dataclasses.replace(UNTOUCHED, file={"hosts": hosts}, flags_now={}, flags_next={})
    assert setting("hosts", configuration, listeners=listeners)["proof"] == proof


def test_no_witness_is_for_a_key_that_does_not_exist() -> None:
    assert set(WITNESSES) <= {name for name, row in DOCKER_KEYS.items() if row.audited}
