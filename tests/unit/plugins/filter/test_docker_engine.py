# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the role docker_engine, over whole postures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.docker_engine import (
    docker_engine_activation,
    docker_engine_verdict,
    docker_engine_wanted,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
TIME = "2026-11-23T15:20:00.250000Z"
NOTHING: dict[str, Any] = {"pending": [], "settled": []}


@pytest.fixture
def posture() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "posture_careless.json").read_text(encoding="utf-8"))
    return document


def _configured(
    owned: dict[str, str | None], changed: dict[str, str] | None = None, kept: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": "/etc/docker/daemon.json",
                "changed": bool(changed),
                "owned": [{"key": name.split("."), "time": time} for name, time in owned.items()],
                "keys": [{"key": name.split("."), "why": why} for name, why in (changed or {}).items()],
                "kept": [name.split(".") for name in kept],
            }
        ]
    }


def _set(posture: dict[str, Any], name: str, value: Any, proof: str) -> None:
    posture["docker"]["settings"][name].update(value=value, proof=proof)


def test_a_careless_host_gets_the_baseline(posture: dict[str, Any]) -> None:
    wanted = docker_engine_wanted(posture, profile="baseline")
    assert wanted["path"] == "/etc/docker/daemon.json"
    assert wanted["keys"] == {"live-restore": True}
    assert wanted["at_least"] == [
        {"key": ["log-opts", "max-size"], "value": "10m", "stronger": "smaller_size"},
        {"key": ["log-opts", "max-file"], "value": "3", "stronger": "smaller_number"},
        {"key": ["seccomp-profile"], "value": "builtin", "weak": ("unconfined",)},
    ]
    assert wanted["validate"][1] == "--validate"


def test_one_call_takes_the_engine_s_file_and_the_drop_ins_of_its_units(posture: dict[str, Any]) -> None:
    wanted = docker_engine_wanted(posture)
    daemon, service, socket = wanted["files"]
    assert (daemon["path"], daemon["format"], daemon["keys"]) == (wanted["path"], "json", wanted["keys"])
    assert daemon["validate"] == wanted["validate"]
    assert daemon["look"] == "docker_daemon"
    # without keys, so that what an earlier run wrote there is given back
    assert service == {
        "path": "/etc/systemd/system/docker.service.d/zz-bulkhead.conf",
        "format": "keyfile",
        "keys": {},
    }
    assert socket == {
        "path": "/etc/systemd/system/docker.socket.d/zz-bulkhead.conf",
        "format": "keyfile",
        "keys": {},
    }


def test_hosts_and_a_socket_fill_the_drop_ins(posture: dict[str, Any]) -> None:
    wanted = docker_engine_wanted(
        posture, settings={"hosts": ["fd://", "unix:///run/two.sock"]}, socket={"mode": "0600"}
    )
    _daemon, service, socket = wanted["files"]
    command = "/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
    assert service["keys"] == {"Service": {"ExecStart": ["", command]}}
    assert socket["keys"] == {"Socket": {"SocketMode": "0600"}}


def test_an_open_port_is_an_error_and_a_move_of_data_is_withheld(posture: dict[str, Any]) -> None:
    opened = {"hosts": ["fd://", "tcp://0.0.0.0:2375"]}
    with pytest.raises(AnsibleFilterError, match="found tcp://0.0.0.0:2375 without"):
        docker_engine_wanted(posture, settings=opened)
    assert docker_engine_wanted(posture, settings=opened, unauthenticated_tcp=True)["keys"]["hosts"]
    assert list(docker_engine_wanted(posture, profile="strict")["pending"]) == ["userns-remap"]
    posture["containers"] = []
    wanted = docker_engine_wanted(posture, profile="strict", allow="move_data")
    assert wanted["keys"]["userns-remap"] == "default"


def test_a_port_whose_certificates_go_in_the_same_run_is_an_error(posture: dict[str, Any]) -> None:
    """An earlier run named the port with its certificates; this one names only the port."""
    port = {"hosts": ["fd://", "tcp://0.0.0.0:2376"]}
    tls = {"tlsverify": True, "tlscacert": "/ca.pem", "tlscert": "/cert.pem", "tlskey": "/key.pem"}
    for name, value in {**port, **tls}.items():
        setting = posture["docker"]["settings"][name]
        setting.update(unowned=setting["configured"], configured=value, origin="file")
    posture["docker"]["flags"]["next"].pop("hosts")
    assert docker_engine_wanted(posture, settings={**port, **tls})["keys"]["hosts"] == port["hosts"]
    assert "hosts" not in docker_engine_wanted(posture)["keys"]
    with pytest.raises(
        AnsibleFilterError, match="found tcp://0.0.0.0:2376 without tlsverify: true, tlscacert"
    ):
        docker_engine_wanted(posture, settings=port)


@pytest.mark.parametrize(
    ("profile", "permissions", "rules", "hardened", "watched"),
    [
        ("baseline", "profile", "profile", True, True),
        ("none", "profile", "profile", False, False),
        ("none", "hardened", "present", True, True),
        ("strict", "left_alone", "absent", False, False),
    ],
)
def test_the_profile_decides_on_modes_and_audit_rules_unless_they_are_named(
    posture: dict[str, Any], profile: str, permissions: str, rules: str, *, hardened: bool, watched: bool
) -> None:
    paths = {"daemon_json": {"path": "/etc/docker/daemon.json", "exists": True}}
    posture["docker"]["audit"] = {"paths": paths}
    options = {"profile": profile, "file_permissions": permissions, "audit_rules": rules}
    host = docker_engine_wanted(posture, **options)["host"]
    assert (host["permissions"] != [], host["audit"] != []) == (hardened, watched)


def test_a_socket_for_everybody_is_an_error(posture: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="docker_engine_socket: mode: found '0666'"):
        docker_engine_wanted(posture, socket={"mode": "0666"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packaging": "snap"}, "installed as a snap"),
        ({"installed": False}, "not installed"),
        ({"version": {"unreadable": "no answer"}}, "version could not be read"),
        (
            {"configuration_file": {"path": "/etc/other.json"}},
            "--config-file: found /etc/other.json .* accepted is /etc/docker/daemon.json",
        ),
    ],
)
def test_an_engine_that_cannot_be_managed_is_named(
    posture: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    posture["docker"].update(change)
    with pytest.raises(AnsibleFilterError, match=message):
        docker_engine_wanted(posture)


@pytest.mark.parametrize("forwards", ["0", "1"])
def test_the_kernel_s_forwarding_decides_on_nftables(posture: dict[str, Any], forwards: str) -> None:
    posture["docker"]["version"] = "29.1.0"
    posture["kernel"]["sysctls"]["net.ipv4.ip_forward"] = forwards
    options = {"settings": {"firewall-backend": "nftables"}}
    if forwards == "1":
        assert docker_engine_wanted(posture, **options)["keys"]["firewall-backend"] == "nftables"
    else:
        with pytest.raises(AnsibleFilterError, match="net.ipv4.ip_forward is 0"):
            docker_engine_wanted(posture, **options)


def test_unreadable_containers_stop_the_role(posture: dict[str, Any]) -> None:
    posture["containers"] = {"unreadable": "time limit"}
    with pytest.raises(AnsibleFilterError, match="running containers could not be read"):
        docker_engine_wanted(posture)


def test_an_unknown_profile_is_refused(posture: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="accepted are: none, baseline, strict"):
        docker_engine_wanted(posture, profile="paranoid")


def _activation(posture: dict[str, Any], configured: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    complete = {"keys": {}, "at_least": [], "pending": {}, **wanted}
    answer = docker_engine_activation(complete, posture=posture, configured=configured)
    return {"live_restore": answer["live_restore"], **{key["name"]: key for key in answer["keys"]}}


def test_a_changed_key_is_of_this_run_and_an_older_one_has_its_time(posture: dict[str, Any]) -> None:
    _set(posture, "log-opts", {"unreadable": "changed since"}, "pending")
    answer = _activation(
        posture,
        _configured({"live-restore": None, "log-opts.max-size": TIME}, {"live-restore": "set"}),
        keys={"live-restore": True, "log-opts": {"max-size": "10m"}},
    )
    assert answer["live_restore"] is True
    assert answer["live-restore"]["since"] is None
    assert answer["log-opts"]["since"] == TIME
    assert not answer["log-opts"]["in_force"]
    assert not answer["log-opts"]["differs"]


def test_a_value_that_is_in_force_anyway_is_seen(posture: dict[str, Any]) -> None:
    configured = _configured({"icc": None}, {"icc": "set"})
    assert _activation(posture, configured, keys={"icc": True})["icc"]["in_force"]
    assert not _activation(posture, configured, keys={"icc": False})["icc"]["in_force"]


@pytest.mark.parametrize(("proof", "seen"), [("configured", False), ("proven", True)])
def test_of_an_option_of_the_default_bridge_only_a_witness_shows_that_it_is_in_force(
    posture: dict[str, Any], proof: str, *, seen: bool
) -> None:
    """The daemon may have read its file under running containers, and left the bridge as it was."""
    _set(posture, "icc", False, proof)
    assert _activation(posture, _configured({"icc": TIME}), keys={"icc": False})["icc"]["in_force"] is seen


def test_a_measured_difference_is_seen(posture: dict[str, Any]) -> None:
    _set(posture, "icc", True, "pending")
    assert _activation(posture, _configured({"icc": TIME}), keys={"icc": False})["icc"]["differs"]


def test_live_restore_given_back_is_off_at_the_next_start(posture: dict[str, Any]) -> None:
    _set(posture, "live-restore", True, "proven")
    posture["docker"]["settings"]["live-restore"]["configured"] = True
    assert _activation(posture, _configured({}, {"live-restore": "released"}))["live_restore"] is False
    assert _activation(posture, _configured({}))["live_restore"] is True


def _verdict(posture: dict[str, Any], keys: dict[str, Any], **options: Any) -> dict[str, Any]:
    wanted = {"keys": keys, "at_least": options.pop("at_least", []), "pending": options.pop("pending", {})}
    options.setdefault("configured", _configured({}))
    options.setdefault("activated", NOTHING)
    return docker_engine_verdict(posture, wanted=wanted, **options)


@pytest.mark.parametrize("proof", ["proven", "configured"])
def test_a_key_in_force(posture: dict[str, Any], proof: str) -> None:
    _set(posture, "icc", False, proof)
    assert _verdict(posture, {"icc": False}) == {"in_force": ["icc"], "pending": {}, "failed": {}}


def test_a_key_that_should_be_in_force_and_is_not_has_failed(posture: dict[str, Any]) -> None:
    verdict = _verdict(posture, {"icc": False, "log-opts": {"max-size": "10m"}})
    assert sorted(verdict["failed"]) == ["icc", "log-opts"]
    assert verdict["failed"]["icc"].startswith("proven: True")


def test_a_pending_key_is_never_in_force(posture: dict[str, Any]) -> None:
    _set(posture, "icc", True, "pending")
    activated = {"pending": [{"key": "icc", "reason": "web runs"}], "settled": []}
    verdict = _verdict(posture, {"icc": False}, activated=activated, pending={"userns-remap": "not allowed"})
    assert verdict == {
        "in_force": [],
        "pending": {"icc": "web runs", "userns-remap": "not allowed"},
        "failed": {},
    }


def test_a_key_without_witness_counts_by_the_time_it_was_written(posture: dict[str, Any]) -> None:
    _set(posture, "log-opts", {"unreadable": "changed since"}, "pending")
    keys = {"log-opts": {"max-size": "10m"}}
    assert _verdict(posture, keys)["failed"]
    settled = {"pending": [], "settled": ["log-opts"]}
    assert _verdict(posture, keys, activated=settled)["in_force"] == ["log-opts"]


def test_a_settled_key_that_measures_otherwise_has_failed(posture: dict[str, Any]) -> None:
    _set(posture, "icc", True, "pending")
    assert _verdict(posture, {"icc": False}, activated={"pending": [], "settled": ["icc"]})["failed"]


def test_a_stronger_value_that_stayed_is_not_compared(posture: dict[str, Any]) -> None:
    _set(posture, "log-opts", {"max-size": "1m"}, "configured")
    floor = {"key": ["log-opts", "max-size"], "value": "10m", "stronger": "smaller_size"}
    assert _verdict(posture, {}, at_least=[floor])["failed"]
    verdict = _verdict(posture, {}, at_least=[floor], configured=_configured({}, kept=("log-opts.max-size",)))
    assert verdict == {"in_force": [], "pending": {}, "failed": {}}


def test_everything_waits_for_an_engine_that_does_not_run(posture: dict[str, Any]) -> None:
    posture["docker"]["running"] = False
    assert "does not run" in _verdict(posture, {"icc": False})["pending"]["icc"]


def test_check_mode_says_what_would_be(posture: dict[str, Any]) -> None:
    waiting = [{"key": "icc", "reason": "web runs"}]
    activated = {"pending": waiting, "settled": ["log-opts"], "actions": ["restart"]}
    _set(posture, "ip", "127.0.0.1", "pending")
    verdict = _verdict(posture, {"icc": False}, activated=activated, predicted=True)
    assert verdict == {"in_force": ["log-opts"], "pending": {"icc": "web runs"}, "failed": {}}
    verdict = _verdict(posture, {"icc": False}, activated={**activated, "actions": []}, predicted=True)
    assert sorted(verdict["pending"]) == ["icc", "ip"]


@pytest.mark.parametrize("predicted", [False, True])
def test_what_was_given_back_and_is_in_force_still_stays_pending(
    posture: dict[str, Any], *, predicted: bool
) -> None:
    """icc was released under running containers by an earlier run; nobody owns it any more."""
    _set(posture, "icc", False, "pending")
    verdict = _verdict(posture, {}, activated={**NOTHING, "actions": []}, predicted=predicted)
    reason = verdict["pending"]["icc"]
    assert reason.startswith("false is in force (")
    assert reason.endswith(
        "true is configured; that takes effect at the engine's next start without containers"
    )
    _set(posture, "icc", {"unreadable": "changed since"}, "pending")
    assert _verdict(posture, {}, activated={**NOTHING, "actions": []})["pending"] == {}


def test_remapping_is_withheld_while_a_privileged_container_runs(posture: dict[str, Any]) -> None:
    for container in posture["containers"]:
        container["record"]["privileged"] = container["name"] == "agent"
    wanted = docker_engine_wanted(posture, settings={"userns-remap": "default"}, allow="move_data")
    assert "agent (it is privileged)" in wanted["pending"]["userns-remap"]
    assert "userns-remap" not in wanted["keys"]
    posture["containers"] = [entry for entry in posture["containers"] if entry["name"] != "agent"]
    wanted = docker_engine_wanted(posture, settings={"userns-remap": "default"}, allow="move_data")
    assert wanted["keys"]["userns-remap"] == "default"
