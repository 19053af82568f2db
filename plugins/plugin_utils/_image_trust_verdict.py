# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the wanted policy is what a host has, who goes past it, and which mirrors it does not reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomllib
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import (
    POLICY_PATH,
    ContainersPolicyError,
    parse_policy,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._registries_d import (
    REGISTRIES_D_PATH,
    parse_lookups,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import leaves

__all__ = ["mirrors_without_signatures", "judge_trust"]


def judge_trust(
    facts: Mapping[str, Any], files: Sequence[Mapping[str, Any]], proofs: Sequence[Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """`{in_force, failed, unenforceable, proven, unproven}`.

    An own policy of root's is a failure, for it is the one account whose files are the host's.
    """
    found: dict[str, list[Any]] = {
        name: [] for name in ("in_force", "failed", "unenforceable", "proven", "unproven")
    }
    for file in files:
        document = _document(facts, file["path"])
        for path, wanted in leaves(file["keys"]).items():
            holds = not isinstance(document, str) and _at(document, path) == wanted
            name = f"{file['path']}: {' '.join(part or '(all)' for part in path)}"
            if holds:
                found["in_force"].append(name)
            else:
                why = document if isinstance(document, str) else "it holds another value"
                found["failed"].append(f"{name}: {why}")
    if any(file["keys"] for file in files):
        _own_policies(facts, found)
    for proof in proofs:
        if proof["proven"]:
            found["proven"].append(proof["reference"])
        else:
            text = f"{proof['reference']}: wanted {proof['wanted']}, found {proof['found']} {proof['said']}"
            found["unproven" if proof["found"] == "error" else "failed"].append(text.strip())
    return found


def _own_policies(facts: Mapping[str, Any], found: dict[str, list[Any]]) -> None:
    for account in facts["accounts"]:
        own, path = account["own_policy"], account["own_policy_path"]
        if own is False:
            continue
        if own is True:
            why = f"{path} goes before the host's policy for what {account['user']} pulls"
        else:
            why = f"{path} could not be read: {own['unreadable']}"
        if account["uid"] == 0:
            found["failed"].append(why)
        else:
            found["unenforceable"].append({"user": account["user"], "reason": why})


def _document(facts: Mapping[str, Any], path: str) -> dict[str, Any] | str:
    """The document of a file, or why there is none."""
    if path == POLICY_PATH:
        if facts["policy"] is None:
            return "it is not there"
        try:
            return parse_policy(facts["policy"])
        except ContainersPolicyError as error:
            return str(error)
    if path not in facts["registries_d"]:
        return "it is not there"
    try:
        return parse_lookups(facts["registries_d"][path])
    except ValueError as error:
        return str(error)


def _at(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


# Type of a requirement -> what is looked for, by which options of registries.d (containers-registries.d(5)).
_LOOKED_FOR = {
    "sigstoreSigned": ("sigstore attachments", ("use-sigstore-attachments",)),
    "signedBy": ("GPG signatures", ("lookaside", "sigstore")),
}


def mirrors_without_signatures(facts: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about mirrors of scopes that need signatures, where none are looked for.

    The policy goes by the name that was asked for, the lookup of signatures by the mirror's own location. A
    registry without a lookaside may hand out GPG signatures itself, so that its mirrors are not judged.
    """
    policy = next(file["keys"] for file in files if file["path"] == POLICY_PATH)
    signed = [
        (scope, requirement["type"])
        for scope, requirements in policy.get("transports", {}).get("docker", {}).items()
        for requirement in requirements
        if requirement["type"] in _LOOKED_FOR
    ]
    if not signed:
        return []
    lookups = dict(
        next(file["keys"] for file in files if file["path"] == REGISTRIES_D_PATH).get("docker", {})
    )
    for path, text in facts["registries_d"].items():
        if path != REGISTRIES_D_PATH:
            lookups.update(parse_lookups(text).get("docker") or {})
    return [
        f"{prefix} is pulled from {location}, where no {what} are looked for: every pull from there is "
        "refused; name it in mirrors of the scope"
        for prefix, location in _locations(facts["registries_conf"])
        for kind, (what, options) in _LOOKED_FOR.items()
        if any(_overlap(prefix, scope) for scope, of_kind in signed if of_kind == kind)
        and not _looks(lookups, location, options)
        and (kind == "sigstoreSigned" or _looks(lookups, prefix, options))
    ]


def _locations(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(prefix, physical location) of every remapped or mirrored registry."""
    for text in files.values():
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            continue  # the role podman_policy refuses such a file
        for registry in _tables(document, "registry"):
            prefix = str(registry.get("prefix") or registry.get("location") or "")
            for place in (registry, *_tables(registry, "mirror")):
                location = str(place.get("location") or "")
                if location and location != prefix:
                    yield prefix, location


def _tables(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The tables of an array of them. With anything else in its place Podman pulls nothing from anywhere."""
    found = holder.get(name)
    return [table for table in found if isinstance(table, Mapping)] if isinstance(found, list) else []


def _overlap(one: str, other: str) -> bool:
    return other == "" or one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _looks(lookups: Mapping[str, Any], location: str, options: Sequence[str]) -> bool:
    """Whether the most specific entry for a location has one of these options."""
    name = location
    while name:
        if name in lookups:
            return any((lookups[name] or {}).get(option) for option in options)
        name = name.rpartition("/")[0]
    return False
