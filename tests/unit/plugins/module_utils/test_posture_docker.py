# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `docker` as a whole, on a fake engine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_file_note import note_what_was_read
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker import collect_docker
from unit.fake_docker import CONTAINER, PID, SHOW, FakeDocker
from unit.fake_system import FakeSystem


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    system = FakeSystem(tmp_path)
    system.add_group("docker", 999, ["alice"])
    # every process of the fake host starts a minute from now: what a test wrote is older
    monkeypatch.setattr(system, "started_at", lambda _ticks: time.time() + 60)
    return system


@pytest.fixture
def docker(system: FakeSystem) -> FakeDocker:
    docker = FakeDocker(system)
    docker.install()
    return docker


def collect(docker: FakeDocker) -> dict[str, Any]:
    with docker.listen():
        facts, _records = collect_docker(docker.system)
    return facts


def test_a_running_engine(docker: FakeDocker) -> None:
    docker.start()
    with docker.listen():
        facts, records = collect_docker(docker.system)
    assert (facts["installed"], facts["packaging"], facts["running"], facts["pid"]) == (
        True,
        "deb",
        True,
        PID,
    )
    assert (facts["version"], facts["version_text"]) == ("26.1.5", "26.1.5+dfsg1")
    assert facts["flags"] == {"now": {"hosts": ["fd://"]}, "next": {"hosts": ["fd://"]}}
    assert facts["settings"]["live-restore"]["proof"] == "proven"
    assert facts["settings"]["log-level"]["proof"] == "configured"
    assert facts["info"]["containers_running"] == 1
    assert facts["group_members"] == ["alice", "bob"]
    assert facts["data_root_is_mount_point"] is False
    assert facts["listeners"] == []
    assert isinstance(records, DockerRecords)
    assert records.container(CONTAINER)["State"]["Pid"] == 812
    assert records.container("0" * 64) is None
    assert len(docker.requests) == 5


def test_a_file_that_changed_back_to_what_the_daemon_read_is_configured(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        docker.system, "started_at", lambda _ticks: 1000.0
    )  # long before the file was written
    docker.start()
    assert collect(docker)["settings"]["log-level"]["proof"] == "pending"
    note_what_was_read(docker.system, b"{}", started_at=1000.0)
    assert collect(docker)["settings"]["log-level"]["proof"] == "configured"
    docker.system.write("/etc/docker/daemon.json", '{"log-level": "info"}')
    assert collect(docker)["settings"]["log-level"]["proof"] == "pending"


LEDGER = {
    "schema_version": "1.1",
    "files": {},
    "keys": [
        {
            "owner": owner,
            "path": "/etc/docker/daemon.json",
            "key": [key],
            "before": before,
            "set": value,
            "time": "2026-11-23T15:20:00.250000Z",
            "role": owner,
            "collection_version": "0.1.0",
        }
        for owner, key, before, value in (
            ("docker_engine", "iptables", {"value": False}, True),
            ("docker_engine", "tlsverify", {"absent_from": 1}, True),
            ("other", "icc", {"absent_from": 1}, False),
        )
    ],
}


@pytest.mark.parametrize("ledger", [json.dumps(LEDGER), None, "{"])
def test_the_role_s_keys_are_told_with_what_they_replaced(docker: FakeDocker, ledger: str | None) -> None:
    docker.system.write("/etc/docker/daemon.json", '{"iptables": true, "tlsverify": true, "icc": false}')
    if ledger is not None:
        docker.system.write("/var/lib/bulkhead/ledger.json", ledger)
    settings = collect(docker)["settings"]
    before = {name: fact["unowned"] for name, fact in settings.items() if fact and "unowned" in fact}
    assert before == ({"iptables": False, "tlsverify": None} if ledger == json.dumps(LEDGER) else {})


def test_no_engine(system: FakeSystem) -> None:
    facts, records = collect_docker(FakeSystem(system.directory / "empty"))
    assert (facts["installed"], facts["running"], facts["settings"], records) == (False, False, None, None)


@pytest.fixture(autouse=True)
def empty_proc(system: FakeSystem) -> None:
    system.local("/proc").mkdir()
    system.local("/empty/proc").mkdir(parents=True)


def test_an_engine_that_does_not_run_is_not_woken_through_its_socket(docker: FakeDocker) -> None:
    facts = collect(docker)
    assert docker.requests == []
    assert (facts["installed"], facts["running"], facts["pid"], facts["started_at"]) == (
        True,
        False,
        None,
        None,
    )
    assert facts["info"] == {"unreadable": "the daemon is not running"}
    assert facts["settings"]["icc"]["proof"] == "pending"
    assert facts["flags"] == {"now": None, "next": {"hosts": ["fd://"]}}
    assert facts["version"] == "26.1.5"


def test_a_snap_is_named_and_not_read(system: FakeSystem) -> None:
    system.local("/snap/docker/current").mkdir(parents=True)
    facts, records = collect_docker(system)
    assert (facts["installed"], facts["packaging"], records) == (True, "snap", None)
    assert all(value is None for name, value in facts.items() if name not in ("installed", "packaging"))
    assert system.ran == []


def test_a_running_snap_is_named_too(docker: FakeDocker) -> None:
    docker.start()
    docker.system.local(f"/proc/{PID}/exe").unlink()
    docker.system.link(f"/proc/{PID}/exe", "/snap/docker/2963/bin/dockerd")
    assert collect(docker)["packaging"] == "snap"
    assert docker.requests == []


def test_a_process_that_only_calls_itself_dockerd_is_not_believed(docker: FakeDocker) -> None:
    docker.start()
    docker.system.local(f"/proc/{PID}/exe").unlink()
    docker.system.link(f"/proc/{PID}/exe", "/home/alice/sleep")
    assert collect(docker)["running"] is False


def test_a_users_daemon_is_not_the_rootful_one(docker: FakeDocker) -> None:
    docker.start()
    docker.system.write(f"/proc/{PID}/status", "Name:\tdockerd\nUid:\t1000\t1000\t1000\t1000\n")
    assert collect(docker)["running"] is False


def test_a_daemon_without_systemd_is_found_by_its_name(docker: FakeDocker) -> None:
    docker.start()
    docker.system.local("/run/docker.pid").unlink()
    docker.system.answers.clear()
    facts = collect(docker)
    assert (facts["pid"], facts["needs_daemon_reload"]) == (PID, None)


def test_flags_of_the_next_start_come_from_the_environment_file(docker: FakeDocker) -> None:
    docker.start()
    docker.system.write("/etc/default/docker", 'DOCKER_OPTS="--icc=false --config-file=/etc/other.json"\n')
    docker.system.write("/etc/docker/daemon.json", '{"icc": true}')
    docker.system.write("/etc/other.json", '{"icc": false}')
    facts = collect(docker)
    assert facts["flags"]["next"]["icc"] is False
    assert facts["configuration_file"]["path"] == "/etc/other.json"
    assert facts["conflicts"] == ["icc"]
    assert (facts["settings"]["icc"]["origin"], facts["settings"]["icc"]["proof"]) == ("flag", "pending")


def test_a_listener_without_client_certificates(docker: FakeDocker) -> None:
    docker.start("-H", "tcp://0.0.0.0:2375")
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 00000000:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
    )
    docker.system.write(f"/proc/{PID}/net/tcp", table)
    assert collect(docker)["listeners"] == [
        {"address": "0.0.0.0", "port": 2375, "loopback": False, "client_certificate_required": False}
    ]


def test_an_invalid_file_is_named(docker: FakeDocker) -> None:
    docker.start()
    docker.system.write("/etc/docker/daemon.json", '{"icc": hunter2}')
    facts = collect(docker)
    assert facts["configuration_file"]["valid"] is False
    assert "not valid" in facts["settings"]["log-level"]["configured"]["unreadable"]
    assert "hunter2" not in json.dumps(facts)


def test_a_socket_that_nobody_answers(docker: FakeDocker) -> None:
    docker.start()
    facts, records = collect_docker(docker.system)
    assert facts["info"] == {"unreadable": "/run/docker.sock: No such file or directory"}
    assert facts["networks"] == {"unreadable": "the engine was not asked"}
    assert facts["settings"]["live-restore"]["proof"] == "configured"
    assert records == facts["info"]


def test_answers_of_another_shape_are_unreadable(docker: FakeDocker) -> None:
    docker.start()
    docker.answers.update({"/info": [], "/networks": {"a": 1}, "/containers/json": [{"Id": "../../etc"}]})
    with docker.listen():
        facts, records = collect_docker(docker.system)
    assert facts["info"] == {"unreadable": "GET /info: not a JSON object"}
    assert facts["networks"] == {"unreadable": "GET /networks: not a JSON array of objects"}
    assert isinstance(records, DockerRecords)
    assert "64 hexadecimal digits" in records.container("x")["unreadable"]
    assert not any("etc" in request for request in docker.requests)


def test_a_container_that_ends_meanwhile_is_left_out(docker: FakeDocker) -> None:
    docker.start()
    del docker.answers[f"/containers/{CONTAINER}/json"]
    with docker.listen():
        _facts, records = collect_docker(docker.system)
    assert isinstance(records, DockerRecords)
    assert (records.listed, records.inspected) == ([CONTAINER], {})


def test_no_secret_enters_the_document(docker: FakeDocker) -> None:
    """hunter2 in every place that is read."""
    docker.start(
        "--log-opt",
        "splunk-token=hunter2",
        "--label=hunter2",
        "--registry-mirror=https://u:hunter2@m",
        "hunter2",
    )
    docker.system.write(
        "/etc/default/docker",
        'HTTP_PROXY=http://u:hunter2@p\nDOCKER_OPTS="--log-opt gelf-address=hunter2 --hunter2=hunter2"\n',
    )
    docker.system.write(
        "/etc/docker/daemon.json",
        json.dumps(
            {
                "proxies": {"http-proxy": "http://u:hunter2@p"},
                "registry-mirrors": ["https://u:hunter2@m"],
                "runtimes": {"runsc": {"path": "/x", "runtimeArgs": ["--token=hunter2"]}},
                "log-opts": {"awslogs-credentials-endpoint": "hunter2"},
            }
        ),
    )
    docker.answers["/info"].update(
        {
            "HttpProxy": "http://u:hunter2@p",
            "Labels": ["token=hunter2"],
            "RegistryConfig": {"Mirrors": ["https://u:hunter2@m/"], "IndexConfigs": {}},
            "Runtimes": {"runsc": {"path": "/x", "runtimeArgs": ["hunter2"]}},
        }
    )
    docker.answers["/networks"][0]["Labels"] = {"token": "hunter2"}
    docker.answers[f"/containers/{CONTAINER}/json"]["Config"] = {"Env": ["P=hunter2"], "Cmd": ["hunter2"]}
    docker.system.write("/tls/key.pem", "hunter2")
    facts = collect(docker)
    assert facts["settings"]["log-opts"]["configured"] == {"gelf-address": "set (not shown)"}
    assert facts["settings"]["registry-mirrors"]["configured"] == ["set (not shown)"]
    assert "hunter2" not in json.dumps(facts)


def test_the_unit_s_command_keeps_its_variables(docker: FakeDocker) -> None:
    assert collect(docker)["exec_start"] == ["/usr/sbin/dockerd", "-H", "fd://", "$DOCKER_OPTS"]


def test_a_command_with_a_credential_is_not_shown(docker: FakeDocker) -> None:
    text = str(docker.system.answers[SHOW]).replace(
        "-H fd://", "--https-proxy=http://u:hunter2@proxy -H fd://"
    )
    docker.system.answers[SHOW] = text
    assert collect(docker)["exec_start"] == {
        "unreadable": "it holds settings that are not shown: https-proxy"
    }


def replaced(docker: FakeDocker, installed: str) -> dict[str, Any]:
    """The daemon runs on, and another program lies where its own was."""
    docker.start()
    docker.system.local(f"/proc/{PID}/exe").unlink()
    docker.system.link(f"/proc/{PID}/exe", "/usr/sbin/dockerd (deleted)")
    docker.system.answers["/usr/sbin/dockerd", "--version"] = installed
    return collect(docker)


def test_the_daemon_that_runs_is_the_installed_one(docker: FakeDocker) -> None:
    docker.start()
    facts = collect(docker)
    assert (facts["installed_version"], facts["upgrade_pending"]) == ("26.1.5+dfsg1", False)
    assert ("/usr/sbin/dockerd", "--version") not in docker.system.ran


def test_a_program_that_was_replaced_is_asked_for_its_version(docker: FakeDocker) -> None:
    facts = replaced(docker, "Docker version 28.5.2+dfsg4, build x\n")
    assert (facts["version_text"], facts["installed_version"]) == ("26.1.5+dfsg1", "28.5.2+dfsg4")
    assert facts["upgrade_pending"] is True


def test_the_same_release_built_anew_is_no_upgrade(docker: FakeDocker) -> None:
    assert replaced(docker, "Docker version 26.1.5+dfsg1, build x\n")["upgrade_pending"] is False


def test_a_replaced_program_that_says_nothing_is_unreadable(docker: FakeDocker) -> None:
    facts = replaced(docker, "")
    assert "no version" in facts["installed_version"]["unreadable"]
    assert "unreadable" in facts["upgrade_pending"]


def test_what_surrounds_the_engine_is_there_and_costs_few_commands(docker: FakeDocker) -> None:
    docker.start()
    facts = collect(docker)
    assert facts["firewall"]["backend"] == "iptables"
    assert facts["audit"]["paths"]["daemon_json"]["exists"] is True
    assert facts["restarts"] == {"needrestart": None, "unattended_upgrades": None}
    assert facts["socket_access"]["acl"] == []
    assert [command[0] for command in docker.system.ran].count("systemctl") == 2
