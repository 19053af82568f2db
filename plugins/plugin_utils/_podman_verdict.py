# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare a policy with what is in force: by podman info, the files that win, a container's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import is_unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import FILES, ROOT, Account
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_keys import (
    NEW_CONTAINERS,
    PODMAN_KEYS,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import capability_names
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_state import PodmanState
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import KeyPath, leaves

__all__ = ["KeyVerdict", "container_of", "judge_policy"]

# Where podman info shows a key's value (tried with 3.0.1 to 6.1.1).
_INFO: dict[KeyPath, tuple[str, ...]] = {
    ("containers", "default_capabilities"): ("host", "security", "capabilities"),
    ("containers", "seccomp_profile"): ("host", "security", "seccompProfilePath"),
    ("containers", "log_driver"): ("host", "logDriver"),
    ("engine", "cgroup_manager"): ("host", "cgroupManager"),
    ("engine", "events_logger"): ("host", "eventLogger"),
    ("engine", "runtime"): ("host", "ociRuntime", "name"),
    ("storage", "driver"): ("store", "graphDriverName"),
    ("storage", "graphroot"): ("store", "graphRoot"),
    ("storage", "runroot"): ("store", "runRoot"),
    ("storage", "options", "overlay", "mountopt"): ("store", "graphOptions", "overlay.mountopt"),
    ("unqualified-search-registries",): ("registries", "search"),
}

# Which fact of a container shows a key's value.
_SHOWN_BY_CONTAINER: dict[KeyPath, str] = {
    ("containers", "pids_limit"): "pids_max",
    ("containers", "default_capabilities"): "bounding",
    ("containers", "seccomp_profile"): "Seccomp",
    ("containers", "ipcns"): "ipc_mode",
    ("containers", "default_ulimits"): "rlimits",
    ("containers", "apparmor_profile"): "apparmor",
    ("containers", "userns"): "userns",
}
# By mode, what the account may be in the container (`_user_namespace`); from others nothing follows.
_USER_NAMESPACES = {
    "host": ("host",),
    "keep-id": ("keep-id",),
    "nomap": ("nomap",),
    "auto": ("keep-id", "nomap"),
}


@dataclass(frozen=True)
class KeyVerdict:
    """What became of one wanted key, for one account.

    :ivar account: whose Podman; a default of root's is judged for each user too
    :ivar key: dotted; a registry as ``registry[PREFIX]``
    :ivar state: ``in_force`` (measured), ``configured`` (our file wins, and nothing measures it), ``pending``
        (only for containers made from now on, and there are older ones), ``overridden`` (by another file),
        ``failed`` (measured, and something else) or ``unknown`` (a file that could decide could not be read)
    :ivar found: the value that was found instead, ``None`` where it is as wanted
    :ivar by: the file that overrides it, or the containers that are older, or the fact that was measured
    """

    account: str
    key: str
    state: str
    found: Any
    by: str


def container_of(proof: Mapping[str, Any], state: PodmanState) -> dict[str, Any]:
    """A proof of `engine_proof`, with facts, as one of the containers of `judge_policy`."""
    facts, uid = proof["facts"], state.accounts[proof["user"]].uid
    pids = facts["limits"].get("pids", False)
    return {
        "name": f"that {proof['user']} started to be measured",
        "account": proof["user"],
        "probe": True,
        "bounding": facts["capabilities"]["bounding"],
        "Seccomp": {"disabled": 0, "strict": 1, "filter": 2}.get(str(facts["seccomp"]["mode"])),
        "pids_max": "max" if pids is None else pids if isinstance(pids, int) and pids else None,
        "ipc_mode": proof["said"].get("ipc_mode"),
        "rlimits": None if is_unreadable(facts["rlimits"]) else facts["rlimits"] or None,
        "apparmor": facts["lsm"].get("label")
        if uid == 0 and facts["lsm"].get("name") == "apparmor"
        else None,
        "userns": _user_namespace(facts["uid_map"], uid),
    }


def _user_namespace(uid_map: Sequence[Mapping[str, int]], uid: int) -> str:
    """What the account is in the container, as the mode that makes it so.

    ``host``: root; ``keep-id``: somebody else; ``nomap``: nobody.
    """
    inside = [
        entry["inside"] + uid - entry["outside"]
        for entry in uid_map
        if entry["outside"] <= uid < entry["outside"] + entry["count"]
    ]
    return "nomap" if not inside else "host" if inside[0] == 0 else "keep-id"


def judge_policy(
    state: PodmanState,
    files: Sequence[Mapping[str, Any]],
    owners: Mapping[str, str],
    containers: Sequence[Mapping[str, Any]] = (),
) -> list[KeyVerdict]:
    """Judge every wanted key, for root and for each user whom it reaches.

    :param state: read after the change
    :param files: `Policy.files`
    :param owners: `Policy.owners`
    :param containers: facts of running containers: ``name``, ``account``, ``probe`` (whether it was started
        after the change and without options, to be measured), ``CapBnd`` (hexadecimal) and
        ``Seccomp`` (0, 1, 2) as in /proc/PID/status, ``pids_max`` (a number, or ``max``), and
        ``ipc_mode`` as podman inspect has it (4.3.1 makes them shareable whatever the file says: tried);
        those of `container_of` further ``rlimits``, ``apparmor`` (the profile) and ``userns``
    """
    verdicts = []
    ours = {file["path"]: _wanted(file["keys"]) for file in files}
    for file in files:
        name = owners[file["path"]]
        kind = next(kind for kind in FILES if f"/{kind}." in file["path"])
        for account in state.accounts.values():
            if account.name != name and (name != ROOT.name or not _reaches_users(state, kind)):
                continue
            mine = [entry for entry in containers if entry.get("account", ROOT.name) == account.name]
            for key, wanted in ours[file["path"]].items():
                verdict = _judge(state, account, kind, file["path"], key, wanted, mine)
                if verdict.state != "overridden" or key not in ours.get(verdict.by, ()):
                    verdicts.append(verdict)  # what the policy for one user says instead is judged there
    return verdicts


def _reaches_users(state: PodmanState, kind: str) -> bool:
    """Whether root's file is read for users too; storage.conf without drop-ins is not (before 1.64)."""
    return kind != "storage" or state.reader.pooled(kind)


def _wanted(keys: Mapping[str, Any]) -> dict[KeyPath, Any]:
    found: dict[KeyPath, Any] = {}
    for path, value in leaves(keys).items():
        if path == ("registry",):
            found.update({("registry", table["prefix"]): table for table in value})
        else:
            found[path] = value
    return found


def _judge(
    state: PodmanState,
    account: Account,
    kind: str,
    path: str,
    key: KeyPath,
    wanted: Any,
    containers: Sequence[Mapping[str, Any]],
) -> KeyVerdict:
    effective = state.effective(kind, account)
    name = f"registry[{key[1]}]" if key[0] == "registry" else ".".join(key)
    winner = effective.registries.get(key[1]) if key[0] == "registry" else effective.keys.get(key)
    if effective.unreadable:
        unread, reason = next(iter(effective.unreadable.items()))
        if path not in effective.order or effective.order.index(unread) > effective.order.index(path):
            return KeyVerdict(account.name, name, "unknown", None, f"{unread}: {reason}")
    if winner is None:
        return KeyVerdict(account.name, name, "overridden", None, _hides(effective.order, path))
    if winner.path != path and not same(winner.value, wanted):
        return KeyVerdict(account.name, name, "overridden", winner.value, winner.path)
    return _measured(state, account, name, key, wanted, containers)


def _hides(order: Sequence[str], path: str) -> str:
    """A whole file that keeps ours from being read (a user's registries.conf, or storage.conf)."""
    return order[0] if order and path not in order else f"{path} does not hold it"


def _measured(
    state: PodmanState,
    account: Account,
    name: str,
    key: KeyPath,
    wanted: Any,
    containers: Sequence[Mapping[str, Any]],
) -> KeyVerdict:
    shown = state.fact(account, *_INFO[key]) if key in _INFO else None
    if key[0] == "registry":
        shown = state.fact(account, "registries", key[1])
    if shown is not None and not _shows(key, shown, wanted):
        return KeyVerdict(account.name, name, "failed", shown, "podman info")
    measurable = key != ("containers", "userns") or _tells(account, wanted)
    probes = [(entry, _of_container(key, entry)) for entry in containers if entry.get("probe") and measurable]
    for entry, value in probes:
        if value is not None and not _holds(key, value, wanted):
            if key == ("containers", "ipcns") and value == "shareable" and not _can_be_private(state):
                return KeyVerdict(account.name, name, "overridden", value, f"Podman {state.version} itself")
            return KeyVerdict(account.name, name, "failed", value, f"the container {entry['name']}")
    row = PODMAN_KEYS.get(key)
    older = [entry for entry in containers if not entry.get("probe") and _is_older(key, entry, wanted)]
    if row is not None and row.reach == NEW_CONTAINERS and older:
        names = ", ".join(sorted(str(entry["name"]) for entry in older))
        value = _of_container(key, older[0])
        return KeyVerdict(
            account.name, name, "pending", value, f"made before, or with options of their own: {names}"
        )
    if shown is not None:
        return KeyVerdict(account.name, name, "in_force", None, "podman info")
    measured = [entry["name"] for entry, value in probes if value is not None]
    if measured:
        return KeyVerdict(account.name, name, "in_force", None, f"the container {measured[0]}")
    return KeyVerdict(account.name, name, "configured", None, "the files")


def _can_be_private(state: PodmanState) -> bool:
    """4.3.1 makes containers shareable whatever the file says, 5.4.2 does not (both tried)."""
    return parse_version(state.version) >= (5, 4)


def _shows(key: KeyPath, shown: Any, wanted: Any) -> bool:
    """Whether podman info shows the wanted value, in its own spelling."""
    if key == ("containers", "default_capabilities"):
        return _capabilities(str(shown).split(",")) == _capabilities(wanted)
    if key[0] == "registry":
        mirrors = [mirror.get("Location") for mirror in shown.get("Mirrors") or []]
        return (
            bool(shown.get("Blocked")) == bool(wanted.get("blocked"))
            and bool(shown.get("Insecure")) == bool(wanted.get("insecure"))
            and mirrors == [mirror["location"] for mirror in wanted.get("mirror") or []]
        )
    return same(shown, wanted)


def _capabilities(names: Sequence[str]) -> set[str]:
    return {name.strip().upper().removeprefix("CAP_") for name in names if name.strip()}


def _of_container(key: KeyPath, entry: Mapping[str, Any]) -> Any:
    """What a container's processes show of a key, ``None`` where nothing does."""
    if key == ("containers", "default_capabilities") and entry.get("CapBnd") is not None:
        return capability_names(int(str(entry["CapBnd"]), 16))
    name = _SHOWN_BY_CONTAINER.get(key)
    return entry.get(name) if name is not None else None


def _holds(key: KeyPath, value: Any, wanted: Any) -> bool:
    if key == ("containers", "default_capabilities"):
        return _capabilities(value) == _capabilities(wanted)
    if key == ("containers", "seccomp_profile"):
        return str(value) == "2"
    if key == ("containers", "default_ulimits"):
        return all(_limits(value, ulimit) for ulimit in wanted)
    if key == ("containers", "userns"):
        return value in _USER_NAMESPACES[wanted]
    return str(value) == str(wanted)


def _tells(account: Account, mode: str) -> bool:
    """Whether it follows from a mode what the account is in a container; root's keep-id changes nothing."""
    return mode in _USER_NAMESPACES and (account.uid != 0 or mode in ("host", "auto"))


def _limits(rlimits: Mapping[str, Mapping[str, int | None]], ulimit: str) -> bool:
    """Whether a process has a limit like ``nofile=1024:4096``, or a lower one: a user's cannot be raised."""
    name, _equals, values = ulimit.partition("=")
    soft, _colon, hard = values.partition(":")
    found = rlimits.get(name)
    return (
        found is not None
        and _at_most(found["soft"], int(soft))
        and _at_most(found["hard"], int(hard or soft))
    )


def _at_most(found: int | None, wanted: int) -> bool:
    return wanted == -1 or (found is not None and found <= wanted)


def _is_older(key: KeyPath, entry: Mapping[str, Any], wanted: Any) -> bool:
    """Whether a container that runs anyhow has less than the policy gives."""
    value = _of_container(key, entry)
    if value is None:
        return False
    if key == ("containers", "default_capabilities"):
        return not _capabilities(value) <= _capabilities(wanted)
    if key == ("containers", "pids_limit"):
        return not str(value).isdigit() or int(str(value)) > int(wanted)
    return not _holds(key, value, wanted)
