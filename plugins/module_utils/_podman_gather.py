# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that a policy for Podman is decided from: its answers, and every file that it could read.

Which of the files a release reads, and in which order, `_podman_files` knows on the controller. A user's are
read as that user, and are their word.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._named_accounts import named_accounts
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import ETC, FILES, USR
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import subid_source
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UserFileError,
    look_as,
    read_as,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_session import UserSession

__all__ = ["PodmanGatherError", "gather_podman"]

_VARIABLES = "users (podman_policy_users, rootless_users_names)"
_INFO_SECONDS = 90.0  # the first one of an account takes several seconds on an emulated machine
_VERSION_SECONDS = 30.0
_FILE_LIMIT = 1024 * 1024
_NAMES_LIMIT = 64 * 1024
_STORAGE = ".local/share/containers"
_AUTO_USERNS_USER = "containers"  # storage.conf(5), root-auto-userns-user


class PodmanGatherError(BulkheadError):
    """Podman does not say what is needed."""


def gather_podman(system: System, names: Sequence[str], *, check_mode: bool) -> dict[str, Any]:
    """What is known of Podman on this host, for root and these users.

    ``podman info`` makes the storage of an account that never ran it. In check mode it runs only for
    accounts that have one.

    :return: `installed`; and `version`, `info`, `files` (path -> text, or None), `users`, `auto_userns_ids`
    :raises AccountError: a name is no account's; nothing was changed
    :raises PodmanGatherError: Podman does not say of which release it is
    """
    accounts = named_accounts(system, list(dict.fromkeys(names)), _VARIABLES)
    program = system.find_program("podman")
    if program is None:
        return {"installed": False}
    root = system.account(0)
    files = dict(_files_of_root(system, root))
    users = []
    for account in accounts:
        files.update(_files_of_user(account))
        info, reason = _info(system, program, account, make_storage=not check_mode)
        users.append(
            {
                "name": account.pw_name,
                "uid": account.pw_uid,
                "home": account.pw_dir,
                "info": info,
                "reason": reason,
            }
        )
    info, reason = _info(system, program, root, make_storage=True)
    return {
        "installed": True,
        "version": _version(system, program, info),
        "info": info,
        "reason": reason,
        "files": files,
        "users": users,
        "auto_userns_ids": _auto_userns_ids(system),
    }


def _version(system: System, program: str, info: Optional[dict[str, Any]]) -> str:
    """As the answer has it; with the command's own words where there is no answer."""
    said = (info or {}).get("version")
    if isinstance(said, dict) and isinstance(said.get("Version"), str):
        return str(said["Version"])
    completed = system.run([program, "--version"], timeout=_VERSION_SECONDS)
    match = re.fullmatch(r"podman version (\d\S*)\s*", completed.stdout)
    if match is None:
        raise PodmanGatherError(
            f"{program} --version: found {printable(completed.stdout[:80])!r}, accepted is "
            "'podman version N'. Nothing was changed."
        )
    return match[1]


def _info(
    system: System, program: str, account: pwd.struct_passwd, *, make_storage: bool
) -> tuple[Optional[dict[str, Any]], str]:
    """The document of ``podman info`` and "", or None and why there is none."""
    session = UserSession(system, account)
    reason = session.unavailable()
    if reason is not None:
        return None, reason
    try:
        if not make_storage and not _has_storage(account):
            return None, "this account has no storage of Podman's yet, and check mode makes none"
        completed = session.run([program, "info", "--format", "json"], timeout=_INFO_SECONDS)
    except BulkheadError as error:
        return None, printable(str(error))
    if completed.returncode != 0:
        said = completed.stderr.strip().splitlines()[-1:] or ["nothing"]
        return None, f"podman info ended with {completed.returncode}: {printable(said[0])}"
    try:
        document = json.loads(completed.stdout)
    except (ValueError, RecursionError):
        return None, "podman info: its answer is not JSON"
    if not isinstance(document, dict):
        return None, "podman info: its answer is no object"
    return document, ""


def _has_storage(account: pwd.struct_passwd) -> bool:
    path = f"{account.pw_dir}/{_STORAGE}"
    return look_as(account.pw_uid, account.pw_gid, path, lambda _directory: b"", 0) is not None


def _files_of_root(system: System, root: pwd.struct_passwd) -> Iterator[tuple[str, Optional[str]]]:
    """Below /etc, /usr and root's home, where root alone writes; drop-ins by user lie one deeper."""
    own = f"{root.pw_dir}/.config/containers"
    for base in (USR, ETC, own):
        for file in FILES:
            yield from _texts(system, [f"{base}/{file}.conf"])
            for kind in ("", ".rootful", ".rootless"):
                yield from _drop_ins(system, f"{base}/{file}{kind}.conf.d")
            yield from _texts(system, [f"{base}/{file}.rootless.conf"])


def _drop_ins(system: System, directory: str) -> Iterator[tuple[str, Optional[str]]]:
    with contextlib.suppress(NotThere):
        for name in system.list_directory(directory):
            if name.endswith(".conf"):
                yield from _texts(system, [f"{directory}/{name}"])
            elif name.isdigit() and ".rootless." in directory:
                yield from _drop_ins(system, f"{directory}/{name}")


def _texts(system: System, paths: Sequence[str]) -> Iterator[tuple[str, Optional[str]]]:
    for path in paths:
        try:
            yield path, system.read_bytes(path, limit=_FILE_LIMIT).decode("utf-8")
        except NotThere:
            continue
        except (PortError, UnicodeDecodeError):
            yield path, None


def _files_of_user(account: pwd.struct_passwd) -> Iterator[tuple[str, Optional[str]]]:
    base = f"{account.pw_dir}/.config/containers"
    for file in FILES:
        paths = [f"{base}/{file}.conf"]
        directory = f"{base}/{file}.conf.d"
        try:
            names = look_as(account.pw_uid, account.pw_gid, directory, _names, _NAMES_LIMIT) or b""
        except UserFileError:
            yield f"{directory}/?.conf", None  # whatever is in it could override
            names = b""
        paths += [f"{directory}/{os.fsdecode(name)}" for name in names.split(b"\0") if name]
        for path in paths:
            try:
                content = read_as(account.pw_uid, account.pw_gid, path, _FILE_LIMIT)
                if content is not None:
                    yield printable(path), content.decode("utf-8")
            except (UserFileError, UnicodeDecodeError):
                yield printable(path), None


def _names(directory: int) -> bytes:
    """The drop-ins in a directory, parted by NUL."""
    names = sorted(os.fsencode(name) for name in os.listdir(directory) if name.endswith(".conf"))
    return b"\0".join(names)


def _auto_userns_ids(system: System) -> Optional[bool]:
    """Whether the user of ``userns=auto`` has ids in both files; None where a directory gives them."""
    try:
        with contextlib.suppress(NotThere):
            if subid_source(system.read_text("/etc/nsswitch.conf")) != "files":
                return None
        return all(
            any(line.partition(":")[0] == _AUTO_USERNS_USER for line in system.read_text(path).splitlines())
            for path in ("/etc/subuid", "/etc/subgid")
        )
    except NotThere:
        return False
    except BulkheadError:
        return None
