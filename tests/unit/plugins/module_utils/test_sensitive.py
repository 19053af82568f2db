# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which keys can hold credentials, and how URLs are shown."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import (
    is_sensitive,
    shown,
    without_credentials,
)


@pytest.mark.parametrize(
    "path",
    [
        "http-proxy",
        "proxies/https-proxy",
        "registry-mirrors",
        "log-opts/splunk-token",
        "log-opts/gelf-address",
        "containers/env",
        "engine/env",
        "engine/service_destinations/build/uri",
        "auths/registry.example/auth",
        "http_output/url",
        "program_output/program",
        "Service/Environment",
        "wifi-security/psk",
        "plugins/io.containerd.grpc.v1.cri/registry/configs/r/auth/username",
        "DB_PASSWORD",
        "slack/webhook_url",
    ],
)
def test_a_key_that_can_hold_credentials(path: str) -> None:
    assert is_sensitive(path.split("/"))


@pytest.mark.parametrize(
    "path",
    [
        "icc",
        "userland-proxy",
        "no-new-privileges",
        "log-opts/max-size",
        "tlskey",
        "containers/default_ulimits",
        "engine/runtime",
        "Service/ExecStart",
        "Service/EnvironmentFile",
        "lines",
        "authorization-plugins",
    ],
)
def test_a_key_that_holds_none(path: str) -> None:
    assert not is_sensitive(path.split("/"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:hunter2@proxy:3128/x", "http://proxy:3128/x"),
        ("http://hunter2@proxy", "http://proxy"),
        ("http://user:hun@ter2@proxy/", "http://proxy/"),
        ("http://user:hun/ter2@proxy/", "http://proxy/"),
        ("ssh://core@host:22/run/podman.sock", "ssh://host:22/run/podman.sock"),
        ("https://host/path@v1", "https://host/path@v1"),
        ("https://host:8080/path@v1", "https://host:8080/path@v1"),
        ("https://host/?a=1&token=hunter2&b=2", "https://host/?a=1&token=(secret)&b=2"),
        ("one http://a:hunter2@b two https://c:hunter2@d", "one http://b two https://d"),
        ("user@example.org", "user@example.org"),
        ("nothing", "nothing"),
    ],
)
def test_a_url_loses_its_credentials(text: str, expected: str) -> None:
    assert without_credentials(text) == expected


def test_every_text_of_a_value_is_shown_without_credentials() -> None:
    assert shown({"a": ["http://u:p@h", 1, None, True]}) == {"a": ["http://h", 1, None, True]}
