# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which container a cgroup belongs to by its name, and the limits that the cgroup sets."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import Mount
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["CgroupLimits", "CgroupMark", "marks_of", "parse_cgroup_file", "user_of_path"]

_ID = "[0-9a-f]{64}"
_PREFIX_ENGINES = {"docker": "docker", "libpod": "podman", "cri-containerd": "containerd", "crio": "crio"}

# One path segment, as the systemd drivers name their scopes.
_SCOPE = re.compile(rf"(?P<prefix>docker|libpod|cri-containerd|crio|nerdctl)-(?P<id>{_ID})\.scope")
_SPLIT = re.compile(rf"libpod-payload-(?P<id>{_ID})")  # podman run --cgroups=split
# Two segments, as the cgroupfs drivers name them: parent and id.
_CGROUPFS = {"docker": "docker", "libpod_parent": "podman"}
_CGROUPFS_ID = re.compile(rf"(?:(?P<prefix>libpod|crio)-)?(?P<id>{_ID})")
_POD = re.compile(r"(?:kubepods.*-)?pod[0-9a-f_-]{32,36}(?:\.slice)?")
_LXC = re.compile(r"lxc\.payload\.(?P<name>.+)")
_NSPAWN = re.compile(r"systemd-nspawn@(?P<service>.+)\.service|machine-(?P<scope>.+)\.scope")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_USER = re.compile(r"/user\.slice/user-(\d+)\.slice(?:/|$)")


@dataclass(frozen=True)
class CgroupMark:
    """A container by the name of its cgroup: a claim of whoever could make that cgroup, nothing more.

    `path` ends with the container's own cgroup. `user` is the uid whose slice it lies in, None outside the
    users' slices. `certain` is False where the name alone is no proof of a container (machine-NAME.scope is
    also a virtual machine's).
    """

    engine: str
    id: str | None
    name: str | None
    path: str
    user: int | None
    certain: bool = True


def user_of_path(path: str) -> int | None:
    """The uid whose slice the cgroup path lies in (systemd's user-UID.slice), or None."""
    match = _USER.match(path)
    return int(match[1]) if match else None


def parse_cgroup_file(text: str) -> dict[str, str]:
    """/proc/PID/cgroup as controller -> path (cgroups(7)); the unified hierarchy has the key `""`."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3 and fields[2].startswith("/"):
            for controller in fields[1].split(","):
                paths.setdefault(controller, fields[2])
    return paths


def marks_of(paths: dict[str, str]) -> tuple[CgroupMark, ...]:
    """The containers that these paths name, the outermost first, from the first hierarchy that names any."""
    for controller in ("", "name=systemd", "pids", "memory", "cpu", "devices"):
        marks = _marks_of_path(paths.get(controller, ""))
        if marks:
            return marks
    return ()


def _marks_of_path(path: str) -> tuple[CgroupMark, ...]:
    segments = path.split("/")
    marks: list[CgroupMark] = []
    for index, segment in enumerate(segments):
        claim = _claim(segments[index - 1] if index else "", segment, segments[index + 1 : index + 2])
        if claim is None:
            continue
        engine, identity, name, certain = claim
        if marks and (marks[-1].id, marks[-1].name) == (identity, name):
            continue  # the same container again: some engines repeat the id in a child of the scope
        own = "/".join(segments[: index + 1])
        marks.append(CgroupMark(engine, identity, name, own, user_of_path(path), certain))
    return tuple(marks)


def _claim(
    parent: str, segment: str, following: list[str]
) -> tuple[str, str | None, str | None, bool] | None:
    """Engine, id, name and certainty that one segment of a path names."""
    scope = _SCOPE.fullmatch(segment)
    if scope:
        return _PREFIX_ENGINES.get(scope["prefix"], "containerd"), scope["id"], None, True
    split = _SPLIT.fullmatch(segment)
    if split:
        return "podman", split["id"], None, True
    by_id = _CGROUPFS_ID.fullmatch(segment)
    if by_id:
        return _cgroupfs_claim(parent, by_id["prefix"], by_id["id"])
    lxc = _LXC.fullmatch(segment)
    if lxc or (parent in ("lxc", "lxc.payload") and segment):
        return "lxc", None, _unescaped(lxc["name"] if lxc else segment), True
    nspawn = _NSPAWN.fullmatch(segment)
    if nspawn and following == ["payload"]:
        return "systemd-nspawn", None, _unescaped(nspawn["service"] or nspawn["scope"]), True
    if nspawn:
        return "systemd-nspawn", None, _unescaped(nspawn["service"] or nspawn["scope"]), False
    return None


def _cgroupfs_claim(
    parent: str, prefix: str | None, identity: str
) -> tuple[str, str | None, str | None, bool] | None:
    if prefix:
        return _PREFIX_ENGINES[prefix], identity, None, True
    if parent in _CGROUPFS:
        return _CGROUPFS[parent], identity, None, True
    if _POD.fullmatch(parent):
        return "containerd", identity, None, True
    return None


def _unescaped(name: str) -> str:
    r"""systemd writes `-` in a unit's name as `\x2d` (systemd.unit(5))."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)


class CgroupLimits:
    """Reads what a container's own cgroup allows it, on the unified hierarchy or on version 1's."""

    def __init__(self, system: System, host_mounts: list[Mount]) -> None:
        self._system = system
        self._places: dict[str, str] = {}
        for mount in host_mounts:
            if mount.filesystem == "cgroup2":
                self._places.setdefault("", mount.mountpoint)
            elif mount.filesystem == "cgroup":
                for controller in mount.super_options:
                    self._places.setdefault(controller, mount.mountpoint)

    def read(self, paths: dict[str, str], own: str | None) -> dict[str, Any]:
        """Memory in bytes, pids, cores and weight (1 to 10000, 100 is the default); null is unlimited.

        The strictest value from the container's own cgroup (`own`) down to that of its init is in force:
        Podman and CRI-O put the processes into a child. Limits of the slices above are shared with others
        and do not count. `paths` is that of the init.
        """
        memory = self._strictest("memory", paths, own, "memory.max", "memory.limit_in_bytes")
        return {
            "memory_bytes": memory if memory is None or memory < 2**62 else None,  # v1: no limit is 2^63-1
            "pids": self._strictest("pids", paths, own, "pids.max", "pids.max"),
            "cpu_cores": self._cores(paths, own),
            "cpu_weight": self._weight(paths, own),
        }

    def _directories(self, controller: str, paths: dict[str, str], own: str | None) -> tuple[list[str], bool]:
        """From the container's own cgroup down to the leaf; and whether it is the unified hierarchy."""
        unified = controller in paths and controller not in self._places
        if controller not in paths or unified:
            unified, controller = True, ""
        place, leaf = self._places.get(controller), paths.get(controller)
        if place is None or leaf is None:
            return [], unified
        leaf = leaf.rstrip("/")
        if not own or not (leaf + "/").startswith(own + "/"):
            return [place + leaf], unified
        below = leaf[len(own) :].split("/")[1:]
        parts = [own + "".join(f"/{name}" for name in below[:depth]) for depth in range(len(below) + 1)]
        return [place + part for part in parts], unified

    def _values(self, controller: str, paths: dict[str, str], own: str | None, v2: str, v1: str) -> list[str]:
        directories, unified = self._directories(controller, paths, own)
        values = []
        for directory in directories:
            try:
                values.append(self._system.read_text(f"{directory}/{v2 if unified else v1}", limit=4096))
            except NotThere:
                continue  # the controller is not enabled here, so that it limits nothing
        return values

    def _strictest(
        self, controller: str, paths: dict[str, str], own: str | None, v2: str, v1: str
    ) -> int | None:
        limits = [value.strip() for value in self._values(controller, paths, own, v2, v1)]
        numbers = [_number(limit) for limit in limits if limit != "max"]
        return min(numbers) if numbers else None

    def _cores(self, paths: dict[str, str], own: str | None) -> float | None:
        quotas = [value.split() for value in self._values("cpu", paths, own, "cpu.max", "cpu.cfs_quota_us")]
        periods = self._values("cpu", paths, own, "cpu.max", "cpu.cfs_period_us")
        shares = []
        for quota, period in zip(quotas, periods):
            if quota and quota[0] not in ("max", "-1"):
                shares.append(_number(quota[0]) / max(_number(period.split()[-1]), 1))
        return round(min(shares), 3) if shares else None

    def _weight(self, paths: dict[str, str], own: str | None) -> int | None:
        directories, unified = self._directories("cpu", paths, own)
        values = self._values("cpu", paths, own, "cpu.weight", "cpu.shares")
        if not directories or not values:
            return None
        return _number(values[0]) if unified else weight_of_shares(_number(values[0]))


def weight_of_shares(shares: int) -> int:
    """Version 1's cpu.shares as version 2's weight, so that both defaults, 1024 and 100, mean the same.

    The curve through (2, 1), (1024, 100) and (262144, 10000) that newer releases of crun and runc use.
    """
    exponent = math.log2(min(max(shares, 2), 262144))
    return math.ceil(10 ** ((exponent**2 + 125 * exponent) / 612 - 7 / 34))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise PortError("the cgroup's limit is not a number") from error
