# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What decisions about Podman need to know of a host, and what its configuration files say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomllib
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import ROOT, Account, Reader
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import KeyPath, leaves

__all__ = ["Effective", "Found", "PodmanPolicyError", "PodmanState"]


class PodmanPolicyError(BulkheadError):
    """What was asked of Podman's policy is not possible; nothing was changed."""


@dataclass(frozen=True)
class Found:
    """A value and the file that it comes from."""

    value: Any
    path: str


@dataclass(frozen=True)
class Effective:
    """What the files of one kind say together, for one account.

    :ivar keys: by table and key; of several files the last one's value
    :ivar registries: the ``[[registry]]`` tables by their prefix
    :ivar unreadable: path -> why it could not be read or is no TOML
    :ivar order: the paths that were read, in their order
    """

    keys: Mapping[KeyPath, Found]
    registries: Mapping[str, Found]
    unreadable: Mapping[str, str]
    order: Sequence[str]


@dataclass(frozen=True)
class PodmanState:
    """Podman on one host.

    :ivar reader: its release
    :ivar info: account -> the document of ``podman info --format json``, where it is known
    :ivar files: path -> text of every file that a Podman here could read; ``None``: it could not be read
    :ivar accounts: the users, and root, by name
    :ivar auto_userns_ids: whether the user ``containers`` has subordinate ids; ``None``: not known
    """

    reader: Reader
    info: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, str | None]
    accounts: Mapping[str, Account]
    auto_userns_ids: bool | None
    _parsed: dict[str, Mapping[str, Any] | str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> PodmanState:
        """Read what was gathered on the host.

        :param facts: ``info`` of root's Podman, ``files``, and where they are known ``version``, ``users`` (a
            list of ``name``, ``uid``, ``home`` and ``info``) and ``auto_userns_ids``
        :raises PodmanPolicyError: there is no version
        """
        info = facts.get("info") or {}
        version = str(facts.get("version") or info.get("version", {}).get("Version", ""))
        try:
            pooled = parse_version(version) >= (6,)
        except ValueError as error:
            raise PodmanPolicyError(
                f"podman: found no version ({version!r}), accepted is the answer of podman info. "
                "Nothing was changed."
            ) from error
        store = info.get("store") or {}
        users = facts.get("users") or []
        accounts = {ROOT.name: ROOT}
        accounts.update(
            (user["name"], Account(user["name"], int(user["uid"]), user["home"])) for user in users
        )
        return cls(
            reader=Reader(version, pooled or bool(store) and "configFile" not in store),
            info={ROOT.name: info, **{user["name"]: user.get("info") or {} for user in users}},
            files=facts.get("files") or {},
            accounts=accounts,
            auto_userns_ids=facts.get("auto_userns_ids"),
        )

    @property
    def version(self) -> str:
        return self.reader.version

    def effective(self, file: str, account: Account = ROOT, *, without: Sequence[str] = ()) -> Effective:
        """What the files say for the account, leaving some out (our own, to see what others want)."""
        paths = [path for path in self.files if path not in without]
        order = self.reader.reading_order(file, paths, account)
        keys: dict[KeyPath, Found] = {}
        registries: dict[str, Found] = {}
        unreadable: dict[str, str] = {}
        for path in order:
            document = self.document(path)
            if isinstance(document, str):
                unreadable[path] = document
                continue
            for key, value in leaves(document).items():
                if key == ("registry",):
                    registries.update(_registries(value, path))
                else:
                    keys[key] = Found(_joined(keys.get(key), value), path)
        return Effective(keys, registries, unreadable, order)

    def document(self, path: str) -> Mapping[str, Any] | str:
        """A file as it is parsed, or why it is not."""
        if path not in self._parsed:
            text = self.files.get(path)
            self._parsed[path] = "it could not be read" if text is None else _parsed(text)
        return self._parsed[path]

    def fact(self, account: Account, *names: str) -> Any:
        """A value in the account's podman info, ``None`` where it is not there."""
        value: Any = self.info.get(account.name)
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def _parsed(text: str) -> Mapping[str, Any] | str:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):  # its message quotes the file
        return "it is not TOML"


def _joined(before: Found | None, value: Any) -> Any:
    """A list that ends in ``{append = true}`` goes on from the one before (containers.conf(5))."""
    if not isinstance(value, list) or not value or not isinstance(value[-1], Mapping):
        return value
    elements = [item for item in value if not isinstance(item, Mapping)]
    earlier = before.value if before is not None and isinstance(before.value, list) else []
    return [*earlier, *elements] if value[-1].get("append") is True else elements


def _registries(tables: Any, path: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, Mapping):
            prefix = str(table.get("prefix") or table.get("location") or "")
            found.setdefault(prefix, Found(table, path))  # of one file the first counts
    return found
