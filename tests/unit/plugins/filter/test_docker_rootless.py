# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of the role docker_rootless: files of users' daemons, whose changed, what holds."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.docker_rootless import (
    docker_rootless_files,
    docker_rootless_needs,
    docker_rootless_verdict,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_rootless import REFUSED

SCRIPT = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
UNIT = "/home/amber/.config/systemd/user/docker.service"
DAEMON_JSON = "/home/amber/.config/docker/daemon.json"
FLOORS = ["log-opts.max-size", "log-opts.max-file", "seccomp-profile"]
DAEMON = {"version": "26.1.5", "started_at": 500.0, "reloaded_at": None, "configured": {}}
CLIENT = "/home/amber/.docker/config.json"


def _found(version: str = "26.1.5", script: str = SCRIPT, **more: Any) -> dict[str, Any]:
    return {
        "host": {"dockerd": "/usr/sbin/dockerd", "script": script, "version": version, "now": 1000.0},
        "users": {
            "amber": {"uid": 1000, "home": "/home/amber", **DAEMON},
            "basil": {"uid": 1001, "home": "/home/basil", **DAEMON},
        },
        "withheld": ["basil"],
        "pending": {"basil": "no manager"},
        "rootful_off": True,
        **more,
    }


def _files(found: dict[str, Any] | None = None, **options: Any) -> dict[str, dict[str, Any]]:
    made = docker_rootless_files(found or _found(), **options)
    return {file["path"]: file for file in made["files"]}


def test_the_files_are_those_of_every_user_who_is_not_withheld() -> None:
    made = docker_rootless_files(_found())
    assert set(made["owners"].values()) == {"amber"}
    assert [path.removeprefix("/home/amber/") for path in made["owners"]] == [
        ".config/systemd/user/docker.service",
        ".config/docker/daemon.json",
        f".docker/contexts/meta/{hashlib.sha256(b'rootless').hexdigest()}/meta.json",
        ".docker/config.json",
    ]


def test_the_unit_finds_the_script_where_debian_has_it() -> None:
    service = _files()[UNIT]["keys"]["Service"]
    assert service["ExecStart"] == SCRIPT
    assert service["ExecReload"] == "/bin/kill -s HUP $MAINPID"
    assert service["Environment"].startswith("PATH=/usr/share/docker.io/contrib:")
    assert (service["Type"], service["NotifyAccess"], service["Delegate"]) == ("notify", "all", "yes")
    elsewhere = _files(_found(script="/usr/bin/dockerd-rootless.sh"))[UNIT]["keys"]["Service"]
    assert "contrib" not in elsewhere["Environment"]


def test_an_engine_that_does_not_tell_when_it_is_ready() -> None:
    files = _files(_found("20.10.24"))
    assert files[UNIT]["keys"]["Service"]["Type"] == "simple"
    assert files[DAEMON_JSON]["validate"] == []
    assert _files()[DAEMON_JSON]["validate"] == ["/usr/sbin/dockerd", "--validate", "--config-file=%s"]


@pytest.mark.parametrize(
    ("profile", "keys", "floors"),
    [
        ("none", {}, []),
        ("baseline", {}, ["log-opts.max-size", "log-opts.max-file", "seccomp-profile"]),
        (
            "strict",
            {"no-new-privileges": True},
            ["log-opts.max-size", "log-opts.max-file", "seccomp-profile"],
        ),
    ],
)
def test_the_profiles(profile: str, keys: dict[str, Any], floors: list[str]) -> None:
    file = _files(profile=profile)[DAEMON_JSON]
    assert file["keys"] == keys
    assert [".".join(floor["key"]) for floor in file["at_least"]] == floors


def test_what_is_named_goes_before_the_profile() -> None:
    settings = {"no-new-privileges": False, "log-opts": {"max-size": "1g"}}
    file = _files(profile="strict", settings=settings)[DAEMON_JSON]
    assert file["keys"] == settings
    assert [".".join(floor["key"]) for floor in file["at_least"]] == FLOORS[1:]
    made = docker_rootless_files(_found(), settings={"log-driver": "journald"})
    assert [notice.partition(":")[0] for notice in made["notices"]] == [
        "log-opts.max-size",
        "log-opts.max-file",
    ]


def _both(**amber: Any) -> dict[str, Any]:
    """Both users, and what amber's own file says."""
    found = _found(withheld=[], pending={})
    found["users"]["amber"] = {**found["users"]["amber"], "configured": amber}
    return found


def test_the_log_options_are_not_for_a_driver_that_the_user_s_own_file_names() -> None:
    found = _both(**{"log-driver": "journald"})
    made = docker_rootless_files(found)
    floors = {
        path: [".".join(floor["key"]) for floor in file["at_least"]]
        for path, file in _files(found).items()
        if path.endswith("/daemon.json")
    }
    assert floors == {DAEMON_JSON: FLOORS[2:], DAEMON_JSON.replace("amber", "basil"): FLOORS}
    assert made["notices"] == [
        f"{name}: left out: the logging driver is journald, which these options are not for. (amber)"
        for name in FLOORS[:2]
    ]
    assert docker_rootless_files(found, settings={"log-driver": "json-file"})["notices"] == []


@pytest.mark.parametrize(
    ("settings", "own", "problem", "users"),
    [
        ({"icc": False, "iptables": False}, {}, "icc and iptables both false", "amber, basil"),
        ({"icc": False}, {"iptables": False}, "icc and iptables both false", "amber"),
        ({"bridge": "br7", "bip": "10.0.0.1/24"}, {}, "found 'br7' together with bip", "amber, basil"),
        ({"bip": "10.0.0.1/24"}, {"bridge": "br7"}, "found 'br7' together with bip", "amber"),
        ({"default-runtime": "nope"}, {}, "found 'nope', which runtimes does not name", "amber, basil"),
        ({"default-runtime": "runsc"}, {"runtimes": {"runsc": {}}}, "found 'runsc'", "basil"),
        ({"seccomp-profile": "profile.json"}, {}, "or the absolute path of a profile", "amber, basil"),
        ({"log-opts": {"max-size": "1m"}}, {"log-driver": "journald"}, "which does not rotate", "amber"),
        (
            {"exec-opts": ["native.cgroupdriver=none"]},
            {},
            "native.cgroupdriver: found 'none'",
            "amber, basil",
        ),
    ],
)
def test_settings_with_which_a_daemon_does_not_start_are_refused(
    settings: dict[str, Any], own: dict[str, Any], problem: str, users: str
) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        docker_rootless_files(_both(**own), settings=settings)
    introduction, *lines = str(caught.value).splitlines()
    assert introduction == "docker_rootless_settings: nothing was changed, because of"
    assert len(lines) == 1
    assert lines[0].startswith("- ")
    assert problem in lines[0]
    assert lines[0].endswith(f" ({users})")
    assert docker_rootless_files(_both(**own), state="absent", settings=settings)["notices"] == []


def test_what_the_user_s_file_names_is_looked_for_while_it_is_ours() -> None:
    assert _files()[DAEMON_JSON]["look"] == "docker_daemon"
    assert _files(state="absent")[DAEMON_JSON]["look"] == "nothing"


def test_an_engine_whose_version_is_not_known_is_refused() -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"found no version in what /usr/sbin/dockerd --version says"
    ):
        docker_rootless_files(_found(""))
    assert _files(_found(""), state="absent")[UNIT]["keys"] == {}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_such_a_daemon_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        docker_rootless_files(_found(), settings={name: "x", "debgu": True})
    text = str(caught.value)
    assert text.startswith("docker_rootless_settings: nothing was changed, because of")
    assert f"- {name}: found it, accepted is to leave it out: {REFUSED[name]}." in text
    assert "- debgu: " in text


def test_the_client_is_asked_for() -> None:
    files = _files()
    assert files[CLIENT]["keys"] == {"currentContext": "rootless"}
    (meta,) = (file for path, file in files.items() if path.endswith("/meta.json"))
    assert meta["keys"]["Endpoints"]["docker"]["Host"] == "unix:///run/user/1000/docker.sock"
    for file in _files(context=False).values():
        if "/.docker/" in file["path"]:
            assert file["keys"] == {}


def test_absent_wants_nothing_in_any_file() -> None:
    for file in _files(state="absent", profile="strict").values():
        assert file["keys"] == {}
        assert file.get("at_least", []) == []


def _needs(*files: dict[str, Any], **daemon: Any) -> dict[str, list[str]]:
    """What amber needs, with these among the files that owned_config tells of."""
    found = _found()
    found["users"]["amber"].update(daemon)
    wanted = docker_rootless_files(found)
    given = {file["path"]: file for file in files}
    nothing = {"changed": False, "keys": [], "owned": []}
    configured = {"files": [{"path": path, **nothing, **given.get(path, {})} for path in wanted["owners"]]}
    return docker_rootless_needs(found, wanted=wanted, configured=configured)


def _changed(path: str, *names: str, why: str = "set") -> dict[str, Any]:
    return {
        "path": path,
        "changed": True,
        "keys": [{"key": name.split("."), "why": why} for name in names],
        "owned": [{"key": name.split("."), "time": None} for name in names],
    }


def _set_at(path: str, name: str, second: int) -> dict[str, Any]:
    time = datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")
    return {"path": path, "owned": [{"key": name.split("."), "time": time}]}


def test_what_brings_a_changed_file_into_force() -> None:
    assert _needs() == {}
    assert _needs(_changed(CLIENT, "currentContext")) == {}
    assert _needs(_changed(UNIT, "Service.ExecStart")) == {"amber": ["daemon_reload", "restart"]}
    assert _needs(_changed(DAEMON_JSON, "labels")) == {"amber": ["reload"]}
    assert _needs(_changed(DAEMON_JSON, "log-opts.max-size")) == {"amber": ["restart"]}
    assert _needs(_changed(DAEMON_JSON, "labels", "icc")) == {"amber": ["reload", "restart"]}
    # A reload does not put it back (reload.go, IsValueSet).
    assert _needs(_changed(DAEMON_JSON, "labels", why="released")) == {"amber": ["restart"]}


def test_a_daemon_that_does_not_run_needs_its_unit_alone() -> None:
    changed = (_changed(UNIT, "Service.ExecStart"), _changed(DAEMON_JSON, "icc"))
    assert _needs(*changed, started_at=None, version=None) == {"amber": ["daemon_reload"]}


@pytest.mark.parametrize(
    ("name", "second", "reloaded_at", "need"),
    [
        ("labels", 400, None, None),
        ("labels", 600, None, "reload"),
        ("labels", 600, 700.0, None),
        ("icc", 600, 700.0, "restart"),
        ("icc", 400, None, None),
        ("icc", 1600, None, None),  # the clock went wrong: a restart would never be later
    ],
)
def test_what_an_earlier_run_wrote_comes_into_force_too(
    name: str, second: int, reloaded_at: float | None, need: str | None
) -> None:
    found = _needs(_set_at(DAEMON_JSON, name, second), reloaded_at=reloaded_at)
    assert found == ({} if need is None else {"amber": [need]})


def _proof(reason: str | None, *, tried: bool = True) -> dict[str, Any]:
    return {"user": "amber", "proven": reason is None, "tried": tried, "reason": reason}


@pytest.mark.parametrize(
    ("proof", "proven", "pending", "failed"),
    [
        (_proof(None), True, {}, {}),
        (_proof("the container did not start"), False, {}, {"amber": "the container did not start"}),
        (_proof("not delegated to x: cpu"), False, {"amber, proof": "not delegated to x: cpu"}, {}),
        (_proof("check mode", tried=False), None, {"amber, proof": "check mode"}, {}),
    ],
)
def test_what_holds(
    proof: dict[str, Any], proven: bool | None, pending: dict[str, str], failed: dict[str, str]
) -> None:
    verdict = docker_rootless_verdict(_found(), proofs=[proof])
    assert verdict["users"]["amber"]["proven"] is proven
    assert verdict["pending"] == {"basil": "no manager", **pending}
    assert verdict["failed"] == failed
    assert verdict["rootful_off"] is True
