# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which keys an engine gets from a profile and from settings by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import check_key
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import (
    DockerEngineError,
    Engine,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import (
    PROFILES,
    Wanted,
    validation_command,
    wanted_settings,
)

ENGINE = Engine(
    version="26.1.5",
    binary="/usr/sbin/dockerd",
    path="/etc/docker/daemon.json",
    unit="/usr/lib/systemd/system/docker.service",
    flags={"hosts": ["fd://"], "containerd": "/run/containerd/containerd.sock"},
    conflicts=(),
    settings={"log-driver": {"value": "json-file", "configured": "json-file"}},
    swarm=False,
    running=(),
    bridge_filter=True,
)


def _wanted(
    engine: Engine = ENGINE,
    profile: str = "baseline",
    settings: dict[str, Any] | None = None,
    unmanaged: tuple[str, ...] = (),
    *,
    allow: str = "restart",
    unauthenticated_tcp: bool = False,
) -> Wanted:
    return wanted_settings(
        engine,
        profile=profile,
        settings=settings or {},
        unmanaged=unmanaged,
        allow=allow,
        unauthenticated_tcp=unauthenticated_tcp,
    )


def _names(wanted: Wanted) -> set[str]:
    return set(wanted.keys) | {floor.key[0] for floor in wanted.floors}


def _with(**settings: Any) -> Engine:
    known = {name: {"value": value, "configured": value} for name, value in settings.items()}
    return replace(ENGINE, settings={**ENGINE.settings, **known})


def _error(*arguments: Any, **options: Any) -> str:
    with pytest.raises(DockerEngineError) as caught:
        _wanted(*arguments, **options)
    assert "nothing was changed" in str(caught.value).lower()
    return str(caught.value)


def test_every_profile_value_is_accepted_by_the_table_of_keys() -> None:
    for profile in PROFILES.values():
        for entry in profile:
            value = entry.value
            if entry.key[0] == "default-ulimits":
                value = {"nofile": {"Name": "nofile", "Hard": 1, "Soft": 1}}
            elif len(entry.key) > 1:
                value = {entry.key[1]: value}
            assert check_key(entry.key[0], value, "20.10.24") is None


def test_the_profiles() -> None:
    assert _names(_wanted(profile="none")) == set()
    baseline = {"log-opts", "live-restore", "seccomp-profile"}
    assert _names(_wanted()) == baseline
    strict = _wanted(profile="strict", allow="move_data")
    assert _names(strict) == baseline | {
        "no-new-privileges",
        "icc",
        "userland-proxy",
        "default-ulimits",
        "userns-remap",
    }
    assert strict.keys["icc"] is False
    assert not strict.notices
    assert not strict.pending
    assert "nproc" not in str(strict)


def test_logs_rotate_only_where_the_driver_is_json_file() -> None:
    wanted = _wanted(
        replace(ENGINE, settings={"log-driver": {"value": "journald", "configured": "journald"}})
    )
    assert "log-opts" not in _names(wanted)
    assert any("the logging driver is journald" in notice for notice in wanted.notices)
    assert sorted(wanted.impossible) == ["log-opts.max-file", "log-opts.max-size"]
    assert wanted.impossible["log-opts.max-size"].startswith("the logging driver is journald")


def test_the_driver_that_the_settings_name_decides_whether_logs_rotate() -> None:
    """Docker 26.1 does not start with the driver journald and max-size (tried)."""
    assert "log-opts" not in _names(_wanted(settings={"log-driver": "journald"}))
    journald = replace(ENGINE, settings={"log-driver": {"value": "journald", "configured": "journald"}})
    assert "log-opts" in _names(_wanted(journald, settings={"log-driver": "json-file"}))


@pytest.mark.parametrize("options", [{"max-size": "10m"}, {"max-file": "3", "compress": "true"}])
def test_rotation_by_a_driver_that_has_none_is_refused(options: dict[str, str]) -> None:
    error = _error(ENGINE, settings={"log-driver": "journald", "log-opts": options})
    assert "log-opts: the engine does not start with max-size or max-file" in error
    assert "log driver journald, which does not rotate" in error
    for driver in ("local", "loki"):
        _wanted(ENGINE, settings={"log-driver": driver, "log-opts": options})
    _wanted(ENGINE, settings={"log-driver": "journald", "log-opts": {"tag": "x"}})


def test_no_live_restore_in_a_swarm() -> None:
    wanted = _wanted(replace(ENGINE, swarm=True))
    assert "live-restore" not in _names(wanted)
    assert any("swarm" in notice for notice in wanted.notices)
    assert "swarm refuses it" in _error(replace(ENGINE, swarm=True), settings={"live-restore": True})


@pytest.mark.parametrize(("known", "reason"), [(False, "has no br_netfilter"), (None, "not known whether")])
def test_bridge_keys_need_the_bridge_filter(known: bool | None, reason: str) -> None:
    wanted = _wanted(replace(ENGINE, bridge_filter=known), profile="strict")
    assert _names(wanted).isdisjoint({"icc", "userland-proxy"})
    assert sum(reason in notice for notice in wanted.notices) == 2


def test_a_bridge_key_by_name_is_refused_without_the_bridge_filter() -> None:
    engine = replace(ENGINE, bridge_filter=False)
    assert "icc: this kernel has no br_netfilter" in _error(engine, settings={"icc": False})
    assert "userland-proxy: this kernel" in _error(engine, settings={"userland-proxy": False})


def test_icc_and_iptables_are_not_both_off() -> None:
    assert "icc" not in _names(_wanted(_with(iptables=False), profile="strict"))
    assert "iptables both false" in _error(settings={"icc": False, "iptables": False})


@pytest.mark.parametrize(
    ("settings", "configured", "reason"),
    [
        ({"iptables": False}, {}, "iptables is false"),
        ({"ipv6": True, "ip6tables": False}, {}, "ip6tables is false while ipv6 is true"),
        ({"ip6tables": False}, {"ipv6": True}, "ip6tables is false while ipv6 is true"),
        ({}, {"ipv6": True, "ip6tables": False}, "ip6tables is false while ipv6 is true"),
        ({"iptables": True}, {"iptables": False}, None),
        ({"ip6tables": False}, {}, None),
    ],
)
def test_the_profile_s_icc_fits_what_the_run_leaves(
    settings: dict[str, Any], configured: dict[str, Any], reason: str | None
) -> None:
    wanted = _wanted(_with(**configured), profile="strict", settings=settings)
    assert ("icc" in wanted.keys) is (reason is None)
    assert wanted.impossible.get("icc", "").startswith(reason or "")


def test_a_profile_s_key_fits_what_comes_back_in_the_same_run() -> None:
    """Somebody's value from before the role comes back once the settings do not name the key any more."""
    for name, ours, before, left_out in (
        ("iptables", True, False, {"icc"}),
        ("log-driver", "json-file", "journald", {"log-opts.max-size", "log-opts.max-file"}),
        ("iptables", False, True, set()),
    ):
        setting = {"configured": ours, "unowned": before}
        engine = replace(ENGINE, settings={**ENGINE.settings, name: setting})
        assert set(_wanted(engine, profile="strict").impossible) == left_out
        assert not _wanted(engine, profile="strict", settings={name: ours or True}).impossible


def test_a_key_that_the_engine_does_not_know_is_left_out_of_a_profile_and_refused_by_name() -> None:
    error = _error(settings={"min-api-version": "1.44"})
    assert "Docker Engine 29.0 brings this key, the installed engine is 26.1.5" in error


def test_every_problem_is_named_at_once() -> None:
    error = _error(
        settings={"live_restore": True, "icc": "no", "mtu": 1400}, unmanaged=("mtu", "no-such-key-at-all")
    )
    assert "did you mean live-restore?" in error
    assert "icc: found a text ('no'), accepted is true or false" in error
    assert "mtu: docker_engine_unmanaged names it too" in error
    assert "docker_engine_unmanaged: no-such-key-at-all" in error


def test_a_setting_by_name_goes_before_the_profile() -> None:
    wanted = _wanted(settings={"live-restore": False, "log-opts": {"max-size": "1g"}})
    assert wanted.keys == {"live-restore": False, "log-opts": {"max-size": "1g"}}
    assert {floor.key for floor in wanted.floors} == {("log-opts", "max-file"), ("seccomp-profile",)}


def test_an_unmanaged_key_is_left_alone() -> None:
    assert _names(_wanted(unmanaged=("live-restore", "log-opts"))) == {"seccomp-profile"}


def test_the_caller_s_settings_are_not_changed() -> None:
    settings: dict[str, Any] = {"default-ulimits": {"nproc": {"Name": "nproc", "Hard": 1, "Soft": 1}}}
    wanted = _wanted(profile="strict", settings=settings)
    assert wanted.keys["default-ulimits"]["nofile"] == {"Name": "nofile"}
    assert list(settings["default-ulimits"]) == ["nproc"]


def _flagged(**flags: Any) -> Engine:
    return replace(
        ENGINE, flags={**ENGINE.flags, **{name.replace("_", "-"): value for name, value in flags.items()}}
    )


def test_a_flag_against_a_key_is_an_error_that_names_flag_unit_and_key() -> None:
    for error in (
        _error(_flagged(icc=True), profile="strict"),
        _error(_flagged(icc=True), settings={"icc": False}),
    ):
        assert "icc: /usr/lib/systemd/system/docker.service" in error
        assert "gives the flag --icc" in error
    assert "flag --seccomp-profile" in _error(_flagged(seccomp_profile="unconfined"))
    assert "flag --log-opt," in _error(_flagged(log_opts={"max-size": "1g"}))


def test_a_flag_that_says_the_same_is_enough() -> None:
    engine = _flagged(
        live_restore=True, seccomp_profile="/p.json", log_opts={"max-size": "1m", "max-file": "2"}
    )
    wanted = _wanted(engine, settings={"live-restore": True})
    assert _names(wanted) == set()
    assert len(wanted.notices) == 4
    assert wanted.impossible == {}


def test_a_conflict_that_is_there_already_is_named() -> None:
    error = _error(replace(ENGINE, conflicts=("labels",)))
    assert "labels: both /etc/docker/daemon.json and the flag --label of" in error


def test_the_engine_s_own_validation_gets_the_unit_s_flags() -> None:
    engine = _flagged(icc=False, log_opts={"max-size": "1m", "token": "set (not shown)"}, runtimes=["x"])
    command, notice = validation_command(engine, Wanted(), check_mode=False)
    assert command == [
        "/usr/sbin/dockerd",
        "--validate",
        "--config-file=%s",
        "--host=fd://",
        "--containerd=/run/containerd/containerd.sock",
        "--icc=false",
        "--log-opt=max-size=1m",
    ]
    assert notice is None


def test_an_engine_without_validation_is_named() -> None:
    command, notice = validation_command(replace(ENGINE, version="20.10.24"), Wanted(), check_mode=False)
    assert command == []
    assert "20.10.24 has no --validate" in str(notice)


def test_check_mode_does_not_make_the_remapping_user() -> None:
    wanted = _wanted(profile="strict", allow="move_data")
    assert validation_command(ENGINE, wanted, check_mode=True)[0] == []
    assert validation_command(ENGINE, wanted, check_mode=False)[0]
    assert validation_command(_with(**{"userns-remap": "default"}), wanted, check_mode=True)[0]
