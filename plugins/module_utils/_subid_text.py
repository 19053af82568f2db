# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts that subordinate ids come from: /etc/subuid, /etc/subgid, login.defs, nsswitch.conf, getsubids.

Sources: subuid(5), login.defs(5), getsubids(1) of shadow 4.13. How programs read a line was tried and read in
shadow's ``lib/subordinateio.c`` (strtoul with base 0, fields behind the third are ignored) and in
containers/storage ``pkg/idtools`` (decimal numbers, exactly three fields, ``#`` begins a comment).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "FILES",
    "KINDS",
    "LAST_ID",
    "UNCHANGED",
    "Entry",
    "LOGIN_DEFS",
    "Limits",
    "Range",
    "SubidError",
    "SubidFile",
    "Unusable",
    "local_sources_only",
    "parse_directory",
    "parse_limits",
    "parse_subids",
    "subid_source",
    "with_lines",
]

KINDS = ("uid", "gid")
FILES: Mapping[str, str] = {"uid": "/etc/subuid", "gid": "/etc/subgid"}
LOGIN_DEFS = "/etc/login.defs"
LAST_ID = 2**32 - 2  # (uid_t)-1 means "none" (setresuid(2))
UNCHANGED = "Nothing was changed."

_COMMON = re.compile(r"(?P<owner>[^:#\s+-][^:]*):(?P<start>0|[1-9][0-9]*):(?P<count>0|[1-9][0-9]*)")
_SUBIDS_LINE = re.compile(r"[0-9]+: (?P<owner>.+) (?P<start>[0-9]+) (?P<count>[0-9]+)")
_DIGITS = 20  # longer ones are no 64-bit number for anybody

# Whose accounts a host can list by itself (nsswitch.conf(5), nss-systemd(8), nss-altfiles, nss-extrausers).
_LOCAL_SOURCES = frozenset(("files", "compat", "systemd", "altfiles", "extrausers", "db", "mymachines"))


class SubidError(BulkheadError):
    """Subordinate ids could not be looked at or allocated."""


@dataclass(frozen=True, order=True)
class Range:
    """`count` ids from `start` on."""

    start: int
    count: int

    @property
    def last(self) -> int:
        """The last id of it."""
        return self.start + self.count - 1

    def overlaps(self, other: Range) -> bool:
        """Whether an id is in both."""
        return self.count > 0 and other.count > 0 and self.start <= other.last and other.start <= self.last

    def __str__(self) -> str:
        return f"{self.start}-{self.last}"


@dataclass(frozen=True)
class Entry:
    """A line that gives a range to an owner, a name or the text of a uid; lines count from 1."""

    line: int
    owner: str
    ids: Range


@dataclass(frozen=True)
class Unusable:
    """A line that programs do not understand, or not all in the same way."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class SubidFile:
    """A file's lines. `held`: ranges that somebody may read in lines that are no entries; they stay free."""

    path: str
    text: str
    entries: tuple[Entry, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    held: tuple[Range, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Of login.defs(5): ranges lie in `minimum`…`maximum`; `count`: the ids that useradd gives to an account.

    :ivar accounts: the ids that useradd and groupadd give to accounts and groups (UID_MIN…UID_MAX)
    """

    minimum: int = 100_000
    maximum: int = 600_100_000
    count: int = 65536
    accounts: Range = Range(1000, 59001)


def parse_subids(path: str, text: str) -> SubidFile:
    """The lines of a subuid(5) or subgid(5). Lines end with a line feed and nothing else."""
    entries, unusable, held = [], [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        common = _COMMON.fullmatch(line)
        if common is not None:
            ids = Range(*(int(common[name][:_DIGITS]) for name in ("start", "count")))
            if ids.count and ids.last <= LAST_ID:
                entries.append(Entry(number, common["owner"], ids))
                continue
        held += _readings(line)
        if not line.lstrip().startswith("#"):
            unusable.append(Unusable(number, line, _reason(line, ordinary=common is not None)))
    return SubidFile(path, text, tuple(entries), tuple(unusable), tuple(held))


def _reason(line: str, *, ordinary: bool) -> str:
    if ordinary:
        return f"it is empty, or goes beyond {LAST_ID}"
    if line.count(":") != 2:
        return f"fields found: {line.count(':') + 1}; accepted are the three of name:start:count"
    return "it is not name:start:count with decimal numbers"


def _readings(line: str) -> list[Range]:
    """Every range that a program may read in a line."""
    fields = line.strip().split(":")
    if len(fields) < 3:
        return []
    ranges = [Range(start, count) for start in _numbers(fields[1]) for count in _numbers(fields[2])]
    return [
        Range(ids.start, min(ids.count, LAST_ID + 1 - ids.start))
        for ids in ranges
        if ids.count and ids.start <= LAST_ID
    ]


def _numbers(text: str) -> set[int]:
    """What a text is for strtoul(3) with base 0, and in decimal."""
    digits = text.strip().lstrip("+")[: _DIGITS + 2]
    readings = set()
    if re.fullmatch("[0-9]+", digits):
        readings.add(int(digits))
    if re.fullmatch("0[0-7]+", digits):
        readings.add(int(digits, 8))
    if re.fullmatch("0[xX][0-9a-fA-F]+", digits):
        readings.add(int(digits, 16))
    return readings


def with_lines(text: str, added: Iterable[str]) -> str:
    """The text with lines behind its last one. An unfinished last line gets its line feed."""
    lines = "".join(f"{line}\n" for line in added)
    return f"{text}\n{lines}" if lines and text and not text.endswith("\n") else text + lines


def parse_limits(kind: str, text: str) -> Limits:
    """The limits for `uid` or `gid` in the text of login.defs, with login.defs(5)'s defaults.

    :raises SubidError: a number is not one, or the least is more than the most
    """
    found = dict(_settings(text))
    name, usual = kind.upper(), Limits()
    minimum = _setting(found, f"SUB_{name}_MIN", usual.minimum)
    maximum = min(_setting(found, f"SUB_{name}_MAX", usual.maximum), LAST_ID)
    lowest = _setting(found, f"{name}_MIN", usual.accounts.start)
    highest = _setting(found, f"{name}_MAX", usual.accounts.last)
    if minimum > maximum:
        raise SubidError(
            f"{LOGIN_DEFS}: found SUB_{name}_MIN {minimum} and SUB_{name}_MAX {maximum}; accepted is a "
            f"minimum below the maximum. {UNCHANGED}"
        )
    return Limits(
        minimum=minimum,
        maximum=maximum,
        count=_setting(found, f"SUB_{name}_COUNT", usual.count),
        accounts=Range(lowest, max(highest - lowest + 1, 0)),
    )


def _settings(text: str) -> Iterable[tuple[str, str]]:
    for line in text.split("\n"):
        words = line.split(None, 1)
        if len(words) == 2 and not words[0].startswith("#"):
            yield words[0], words[1].strip().strip('"')


def _setting(found: Mapping[str, str], name: str, usual: int) -> int:
    text = found.get(name)
    if text is None:
        return usual
    if re.fullmatch("0|[1-9][0-9]{0,19}", text):
        return int(text)
    raise SubidError(f"{LOGIN_DEFS}: {name}: found {text!r}, accepted is a decimal number. {UNCHANGED}")


def subid_source(nsswitch: str) -> str:
    """Where subordinate ids come from: `files`, or the name of a directory such as `sss`.

    Shadow takes the first word of the first such line that has one (``lib/nss.c``).
    """
    return next(iter(_sources(nsswitch, "subid")), "files")


def local_sources_only(nsswitch: str, database: str) -> bool:
    """Whether all accounts of `passwd` or `group` are on the host itself, so that they can be listed."""
    words = [word for word in _sources(nsswitch, database) if not word.startswith("[")]
    return _LOCAL_SOURCES.issuperset(words)


def _sources(nsswitch: str, database: str) -> list[str]:
    for line in nsswitch.split("\n"):
        name, colon, sources = line.partition(":")
        words = sources.partition("#")[0].split()
        if colon and name.lower() == database and words:
            return words
    return []


def parse_directory(kind: str, outputs: Iterable[str]) -> SubidFile:
    """What ``getsubids [-g] NAME`` printed, for each name, as if it were a file."""
    source = "getsubids" if kind == "uid" else "getsubids -g"
    entries: list[Entry] = []
    for output in outputs:
        for line in output.splitlines():
            row = _SUBIDS_LINE.fullmatch(line.strip())
            if row is None:
                raise SubidError(
                    f"{source}: found {line[:200]!r}, accepted is 0: NAME START COUNT. {UNCHANGED}"
                )
            ids = Range(int(row["start"][:_DIGITS]), int(row["count"][:_DIGITS]))
            entries.append(Entry(len(entries) + 1, row["owner"], ids))
    return SubidFile(source, "", tuple(entries))
