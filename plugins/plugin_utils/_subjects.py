# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controls are about on a host: itself, its engines, each user, container and network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expression_operations import (
    FactError,
    NotApplicableFact,
    attribute,
    refuse_marker,
    truth,
)

__all__ = ["Subject", "host_subject", "subjects_of"]

_SHARED = ("host", "kernel", "docker", "podman", "rootless", "rootless_engines", "containers", "bulkhead")


@dataclass(frozen=True)
class Subject:
    """One thing that a control judges, and the facts that its expressions see."""

    kind: str
    name: str
    engine: str | None
    user: str | None
    facts: Mapping[str, Any]

    def as_fact(self) -> dict[str, str | None]:
        return {"kind": self.kind, "name": self.name, "engine": self.engine, "user": self.user}


def host_subject(posture: Mapping[str, Any], host: str) -> Subject:
    facts = {name: posture[name] for name in _SHARED if name in posture}
    return Subject("host", host, None, None, facts)


def subjects_of(kind: str, on_host: Subject) -> list[Subject]:
    """The subjects of a kind, at least one.

    :raises NotApplicableFact: the host has none, for example no container
    :raises FactError: it cannot be said which there are
    """
    if kind == "host":
        return [on_host]
    if kind in ("docker", "podman"):
        return [_engine(kind, on_host)]
    if kind == "user":
        return _users(on_host)
    if kind == "container":
        return _containers(on_host)
    return _networks(on_host)


def _engine(kind: str, on_host: Subject) -> Subject:
    engine = attribute(on_host.facts, kind, kind)
    if not truth(attribute(engine, "installed", f"{kind}.installed"), f"{kind}.installed"):
        raise NotApplicableFact(f"{kind.capitalize()} is not installed")
    if engine.get("packaging") == "snap":
        raise FactError(f"{kind.capitalize()} comes from a snap, of which nothing is read")
    return Subject("engine", kind, kind, "root", on_host.facts)


def _users(on_host: Subject) -> list[Subject]:
    """The users of rootless engines, and the accounts of which it cannot be said whether they are."""
    none = "no user runs a rootless engine"
    rootless = attribute(on_host.facts, "rootless", "rootless")
    users = _members(rootless, "users", "rootless.users", none)
    judged = [user for user in users if user.get("judged") is not False]
    if not judged:
        raise NotApplicableFact(none)
    return [
        Subject(
            "user",
            _text(user.get("name")) or "(no name)",
            None,
            _text(user.get("name")),
            {**on_host.facts, "user": user},
        )
        for user in judged
    ]


def _containers(on_host: Subject) -> list[Subject]:
    containers = _members(on_host.facts, "containers", "containers", "no container is running")
    return [
        Subject(
            "container",
            _text(container.get("name")) or _text(container.get("short_id")) or "(no name)",
            _text(container.get("engine")),
            _text(container.get("user")),
            {**on_host.facts, "container": container},
        )
        for container in containers
    ]


def _networks(on_host: Subject) -> list[Subject]:
    docker = _engine("docker", on_host).facts["docker"]
    if not truth(attribute(docker, "running", "docker.running"), "docker.running"):
        raise NotApplicableFact("Docker is not running")
    networks = _members(docker, "networks", "docker.networks", "Docker has no bridge network")
    return [
        Subject(
            "network",
            _text(network.get("name")) or "(no name)",
            "docker",
            "root",
            {**on_host.facts, "network": network},
        )
        for network in networks
    ]


def _members(owner: Mapping[str, Any], key: str, path: str, none: str) -> list[Mapping[str, Any]]:
    members = attribute(owner, key, path)
    refuse_marker(members, path)
    if not isinstance(members, list):
        raise FactError(f"{path} is no list")
    for member in members:
        refuse_marker(member, f"{path}[]")
        if not isinstance(member, Mapping):
            raise FactError(f"{path}[] is no mapping")
    if not members:
        raise NotApplicableFact(none)
    return members


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
