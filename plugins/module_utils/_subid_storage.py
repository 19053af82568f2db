# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a user's rootless engines have storage, and whether its files belong to ids that the user lacks.

Sources: ``~/.local/share/containers/storage`` (containers-storage.conf(5)), ``~/.local/share/docker``
(docs.docker.com/engine/security/rootless), ``$XDG_RUNTIME_DIR/libpod/tmp/pause.pid`` (podman ``pkg/util``).
Storage that storage.conf or XDG_DATA_HOME puts elsewhere is not seen. Everything is the user's own and can be
anything: it is looked at as the user, and what is found decides on their own ranges alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._port_errors import NotThere, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import Account, Storage
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import KINDS, Range
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import (
    UserFileError,
    look_as,
    read_as,
)

__all__ = ["held_maps", "storage_of"]

PODMAN = ".local/share/containers/storage"
DOCKER = ".local/share/docker"
FILE_LIMIT = 100_000
_ANSWER_LIMIT = 200
_PID_LIMIT = 32
_MAP_ROW = re.compile(r" *([0-9]{1,10}) +([0-9]{1,10}) +([0-9]{1,10})")


def storage_of(account: Account, *, owners: bool, root: str = "") -> Storage:
    """What storage an account has.

    :param owners: whether to look at the owners of Podman's files too, up to 100,000 of them
    """
    home = os.path.normpath(f"{root}/{account.home.lstrip('/')}")
    try:
        podman = _is_there(account, f"{home}/{PODMAN}")
        docker = _is_there(account, f"{home}/{DOCKER}")
    except UserFileError as error:
        return Storage(doubt=printable(str(error)).replace(" Nothing was changed.", ""))
    earlier = _earlier(account, f"{home}/{PODMAN}") if podman and owners else {}
    return Storage(podman=podman, docker=docker, earlier=earlier)


def _is_there(account: Account, path: str) -> bool:
    return look_as(account.uid, account.gid, path, lambda _descriptor: b"", 0) is not None


def _earlier(account: Account, path: str) -> dict[str, str]:
    """By kind, why files may belong to a range from before; nothing where all are the user's own."""

    def look(descriptor: int) -> bytes:
        return json.dumps(_foreign_ids(descriptor, account.uid, account.gid)).encode()

    try:
        answer = look_as(account.uid, account.gid, path, look, _ANSWER_LIMIT)
        found = json.loads(answer or b"{}")
    except (UserFileError, ValueError):
        found = None
    if not isinstance(found, dict):
        return dict.fromkeys(KINDS, "who its files belong to could not be looked at")
    reasons = {}
    for kind in KINDS:
        if isinstance(found.get(kind), int):
            reasons[kind] = f"files of it belong to the {kind} {found[kind]}"
        elif found.get("whole") is not True:
            reasons[kind] = "not all of its files could be looked at"
    return reasons


def _foreign_ids(directory: int, uid: int, gid: int) -> dict[str, object]:
    """The first ids of others below a directory: `{"uid", "gid"}`, each None without one, and `whole`."""
    found: dict[str, object] = {"uid": None, "gid": None, "whole": True}

    def unreadable(_error: OSError) -> None:
        found["whole"] = False

    seen = 0
    walk = os.fwalk(".", dir_fd=directory, onerror=unreadable, follow_symlinks=False)
    for _path, directories, files, descriptor in walk:
        for name in (*directories, *files):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            seen += 1
            for kind, number, own in (("uid", status.st_uid, uid), ("gid", status.st_gid, gid)):
                if number != own and found[kind] is None:
                    found[kind] = number
        if None not in (found["uid"], found["gid"]):
            break
        if seen > FILE_LIMIT:
            found["whole"] = False
            break
    return found


def held_maps(system: System, account: Account, root: str = "") -> Optional[Mapping[str, Sequence[Range]]]:
    """The subordinate ids that the pause process of a user's Podman maps, by kind, in the order of the map.

    None: there is no such process.

    Containers that are started join its user namespace (podman-system-migrate(1)).
    """
    runtime = f"/run/user/{account.uid}"
    try:
        if not system.exists(runtime):
            return None
        text = read_as(account.uid, account.gid, f"{root}{runtime}/libpod/tmp/pause.pid", _PID_LIMIT)
        digits = (text or b"").strip()
        if not re.fullmatch(rb"[1-9][0-9]{0,9}", digits):
            return None
        with system.process(int(digits)) as process:
            owner = re.search(r"^Uid:\t([0-9]+)\t", process.read_text("status"), re.MULTILINE)
            if owner is None or int(owner[1]) != account.uid:
                return None
            return {kind: _mapped(process.read_text(f"{kind}_map")) for kind in KINDS}
    except (NotThere, PortError, UserFileError):
        return None


def _mapped(text: str) -> list[Range]:
    """The host's side of a map (user_namespaces(7)), without root, who is the user."""
    rows = [_MAP_ROW.fullmatch(line) for line in text.split("\n")]
    numbers = sorted(tuple(int(number) for number in row.groups()) for row in rows if row is not None)
    return [Range(start, count) for inside, start, count in numbers if inside != 0]
