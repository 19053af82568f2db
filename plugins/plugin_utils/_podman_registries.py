# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registries of a policy as keys of registries.conf, and what Podman would refuse of them.

One bad table makes every command of Podman fail, `podman info` too (tried with 3.0.1 to 6.1.1), so that
all is checked here. Source: ``postProcessRegistries`` in ``pkg/sysregistriesv2`` of image 5.10.3 to 5.41.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_keys import (
    check_key,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_state import Effective

__all__ = ["RegistryKeys", "registry_keys"]

_MEMBERS = ("search", "short_name_mode", "blocked", "mirrored")
_MIRRORED = ("prefix", "location", "mirrors", "digest_only")
_MIRROR = ("location", "pull_from_mirror")
_PULLS = ("all", "digest-only", "tag-only")
_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d+)?"
_LOCATION = re.compile(rf"{_HOST}(?:/[a-z0-9._-]+)*(?::[\w.-]+|@sha256:[0-9a-f]+)?", re.IGNORECASE)
_SEARCHED = re.compile(_HOST, re.IGNORECASE)
_WILDCARD = re.compile(r"\*(?:\.[a-z0-9-]+)+", re.IGNORECASE)


@dataclass
class RegistryKeys:
    """Keys of the file, what was left out, and what is refused."""

    keys: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def registry_keys(
    settings: Mapping[str, Any], effective: Effective, version: str, *, strict: bool
) -> RegistryKeys:
    """The keys for registries.conf.

    :param settings: ``search``, ``short_name_mode``, ``blocked`` (prefixes) and ``mirrored`` (objects of
        ``prefix``, ``location``, ``mirrors`` and ``digest_only``)
    :param effective: what the files of others say
    :param strict: take the permission from registries of others that may be spoken to without verified TLS
    """
    made = RegistryKeys()
    for name in settings:
        if name not in _MEMBERS:
            made.problems.append(f"registries: found {name}, accepted are: {', '.join(_MEMBERS)}.")
    _search(made, settings, effective, version, strict=strict)
    tables: dict[str, dict[str, Any]] = {}
    for prefix in _listed(made, settings, "blocked"):
        _add(made, tables, {"prefix": prefix, "blocked": True}, "blocked", version)
    for entry in _listed(made, settings, "mirrored"):
        _mirrored(made, tables, entry, version)
    _secured(made, tables, effective, strict=strict)
    _refuse_contradictions(made, tables)
    if tables:
        made.keys["registry"] = list(tables.values())
    return made


def _search(
    made: RegistryKeys, settings: Mapping[str, Any], effective: Effective, version: str, *, strict: bool
) -> None:
    if "search" in settings:
        places = settings["search"]
        if not isinstance(places, list) or not all(_matches(_SEARCHED, place) for place in places):
            made.problems.append(
                f"registries.search: found {places!r}, accepted is a list of hosts such as [docker.io]."
            )
        made.keys["unqualified-search-registries"] = places
    mode = settings.get("short_name_mode")
    if mode is None and strict:
        found = effective.keys.get(("short-name-mode",))
        mode = "enforcing" if found is None or found.value != "enforcing" else None
    if mode is not None:
        problem = check_key(("short-name-mode",), mode, version)
        made.problems += [f"registries: {problem}"] if problem else []
        made.keys["short-name-mode"] = mode


def _listed(made: RegistryKeys, settings: Mapping[str, Any], name: str) -> list[Any]:
    value = settings.get(name) or []
    if isinstance(value, list):
        return value
    made.problems.append(f"registries.{name}: found {value!r}, accepted is a list.")
    return []


def _mirrored(made: RegistryKeys, tables: dict[str, dict[str, Any]], entry: Any, version: str) -> None:
    if not isinstance(entry, Mapping) or "prefix" not in entry or set(entry) - set(_MIRRORED):
        made.problems.append(
            f"registries.mirrored: found {entry!r}, accepted is an object with prefix and, where they are "
            f"wanted, {', '.join(_MIRRORED[1:])}."
        )
        return
    mirrors = []
    for mirror in entry.get("mirrors") or []:
        if isinstance(mirror, str):
            mirror = {"location": mirror}
        if not isinstance(mirror, Mapping) or set(mirror) - set(_MIRROR):
            made.problems.append(
                f"registries.mirrored: {entry['prefix']}: found the mirror {mirror!r}, accepted are its "
                "location and pull_from_mirror. A mirror without verified TLS is not set up by this role."
            )
            continue
        mirrors += _mirror(made, entry, mirror, version)
    table: dict[str, Any] = {"prefix": entry["prefix"]}
    if "location" in entry:
        table["location"] = entry["location"]
    if entry.get("digest_only"):
        table["mirror-by-digest-only"] = True
    if mirrors:
        table["mirror"] = mirrors
    _add(made, tables, table, "mirrored", version)


def _mirror(
    made: RegistryKeys, entry: Mapping[str, Any], mirror: Mapping[str, Any], version: str
) -> list[dict[str, Any]]:
    where, location, pulls = (
        f"registries.mirrored: {entry['prefix']}",
        mirror.get("location"),
        mirror.get("pull_from_mirror"),
    )
    if not _matches(_LOCATION, location):
        made.problems.append(f"{where}: found the mirror {location!r}, accepted is HOST[:PORT][/PATH].")
    if pulls is None:
        return [{"location": location}]
    if pulls not in _PULLS:
        made.problems.append(
            f"{where}: pull_from_mirror: found {pulls!r}, accepted is one of: {', '.join(_PULLS)}."
        )
    if entry.get("digest_only"):
        made.problems.append(f"{where}: found digest_only and pull_from_mirror, accepted is one of them.")
    if parse_version(version) < (4, 3):
        made.notices.append(f"{where}: pull_from_mirror: left out: Podman {version} does not know it.")
        return [{"location": location}]
    return [{"location": location, "pull-from-mirror": pulls}]


def _add(
    made: RegistryKeys, tables: dict[str, dict[str, Any]], table: dict[str, Any], member: str, version: str
) -> None:
    """Add a table; Podman wants a location in each but those whose prefix is a wildcard."""
    prefix = table["prefix"]
    if _matches(_WILDCARD, prefix):
        if parse_version(version) < (4, 3):
            made.notices.append(
                f"registries.{member}: {prefix}: left out: Podman {version} has no wildcards."
            )
            return
    elif not _matches(_LOCATION, prefix):
        made.problems.append(
            f"registries.{member}: found {prefix!r}, accepted is HOST[:PORT][/PATH], or *.DOMAIN."
        )
        return
    else:
        table = {"prefix": prefix, "location": prefix, **table}
    if prefix in tables:
        made.problems.append(
            f"registries.{member}: found {prefix} twice, accepted is one entry for a prefix."
        )
    if "location" in table and not _matches(_LOCATION, table["location"]):
        made.problems.append(
            f"registries.{member}: {prefix}: found the location {table['location']!r}, accepted is "
            "HOST[:PORT][/PATH]."
        )
    tables[prefix] = table


def _secured(
    made: RegistryKeys, tables: dict[str, dict[str, Any]], effective: Effective, *, strict: bool
) -> None:
    """Registries of others without verified TLS: taken over without it, or named."""
    for prefix, found in effective.registries.items():
        mirrors = [dict(item) for item in found.value.get("mirror") or [] if isinstance(item, Mapping)]
        careless = found.value.get("insecure") is True or any(
            item.get("insecure") is True for item in mirrors
        )
        if not careless or prefix in tables:
            continue
        if not strict:
            made.notices.append(
                f"registries: {found.path} lets {prefix} be spoken to without verified TLS. The profile "
                "strict takes that away."
            )
            continue
        table = {name: value for name, value in found.value.items() if name not in ("insecure", "mirror")}
        if mirrors:
            table["mirror"] = [{name: item[name] for name in item if name != "insecure"} for item in mirrors]
        tables[prefix] = {**table, "insecure": False}


def _refuse_contradictions(made: RegistryKeys, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Within one file, tables of one location agree on ``blocked`` and ``insecure``, or Podman stops."""
    by_location: dict[Any, Mapping[str, Any]] = {}
    for prefix, table in tables.items():
        other = by_location.setdefault(table.get("location", prefix), table)
        if bool(other.get("blocked")) != bool(table.get("blocked")):
            made.problems.append(
                f"registries: found {other['prefix']} and {prefix} with one location and one of them "
                "blocked; accepted is that all prefixes of a location are blocked, or none."
            )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
