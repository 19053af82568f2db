# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TCP listeners need client certificates, and `hosts` takes -H out of the service's command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import split_words
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_listeners import (
    listener_problems,
    service_drop_in,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import (
    Wanted,
    validation_command,
)
from unit.plugins.plugin_utils.test_docker_profile import ENGINE

COMMAND = ("/usr/sbin/dockerd", "-H", "fd://", "--containerd=/run/containerd/containerd.sock", "$DOCKER_OPTS")
UNIT_ENGINE = replace(ENGINE, exec_start=COMMAND)
TLS = {"tlsverify": True, "tlscacert": "/t/ca.pem", "tlscert": "/t/cert.pem", "tlskey": "/t/key.pem"}
TCP = {"hosts": ["fd://", "tcp://192.0.2.1:2376"]}


def _problems(settings: dict[str, Any], engine: Engine = UNIT_ENGINE, *, opened: bool = False) -> list[str]:
    return listener_problems(engine, settings, unauthenticated_tcp=opened)


def _configured(**settings: Any) -> Engine:
    return replace(UNIT_ENGINE, settings={name: {"configured": value} for name, value in settings.items()})


def test_a_port_with_client_certificates_is_accepted() -> None:
    assert _problems({**TCP, **TLS}) == []


@pytest.mark.parametrize("missing", list(TLS))
def test_a_port_without_any_of_them_is_refused(missing: str) -> None:
    settings = {**TCP, **{name: value for name, value in TLS.items() if name != missing}}
    (problem,) = _problems(settings)
    assert f"found tcp://192.0.2.1:2376 without {missing}" in problem
    assert "docker_engine_unauthenticated_tcp: true opens it" in problem
    assert _problems(settings, opened=True) == []


@pytest.mark.parametrize("host", ["192.0.2.1:2375", "tcp://127.0.0.1:2375", "vsock://3:2375"])
def test_whatever_is_no_local_socket_is_a_port(host: str) -> None:
    assert len(_problems({"hosts": ["fd://", host]})) == 1


def test_tls_without_verification_is_not_enough() -> None:
    assert "without tlsverify: true" in _problems({**TCP, **TLS, "tlsverify": False, "tls": True})[0]


def test_settings_that_are_there_count() -> None:
    assert _problems(TCP, _configured(**TLS)) == []
    assert len(_problems({"tlsverify": False}, _configured(**TLS, **TCP))) == 1


def _ours(before: dict[str, Any] | None = None, **settings: Any) -> Engine:
    """An engine whose settings the role wrote, over those of somebody else."""
    known = {
        name: {"configured": value, "unowned": (before or {}).get(name, [] if name == "hosts" else "")}
        for name, value in settings.items()
    }
    return replace(UNIT_ENGINE, settings=known)


def test_settings_that_this_run_gives_back_do_not_count() -> None:
    """Run 1 opens a port with certificates; run 2 names only the port, so that the certificates go."""
    (problem,) = _problems(TCP, _ours(**TCP, **TLS))
    assert "without tlsverify: true, tlscacert, tlscert, tlskey" in problem
    assert _problems(TCP, _ours(**TCP, **TLS), opened=True) == []
    assert _problems({**TCP, **TLS}, _ours(**TCP, **TLS)) == []
    assert _problems({}, _ours(**TCP, **TLS)) == []


def test_somebody_elses_settings_come_back_and_count() -> None:
    assert _problems(TCP, _ours(TLS, **TCP, **{name: "/ours.pem" for name in TLS})) == []
    (problem,) = _problems({}, _ours(TCP, **TLS, hosts=["fd://"]))
    assert "found tcp://192.0.2.1:2376 without" in problem


def test_a_port_that_was_opened_by_somebody_else_is_for_the_audit_to_say() -> None:
    assert _problems({"icc": False}, _configured(**TCP)) == []


@pytest.mark.parametrize("hosts", [["tcp://192.0.2.1:2376"], []])
def test_the_local_socket_may_not_go(hosts: list[str]) -> None:
    assert "found no local socket" in _problems({"hosts": hosts, **TLS})[0]


def test_a_flag_from_a_variable_stays_in_the_way() -> None:
    engine = replace(UNIT_ENGINE, flags={"hosts": ["fd://", "tcp://0.0.0.0:2375"]})
    assert "an environment file or a drop-in) gives the flag -H" in _problems({**TCP, **TLS}, engine)[0]


def test_a_command_with_credentials_is_not_repeated() -> None:
    engine = replace(UNIT_ENGINE, exec_start=(), exec_start_hidden="it holds http-proxy")
    assert "cannot be repeated in a drop-in: it holds http-proxy" in _problems({**TCP, **TLS}, engine)[0]


@pytest.mark.parametrize(
    "hosts", [("-H", "fd://"), ("-Hfd://",), ("-H=fd://",), ("--host", "fd://"), ("--host=fd://",), ()]
)
def test_the_drop_in_repeats_the_command_without_the_flag(hosts: tuple[str, ...]) -> None:
    engine = replace(ENGINE, exec_start=("/usr/sbin/dockerd", *hosts, "--debug", "$DOCKER_OPTS"))
    command = "/usr/sbin/dockerd --debug $DOCKER_OPTS"
    assert service_drop_in(engine, TCP) == {"Service": {"ExecStart": ["", command]}}


def test_there_is_no_drop_in_without_hosts() -> None:
    assert service_drop_in(UNIT_ENGINE, {"icc": False}) == {}


def test_a_word_with_spaces_stays_one_word() -> None:
    words = ("/usr/sbin/dockerd", '--label=a "b" \\c', "--label=50%")
    line = service_drop_in(replace(ENGINE, exec_start=words), TCP)["Service"]["ExecStart"][1]
    assert tuple(word.replace("%%", "%") for word in split_words(line)) == words
    assert "50%%" in line


def test_the_validation_does_not_get_the_flag_that_goes() -> None:
    command, _notice = validation_command(UNIT_ENGINE, Wanted(keys=dict(TCP)), check_mode=False)
    assert not any(word.startswith("--host") for word in command)
