# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one table of keys whose values can hold credentials, and how a URL is shown without them.

Values of these keys are never shown: not in a difference, a result, a report or a message of a validator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

__all__ = [
    "DOCKER_PATTERNS",
    "SENSITIVE_PATTERNS",
    "covered_by",
    "is_sensitive",
    "shown",
    "without_credentials",
]

# Shell patterns of key paths, names joined by dots, without regard to case. A pattern covers what is below.

# daemon.json: proxies and mirrors are URLs with user information; drivers take tokens and URLs as options
# (docs.docker.com, "Daemon proxy configuration"; log drivers splunk, gcplogs, gelf, fluentd, awslogs).
DOCKER_PATTERNS = (
    "http-proxy",
    "https-proxy",
    "proxies",
    "registry-mirrors",
    "log-opts.*token*",
    "log-opts.*password*",
    "log-opts.*secret*",
    "log-opts.*url*",
    "log-opts.*address*",
    "log-opts.*endpoint*",
)

SENSITIVE_PATTERNS = (
    *DOCKER_PATTERNS,
    # docker's and podman's client configuration (containers-auth.json(5))
    "auths",
    "httpheaders",
    # containers.conf(5): env goes into every container, and into the engine's own commands
    "containers.env",
    "engine.env",
    # containers.conf(5): a remote engine's URI, with the user of the connection
    "engine.service_destinations.*.uri",
    # Falco: outputs with a token in their URL, their headers or their command line (falco.yaml)
    "http_output.url",
    "http_output.headers",
    "program_output.program",
    "*webhook*",
    # systemd.exec(5)
    "service.environment",
    "service.setcredential*",
    # containerd's configuration of registries; nm-settings-keyfile(5)
    "*.auth",
    "*.headers",
    "*.psk",
    "*.wep-key*",
    "*-secrets",
    # whatever says so itself
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*token*",
    "*secret*",
    "*credential*",
    "*api[_-]key*",
    "*apikey*",
    "*access[_-]key*",
    "*private[_-]key",
)

_USER_INFORMATION = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)"
    # what stands before the last @ of the authority; a password with a / in it ends the authority early
    r"(?:[^/\s?#\"']*@|[^\s/?#@:\"']*:(?!\d+(?:[/?#\s\"']|$))[^\s@\"']*@)"
)
_QUERY_SECRET = re.compile(
    r"(?i)(?P<name>[?&](?:[\w-]*token|password|passwd|[\w-]*secret|[\w-]*key|sig|signature)=)[^&#\s\"']+"
)


def covered_by(path: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern covers the key, or an object that it is part of (case is disregarded)."""
    names = [".".join(path[:depth]).lower() for depth in range(1, len(path) + 1)]
    return any(fnmatchcase(name, pattern.lower()) for name in names for pattern in patterns)


def is_sensitive(path: Sequence[str]) -> bool:
    """Whether the value of the key with this path can hold credentials."""
    return covered_by(path, SENSITIVE_PATTERNS)


def without_credentials(text: str) -> str:
    """A text whose URLs have lost their user information, and the secrets in their queries."""
    return _QUERY_SECRET.sub(r"\g<name>(secret)", _USER_INFORMATION.sub(r"\g<scheme>", text))


def shown(value: Any) -> Any:
    """A value of JSON with every text in it shown without credentials."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value
