# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One account of a host as a user of rootless engines: session, home, Podman, Docker."""

from __future__ import annotations

import pwd
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    not_applicable,
    printable,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._home_storage import overlay_on
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import mount_of
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_docker import (
    DOCKER_DROP_INS,
    DOCKER_FILES,
    DOCKER_PLACES,
    rootless_docker,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_podman import (
    PODMAN_DROP_INS,
    PODMAN_FILES,
    PODMAN_PLACES,
    HostPodman,
    rootless_podman,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_rootless_survey import (
    Survey,
    engine_answer_as,
    survey_as,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import (
    SubidFiles,
    session_facts,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import KINDS
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = ["Surroundings", "account_for", "collect_user"]

_PROFILES = (".profile", ".bash_profile", ".bashrc", ".zshenv", ".zshrc")
_CLIENT = ".docker/config.json"
_ENVIRONMENT = {".config/environment.d": ".conf"}
_PODMAN_SOCKET, _DOCKER_SOCKET = "podman/podman.sock", "docker.sock"
_DOCKER_HOST = re.compile(r"^\s*(?:export\s+)?DOCKER_HOST=[\"']?([^\"'\s;]*)", re.MULTILINE)


@dataclass(frozen=True)
class Surroundings:
    """What the host says once for all accounts.

    :ivar mounts: of the host, or why they are not known
    :ivar listening: paths of the host's listening sockets
    :ivar docker_group: id and members of the group that may drive the engine that runs as root
    """

    podman: HostPodman
    subid_files: Optional[SubidFiles]
    mounts: Any
    listening: Any
    docker_group: Any
    root: str = ""


def collect_user(
    system: System,
    account: pwd.struct_passwd,
    reasons: Collection[str],
    around: Surroundings,
) -> dict[str, Any]:
    """The facts of one account.

    :param reasons: why it is looked at. One that was named is judged in any case, and one with containers
        uses an engine
    """
    session = _session(system, account, around)
    home = attempt(lambda: _home(account, around.root))
    directory = session["runtime_directory"]
    absent = not is_unreadable(directory) and directory["exists"] is False
    runtime = None if absent else attempt(lambda: _runtime(account, around.root))
    uses = _uses_engine(home, runtime, containers="containers" in reasons)
    judged = True if "named" in reasons else uses
    facts = {**session, "reasons": sorted(reasons), "uses_engine": uses, "judged": judged}
    if judged is False:
        return {**facts, **dict.fromkeys(_DETAILS)}
    return {**facts, **_details(account, home, runtime, around)}


def _session(system: System, account: pwd.struct_passwd, around: Surroundings) -> dict[str, Any]:
    """The session's facts; where a directory gives the ids, it is not known what they collide with."""
    facts = session_facts(system, account, around.subid_files).as_facts()
    subids = facts["subids"]
    if isinstance(subids, dict) and subids.get("source") not in ("files", None):
        marker = not_applicable(f"subordinate ids come from {subids['source']}, which does not list them")
        for kind in KINDS:
            subids[kind]["collisions"] = marker
    return facts


_DETAILS = ("home_directory", "home_file_system", "drives_root_engine", "docker_host", "podman", "docker")


def _details(account: pwd.struct_passwd, home: Any, runtime: Any, around: Surroundings) -> dict[str, Any]:
    group = around.docker_group
    facts: dict[str, Any] = {
        "home_file_system": attempt(lambda: _file_system(account, around.mounts)),
        "drives_root_engine": group
        if is_unreadable(group)
        else account.pw_gid == group[0] or account.pw_name in group[1],
    }
    if not isinstance(home, Survey):
        marker = home if is_unreadable(home) else unreadable("the home directory is not there")
        return {**dict.fromkeys(_DETAILS, marker), **facts}
    podman_socket = attempt(lambda: _socket(runtime, _PODMAN_SOCKET, account, around.listening))
    docker_socket = attempt(lambda: _socket(runtime, _DOCKER_SOCKET, account, None))
    podman = around.podman.version is not None
    directory = f"{around.root}/run/user/{account.pw_uid}"
    return {
        **facts,
        "home_directory": {"mode": home.mode, "owned": home.owner == account.pw_uid},
        "docker_host": attempt(lambda: _docker_host(account, home)),
        "podman": rootless_podman(account, home, around.podman, podman_socket) if podman else None,
        "docker": rootless_docker(
            home,
            docker_socket,
            lambda: (
                None
                if runtime is None
                else engine_answer_as(account.pw_uid, account.pw_gid, directory, _DOCKER_SOCKET)
            ),
        )
        if _has_docker(home, docker_socket)
        else None,
    }


def _home(account: pwd.struct_passwd, root: str) -> Optional[Survey]:
    if account.pw_dir in ("", "/"):
        return None
    return survey_as(
        account.pw_uid,
        account.pw_gid,
        f"{root}{account.pw_dir}",
        files=(*PODMAN_FILES, *DOCKER_FILES, *_PROFILES, _CLIENT),
        drop_ins={**PODMAN_DROP_INS, **DOCKER_DROP_INS, **_ENVIRONMENT},
        places=(*PODMAN_PLACES, *DOCKER_PLACES),
    )


def _runtime(account: pwd.struct_passwd, root: str) -> Optional[Survey]:
    return survey_as(
        account.pw_uid,
        account.pw_gid,
        f"{root}/run/user/{account.pw_uid}",
        drop_ins={},
        places=(_PODMAN_SOCKET, _DOCKER_SOCKET),
    )


def _uses_engine(home: Any, runtime: Any, *, containers: bool) -> Any:
    """Whether a rootless engine is there: storage, a unit, a daemon's socket or a running container."""
    if containers:
        return True
    for fact in (home, runtime):
        if is_unreadable(fact):
            return fact
    places = (*PODMAN_PLACES, *DOCKER_PLACES[:1], DOCKER_FILES[1])
    return attempt(
        lambda: any(
            [
                *(home is not None and home.exists(path) for path in places),
                runtime is not None and runtime.exists(_DOCKER_SOCKET),
            ]
        )
    )


def _has_docker(home: Survey, socket: Any) -> bool:
    """Whether there may be a rootless Docker; what cannot be read counts as one."""
    found = attempt(lambda: any(home.exists(path) for path in (*DOCKER_PLACES[:1], DOCKER_FILES[1])))
    return found is not False or is_unreadable(socket) or socket["exists"] is True


def _socket(runtime: Any, path: str, account: pwd.struct_passwd, listening: Any) -> Any:
    if is_unreadable(runtime):
        return runtime
    found = None if runtime is None else runtime.status(path)
    kind, uid, mode = found or (None, None, None)
    whole = f"/run/user/{account.pw_uid}/{path}"
    facts: dict[str, Any] = {
        "path": whole,
        "exists": found is not None,
        "is_socket": None if kind is None else kind == "socket",
        "owned": None if uid is None else uid == account.pw_uid,
        "mode": mode,
    }
    if listening is not None:
        facts["listening"] = listening if is_unreadable(listening) else whole in listening
    return facts


def _file_system(account: pwd.struct_passwd, mounts: Any) -> Any:
    """The mount that the home is on: its type, its options, and whether overlay works there."""
    if is_unreadable(mounts):
        return mounts
    mount = mount_of(mounts, account.pw_dir)
    if mount is None:
        raise PortError(f"{printable(account.pw_dir)}: no mount holds it")
    kind = mount.filesystem
    return {
        "mount_point": printable(mount.mountpoint),
        "type": printable(kind),
        "nosuid": "nosuid" in mount.options,
        "nodev": "nodev" in mount.options,
        "noexec": "noexec" in mount.options,
        "overlay": overlay_on(kind),
    }


def _docker_host(account: pwd.struct_passwd, home: Survey) -> dict[str, Any]:
    """Where the user's docker client goes: by the shell's files, and by the current context."""
    paths = [*_PROFILES, *home.below(".config/environment.d")]
    values = [value for path in paths for value in _DOCKER_HOST.findall(home.text(path) or "")]
    return {
        "variable": _engine_of(values[-1], account) if values else None,
        "context": _context(home),
    }


def _engine_of(value: str, account: pwd.struct_passwd) -> str:
    """`own`, `root`, `tcp` or `other`: an address may hold a name and a password, and is not shown."""
    if re.fullmatch(r"unix://(/var)?/run/docker\.sock", value):
        return "root"
    runtime = rf"(\$\{{?XDG_RUNTIME_DIR\}}?|/run/user/({account.pw_uid}|\$\(id -u\)|\$\{{?UID\}}?))"
    if re.match(rf"unix://{runtime}/", value):
        return "own"
    return "tcp" if value.startswith("tcp://") else "other"


def _context(home: Survey) -> Optional[str]:
    text = home.text(_CLIENT)
    if text is None:
        return None
    document = parse_json(text)
    name = document.get("currentContext") if isinstance(document, Mapping) else None
    return printable(name, limit=100) if isinstance(name, str) and name else None


def account_for(system: System, owner: str) -> Optional[pwd.struct_passwd]:
    """The account that a name or a uid means; None when there is none."""
    try:
        if owner.isascii() and owner.isdigit() and len(owner) <= 10:
            return system.account(int(owner))
        return system.account_named(owner)
    except NotThere:
        return None
