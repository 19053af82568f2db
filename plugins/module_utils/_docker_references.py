# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a daemon.json names on its host and the engine does not start without.

``dockerd --validate`` reads neither the seccomp profile nor looks for plugins, and engines before 23.0 do not
validate at all. Sources: moby at docker-v29.7.2, ``daemon/daemon_unix.go`` (setupSeccompProfile),
``daemon/command/daemon.go`` (newAPIServerTLSConfig, initMiddlewares), ``pkg/plugins/discovery.go`` (sockets
and specifications), ``daemon/pkg/plugin/manager.go`` (managed plugins), ``pkg/idtools`` (subordinate ids).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_reader import Reader

__all__ = [
    "DRIVERS_WITHOUT_ROTATION",
    "ROTATION",
    "plugin_problems",
    "profile_problems",
    "reference_problems",
    "user_reference_problems",
]

# The engine's own log drivers that do not know max-size and max-file: with them it does not start (tried on
# 26.1 with journald), which dockerd --validate does not notice. Plugins (loki) may know them.
DRIVERS_WITHOUT_ROTATION = frozenset(
    {"awslogs", "fluentd", "gcplogs", "gelf", "journald", "logentries", "splunk", "syslog"}
)
ROTATION = ("max-size", "max-file")

_PROFILE_LIMIT = 4 * 1024 * 1024
_TLS_FILES = ("tlscacert", "tlscert", "tlskey")
_PLUGIN_SOCKETS = "/run/docker/plugins"
_PLUGIN_SPECIFICATIONS = ("/etc/docker/plugins", "/usr/lib/docker/plugins")
_DATA_ROOT = "/var/lib/docker"
_SUBORDINATE_IDS = ("/etc/subuid", "/etc/subgid")


def reference_problems(system: System, text: str) -> list[str]:
    """Sentences about what a daemon.json names and the host lacks; empty: nothing was found.

    :param text: the file's new content, valid JSON
    """
    settings = parse_json(text) if text.strip() else {}
    return [
        *_named_by_every_daemon(system, settings),
        *plugin_problems(system, settings),
        *_remap_problems(system, settings.get("userns-remap")),
    ]


def user_reference_problems(reader: Reader, text: str) -> list[str]:
    """As `reference_problems`, of the daemon.json of a user's own daemon, who reads what it names.

    It is not remapped, and has its plugins in a /run of its own, which nobody else sees.
    """
    return _named_by_every_daemon(reader, parse_json(text) if text.strip() else {})


def _named_by_every_daemon(reader: Reader, settings: Mapping[str, Any]) -> list[str]:
    return [
        *profile_problems(reader, settings.get("seccomp-profile")),
        *_tls_problems(reader, settings),
        *_rotation_problems(settings),
    ]


def profile_problems(reader: Reader, profile: Any) -> list[str]:
    """What is wrong with a seccomp profile that a file or a flag names by its absolute path."""
    if not isinstance(profile, str) or not profile.startswith("/"):
        return []
    try:
        text = reader.read_text(profile, limit=_PROFILE_LIMIT)
    except PortError as error:
        return [f"seccomp-profile: {error}"]
    try:
        document = parse_json(text)
    except PortError as error:
        return [f"seccomp-profile: {profile}: {error}"]
    if not isinstance(document, dict) or "defaultAction" not in document:
        return [
            f"seccomp-profile: {profile}: found no profile in it, accepted is an object with defaultAction"
        ]
    return []


def _tls_problems(reader: Reader, settings: Mapping[str, Any]) -> Iterator[str]:
    """The engine reads these files whether or not it listens on TCP."""
    if not (settings.get("tls") or settings.get("tlsverify")):
        return
    for name in _TLS_FILES:
        path = settings.get(name)
        if not path or (name == "tlscacert" and not settings.get("tlsverify")):
            continue
        try:
            reader.read_text(str(path))
        except PortError as error:
            yield f"{name}: {error}"


def plugin_problems(system: System, settings: Mapping[str, Any]) -> Iterator[str]:
    """The authorization plugins that the engine would not find: it ends at a start, and at a reload too."""
    for name in settings.get("authorization-plugins") or ():
        if not _has_own_plugin(system, str(name)) and not _has_managed_plugin(system, str(name), settings):
            yield (
                f"authorization-plugins: {name}: found neither its socket in {_PLUGIN_SOCKETS}, nor a "
                f"specification in {' or '.join(_PLUGIN_SPECIFICATIONS)}, nor an enabled plugin of the "
                "engine; start the plugin first"
            )


def _has_own_plugin(system: System, name: str) -> bool:
    places = [(_PLUGIN_SOCKETS, "sock")]
    places += [(place, ending) for place in _PLUGIN_SPECIFICATIONS for ending in ("spec", "json")]
    return any(
        system.exists(f"{place}/{middle}{name}.{ending}")
        for place, ending in places
        for middle in ("", f"{name}/")
    )


def _has_managed_plugin(system: System, name: str, settings: Mapping[str, Any]) -> bool:
    """Whether the engine itself keeps such a plugin, in the store of one of its ranges of ids."""
    root = str(settings.get("data-root") or _DATA_ROOT)
    stores = [root, *(f"{root}/{entry}" for entry in _entries(system, root) if "." in entry)]
    for store in stores:
        for identifier in _entries(system, f"{store}/plugins"):
            if _is_enabled(system, f"{store}/plugins/{identifier}/config.json", {name, f"{name}:latest"}):
                return True
    return False


def _entries(system: System, directory: str) -> list[str]:
    try:
        return system.list_directory(directory)
    except PortError:
        return []  # what cannot be read is not there for the engine either


def _is_enabled(system: System, path: str, names: set[str]) -> bool:
    try:
        plugin = parse_json(system.read_text(path))["plugin"]
        return plugin["Name"] in names and plugin["Enabled"] is True
    except (PortError, KeyError, TypeError):
        return False


def _remap_problems(system: System, remap: Any) -> Iterator[str]:
    """An account without subordinate ids; for `default` the engine makes both itself."""
    account = str(remap or "").partition(":")[0]
    if account in ("", "default") or account.isdigit():
        return
    for path in _SUBORDINATE_IDS:
        try:
            lines = system.read_text(path).splitlines()
        except PortError as error:
            yield f"userns-remap: {error}"
            continue
        # a line may name an account by its number as well
        if not any(line.startswith(f"{account}:") or line[:1].isdigit() for line in lines):
            yield f"userns-remap: {account}: found no range of subordinate ids for it in {path}"


def _rotation_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Options that the log driver refuses at the start, whoever wrote the one and the other."""
    options, driver = settings.get("log-opts"), settings.get("log-driver")
    found = [name for name in ROTATION if isinstance(options, Mapping) and name in options]
    if found and str(driver) in DRIVERS_WITHOUT_ROTATION:
        yield (
            f"log-opts: found {', '.join(found)} together with the log driver {driver}, with which the "
            "engine does not start; accepted are the drivers json-file and local, or log-opts without them"
        )
