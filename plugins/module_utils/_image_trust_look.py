# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What decides on a host which images are trusted, and which images are there; nothing is started for it.

Images are read from the storage's own list (containers/storage ``images.go``), not asked of Podman, which
makes files for an account that never ran it. What lies in a home is read as its user and believed no more
than the user is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import POLICY_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable, unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import read_as

__all__ = ["look_at_trust"]

ReadAs = Callable[[int, int, str, int], Optional[bytes]]

_ETC = "/etc/containers"
_REGISTRIES_D = f"{_ETC}/registries.d"
_PROGRAMS = ("podman", "skopeo")
_ROOT_STORAGE = "/var/lib/containers/storage"
_USER_STORAGE = ".local/share/containers/storage"
_DRIVERS = ("overlay", "vfs", "btrfs", "zfs")
_POLICY_LIMIT = 1024 * 1024
_IMAGES_LIMIT = 16 * 1024 * 1024
_NAMES = 10_000
_VERSION = re.compile(r"version (\d+(?:\.\d+)*)")
_GRAPHROOT = re.compile(r"""^\s*graphroot\s*=\s*["'](/[^"']+)["']""", re.MULTILINE)


def look_at_trust(system: System, users: Sequence[str], *, read_user: ReadAs = read_as) -> dict[str, Any]:
    """The facts of the module `image_trust_info`.

    :param users: names of accounts beside root
    :raises PortError: a file of the host's own is there and cannot be read, or an account is not there
    """
    return {
        "policy": _text(system, POLICY_PATH),
        "registries_d": _texts(system, _REGISTRIES_D, (".yaml",)),
        "registries_conf": {
            **_present(system, f"{_ETC}/registries.conf"),
            **_texts(system, f"{_ETC}/registries.conf.d", (".conf",)),
        },
        "versions": {name: _version(system, name) for name in _PROGRAMS},
        "accounts": [_account(system, name, read_user) for name in ("root", *users)],
    }


def _text(system: System, path: str) -> str | None:
    try:
        return system.read_text(path, limit=_POLICY_LIMIT)
    except NotThere:
        return None


def _present(system: System, path: str) -> dict[str, str]:
    text = _text(system, path)
    return {} if text is None else {path: printable(text, limit=_POLICY_LIMIT)}


def _texts(system: System, directory: str, endings: tuple[str, ...]) -> dict[str, str]:
    try:
        names = system.list_directory(directory)
    except NotThere:
        return {}
    found: dict[str, str] = {}
    for name in names:
        if name.endswith(endings):
            found.update(_present(system, f"{directory}/{name}"))
    return found


def _version(system: System, name: str) -> str | None:
    program = system.find_program(name)
    if program is None:
        return None
    match = _VERSION.search(system.run([program, "--version"], timeout=30).stdout)
    return match[1] if match else None


def _account(system: System, name: str, read_user: ReadAs) -> dict[str, Any]:
    account = system.account_named(name)

    def read(path: str, limit: int) -> bytes | None:
        if account.pw_uid:
            return read_user(account.pw_uid, account.pw_gid, path, limit)
        try:
            return system.read_bytes(path, limit=limit)
        except NotThere:
            return None

    own = f"{account.pw_dir}/.config/containers/policy.json"
    storage = f"{account.pw_dir}/{_USER_STORAGE}" if account.pw_uid else _root_storage(system)
    return {
        "user": account.pw_name,
        "uid": account.pw_uid,
        "own_policy_path": own,
        "own_policy": _attempt(lambda: _is_there(read(own, _POLICY_LIMIT))),
        "images": _attempt(lambda: _images(read, storage)),
    }


def _attempt(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except BulkheadError as error:
        return unreadable(error)


def _is_there(content: bytes | None) -> bool:
    return content is not None


def _root_storage(system: System) -> str:
    match = _GRAPHROOT.search(_text(system, f"{_ETC}/storage.conf") or "")
    return match[1] if match else _ROOT_STORAGE


def _images(read: Callable[[str, int], Optional[bytes]], storage: str) -> list[str]:
    """The names of all images, sorted."""
    names: set[str] = set()
    for driver in _DRIVERS:
        content = read(f"{storage}/{driver}-images/images.json", _IMAGES_LIMIT)
        if content is None:
            continue
        try:
            images = json.loads(content)
        except (ValueError, RecursionError):
            raise PortError(f"{storage}/{driver}-images/images.json: it is not JSON") from None
        for image in images if isinstance(images, list) else []:
            found = image.get("names") if isinstance(image, dict) else None
            texts = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
            names.update(printable(name, limit=512) for name in texts)
    return sorted(names)[:_NAMES]
