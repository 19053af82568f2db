# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a checkpoint knows of a host: files, attributes, unit states, sysctls, LSM modes. Plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "ABSENT",
    "SETTLED",
    "CheckpointError",
    "FileState",
    "HostState",
    "Managed",
    "UnitState",
    "changes",
    "differences",
    "same_file",
]

UNCHANGED = "Nothing was changed."
ENGINES = ("docker",)
# States of systemd that a restore sets again; the others follow from the unit's file, or pass by themselves.
SETTLED = {"enabled": ("enabled", "disabled", "masked"), "active": ("active", "inactive")}

_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+\.(service|socket|timer|path|mount|target|slice)")
_SYSCTL = re.compile(r"[a-z0-9_]+([./-][A-Za-z0-9_*-]+)+")


class CheckpointError(BulkheadError):
    """A checkpoint could not be made, believed or restored; the text says what was (not) changed."""


@dataclass(frozen=True)
class Managed:
    """What a run may change, as the roles declare it in their `vars/managed.yml`.

    :ivar files: kept with content, mode, owner and extended attributes, or as absent
    :ivar attributes: kept with mode and owner only; their content is never read (private keys, sockets).
        ``/etc/docker/**`` is everything below that directory when the checkpoint is taken
    :ivar sysctls: names with dots or slashes; their live values are kept. In ``net.ipv4.conf.br-*.tag`` the
        star stands for whatever there is when the checkpoint is taken
    """

    files: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    apparmor_profiles: tuple[str, ...] = ()
    selinux: bool = False

    @classmethod
    def merged(cls, parts: Sequence[Mapping[str, Any]]) -> Managed:
        """What several roles manage together; each part is a mapping of the names above.

        :raises CheckpointError: an unknown name, or a value that could name something else than it says
        """
        lists: dict[str, list[str]] = {field_.name: [] for field_ in fields(cls) if field_.name != "selinux"}
        selinux = False
        for part in parts:
            for name, value in part.items():
                if name == "selinux" and isinstance(value, bool):
                    selinux = selinux or value
                elif name in lists and isinstance(value, (list, tuple)):
                    lists[name].extend(_checked(name, entry) for entry in value)
                else:
                    accepted = ", ".join([*lists, "selinux"])
                    raise CheckpointError(
                        f"managed: found {name}: {value!r}; accepted are lists called {accepted} "
                        f"(selinux: true or false). {UNCHANGED}"
                    )
        contents = {name: tuple(sorted(set(entries))) for name, entries in lists.items()}
        return cls(**contents, selinux=selinux)  # type: ignore[arg-type]

    def with_more(self, other: Managed) -> Managed:
        """Everything of both."""
        return Managed.merged([asdict(self), asdict(other)])


def _checked(name: str, entry: Any) -> str:
    tests: dict[str, Callable[[str], bool]] = {
        "files": _is_path,
        "attributes": _is_path,
        "units": lambda text: _UNIT.fullmatch(text) is not None,
        "sysctls": lambda text: _SYSCTL.fullmatch(text) is not None and ".." not in text,
        "engines": lambda text: text in ENGINES,
        "apparmor_profiles": lambda text: bool(text) and text.isprintable(),
    }
    if not isinstance(entry, str) or not tests[name](entry):
        raise CheckpointError(
            f"managed: {name}: found {entry!r}; accepted are "
            f"{'docker' if name == 'engines' else _WORDS[name]}. {UNCHANGED}"
        )
    return entry


def _is_path(text: str) -> bool:
    return (
        text.startswith("/")
        and text.isprintable()
        and all(part not in ("", ".", "..") for part in text[1:].split("/"))
        and not text.startswith(("/proc/", "/sys/", "/dev/"))
    )


_WORDS = {
    "files": "absolute paths outside /proc, /sys and /dev, without .. in them",
    "attributes": "absolute paths outside /proc, /sys and /dev, without .. in them",
    "units": "names of systemd units with their ending",
    "sysctls": "names such as net.ipv4.ip_forward",
    "apparmor_profiles": "names of profiles",
}


@dataclass(frozen=True)
class FileState:
    """A file. `kind`: absent, file, link, directory, socket, other, or unreadable (`target` says why).

    :ivar attributes: extended ones, in base64
    """

    kind: str
    sha256: Optional[str] = None
    size: int = 0
    target: Optional[str] = None
    mode: Optional[int] = None
    uid: Optional[int] = None
    gid: Optional[int] = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """For a message: what it is, without its content."""
        if self.kind == "absent":
            return "absent"
        if self.kind in ("link", "unreadable"):
            return f"{self.kind}: {self.target}"
        content = f", sha256 {self.sha256[:12]}" if self.sha256 else ""
        return f"{self.kind}, mode {self.mode or 0:04o}, owner {self.uid}:{self.gid}{content}"


ABSENT = FileState("absent")


@dataclass(frozen=True)
class UnitState:
    """A unit as `systemctl show` has it: UnitFileState and ActiveState, "" where it has none."""

    enabled: str
    active: str


@dataclass(frozen=True)
class HostState:
    """A host at one time. A sysctl or a profile that is not there is None.

    :ivar absent_directories: directories above absent files that are not there either, deepest last
    """

    files: Mapping[str, FileState] = field(default_factory=dict)
    attributes: Mapping[str, FileState] = field(default_factory=dict)
    absent_directories: tuple[str, ...] = ()
    units: Mapping[str, UnitState] = field(default_factory=dict)
    sysctls: Mapping[str, Optional[str]] = field(default_factory=dict)
    apparmor: Mapping[str, Optional[str]] = field(default_factory=dict)
    selinux: Optional[str] = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return asdict(self)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> HostState:
        """Read `as_json` back; raises `KeyError`, `TypeError` or `AttributeError` for anything else."""
        return cls(
            files={path: FileState(**state) for path, state in value["files"].items()},
            attributes={path: FileState(**state) for path, state in value["attributes"].items()},
            absent_directories=tuple(value["absent_directories"]),
            units={name: UnitState(**state) for name, state in value["units"].items()},
            sysctls=dict(value["sysctls"]),
            apparmor=dict(value["apparmor"]),
            selinux=value["selinux"],
        )

    def objects(self) -> set[str]:
        """The checksums of every content that it refers to."""
        return {state.sha256 for state in self.files.values() if state.sha256 is not None}

    def only(self, other: HostState) -> HostState:
        """What both know, as it is here."""
        return replace(
            self,
            files=_only(self.files, other.files),
            attributes=_only(self.attributes, other.attributes),
            units=_only(self.units, other.units),
            sysctls=_only(self.sysctls, other.sysctls),
            apparmor=_only(self.apparmor, other.apparmor),
            selinux=None if other.selinux is None else self.selinux,
        )

    def with_missing_of(self, other: HostState) -> HostState:
        """This state, with what only the other knows."""
        directories = [*self.absent_directories]
        directories += [path for path in other.absent_directories if path not in directories]
        return HostState(
            files={**other.files, **self.files},
            attributes={**other.attributes, **self.attributes},
            absent_directories=tuple(sorted(directories)),
            units={**other.units, **self.units},
            sysctls={**other.sysctls, **self.sysctls},
            apparmor={**other.apparmor, **self.apparmor},
            selinux=self.selinux if self.selinux is not None else other.selinux,
        )


def _only(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def differences(wanted: HostState, found: HostState) -> list[str]:
    """What of the wanted state is not so, a sentence each."""
    return [f"{name}: {now}, should be {then}" for name, then, now in _compared(wanted, found)]


def changes(before: HostState, after: HostState) -> list[str]:
    """What became of a state, a sentence each."""
    return [f"{name}: {then} became {now}" for name, then, now in _compared(before, after)]


def _compared(wanted: HostState, found: HostState) -> Iterator[tuple[str, str, str]]:
    """`(subject, then, now)` of everything that differs."""
    pairs: list[tuple[str, Optional[tuple[str, str]]]] = []
    pairs += [(path, _file(state, found.files[path])) for path, state in wanted.files.items()]
    pairs += [(path, _attribute(state, found.attributes[path])) for path, state in wanted.attributes.items()]
    pairs += [(name, _unit(state, found.units[name])) for name, state in wanted.units.items()]
    pairs += [
        (name, _value(value, found.sysctls[name]))
        for name, value in wanted.sysctls.items()
        if found.sysctls[name] is not None  # it went with its interface
    ]
    pairs += [
        (f"AppArmor profile {name}", _value(mode, found.apparmor[name]))
        for name, mode in wanted.apparmor.items()
    ]
    pairs.append(("SELinux enforcing", _value(wanted.selinux, found.selinux)))
    for subject, pair in pairs:
        if pair is not None:
            yield (subject, *pair)


def same_file(wanted: FileState, found: FileState) -> bool:
    """Whether a file is as wanted; a security context, owner or group counts only where one was recorded."""
    if None in (wanted.uid, found.uid):
        found = replace(found, uid=wanted.uid)
    if None in (wanted.gid, found.gid):
        found = replace(found, gid=wanted.gid)
    if "security.selinux" in wanted.attributes or "security.selinux" not in found.attributes:
        return wanted == found
    return wanted == replace(
        found,
        attributes={name: value for name, value in found.attributes.items() if name != "security.selinux"},
    )


def _file(wanted: FileState, found: FileState) -> Optional[tuple[str, str]]:
    if same_file(wanted, found) or "unreadable" in (wanted.kind, found.kind):
        return None
    then, now = wanted.describe(), found.describe()
    return (then, now) if then != now else (f"{then}, with other extended attributes", now)


def _attribute(wanted: FileState, found: FileState) -> Optional[tuple[str, str]]:
    """What came or went after the checkpoint is nobody's business; what is there has to be as it was."""
    return None if "absent" in (wanted.kind, found.kind) else _file(wanted, found)


def _unit(wanted: UnitState, found: UnitState) -> Optional[tuple[str, str]]:
    """A unit that was on its way (activating, reloading) then or is now says nothing certain."""
    for word, then, now in (
        ("enabled", wanted.enabled, found.enabled),
        ("active", wanted.active, found.active),
    ):
        settled = SETTLED[word]
        if then in settled and now != then and (now in settled or word == "active"):
            return then, now or "not there"
    return None


def _value(wanted: Optional[str], found: Optional[str]) -> Optional[tuple[str, str]]:
    """A sysctl, profile or LSM that was not there then cannot be taken away, and is left."""
    return None if wanted is None or wanted == found else (wanted, found or "not there")
