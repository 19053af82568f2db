# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The profiles of the role `docker_engine` as data, and which of their keys fit an engine.

The reasoning per key is in docs/docker-engine.md. Sources: moby at docker-v29.7.2, ``daemon/reload.go``,
``daemon/daemon_unix.go`` (verifyDaemonSettings), ``daemon/libnetwork/drivers/bridge``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import (
    DOCKER_KEYS,
    check_key,
    known_keys,
    parse_version,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_conflicts import conflicts
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import (
    DockerEngineError,
    Engine,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_listeners import (
    listener_problems,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_moves import (
    moving_keys,
    with_keys,
    without_moving_keys,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import (
    ABSENT,
    Floor,
    KeyPath,
    leaves,
)

__all__ = [
    "PROFILES",
    "Wanted",
    "rotation_obstacle",
    "validation_command",
    "wanted_settings",
]


def _always(_engine: Engine) -> str | None:
    return None


def rotation_obstacle(engine: Engine) -> str | None:
    """Why the engine does not get the profiles' log-opts, which are those of json-file."""
    driver = engine.configured("log-driver")  # the one that the next start has, with the file's options
    return (
        None if driver == "json-file" else f"the logging driver is {driver}, which these options are not for"
    )


def _no_swarm(engine: Engine) -> str | None:
    return "an engine in a swarm refuses live-restore" if engine.swarm else None


def _bridge_filter(engine: Engine) -> str | None:
    if engine.bridge_filter is None:
        return "it is not known whether this kernel has br_netfilter, without which the engine does not start"
    return None if engine.bridge_filter else "this kernel has no br_netfilter, and the engine would not start"


def _isolated_bridge(engine: Engine) -> str | None:
    if engine.configured("iptables") is False:
        return "iptables is false, and the engine refuses to start with both"
    if engine.configured("ipv6") is True and engine.configured("ip6tables") is False:
        return "ip6tables is false while ipv6 is true, and the engine refuses to start with both"
    return _bridge_filter(engine)


@dataclass(frozen=True)
class ProfileKey:
    """A key of a profile; with an order or a list of weak values it gives way to what is stronger (`Floor`).

    :ivar obstacle: says why an engine does not get the key
    """

    key: KeyPath
    value: Any
    stronger: str | None = None
    weak: tuple[Any, ...] | None = None
    obstacle: Callable[[Engine], str | None] = _always

    @property
    def floor(self) -> Floor | None:
        """The floor that it is; ``None`` for an exact value (of a switch there is nothing stronger)."""
        if self.stronger is None and self.weak is None:
            return None
        return Floor(self.key, self.value, self.stronger, self.weak)

    def satisfied_by(self, value: Any) -> bool:
        """Whether this value of somebody else is as strong."""
        return same(value, self.value) or (self.floor is not None and self.floor.gives_way_to(value))


BASELINE: tuple[ProfileKey, ...] = (
    ProfileKey(("log-opts", "max-size"), "10m", stronger="smaller_size", obstacle=rotation_obstacle),
    ProfileKey(("log-opts", "max-file"), "3", stronger="smaller_number", obstacle=rotation_obstacle),
    ProfileKey(("live-restore",), True, obstacle=_no_swarm),
    ProfileKey(("seccomp-profile",), "builtin", weak=("unconfined",)),
)

STRICT: tuple[ProfileKey, ...] = (
    ProfileKey(("no-new-privileges",), True),
    ProfileKey(("icc",), False, obstacle=_isolated_bridge),
    ProfileKey(("userland-proxy",), False, obstacle=_bridge_filter),
    ProfileKey(("default-ulimits", "nofile", "Name"), "nofile"),
    ProfileKey(("default-ulimits", "nofile", "Hard"), 1048576, stronger="smaller_number"),
    ProfileKey(("default-ulimits", "nofile", "Soft"), 1024, stronger="smaller_number"),
)

PROFILES: dict[str, tuple[ProfileKey, ...]] = {"none": (), "baseline": BASELINE, "strict": BASELINE + STRICT}


@dataclass
class Wanted:
    """What the configuration file of an engine should hold.

    :ivar keys: exact values
    :ivar floors: values that give way to stronger ones
    :ivar notices: what was left out, and why
    :ivar pending: keys that were asked for and are not set, each with the reason
    :ivar impossible: keys of the profile, dotted, that this engine cannot have, each with the rule
    """

    keys: dict[str, Any] = field(default_factory=dict)
    floors: list[Floor] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    impossible: dict[str, str] = field(default_factory=dict)

    def leave_out(self, dotted: str, rule: str) -> None:
        """Leave out a key of a profile that this engine cannot have."""
        self.impossible[dotted] = rule
        self.notices.append(f"{dotted}: left out: {rule}.")

    def add(self, entry: ProfileKey) -> None:
        """Add a key of a profile."""
        if entry.floor is not None:
            self.floors.append(entry.floor)
            return
        place = self.keys
        for name in entry.key[:-1]:
            place = place.setdefault(name, {})
        place[entry.key[-1]] = entry.value


def wanted_settings(
    engine: Engine,
    *,
    profile: str,
    settings: Mapping[str, Any],
    unmanaged: Sequence[str],
    allow: str,
    unauthenticated_tcp: bool,
) -> Wanted:
    """Which keys the engine gets.

    :param allow: value of docker_engine_allow; only ``move_data`` has a say in what is written
    :raises DockerEngineError: what a user asked for by name cannot be had; every problem in one text
    """
    problems = _problems(engine, settings, unmanaged)
    problems += listener_problems(engine, settings, unauthenticated_tcp=unauthenticated_tcp)
    wanted = Wanted(keys=without_moving_keys(settings))
    for name in settings:
        if name in engine.flags and name not in ("hosts", "runtimes", *engine.conflicts):
            problems += _flag_conflict(engine, wanted, name, settings[name])
    after = engine.predicted(settings)
    for entry in PROFILES[profile]:
        if entry.key[0] not in (*unmanaged, *engine.conflicts) and not _named(entry, settings):
            problems += _add(after, wanted, entry)
    kept, wanted.pending = moving_keys(
        engine, settings=settings, profile=profile, unmanaged=unmanaged, allow=allow
    )
    with_keys(wanted.keys, kept)
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise DockerEngineError(f"{engine.path}: nothing was changed, because of{lines}")
    return wanted


def _named(entry: ProfileKey, settings: Mapping[str, Any]) -> bool:
    """Whether the user's settings name the entry's key, or one that it is part of."""
    named = leaves(settings)
    return any(entry.key[: len(key)] == key[: len(entry.key)] for key in named)


def _problems(engine: Engine, settings: Mapping[str, Any], unmanaged: Sequence[str]) -> list[str]:
    found = [
        f"docker_engine_settings: {problem}"
        for name, value in settings.items()
        for problem in [check_key(name, value, engine.version)]
        if problem is not None
    ]
    found += [
        f"docker_engine_settings: {name}: docker_engine_unmanaged names it too."
        for name in settings
        if name in unmanaged
    ]
    found += [
        f"docker_engine_unmanaged: {problem}"
        for name in unmanaged
        if name not in DOCKER_KEYS
        for problem in [check_key(name, None, None)]
    ]
    found += [
        f"{name}: both {engine.path} and the flag --{DOCKER_KEYS[name].flag} of {engine.unit} set it, and "
        "the engine does not start like that. Remove one of them."
        for name in engine.conflicts
        if name != "hosts" or "hosts" not in settings
    ]
    return found + [f"docker_engine_settings: {problem}" for problem in conflicts(engine, settings)]


def _flag_conflict(engine: Engine, wanted: Wanted, name: str, value: Any) -> list[str]:
    """A key of the user's that is a flag as well: nothing to do when both say the same."""
    wanted.keys.pop(name, None)
    if same(value, engine.flags[name]):
        wanted.notices.append(
            f"{name}: {engine.unit} sets it already by the flag --{DOCKER_KEYS[name].flag}."
        )
        return []
    return [_conflict(engine, name)]


def _conflict(engine: Engine, name: str) -> str:
    return (
        f"{name}: {engine.unit} (or its drop-ins or environment file) gives the flag "
        f"--{DOCKER_KEYS[name].flag}, and the engine does not start with a key in its flags and in its file. "
        "Remove the flag, or name the key in docker_engine_unmanaged."
    )


def _add(engine: Engine, wanted: Wanted, entry: ProfileKey) -> list[str]:
    """Add a profile's key where it fits; returns the problem where a flag stands against it.

    :param engine: as the settings leave it
    """
    name, dotted = entry.key[0], ".".join(entry.key)
    if name not in known_keys(engine.version):
        wanted.leave_out(dotted, f"Docker Engine {engine.version} does not know it")
        return []
    reason = entry.obstacle(engine)
    if reason is not None:
        wanted.leave_out(dotted, reason)
        return []
    if name not in engine.flags:
        wanted.add(entry)
        return []
    found: Any = engine.flags[name]
    for part in entry.key[1:]:
        found = found.get(part, ABSENT) if isinstance(found, Mapping) else ABSENT
    if entry.satisfied_by(found):
        wanted.notices.append(f"{dotted}: the flag --{DOCKER_KEYS[name].flag} of {engine.unit} sets it.")
        return []
    return [_conflict(engine, name)]


def validation_command(engine: Engine, wanted: Wanted, *, check_mode: bool) -> tuple[list[str], str | None]:
    """The engine's own check of a file (`%s`) with the flags of its unit, and a notice where there is none.

    `dockerd --validate` came with 23.0. With userns-remap "default" it makes the account dockremap where that
    is missing, which check mode must not.
    """
    if parse_version(engine.version) < (23,):
        return [], f"Docker Engine {engine.version} has no --validate; only the table of keys was checked."
    remap = wanted.keys.get("userns-remap")
    if check_mode and remap == "default" and engine.configured("userns-remap") != remap:
        return [], "The engine's own validation is left out in check mode: it would make the user dockremap."
    flags = [
        word
        for name, value in engine.flags.items()
        if name != "hosts" or "hosts" not in wanted.keys  # the service's drop-in takes the flag away
        for word in _flag_words(name, value)
    ]
    return [engine.binary, "--validate", "--config-file=%s", *flags], None


def _flag_words(name: str, value: Any) -> list[str]:
    """A setting as words of a command line; values that the posture does not show are left out."""
    row = DOCKER_KEYS[name]
    if name == "runtimes" or row.flag is None:
        return []
    if isinstance(value, bool):
        return [f"--{row.flag}={str(value).lower()}"]
    if isinstance(value, Mapping):
        pairs = [f"{key}={_pair_value(item)}" for key, item in value.items()]
    else:
        pairs = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return [f"--{row.flag}={pair}" for pair in pairs if "set (not shown)" not in pair]


def _pair_value(item: Any) -> str:
    if isinstance(item, Mapping):
        return f"{item.get('Soft')}:{item.get('Hard')}"
    return str(item).lower() if isinstance(item, bool) else str(item)
