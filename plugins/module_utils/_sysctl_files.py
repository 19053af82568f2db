# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which file decides on each sysctl at boot, as systemd-sysctl reads them; pure functions over texts.

Source: sysctl.d(5), and systemd 252 and 257: ``src/sysctl/sysctl.c``, ``src/basic/conf-files.c``,
``src/basic/sysctl-util.c``, ``src/basic/fileio.c`` (read_line_full). What the manual does not say:

- A key that is named in full is not touched by a pattern, wherever the two stand.
- Of several patterns that match a key, the one that was given a new value last is applied last; to repeat a
  pattern with the value that it has does not move it.
- A link to /dev/null, like an empty file, hides the files of its name below and says nothing itself.
- /etc/sysctl.conf is no file of systemd's. It counts where a link in a directory leads to it, as Debian 12's
  /etc/sysctl.d/99-sysctl.conf does; Debian 13 has none, and procps runs nothing at boot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "SYSCTL_CONF",
    "SYSCTL_DIRECTORIES",
    "Assignment",
    "BootOrder",
    "Override",
    "SysctlFilesError",
    "Winner",
    "boot_order",
    "dotted_name",
    "overrides",
    "parse_sysctl_file",
    "slashed_name",
    "winners",
]

# From the one that hides the others' files to the one whose files are hidden (CONF_PATHS in src/basic/def.h).
SYSCTL_DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",  # where /lib is no link to /usr/lib
)
SYSCTL_CONF = "/etc/sysctl.conf"

_END_OF_LINE = re.compile(r"(?:\r\n|\n\r|\n|\r)\0?|\0")
_BLANKS = " \t\n\r"
_TOKEN = re.compile(r"\[(?P<not>[!^]?)(?P<set>\]?[^\]]*)\]|\\(?P<escaped>.)|.", re.DOTALL)
_SWAPPED = str.maketrans("./", "/.")


class SysctlFilesError(BulkheadError):
    """A file of ours that would not be read at boot."""


@dataclass(frozen=True)
class Assignment:
    """One line of a file.

    :ivar key: with slashes; a pattern where it holds one of ``*?[``
    :ivar value: ``None``: the line keeps patterns away from the key, and sets nothing
    :ivar line: counted from 1
    """

    path: str
    line: int
    key: str
    value: Optional[str]

    @property
    def is_pattern(self) -> bool:
        return _is_pattern(self.key)


@dataclass(frozen=True)
class BootOrder:
    """What systemd-sysctl makes of the files.

    :ivar read: paths in the order in which they are read; the last one wins
    :ivar hidden: path -> the path of the same name that is read in its stead
    :ivar not_read: paths that are in no directory of its, or whose names do not end in ``.conf``
    """

    read: tuple[str, ...]
    hidden: Mapping[str, str]
    not_read: tuple[str, ...]


@dataclass(frozen=True)
class Winner:
    """Who decides on a key.

    :ivar by: the line whose value the key has after boot; its value is ``None`` where a later line took back
        what an earlier one set
    :ivar overridden: lines that say something else, in the order in which they are read
    """

    key: str
    by: Assignment
    overridden: tuple[Assignment, ...]

    @property
    def value(self) -> Optional[str]:
        return self.by.value


@dataclass(frozen=True)
class Override:
    """A wanted key that does not get its value at boot.

    :ivar name: as it was asked for; of a pattern, the key that it concerns
    :ivar found: the value from the other file, ``None`` where it sets none or could not be read
    :ivar path: the other file
    :ivar line: its line, ``None`` where the file as a whole stands in the way
    :ivar reason: a sentence for the reader, which names both files
    """

    name: str
    wanted: str
    found: Optional[str]
    path: str
    line: Optional[int]
    reason: str


def slashed_name(name: str) -> str:
    """``net.ipv4.conf.eth0/1.mtu`` or ``/net/ipv4/conf/eth0.1/mtu`` -> ``net/ipv4/conf/eth0.1/mtu``."""
    first = re.search(r"[./]", name)
    if first is not None and first[0] == ".":
        name = name.translate(_SWAPPED)
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def dotted_name(key: str) -> str:
    """``net/ipv4/conf/eth0.1/mtu`` -> ``net.ipv4.conf.eth0/1.mtu``, as most people write it."""
    return key.translate(_SWAPPED)


def boot_order(paths: Iterable[str]) -> BootOrder:
    """Which of these files are read at boot, in which order."""
    chosen: dict[str, str] = {}
    hidden: dict[str, str] = {}
    not_read = []
    for path in sorted(paths, key=lambda path: (_rank(path), path)):
        directory, _slash, name = path.rpartition("/")
        if directory not in SYSCTL_DIRECTORIES or not name.endswith(".conf"):
            not_read.append(path)
        elif name in chosen:
            hidden[path] = chosen[name]
        else:
            chosen[name] = path
    in_order = sorted(chosen, key=lambda name: name.encode("utf-8", "surrogateescape"))  # strcmp(3)
    return BootOrder(tuple(chosen[name] for name in in_order), hidden, tuple(not_read))


def parse_sysctl_file(path: str, text: str) -> list[Assignment]:
    """The lines that say something; systemd skips the others with a warning, and so does this."""
    found = []
    for number, raw in enumerate(_END_OF_LINE.split(text), 1):
        line = raw.strip(_BLANKS)
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        if not equals and not name.startswith("-"):
            continue
        if name.startswith("-"):  # with a value: a failure is ignored; without: patterns keep away
            name = name[1:]
        key = slashed_name(name.strip(_BLANKS))
        found.append(Assignment(path, number, key, value.strip(_BLANKS) if equals else None))
    return found


def winners(files: Mapping[str, Optional[str]], keys: Iterable[str] = ()) -> dict[str, Winner]:
    """Who decides on each key that the files name, and on each of these that a pattern matches.

    :param files: path -> text; ``None``: it could not be read, and counts as empty (see `overrides`). A file
        that a link leads to stands under the path of the link, with "" where it leads to nothing
    :param keys: names that the kernel has, with dots or slashes; patterns are applied to these alone
    :returns: by the key with slashes. No pattern is in it
    """
    lines = [line for path in boot_order(files).read for line in parse_sysctl_file(path, files[path] or "")]
    names = {line.key for line in lines if not line.is_pattern} | {slashed_name(key) for key in keys}
    found = {}
    for key in sorted(names):
        winner = _winner(key, lines)
        if winner is not None:
            found[key] = winner
    return found


def overrides(
    files: Mapping[str, Optional[str]],
    *,
    own: str,
    wanted: Mapping[str, str],
    present: Iterable[str] = (),
) -> list[Override]:
    """Which wanted keys another file overrides at the next boot, if our file holds them all.

    :param files: as for `winners`; the text of our own file among them has no say
    :param own: path of our file
    :param wanted: name of the key, with dots or slashes, or a pattern -> value
    :param present: names that the kernel has, to which patterns are applied
    :raises SysctlFilesError: our file would not be read at all, because of where it is or what it is called
    """
    directory, _slash, base = own.rpartition("/")
    if directory not in SYSCTL_DIRECTORIES or not base.endswith(".conf"):
        raise SysctlFilesError(
            f"{own}: systemd-sysctl does not read it. Accepted is a name that ends in .conf, in one of: "
            f"{', '.join(SYSCTL_DIRECTORIES)}."
        )
    text = "".join(f"{name} = {value}\n" for name, value in wanted.items())
    together: dict[str, Optional[str]] = {**files, own: text}
    order = boot_order(together)
    if own in order.hidden:
        other = order.hidden[own]
        reason = f"{other} has the same name as {own}, and systemd-sysctl reads it in its stead"
        return [Override(name, value, None, other, None, reason) for name, value in wanted.items()]
    known = [slashed_name(name) for name in present]
    found = []
    for name, value in wanted.items():
        found += _overrides_of(name, value, own, together, order, known)
    return found


def _overrides_of(
    name: str,
    value: str,
    own: str,
    files: Mapping[str, Optional[str]],
    order: BootOrder,
    present: Iterable[str],
) -> list[Override]:
    key = slashed_name(name)
    lines = [line for path in order.read for line in parse_sysctl_file(path, files[path] or "")]
    concerned = {key: name}
    if _is_pattern(key):
        named = {line.key for line in lines if not line.is_pattern}
        concerned.update(
            (other, dotted_name(other)) for other in sorted({*present, *named}) if _matches(key, other)
        )
    found = []
    for other, shown in concerned.items():
        winner = _winner(other, lines)
        if winner is not None and not _same(winner.by.value, value):
            reason = _reason(winner.by, own, order)
            found.append(Override(shown, value, winner.by.value, winner.by.path, winner.by.line, reason))
    after = order.read if _is_pattern(key) else order.read[order.read.index(own) :]
    unread = [path for path in after if files[path] is None]
    if not found and unread:
        reason = f"{unread[-1]} could not be read, so that it is not known whether it overrides {own}"
        found.append(Override(name, value, None, unread[-1], None, reason))
    return found


def _reason(by: Assignment, own: str, order: BootOrder) -> str:
    says = f"sets it to {by.value}" if by.value is not None else "takes it back (it begins with -)"
    line = f"{by.path}, line {by.line}, {says}"
    if by.path == own:
        return f"{line}: another name of the same key in our own file"
    if order.read.index(by.path) > order.read.index(own):
        return f"{line}, and is read after {own}"
    if by.is_pattern:
        return f"{line}, and {own} repeats an earlier pattern with the same value, which does not move it"
    return f"{line}, and a key that is named in full is not touched by a pattern"


def _winner(key: str, lines: list[Assignment]) -> Optional[Winner]:
    """The line that decides on one key; `lines` in the order in which they are read."""
    named = [line for line in lines if line.key == key]
    patterns = [line for line in lines if line.is_pattern and line.key != key and _matches(line.key, key)]
    if _is_pattern(key):
        patterns = []
    if named:
        by = named[-1]
    elif patterns:
        last = _applied_last(patterns)
        by = [line for line in patterns if line.key == last][-1]
    else:
        return None
    overridden = [line for line in lines if line in (*named, *patterns) and not _same(line.value, by.value)]
    return Winner(key, by, tuple(overridden))


def _applied_last(patterns: Iterable[Assignment]) -> str:
    """The pattern that is applied last; one that sets nothing only where none does."""
    values: dict[str, Optional[str]] = {}
    for line in patterns:
        if line.key not in values or values[line.key] != line.value:
            values.pop(line.key, None)
            values[line.key] = line.value
    setting = [key for key, value in values.items() if value is not None]
    return (setting or list(values))[-1]


def _same(first: Optional[str], second: Optional[str]) -> bool:
    """Whether two values are one to the kernel, which takes any blanks between numbers (proc_dointvec)."""
    if first is None or second is None:
        return first is second
    return first.split() == second.split()


def _rank(path: str) -> int:
    directory = path.rpartition("/")[0]
    known = directory in SYSCTL_DIRECTORIES
    return SYSCTL_DIRECTORIES.index(directory) if known else len(SYSCTL_DIRECTORIES)


def _is_pattern(key: str) -> bool:
    return any(character in key for character in "*?[")


def _matches(pattern: str, key: str) -> bool:
    """Whether glob(7) finds the key by the pattern: component by component, braces first."""
    return any(_matches_without_braces(each, key) for each in _without_braces(pattern))


def _without_braces(pattern: str) -> list[str]:
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None or braces[1] == "":
        return [pattern]
    return [
        expanded
        for choice in braces[1].split(",")
        for expanded in _without_braces(pattern[: braces.start()] + choice + pattern[braces.end() :])
    ]


def _matches_without_braces(pattern: str, key: str) -> bool:
    wanted, found = pattern.split("/"), key.split("/")
    return len(wanted) == len(found) and all(
        _component(part).fullmatch(name) is not None for part, name in zip(wanted, found)
    )


def _component(pattern: str) -> re.Pattern[str]:
    """One component of a pattern as a regular expression (fnmatch(3), FNM_PERIOD; no [[:class:]])."""
    expression = "" if pattern.startswith((".", "\\.")) else r"(?!\.)"
    for token in _TOKEN.finditer(pattern):
        if token["set"] is not None:
            members = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", token["set"])
            expression += f"[{'^' if token['not'] else ''}{members}]"
        elif token["escaped"] is not None:
            expression += re.escape(token["escaped"])
        else:
            expression += {"*": ".*", "?": "."}.get(token[0], re.escape(token[0]))
    try:
        return re.compile(expression, re.DOTALL)
    except re.error:  # a range such as [z-a], which matches nothing
        return re.compile(r"(?!)")
