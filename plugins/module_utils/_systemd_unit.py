# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service as systemd has it loaded: which command its next start runs, after variables are put in."""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from time import strptime
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = [
    "Pause",
    "Service",
    "expand_command",
    "parse_environment_file",
    "parse_properties",
    "read_pause",
    "read_service",
    "split_words",
]

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "MainPID",
    "ExecStart",
    "ExecReload",
    "Environment",
    "EnvironmentFiles",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
)
# Where drop-ins of a unit lie (systemd.unit(5)), but for generated ones.
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
_ENVIRONMENT_FILE = re.compile(r"(\S.*?) \(ignore_errors=(yes|no)\)")
_VARIABLE_WORD = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\Z")
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_QUOTES = "\"'"
_STAMP = re.compile(r"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


@dataclass(frozen=True)
class Service:
    """What `systemctl show` says of a loaded service.

    `command` is the argument list of its next start, `exec_start` the same with its variables as they are
    written, `files` the unit's own files and the environment files that decide on it, `reloaded_at` (seconds
    since the epoch) the last reload through systemd.
    """

    fragment: Optional[str]
    main_pid: int
    command: list[str]
    exec_start: list[str]
    files: list[str]
    need_daemon_reload: bool
    reloaded_at: Optional[float]


def read_service(system: System, name: str) -> Service:
    """Read a service; raises `NotThere` when systemd does not run or does not know it, `PortError` else."""
    if not system.exists("/run/systemd/system"):  # sd_booted(3)
        raise NotThere(f"{name}: systemd does not run this host")
    completed = system.run(
        ["systemctl", "show", name, "--property", ",".join(_PROPERTIES)], environment={"TZ": "UTC"}
    )
    if completed.returncode != 0:
        raise PortError(f"systemctl show {name}: exit status {completed.returncode}")
    properties = parse_properties(completed.stdout)
    if properties.get("LoadState") == "not-found":
        raise NotThere(f"{name}: no such unit")
    environment_files = _ENVIRONMENT_FILE.findall(properties.get("EnvironmentFiles", ""))
    variables = dict(_assignments(split_words(properties.get("Environment", ""))))
    for path, _ignore in environment_files:
        try:
            variables.update(parse_environment_file(system.read_text(path)))
        except NotThere:
            continue
    fragment = properties.get("FragmentPath") or None
    own_files = [fragment] if fragment else []
    exec_start = _argv(properties.get("ExecStart", ""))
    drop_ins = split_words(properties.get("DropInPaths", ""))
    return Service(
        fragment=fragment,
        main_pid=int(properties.get("MainPID") or 0),
        command=expand_command(exec_start, variables),
        exec_start=exec_start,
        files=own_files + drop_ins + [path for path, _ignore in environment_files],
        need_daemon_reload=properties.get("NeedDaemonReload") == "yes"
        or _others_on_disk(system, name, drop_ins),
        reloaded_at=start_time(properties.get("ExecReload", "")),
    )


@dataclass(frozen=True)
class Pause:
    """When a unit was last not active, in whole seconds since the epoch; None: not since the boot.

    :ivar stopped_at: the second in which it left the state active (a reload does not)
    :ivar active_since: the second in which it came to it again, with all that its start does behind it
    """

    stopped_at: Optional[float]
    active_since: Optional[float]

    def was_active(self, moment: float) -> bool:
        """Whether it was active then, by what systemd remembers."""
        before = self.stopped_at is not None and moment < self.stopped_at
        return before or (self.active_since is not None and moment >= self.active_since + 1)


def read_pause(system: System, name: str) -> Pause:
    """Read when a unit was last not active; raises `PortError`."""
    properties = ("ActiveExitTimestamp", "ActiveEnterTimestamp")
    argv = ["systemctl", "show", name, "--property", ",".join(properties)]
    completed = system.run(argv, environment={"TZ": "UTC"})
    if completed.returncode != 0:
        raise PortError(f"systemctl show {name}: exit status {completed.returncode}")
    found = parse_properties(completed.stdout)
    stopped_at, active_since = (_stamps(found.get(each, "")) for each in properties)
    return Pause(max(stopped_at, default=None), max(active_since, default=None))


def _others_on_disk(system: System, name: str, loaded: list[str]) -> bool:
    """Whether drop-ins of the unit itself came or went since systemd read it.

    Up to systemd 252 at least, NeedDaemonReload stays "no" for a drop-in in a directory that is new: it looks
    for files among the paths that it knew (tried on Debian 12; 257 says "yes").
    """
    known = {path.rpartition("/")[2] for path in loaded}
    for directory in (f"{place}/{name}.d" for place in _UNIT_DIRECTORIES):
        try:
            names = [entry for entry in system.list_directory(directory) if entry.endswith(".conf")]
        except NotThere:
            continue
        if any(_is_file(system, f"{directory}/{entry}") for entry in names if entry not in known):
            return True
    return any(not system.exists(path) for path in loaded)


def _is_file(system: System, path: str) -> bool:
    """Not a link to /dev/null, which takes a drop-in of the same name away, and not one to nothing."""
    try:
        return system.stat(path).type == "file"
    except NotThere:
        return False


def parse_properties(text: str) -> dict[str, str]:
    """`Name=value` lines of `systemctl show`; a property on several lines keeps them all, by newline."""
    properties: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            properties[name] = f"{properties[name]}\n{value}" if name in properties else value
    return properties


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables of an `EnvironmentFile=` (systemd.exec(5)): comments by # and ;, values in quotes."""
    joined = re.sub(r"\\\n", "", text)
    lines = [line.strip() for line in joined.splitlines()]
    return {
        name.strip(): " ".join(_unquoted_value(value.strip()))
        for name, equals, value in (line.partition("=") for line in lines if line[:1] not in ("#", ";"))
        if equals
    }


def expand_command(argv: list[str], variables: dict[str, str]) -> list[str]:
    """Put variables in as systemd.service(5) says: `$VAR` alone becomes words, `${VAR}` stays in its word."""
    words: list[str] = []
    for word in argv:
        alone = _VARIABLE_WORD.match(word)
        if alone:
            words.extend(split_words(variables.get(alone[1], "")))
        else:
            words.append(_VARIABLE.sub(lambda match: _substitute(match, variables), word))
    return words


def split_words(text: str) -> list[str]:
    """Words as systemd splits them (systemd.syntax(7)): by white space, unless quoted or escaped."""
    words: list[str] = []
    current: Optional[str] = None
    quote = ""
    characters = iter(text)
    for character in characters:
        if character == "\\":
            current = (current or "") + _escaped(next(characters, "\\"))
        elif quote:
            quote, current = ("", current) if character == quote else (quote, (current or "") + character)
        elif character in _QUOTES:
            quote, current = character, current or ""
        elif character.isspace():
            words, current = (words if current is None else [*words, current]), None
        else:
            current = (current or "") + character
    return words if current is None else [*words, current]


def _escaped(character: str) -> str:
    return {"n": "\n", "t": "\t", "s": " "}.get(character, character)


def _unquoted_value(value: str) -> list[str]:
    return split_words(value) if value[:1] in _QUOTES else [value]


def _assignments(words: list[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, equals, value in (word.partition("=") for word in words) if equals]


def _substitute(match: re.Match[str], variables: dict[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    if match[1] is None:
        return match[0]  # `a$VAR` inside a word stays as it is
    return variables.get(match[1], "")


def _argv(exec_property: str) -> list[str]:
    match = re.search(r"argv\[\]=(.*?) ; ignore_errors=", exec_property)
    if match is None:
        raise PortError("systemctl show: ExecStart without a command")
    return split_words(match[1])


def start_time(exec_property: str) -> Optional[float]:
    """When a command of a unit began last, of a property like ExecReload as systemd shows it with TZ=UTC."""
    begun = "\n".join(re.findall(r"start_time=\[(.*?)\]", exec_property))
    return max(_stamps(begun), default=None)


def _stamps(text: str) -> list[float]:
    """The times in a text of systemd's, in seconds since the epoch."""
    return [float(timegm(strptime(stamp, "%Y-%m-%d %H:%M:%S"))) for stamp in _STAMP.findall(text)]
