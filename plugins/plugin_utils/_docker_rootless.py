# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a user's own Docker daemon: its unit, its daemon.json, and the client's way to it.

Sources: ``contrib/dockerd-rootless-setuptool.sh`` of moby 20.10 and 29.7, which writes the same unit and
context; docs.docker.com/engine/security/rootless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    UNIT_KEY,
    EngineState,
    WrittenKey,
    need_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import check_key, parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless import (
    NEEDS,
    UNCHANGED,
    UNIT,
    DockerRootlessError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless_settings import DAEMON_JSON
from ansible_collections.bulkhead.hardening.plugins.module_utils._sensitive import DOCKER_PATTERNS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_conflicts import conflicts
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import (
    rotation_obstacle,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import leaves

__all__ = ["CONTEXT", "PROFILES", "REFUSED", "DaemonFiles", "daemon_files", "needs", "paths_of", "verdict"]

CONTEXT = "rootless"
_META = f".docker/contexts/meta/{hashlib.sha256(CONTEXT.encode()).hexdigest()}/meta.json"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_MOVES = (
    "another value leaves the user's images, volumes and containers behind; set it by hand before the first "
    "start"
)
_SOCKET = "the socket is the user's own, below /run/user, and everybody who reaches it is that user"
# Keys that this role gives to no daemon in a user namespace, each with the reason.
REFUSED: dict[str, str] = {
    "userns-remap": "the daemon lies in a user namespace already, and does not start with a second one",
    "live-restore": "containers end with the daemon's own network namespace, so that it keeps none of them",
    "hosts": _SOCKET,
    "group": _SOCKET,
    "data-root": _MOVES,
    "exec-root": _MOVES,
    "storage-driver": _MOVES,
    "containerd": "the daemon starts one of its own",
    "cgroup-parent": "it has to lie below the user's own manager, where the engine puts containers by itself",
    "swarm-default-advertise-addr": "overlay networks do not work in a user namespace",
    "selinux-enabled": "a daemon without root sets no labels",
}

_Entry = tuple[tuple[str, ...], Any, str | None, tuple[Any, ...] | None]
_BASELINE: tuple[_Entry, ...] = (
    (("log-opts", "max-size"), "10m", "smaller_size", None),
    (("log-opts", "max-file"), "3", "smaller_number", None),
    (("seccomp-profile",), "builtin", None, ("unconfined",)),
)
_STRICT: tuple[_Entry, ...] = ((("no-new-privileges",), True, None, None),)
PROFILES: dict[str, tuple[_Entry, ...]] = {
    "none": (),
    "baseline": _BASELINE,
    "strict": (*_BASELINE, *_STRICT),
}


@dataclass
class DaemonFiles:
    """The files of all users.

    :ivar files: the option of owned_config
    :ivar owners: path -> whose it is
    :ivar notices: what was left out, and why
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def paths_of(home: str) -> list[str]:
    """The files of one user: unit, daemon.json, the client's context, and which one it takes."""
    return [
        f"{home}/.config/systemd/user/{UNIT}",
        f"{home}/{DAEMON_JSON}",
        f"{home}/{_META}",
        f"{home}/.docker/config.json",
    ]


def daemon_files(
    found: Mapping[str, Any],
    *,
    state: str,
    profile: str,
    settings: Mapping[str, Any],
    context: bool,
) -> DaemonFiles:
    """What belongs in the files of every user who is not withheld.

    :param found: the result of docker_rootless_activate
    :raises DockerRootlessError: a setting cannot be had; every problem in one text
    """
    host, made = found["host"], DaemonFiles()
    present = state == "present"
    users = {name: user for name, user in found["users"].items() if name not in found["withheld"]}
    engines = {name: _engine(host, user) for name, user in users.items()} if present else {}
    if engines and not host["version"]:
        raise DockerRootlessError(
            f"docker_rootless_users: found no version in what {host['dockerd']} --version says, accepted is "
            f"one such as Docker version 26.1.5, by which its keys are known. {UNCHANGED}"
        )
    _refuse(settings, host["version"], engines)
    wanted = {name: _daemon_json(profile, settings, engine) for name, engine in engines.items()}
    made.notices = _with_users({name: content.notices for name, content in wanted.items()})
    validate = (
        [host["dockerd"], "--validate", "--config-file=%s"]
        if engines and parse_version(host["version"]) >= (23,)
        else []
    )
    for name, user in users.items():
        unit, daemon_json, meta, client = paths_of(user["home"])
        own = present and context
        contents: list[dict[str, Any]] = [
            {"path": unit, "format": "keyfile", "keys": _unit(host) if present else {}},
            {
                "path": daemon_json,
                "format": "json",
                "keys": wanted[name].keys if present else {},
                "at_least": wanted[name].floors if present else [],
                "look": "docker_daemon" if present else "nothing",
                "secret": list(DOCKER_PATTERNS),
                "validate": validate,
            },
            {"path": meta, "format": "json", "keys": _context(user["uid"]) if own else {}},
            {"path": client, "format": "json", "keys": {"currentContext": CONTEXT} if own else {}},
        ]
        made.files += contents
        made.owners.update({file["path"]: name for file in contents})
    return made


def needs(
    found: Mapping[str, Any], owners: Mapping[str, str], files: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """By user, which of `NEEDS` bring their files into force; users who need nothing are left out.

    :param found: the result of docker_rootless_activate in check mode
    :param owners: `DaemonFiles.owners`
    :param files: ``files`` of the result of owned_config
    """
    made: dict[str, set[str]] = {}
    for file in files:
        name, path = owners[file["path"]], str(file["path"])
        facts = found["users"][name]
        state = EngineState(
            version=facts["version"] or found["host"]["version"],
            started_at=facts["started_at"],
            reloaded_at=facts["reloaded_at"],
            live_restore=False,
            swarm=False,
            containers=(),
        )
        if path.endswith(f"/{UNIT}"):
            if file["changed"]:
                made.setdefault(name, set()).add("daemon_reload")
            keys = [replace(key, name=UNIT_KEY) for key in _written_keys(file, found["host"]["now"])]
        elif path.endswith("/daemon.json"):
            keys = _written_keys(file, found["host"]["now"])
        else:
            continue  # the client's, which no daemon reads
        for key in keys:
            need = need_of(key, state)
            if need != "none":
                made.setdefault(name, set()).add("reload" if need == "reload" else "restart")
    return {name: [need for need in NEEDS if need in found_needs] for name, found_needs in made.items()}


def _written_keys(file: Mapping[str, Any], now: float) -> list[WrittenKey]:
    """The keys that this run changed, and those of ours that an earlier one did.

    A time that is to come was written by a clock that went wrong, and would never be reached by a restart.
    """
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for change in file["keys"]:
        changes.setdefault(change["key"][0], []).append(change)
    since: dict[str, float] = {}
    for entry in file["owned"]:
        name = entry["key"][0]
        if name not in changes and entry["time"] is not None:
            since[name] = max(since.get(name, 0.0), datetime.fromisoformat(entry["time"]).timestamp())
    earlier = [
        WrittenKey(name, time, in_force=False, differs=False) for name, time in since.items() if time <= now
    ]
    return earlier + [
        WrittenKey(
            name,
            None,
            in_force=False,
            differs=False,
            removed=all(change.get("gone", change["why"] == "released") for change in changed),
            parts=tuple(sorted({change["key"][1] for change in changed if len(change["key"]) > 1})),
        )
        for name, changed in sorted(changes.items())
    ]


def verdict(found: Mapping[str, Any], proofs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What holds: `users`, `rootful_off`, `pending` and `failed`.

    A limit whose controller the user's manager was not given waits for the manager's next start.
    """
    users = {name: {**facts, "proven": None} for name, facts in found["users"].items()}
    pending: dict[str, str] = dict(found["pending"])
    failed: dict[str, str] = {}
    for proof in proofs:
        name, reason = proof["user"], str(proof["reason"])
        users[name]["proven"] = proof["proven"] if proof["tried"] else None
        if not proof["proven"]:
            waits = not proof["tried"] or reason.startswith("not delegated")
            (pending if waits else failed)[f"{name}, proof" if waits else name] = reason
    return {"users": users, "rootful_off": found["rootful_off"], "pending": pending, "failed": failed}


def _engine(host: Mapping[str, Any], user: Mapping[str, Any]) -> Engine:
    """A user's daemon, as far as it decides which settings go together."""
    configured = {"log-driver": "json-file", **user["configured"]}
    unit, daemon_json, *_client = paths_of(user["home"])
    return Engine(
        version=host["version"],
        binary=host["dockerd"],
        path=daemon_json,
        unit=unit,
        flags={},
        conflicts=(),
        settings={name: {"configured": value} for name, value in configured.items()},
        swarm=False,
        running=(),
        bridge_filter=None,
    )


def _with_users(sentences: Mapping[str, Iterable[str]]) -> list[str]:
    """Sentences by user -> each once, with the users whom it is about."""
    about: dict[str, list[str]] = {}
    for name, said in sentences.items():
        for sentence in said:
            about.setdefault(sentence, []).append(name)
    return [f"{sentence} ({', '.join(names)})" for sentence, names in about.items()]


def _refuse(settings: Mapping[str, Any], version: str, engines: Mapping[str, Engine]) -> None:
    problems = []
    for name, value in settings.items():
        problem = check_key(name, value, version or None)
        if name in REFUSED:
            problem = f"{name}: found it, accepted is to leave it out: {REFUSED[name]}."
        if problem is not None:
            problems.append(problem)
    problems += _with_users({name: conflicts(engine, settings) for name, engine in engines.items()})
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise DockerRootlessError(f"docker_rootless_settings: nothing was changed, because of{lines}")


@dataclass
class _DaemonJson:
    """A user's daemon.json: exact values, those that give way to stronger ones, and what was left out."""

    keys: dict[str, Any]
    floors: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def _daemon_json(profile: str, settings: Mapping[str, Any], engine: Engine) -> _DaemonJson:
    if profile not in PROFILES:
        raise DockerRootlessError(
            f"docker_rootless_profile: found {profile!r}, accepted are {', '.join(PROFILES)}. {UNCHANGED}"
        )
    made = _DaemonJson(dict(settings))
    named = leaves(settings)
    for path, value, stronger, weak in PROFILES[profile]:
        if any(path[: len(key)] == key[: len(path)] for key in named):
            continue
        problem = check_key(path[0], value if len(path) == 1 else {path[1]: value}, engine.version)
        if path[0] == "log-opts":
            problem = problem or rotation_obstacle(engine.predicted(settings))
        if problem is not None:
            made.notices.append(f"{'.'.join(path)}: left out: {problem.rstrip('.')}.")
        elif stronger is None and weak is None:
            made.keys[path[0]] = value
        else:
            floor = {"key": list(path), "value": value, "stronger": stronger, "weak": weak and list(weak)}
            made.floors.append({name: item for name, item in floor.items() if item is not None})
    return made


def _unit(host: Mapping[str, Any]) -> dict[str, Any]:
    """As the engine's own tool writes it; only since 23.0 a daemon tells when it is ready."""
    directory = host["script"].rpartition("/")[0]
    path = _DEFAULT_PATH if directory in _DEFAULT_PATH.split(":") else f"{directory}:{_DEFAULT_PATH}"
    ready = parse_version(host["version"]) >= (23,)
    return {
        "Unit": {"Description": "Docker Engine in a user namespace"},
        "Service": {
            "Environment": f"PATH={path}",
            "ExecStart": host["script"],
            # rootlesskit hands the signal on to the daemon (since 0.9.2).
            "ExecReload": "/bin/kill -s HUP $MAINPID",
            "TimeoutSec": "0",
            "RestartSec": "2",
            "Restart": "always",
            "LimitNOFILE": "infinity",
            "LimitNPROC": "infinity",
            "LimitCORE": "infinity",
            "TasksMax": "infinity",
            "Delegate": "yes",
            "KillMode": "mixed",
            **({"Type": "notify", "NotifyAccess": "all"} if ready else {"Type": "simple"}),
        },
        "Install": {"WantedBy": "default.target"},
    }


def _context(uid: int) -> dict[str, Any]:
    return {
        "Name": CONTEXT,
        "Metadata": {"Description": "Docker Engine in a user namespace"},
        "Endpoints": {"docker": {"Host": f"unix:///run/user/{uid}/docker.sock", "SkipTLSVerify": False}},
    }
