# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``/etc/containers/registries.d``: where signatures of a registry lie.

Only the most specific scope of an image applies, nothing is inherited from those above it; a scope that
stands in two files makes every pull fail. A mirror is looked up by its own location, not by the name that
was asked for (containers/image ``docker/docker_image_src.go``). Source: containers-registries.d(5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

__all__ = ["REGISTRIES_D_PATH", "Lookups", "parse_lookups"]

REGISTRIES_D_PATH = "/etc/containers/registries.d/50-bulkhead.yaml"


def parse_lookups(text: str) -> dict[str, Any]:
    """The document of a file in registries.d; raises `ValueError` when it is none."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("it is not YAML") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ValueError("it is not a mapping")
    docker = document.get("docker")
    if docker is not None and not isinstance(docker, dict):
        raise ValueError("docker: it is not a mapping")
    return document


class Lookups:
    """The lookups that are wanted, beside those that others have written."""

    def __init__(self, *, old_names: bool) -> None:
        self.wanted: dict[str, Any] = {}
        self.problems: list[str] = []
        self._others: dict[str, str] = {}
        self._default: dict[str, Any] = {}
        self._lookaside = "sigstore" if old_names else "lookaside"

    @classmethod
    def of(cls, files: Mapping[str, str], *, old_names: bool) -> Lookups:
        """Read what is there.

        :param files: path -> text
        :param old_names: whether the release says `sigstore` for `lookaside` (before Podman 4.2)
        """
        made = cls(old_names=old_names)
        for path, text in files.items():
            if path == REGISTRIES_D_PATH:
                continue
            try:
                document = parse_lookups(text)
            except ValueError as error:
                made.problems.append(f"{path}: {error}; every pull fails on this host now")
                continue
            made._others.update({str(scope): path for scope in document.get("docker") or {}})
            made._default = document.get("default-docker") or made._default
        return made

    def add(self, scope: str, *, lookaside: str | None, sigstore: bool) -> str | None:
        """Want signatures of a scope to be looked for; what is wrong with it, or ``None``."""
        if scope in self._others:
            return (
                f"{self._others[scope]} has docker: {scope} already, and a scope may stand in one file only; "
                "take it out there"
            )
        entry: dict[str, Any] = {}
        if lookaside:
            entry[self._lookaside] = lookaside
        if sigstore:
            entry["use-sigstore-attachments"] = True
        scopes = self.wanted.setdefault("docker", {})
        if scopes.get(scope, entry) != entry:
            return f"{scope} gets two different lookups"
        scopes[scope] = entry
        return None

    def hidden_by(self, scope: str, lookaside: str | None) -> list[str]:
        """What no longer applies below a scope because nothing is inherited."""
        found = self._default.get("lookaside") or self._default.get("sigstore")
        if lookaside or not found:
            return []
        return [f"{scope}: default-docker's lookaside does not apply there any more; name it in the scope"]
