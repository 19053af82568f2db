# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a daemon.json names and the host lacks is found before it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_references import reference_problems
from unit.fake_system import FakeSystem

PROFILE = "/etc/docker/seccomp.json"
TLS = {"tlscacert": "/tls/ca.pem", "tlscert": "/tls/cert.pem", "tlskey": "/tls/key.pem"}
ENABLED = json.dumps({"plugin": {"Name": "opa:latest", "Enabled": True}})
DISABLED = json.dumps({"plugin": {"Name": "opa:latest", "Enabled": False}})

# settings, files on the host, what each problem says
CASES: list[tuple[dict[str, Any], dict[str, str], list[str]]] = [
    ({}, {}, []),
    ({"log-driver": "journald", "log-opts": {"max-size": "10m"}}, {}, ["found max-size together with"]),
    ({"log-driver": "journald", "log-opts": {"tag": "x"}}, {}, []),
    ({"log-driver": "local", "log-opts": {"max-size": "10m", "max-file": "3"}}, {}, []),
    ({"log-opts": {"max-size": "10m"}}, {}, []),
    ({"seccomp-profile": "unconfined"}, {}, []),
    ({"seccomp-profile": PROFILE}, {}, [f"seccomp-profile: {PROFILE}: No such file"]),
    ({"seccomp-profile": PROFILE}, {PROFILE: "oops"}, [f"{PROFILE}: not JSON"]),
    ({"seccomp-profile": PROFILE}, {PROFILE: "[]"}, ["accepted is an object with defaultAction"]),
    ({"seccomp-profile": PROFILE}, {PROFILE: '{"defaultAction": "SCMP_ACT_ERRNO"}'}, []),
    ({**TLS, "tlsverify": True}, {path: "" for path in TLS.values()}, []),
    (
        {**TLS, "tlsverify": True},
        {"/tls/ca.pem": "", "/tls/key.pem": ""},
        ["tlscert: /tls/cert.pem: No"],
    ),
    ({**TLS, "tlsverify": True}, {}, ["tlscacert", "tlscert", "tlskey"]),
    ({**TLS, "tls": True}, {}, ["tlscert", "tlskey"]),
    (TLS, {}, []),
    ({"authorization-plugins": ["opa"]}, {}, ["authorization-plugins: opa: found neither its socket"]),
    ({"authorization-plugins": ["opa", "no"]}, {"/run/docker/plugins/opa.sock": ""}, ["plugins: no:"]),
    ({"authorization-plugins": ["opa"]}, {"/run/docker/plugins/opa/opa.sock": ""}, []),
    ({"authorization-plugins": ["opa"]}, {"/etc/docker/plugins/opa.spec": "tcp://x"}, []),
    ({"authorization-plugins": ["opa"]}, {"/usr/lib/docker/plugins/opa.json": "{}"}, []),
    ({"authorization-plugins": ["opa"]}, {"/var/lib/docker/plugins/1/config.json": ENABLED}, []),
    ({"authorization-plugins": ["opa:latest"]}, {"/var/lib/docker/9.9/plugins/1/config.json": ENABLED}, []),
    (
        {"authorization-plugins": ["opa"]},
        {"/var/lib/docker/plugins/1/config.json": DISABLED},
        ["plugins: opa"],
    ),
    ({"authorization-plugins": ["opa"]}, {"/var/lib/docker/plugins/1/config.json": "[]"}, ["plugins: opa"]),
    ({"authorization-plugins": ["opa"], "data-root": "/d"}, {"/d/plugins/1/config.json": ENABLED}, []),
    ({"userns-remap": "default"}, {}, []),
    ({"userns-remap": "1000"}, {}, []),
    ({"userns-remap": "ops:ops"}, {"/etc/subuid": "ops:1:9\n", "/etc/subgid": "ops:1:9\n"}, []),
    ({"userns-remap": "ops"}, {"/etc/subuid": "ops:1:9\n", "/etc/subgid": "1000:1:9\n"}, []),
    (
        {"userns-remap": "ops"},
        {"/etc/subuid": "opsx:1:9\n"},
        ["ids for it in /etc/subuid", "/etc/subgid: No"],
    ),
]


@pytest.mark.parametrize(("settings", "files", "expected"), CASES)
def test_what_is_missing_is_named(
    tmp_path: Path, settings: dict[str, Any], files: dict[str, str], expected: list[str]
) -> None:
    system = FakeSystem(tmp_path)
    for path, content in files.items():
        system.write(path, content)
    problems = reference_problems(system, json.dumps(settings))
    assert len(problems) == len(expected)
    assert all(text in problem for text, problem in zip(expected, problems, strict=True))


def test_an_empty_file_names_nothing(tmp_path: Path) -> None:
    assert reference_problems(FakeSystem(tmp_path), "\n") == []
