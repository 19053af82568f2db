# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mount tables (proc_pid_mountinfo(5)): binds from the host, what hides or protects /proc and /sys."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, ProcessHandle

__all__ = [
    "HostMounts",
    "Mount",
    "MountTable",
    "mount_of",
    "parse_mountinfo",
    "read_mounts",
    "sensitive_kind",
]

_MOUNTINFO_LIMIT = 4 * 1024 * 1024
_ESCAPE = re.compile(r"\\([0-7]{3})")
_ENGINE_SOCKETS = {
    "docker.sock",
    "podman.sock",
    "containerd.sock",
    "containerd.sock.ttrpc",
    "crio.sock",
    "cri-dockerd.sock",
    "buildkitd.sock",
}
# Directories in which an engine keeps its socket, and those above them.
_SOCKET_DIRECTORIES = re.compile(
    r"/run(/(docker|podman|containerd|crio|buildkit|user(/\d+(/(docker|podman|containerd))?)?))?"
)
_NO_DEVICES = ("hugepages", "mqueue", "pts", "shm")  # file systems of their own beneath /dev


@dataclass(frozen=True)
class Mount:
    """One mount. `root` is the directory within the file system that is mounted, not a path of the host."""

    id: int
    parent: int
    device: str
    root: str
    mountpoint: str
    options: frozenset[str]
    propagation: str
    filesystem: str
    super_options: frozenset[str]

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or "ro" in self.super_options


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts of a mount namespace, in the kernel's order; raises `PortError` on another form."""
    return [_parse_line(line) for line in text.split("\n") if line]


def read_mounts(process: ProcessHandle) -> MountTable:
    """The mounts that the process sees, from its own root downwards."""
    return MountTable(parse_mountinfo(process.read_text("mountinfo", limit=_MOUNTINFO_LIMIT)))


def _parse_line(line: str) -> Mount:
    before, dash, after = line.partition(" - ")
    fields, kind = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(kind) < 3 or not (fields[0].isdigit() and fields[1].isdigit()):
        raise PortError("/proc/PID/mountinfo: a line is not understood")
    tags = {tag.partition(":")[0] for tag in fields[6:]}
    return Mount(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=fields[2],
        root=_unescaped(fields[3]),
        mountpoint=_unescaped(fields[4]),
        options=frozenset(fields[5].split(",")),
        propagation="shared" if "shared" in tags else "slave" if "master" in tags else "private",
        filesystem=kind[0],
        super_options=frozenset(kind[2].split(",")),
    )


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


class MountTable:
    """The mounts of one namespace, with the ones that are covered by others told apart."""

    def __init__(self, mounts: list[Mount]) -> None:
        self.mounts = mounts
        self._top: dict[str, Mount] = {mount.mountpoint: mount for mount in mounts}  # the last one covers
        self._by_id = {mount.id: mount for mount in mounts}

    def at(self, mountpoint: str) -> Mount | None:
        """The visible mount at exactly this place."""
        return self._top.get(mountpoint)

    def visible(self) -> list[Mount]:
        """The mounts that a path walk reaches: a mount whose parent has been covered since is not."""
        return [mount for mount in self._top.values() if self._reached(mount)]

    def _reached(self, mount: Mount) -> bool:
        if mount.mountpoint == "/":
            return True
        above = self._enclosing(mount.mountpoint)
        return above is None or above.id == self._parent_of_stack(mount)

    def _parent_of_stack(self, mount: Mount) -> int:
        """The parent of the lowest of the mounts that are stacked at the same place."""
        below = self._by_id.get(mount.parent)
        while below is not None and below is not mount and below.mountpoint == mount.mountpoint:
            mount, below = below, self._by_id.get(below.parent)
        return mount.parent

    def _enclosing(self, path: str) -> Mount | None:
        while path != "/":
            path = posixpath.dirname(path)
            if path in self._top:
                return self._top[path]
        return None

    def masked_paths(self) -> list[str]:
        """Places under /proc and /sys that are hidden: an empty tmpfs, or /dev/null, is mounted on them."""
        return sorted(mount.mountpoint for mount in self._beneath() if mount.filesystem in _MASKS)

    def read_only_paths(self) -> list[str]:
        """Places in the proc and sysfs file systems that are mounted read-only."""
        return sorted(
            mount.mountpoint
            for mount in [*self._beneath(), *filter(None, (self.at("/proc"), self.at("/sys")))]
            if mount.filesystem in ("proc", "sysfs") and mount.read_only
        )

    def _beneath(self) -> list[Mount]:
        return [mount for mount in self.visible() if mount.mountpoint.startswith(("/proc/", "/sys/"))]


_MASKS = ("tmpfs", "devtmpfs")


class HostMounts:
    """The host's mount table, to find the host's path of what a container has mounted."""

    def __init__(self, table: MountTable) -> None:
        self.table = table
        self._by_device: dict[str, list[Mount]] = {}
        for mount in table.visible():
            self._by_device.setdefault(mount.device, []).append(mount)

    def path_of(self, mount: Mount) -> str | None:
        """The host's path of a mount's source, or None when no mount of the host shows that directory.

        Several may (a bind on the host itself): the one that shows the most of the file system is taken.
        """
        source = mount.root.removesuffix("//deleted")
        for place in sorted(self._by_device.get(mount.device, ()), key=_breadth):
            inner = _inside(place.root, source)
            if inner is not None:
                return posixpath.normpath(place.mountpoint + "/" + inner)
        return None


def _breadth(mount: Mount) -> tuple[int, int]:
    return len(mount.root), len(mount.mountpoint)


def _inside(directory: str, path: str) -> str | None:
    """The rest of `path` below `directory`, or None when it is not below it."""
    if directory == "/":
        return path
    if path == directory or path.startswith(directory + "/"):
        return path[len(directory) :]
    return None


def sensitive_kind(source: str, *, read_only: bool) -> str | None:
    """What makes a path of the host dangerous to hand into a container, or None.

    The directories are those of CIS Docker Benchmark 5.6. Of /etc, /lib and /usr a part that is mounted
    read-only (certificates, a time zone) is ordinary, a writable part is not. A directory that holds an
    engine's socket is as good as the socket.
    """
    path = re.sub(r"^/var/run(?=/|$)", "/run", posixpath.normpath("/" + source.lstrip("/")))
    if path == "/":
        return "root"
    if posixpath.basename(path) in _ENGINE_SOCKETS or _SOCKET_DIRECTORIES.fullmatch(path):
        return "engine_socket"
    if path.startswith("/dev/"):
        return None if path.split("/")[2] in _NO_DEVICES else "device"
    path = re.sub(r"^/usr(?=/lib(32|64|x32)?$)", "", path)
    first = path.split("/")[1]
    kind = "lib" if first in ("lib", "lib32", "lib64", "libx32") else first
    if kind in ("proc", "sys", "boot", "dev"):
        return kind
    if kind in ("etc", "lib", "usr") and (path.count("/") == 1 or not read_only):
        return kind
    return None


def mount_of(mounts: Sequence[Mount], path: str) -> Optional[Mount]:
    """The mount that a path lies on: the deepest, and of several in one place the last."""
    best: Optional[Mount] = None
    for mount in mounts:
        point = mount.mountpoint.rstrip("/")
        if (path == point or path.startswith(f"{point}/")) and (
            best is None or len(point) >= len(best.mountpoint.rstrip("/"))
        ):
            best = mount
    return best
