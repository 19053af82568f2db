# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What restarts the engine without anybody deciding it: needrestart, unattended upgrades, a pending upgrade.

Their configuration is Perl and regular expressions. Nothing of it is run: what is not plain enough to be read
for certain is `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["deferred", "parse_apt_configuration", "restarts_fact"]

NEEDRESTART = "/etc/needrestart/needrestart.conf"
NEEDRESTART_DIRECTORY = "/etc/needrestart/conf.d"
UNATTENDED_UPGRADE = "/usr/bin/unattended-upgrade"
ENGINE_PACKAGES = ("containerd", "containerd.io", "docker-ce", "docker.io", "moby-engine", "runc")
SERVICES = ("docker", "containerd")

_FILE_LIMIT = 200
_TEXT_LIMIT = 256 * 1024
_PATTERN_LIMIT = 200
# Regular expressions of which Perl and Python think alike, and which cannot take long on a short name.
_PLAIN_PATTERN = re.compile(r"(?:(?:\\[.dw@-]|[\w.])[+*]?|[\^$@|()-])*")
_REPETITIONS = 3

_COMMENT = re.compile(r"(?:^|(?<=[\s,;{]))#.*$", re.MULTILINE)
_MODE = re.compile(r"\$nrconf\{restart\}\s*=\s*['\"]([lia])['\"]\s*;")
_OVERRIDE = re.compile(r"\$nrconf\{override_rc\}")
_WHOLE = re.compile(r"\s*=\s*\{")
_ELEMENT = re.compile(r"(?:->)?\{\s*qr\((.*?)\)\s*\}\s*=\s*([01])\s*;")
_ENTRY = re.compile(
    r"\s*qr\((?P<pattern>(?:\\.|[^()\\]|\([^()]*\))*)\)\s*=>\s*(?P<value>[01])\s*(?:,|(?=\}))"
)
_SPREAD = re.compile(r"\s*%\{\s*\$nrconf\{override_rc\}\s*(?:(?:\|\||//)\s*\{\s*\}\s*)?\}\s*,?")
_END = re.compile(r"\s*\}\s*;")
_APT_LINE = re.compile(r'^([A-Za-z0-9:._/-]+) "(.*)";$')


def restarts_fact(system: System) -> dict[str, Any]:
    """The posture's `docker.restarts`; null for a program that is not installed."""
    return {
        "needrestart": attempt(lambda: _needrestart(system)),
        "unattended_upgrades": attempt(lambda: _unattended_upgrades(system)),
    }


def _needrestart(system: System) -> Optional[dict[str, Any]]:
    try:
        texts = [system.read_text(NEEDRESTART, limit=_TEXT_LIMIT)]
    except NotThere:
        return None
    names = _names(system, NEEDRESTART_DIRECTORY)
    texts += [
        system.read_text(f"{NEEDRESTART_DIRECTORY}/{name}", limit=_TEXT_LIMIT)
        for name in names
        if name.endswith(".conf")
    ]
    modes = [mode for text in texts for mode in _MODE.findall(_COMMENT.sub("", text))]
    overrides = _overrides(texts)
    return {
        # l only lists, i asks and only lists where nobody can be asked, a restarts (needrestart(1))
        "mode": {"l": "list", "i": "ask", "a": "automatic"}[modes[-1]] if modes else None,
        **{service: deferred(overrides, f"{service}.service") for service in SERVICES},
    }


def _names(system: System, directory: str) -> list[str]:
    try:
        return system.list_directory(directory, limit=_FILE_LIMIT)
    except NotThere:
        return []


class _Unclear(Exception):
    """The configuration says more than what is read here."""


def _overrides(texts: list[str]) -> Optional[dict[str, bool]]:
    """Pattern -> whether the services that it matches are restarted; None when it is not clear."""
    overrides: dict[str, bool] = {}
    try:
        for text in texts:
            _take_overrides(_COMMENT.sub("", text), overrides)
    except _Unclear:
        return None
    return overrides


def _take_overrides(text: str, overrides: dict[str, bool]) -> None:
    position = 0
    while True:
        found = _OVERRIDE.search(text, position)
        if found is None:
            return
        element = _ELEMENT.match(text, found.end())
        whole = _WHOLE.match(text, found.end())
        if element:
            overrides[element[1]] = element[2] == "1"
            position = element.end()
        elif whole:
            position = _take_all(text, whole.end(), overrides)
        else:
            raise _Unclear


def _take_all(text: str, position: int, overrides: dict[str, bool]) -> int:
    """An assignment of the whole table takes the place of what was there, unless it names that too."""
    before = dict(overrides)
    overrides.clear()
    while True:
        end = _END.match(text, position)
        if end:
            return end.end()
        spread = _SPREAD.match(text, position)
        entry = _ENTRY.match(text, position)
        if spread:
            overrides.update(before)
        elif entry:
            overrides[entry["pattern"]] = entry["value"] == "1"
        else:
            raise _Unclear
        position = (spread or entry).end()  # type: ignore[union-attr]


def deferred(overrides: Optional[dict[str, bool]], service: str) -> str:
    """`deferred`, `restarted` or `unknown`: the first pattern that matches counts, in lexical order.

    (As needrestart's own configuration file says.) A service that none matches is restarted.
    """
    if overrides is None:
        return "unknown"
    for pattern in sorted(overrides):
        matches = _matches(pattern, service, anywhere=True)
        if matches is None:
            return "unknown"
        if matches:
            return "restarted" if overrides[pattern] else "deferred"
    return "restarted"


def _matches(pattern: str, name: str, *, anywhere: bool) -> Optional[bool]:
    """Whether a regular expression matches; None for one that is not plain."""
    repetitions = pattern.count("+") + pattern.count("*")
    if len(pattern) > _PATTERN_LIMIT or repetitions > _REPETITIONS:
        return None
    if _PLAIN_PATTERN.fullmatch(pattern) is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error:
        return None
    return (compiled.search(name) if anywhere else compiled.match(name)) is not None


def _unattended_upgrades(system: System) -> Optional[dict[str, Any]]:
    if not system.exists(UNATTENDED_UPGRADE):
        return None
    completed = system.run(["apt-config", "dump"])
    if completed.returncode != 0:
        raise PortError(f"apt-config dump: exit status {completed.returncode}")
    configuration = parse_apt_configuration(completed.stdout)
    switches = [_last(configuration, "APT::Periodic::Enable", "1")]
    switches.append(_last(configuration, "APT::Periodic::Unattended-Upgrade", "0"))
    patterns = configuration.get("Unattended-Upgrade::Package-Blacklist::", [])
    installed = [name for name in ENGINE_PACKAGES if system.exists(f"/var/lib/dpkg/info/{name}.list")]
    return {
        "enabled": not {"", "0"} & set(switches),
        "not_excluded": [
            # a pattern that is not plain is taken to exclude nothing
            name
            for name in installed
            if not any(_matches(pattern, name, anywhere=False) for pattern in patterns)
        ],
    }


def parse_apt_configuration(text: str) -> dict[str, list[str]]:
    """Name -> values, in what `apt-config dump` prints; the name of a list's entries ends with `::`."""
    values: dict[str, list[str]] = {}
    for name, value in _apt_lines(text):
        values.setdefault(name, []).append(value)
    return values


def _apt_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _APT_LINE.match(line)
        if match:
            yield match[1], match[2]


def _last(configuration: dict[str, list[str]], name: str, default: str) -> str:
    return configuration.get(name, [default])[-1]
