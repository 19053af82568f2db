# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare what an engine should have with what it has: which keys need activation, and which are in force."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import (
    MOVES_DATA,
    activation_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import is_unreadable
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import ABSENT, KeyPath, leaves

__all__ = [
    "Verdict",
    "activation_keys",
    "judge",
    "live_restore_configured",
    "settings_after",
    "units_changed",
    "units_owned",
]

_NOT_SHOWN = "set (not shown)"
# Files of the service that its next start reads, apart from the package's own unit.
_UNIT_FILES = ("/etc/systemd/system/docker.service", "/etc/default/docker", "/etc/sysconfig/docker")
# what brings a key into force -> when that is
_MOMENTS = {
    "reload": "the engine's next reload",
    "restart": "the engine's next start",
    "without_containers": "the engine's next start without containers",
    "move_data": "the engine's next start, and moves its data",
}


@dataclass
class Verdict:
    """The state of each key at the end of a run, by its name in daemon.json.

    :ivar in_force: measured, or configured since before the daemon read its file
    :ivar pending: accepted or asked for, and not in force yet, with the reason; also what was given back, or
        changed by somebody else, and is not in force
    :ivar failed: should be in force and is not, with what was found
    """

    in_force: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def activation_keys(
    docker: Mapping[str, Any], wanted: Mapping[str, Any], configured: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The keys that may have to be activated, as the module docker_engine_activate takes them.

    :param docker: the posture's ``docker``, from before the change
    :param wanted: result of the filter docker_engine_wanted
    :param configured: result of owned_config for the engine's file
    """
    file = _engine_file(wanted, configured)
    since: dict[str, str | None] = {}
    for entry in file["owned"]:
        since[entry["key"][0]] = _later(since.get(entry["key"][0], ""), entry["time"])
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for change in file["keys"]:
        changes.setdefault(change["key"][0], []).append(change)
    values = _values(wanted, file)
    settings = docker["settings"] or {}
    keys = []
    for name in sorted(since.keys() | changes.keys()):
        setting = settings.get(name)
        changed = changes.get(name, [])
        released = any(change["why"] == "released" for change in changed)
        seen = not released and _covers(setting, values.get(name, {}), _proofs(name, docker["version"]))
        keys.append(
            {
                "name": name,
                "since": None if changed else since[name],
                "in_force": seen,
                "differs": not seen and not changed and _is_measured(setting),
                "removed": name not in values and any(change.get("gone", released) for change in changed),
                "parts": sorted({change["key"][1] for change in changed if len(change["key"]) > 1}),
                "foreign": False,
            }
        )
    ours = {".".join(entry["key"]) for entry in (*file["owned"], *file["keys"])}
    return keys + _foreign(settings, ours | since.keys() | changes.keys())


def _proofs(name: str, version: str) -> tuple[str, ...]:
    """What shows that a key is in force; of what a start under containers leaves aside, only a witness."""
    late = activation_of(name, version) == "without_containers"
    return ("proven",) if late else ("proven", "configured")


def _foreign(settings: Mapping[str, Any], ours: Collection[str]) -> list[dict[str, Any]]:
    """Keys that somebody else configured and that are not in force: a restart would bring them along.

    One that moves data counts also where nothing shows what is in force.
    """
    removed = {
        name: settings[name]["origin"] == "default" for name in settings if _is_measured(settings[name])
    }
    removed |= {dotted: False for dotted in MOVES_DATA if _may_move(settings, dotted)}
    return [
        {
            "name": name,
            "since": None,
            "in_force": False,
            "differs": True,
            "removed": removed[name],
            "parts": [],
            "foreign": True,
        }
        for name in sorted(removed)
        if name not in ours
    ]


def _may_move(settings: Mapping[str, Any], dotted: str) -> bool:
    """Whether the file names a key that moves data, and the daemon may not have read it."""
    name, _dot, member = dotted.partition(".")
    setting = settings.get(name)
    if not isinstance(setting, Mapping) or setting["origin"] != "file" or setting["proof"] != "pending":
        return False
    return is_unreadable(setting["value"]) and (not member or member in (setting["configured"] or {}))


def _differences(docker: Mapping[str, Any]) -> dict[str, str]:
    """Keys of which another value was measured than the one that is configured, each with when that ends."""
    return {
        name: f"{json.dumps(setting['value'])} is in force ({setting['witness']}), "
        f"{json.dumps(setting['configured'])} is configured; that takes effect at {_MOMENTS[kind]}"
        for name, setting in (docker["settings"] or {}).items()
        if _is_measured(setting)
        for kind in [activation_of(name, docker["version"], removed=setting["origin"] == "default")]
    }


def live_restore_configured(
    docker: Mapping[str, Any], wanted: Mapping[str, Any], configured: Mapping[str, Any]
) -> bool:
    """Whether live-restore is on at the engine's next start, from the same three as `activation_keys`."""
    name = "live-restore"
    if name in wanted["keys"]:
        return wanted["keys"][name] is True
    if any(change["key"] == [name] for change in _engine_file(wanted, configured)["keys"]):
        return False  # given back: what it goes back to is not on, or it would not have been set
    return ((docker["settings"] or {}).get(name) or {}).get("configured") is True


def settings_after(
    docker: Mapping[str, Any], wanted: Mapping[str, Any], configured: Mapping[str, Any]
) -> dict[str, Any]:
    """Every known key of the engine with the value that its next start gives to it.

    A key that is given back is left out: the value that it goes back to is not known here.
    """
    file = _engine_file(wanted, configured)
    released = {change["key"][0] for change in file["keys"] if change["why"] == "released"}
    after = {
        name: setting["configured"]
        for name, setting in (docker["settings"] or {}).items()
        if setting is not None and name not in released and not is_unreadable(setting["configured"])
    }
    for name, parts in _values(wanted, file).items():
        if () in parts:
            after[name] = parts[()]
    return after


def units_changed(configured: Mapping[str, Any]) -> bool:
    """Whether a drop-in or an environment file of the service changes."""
    return any(file["changed"] for file in configured["files"] if file["path"].startswith(_UNIT_FILES))


def units_owned(configured: Mapping[str, Any]) -> bool:
    """Whether keys in a drop-in or an environment file of the service are owned."""
    return any(file["owned"] for file in configured["files"] if file["path"].startswith(_UNIT_FILES))


def judge(
    docker: Mapping[str, Any],
    wanted: Mapping[str, Any],
    configured: Mapping[str, Any],
    activated: Mapping[str, Any],
    predicted: bool = False,
) -> Verdict:
    """Judge every key that the role manages by a posture read after the change.

    :param predicted: check mode: nothing was changed, so that there is nothing to measure, only what would be
    """
    verdict = Verdict(pending=dict(wanted["pending"]))
    waiting = {entry["key"]: entry["reason"] for entry in activated["pending"]}
    settled = set(activated["settled"])
    values = _values(wanted, _engine_file(wanted, configured))
    # of earlier runs what was given back and is in force still, and what somebody else left
    others = {name: reason for name, reason in _differences(docker).items() if name not in values}
    if predicted:
        known = {} if activated["actions"] else others
        return Verdict(in_force=sorted(settled), pending={**known, **verdict.pending, **waiting})
    verdict.pending = {**others, **verdict.pending}
    # also what is given back, and the unit's own files
    verdict.pending.update({name: reason for name, reason in waiting.items() if name not in values})
    for name, parts in sorted(values.items()):
        setting = (docker["settings"] or {}).get(name)
        if not docker["running"]:
            verdict.pending[name] = "the engine does not run; it takes effect when it starts"
        elif name in waiting:
            verdict.pending[name] = waiting[name]
        elif (
            setting is None
            or _covers(setting, parts, ("proven", "configured"))
            or name in settled
            and is_unreadable(setting["value"])
        ):
            verdict.in_force.append(name)
        else:
            verdict.failed[name] = f"{setting['proof']}: {setting['value']} ({setting['witness']})"
    return verdict


def _engine_file(wanted: Mapping[str, Any], configured: Mapping[str, Any]) -> Mapping[str, Any]:
    """What owned_config says of the engine's own file, among all files of the call."""
    files: list[Mapping[str, Any]] = configured["files"]
    return next((file for file in files if file.get("path") == wanted.get("path")), files[0])


def _later(first: str | None, second: str | None) -> str | None:
    """The later of two times; ``None`` (this run) is later than all."""
    return None if first is None or second is None else max(first, second)


def _values(wanted: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, dict[KeyPath, Any]]:
    """Every value that the file should have now, by the name of its key, then by path."""
    kept = {tuple(key) for key in file["kept"]}
    owned = {tuple(entry["key"]) for entry in file["owned"]}
    values = dict(leaves(wanted["keys"]))
    for floor in wanted["at_least"]:
        key = tuple(floor["key"])
        if key not in kept and (key in owned or "weak" not in floor):
            values[key] = floor["value"]
    grouped: dict[str, dict[KeyPath, Any]] = {}
    for key, value in values.items():
        grouped.setdefault(key[0], {})[key[1:]] = value
    return grouped


def _covers(setting: Any, parts: Mapping[KeyPath, Any], proofs: Iterable[str]) -> bool:
    """Whether a setting of the posture holds these values; what is not shown is taken as it is configured."""
    if not isinstance(setting, Mapping) or setting["proof"] not in proofs:
        return False
    return all(_holds(setting["value"], path, value) for path, value in parts.items())


def _holds(found: Any, path: KeyPath, value: Any) -> bool:
    for name in path:
        if not isinstance(found, Mapping):
            return bool(found == _NOT_SHOWN)
        found = found.get(name, ABSENT)
    if found == _NOT_SHOWN:
        return True
    if isinstance(found, list) and isinstance(value, list):
        return sorted(map(str, found)) == sorted(map(str, value))
    return same(found, value)


def _is_measured(setting: Any) -> bool:
    return (
        isinstance(setting, Mapping) and setting["proof"] == "pending" and not is_unreadable(setting["value"])
    )
