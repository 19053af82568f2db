# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's rootless Podman: what applies to it, and which files of the user's own override the host's.

Which files are read, and in which order: `_podman_files`. A user can always override what the host says, by
these files or on the command line, so that the facts are what applies as long as the user leaves it.
"""

from __future__ import annotations

import pwd
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt, printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import (
    USER_DROP_IN,
    Account,
    Reader,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_image_trust import trust_of_policy
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_podman_settings import (
    ConfigurationFiles,
    settings_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_survey import Survey
from ansible_collections.bulkhead.hardening.plugins.module_utils._registries_conf import (
    Registries,
    merge_registries,
    read_tables,
)

__all__ = ["PODMAN_DROP_INS", "PODMAN_FILES", "PODMAN_PLACES", "HostPodman", "rootless_podman"]

_STORAGE = ".local/share/containers/storage"
_DIRECTORY = ".config/containers"
_KINDS = ("containers", "registries", "storage")
_POLICY = f"{_DIRECTORY}/policy.json"
PODMAN_FILES = (*(f"{_DIRECTORY}/{kind}.conf" for kind in _KINDS), _POLICY)
PODMAN_DROP_INS = {f"{_DIRECTORY}/{kind}.conf.d": ".conf" for kind in _KINDS}
PODMAN_PLACES = (_STORAGE,)
_KEYS_SHOWN = 50


@dataclass(frozen=True)
class HostPodman:
    """Root's side, read once for all accounts.

    :ivar version: of Podman, or why it is not known; None: it is not installed, and nothing applies
    :ivar policy: the text of the host's policy.json; None: there is none
    """

    version: Any
    containers: ConfigurationFiles
    registries: ConfigurationFiles
    policy: Any


def rootless_podman(
    account: pwd.struct_passwd, home: Survey, host: HostPodman, socket: Any
) -> dict[str, Any]:
    """The fact `podman` of an account."""
    storage = attempt(lambda: home.exists(_STORAGE))
    registries = attempt(lambda: _registries(account, home, host))
    known = isinstance(registries, Registries)
    own_policy = attempt(lambda: home.text(_POLICY))
    policy = host.policy if own_policy is None else own_policy
    trust = trust_of_policy(policy) if policy is None or isinstance(policy, str) else None
    return {
        "storage": storage,
        "socket": socket,
        "overrides": attempt(lambda: _overrides(home)),
        "settings": attempt(lambda: _settings(account, home, host)),
        "own_image_policy": own_policy if isinstance(own_policy, dict) else own_policy is not None,
        "image_policy_default": policy if trust is None else _default(trust),
        "unqualified_search_registries": registries.unqualified_search if known else registries,
        "insecure_registries": registries.insecure if known else registries,
        "short_name_mode": registries.short_name_mode if known else registries,
    }


def _default(trust: dict[str, Any]) -> Any:
    return trust["default"] if trust["valid"] else {"unreadable": trust["error"]}


def _overrides(home: Survey) -> list[dict[str, Any]]:
    """The user's own files, with the keys in them; what this collection put there does not count."""
    found = []
    for kind in _KINDS:
        for path in _own_files(home, kind):
            text = home.text(path)
            if text is None or path.endswith(f"/{USER_DROP_IN}"):
                continue
            keys = [
                f"{table}.{key}".lstrip(".") for table, values in read_tables(path, text) for key in values
            ]
            if keys:
                shown = [printable(key, limit=100) for key in keys[:_KEYS_SHOWN]]
                found.append({"file": kind, "path": printable(path, limit=300), "keys": shown})
    return found


def _own_files(home: Survey, kind: str) -> list[str]:
    main = f"{_DIRECTORY}/{kind}.conf"
    return [main, *home.below(f"{main}.d")]


def _own_texts(account: pwd.struct_passwd, home: Survey, kind: str) -> dict[str, str]:
    texts = {path: home.text(path) for path in _own_files(home, kind)}
    return {f"{account.pw_dir}/{path}": text for path, text in texts.items() if text is not None}


def _reader(host: HostPodman) -> Reader:
    if not isinstance(host.version, str):
        raise PortError("the version of Podman is not known, and with it which files are read")
    return Reader(host.version, storage_drop_ins=False)


def _record(account: pwd.struct_passwd) -> Account:
    return Account(account.pw_name, account.pw_uid, account.pw_dir)


def _settings(account: pwd.struct_passwd, home: Survey, host: HostPodman) -> dict[str, Any]:
    own = _own_texts(account, home, "containers")
    return settings_of(host.containers, _reader(host), _record(account), own)


def _registries(account: pwd.struct_passwd, home: Survey, host: HostPodman) -> Registries:
    own = _own_texts(account, home, "registries")
    paths = [*host.registries.paths(account.pw_uid), *own]
    order = _reader(host).reading_order("registries", paths, _record(account))
    merged = merge_registries(
        (path, own[path] if path in own else host.registries.text(path)) for path in order
    )
    return Registries(
        [printable(name, limit=300) for name in merged.unqualified_search],
        [printable(name, limit=300) for name in merged.insecure],
        printable(merged.short_name_mode, limit=100),
    )
