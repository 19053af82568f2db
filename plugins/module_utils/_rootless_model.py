# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked for, what was found and what is planned, where users get what rootless engines need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import SessionFacts

__all__ = [
    "CONTROLLERS",
    "DROP_IN",
    "HOST",
    "PING_GROUP_RANGE",
    "RESTART_UNIT",
    "SYSCTL_FILE",
    "UNCHANGED",
    "UNPRIVILEGED_PORT",
    "USERNS_CLONE",
    "USER_NAMESPACES",
    "AppArmorFacts",
    "HostFacts",
    "Program",
    "RootlessError",
    "RootlessPlan",
    "Running",
    "Step",
    "UnitFacts",
    "UserFacts",
    "Wanted",
]

UNCHANGED = "Nothing was changed."
DROP_IN = "/etc/systemd/system/user@.service.d/zz-bulkhead.conf"
SYSCTL_FILE = "/etc/sysctl.d/zz-bulkhead-rootless.conf"
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
RESTART_UNIT = "podman-restart.service"

USER_NAMESPACES = "user.max_user_namespaces"
USERNS_CLONE = "kernel.unprivileged_userns_clone"
PING_GROUP_RANGE = "net.ipv4.ping_group_range"
UNPRIVILEGED_PORT = "net.ipv4.ip_unprivileged_port_start"

HOST = "host"  # the subject of what is pending for all users


class RootlessError(BulkheadError):
    """The users cannot be given what rootless engines need."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :ivar namespaces: whether a limit on user namespaces that others set may be raised
    :ivar delegate: cgroup controllers; empty: none by us
    :ivar ping_group_range: "" and `unprivileged_port` ``None``: left alone
    :ivar containers_at_boot: whether containers with a restart policy come back after a reboot
    :ivar programs: further programs that make user namespaces, beside the engines that are found
    :ivar restart_session: whether a running manager may be restarted, which ends its containers
    """

    users: tuple[str, ...]
    linger: bool = True
    namespaces: bool = False
    delegate: tuple[str, ...] = CONTROLLERS
    ping_group_range: str = ""
    unprivileged_port: Optional[int] = None
    containers_at_boot: bool = True
    programs: tuple[str, ...] = ()
    restart_session: bool = False
    drop_in_changed: bool = False


@dataclass(frozen=True)
class Running:
    """Something that ends when a user's manager is restarted.

    :ivar text: for a message, `container web` or `sleep (process 812)`
    """

    text: str


@dataclass(frozen=True)
class UnitFacts:
    """user@UID.service as systemd has it loaded: what its next start gets."""

    delegate: tuple[str, ...] = ()
    drop_ins: tuple[str, ...] = ()
    needs_reload: bool = False


@dataclass(frozen=True)
class UserFacts:
    """One user.

    :ivar running: what a restart of the manager ends; only looked for where controllers are missing
    :ivar running_unknown: why that is not known
    :ivar home_obstacle: why the home cannot hold containers; "": it can
    :ivar at_boot: whether Podman's restart unit is enabled for the user; ``None``: it cannot be, or need not
    :ivar at_boot_obstacle: why that is not known
    """

    session: SessionFacts
    unit: UnitFacts
    running: tuple[Running, ...] = ()
    running_unknown: str = ""
    home_obstacle: str = ""
    at_boot: Optional[bool] = None
    at_boot_obstacle: str = ""


@dataclass(frozen=True)
class Program:
    """A program that makes user namespaces. `attached`: the loaded AppArmor profile that lets it."""

    path: str
    attached: str = ""


@dataclass(frozen=True)
class AppArmorFacts:
    """`restricted`: unprivileged user namespaces are taken from programs without a profile that grants them.

    :ivar loaded: our profiles that are loaded, `files`: our files that are there
    :ivar unread: why loaded profiles are not known
    """

    restricted: bool = False
    programs: tuple[Program, ...] = ()
    loaded: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    parser: bool = True
    unread: str = ""


@dataclass(frozen=True)
class HostFacts:
    """The host.

    :ivar controllers: what the kernel offers; ``None``: no unified cgroup hierarchy
    :ivar id_programs: by name, why it gives no ids; "": it does. One that is missing is not in it
    :ivar bus_unit: whether each user's manager brings a session bus
    :ivar sysctl_files: path -> text; ``None``: it could not be read
    :ivar sysctls: the live values; ``None``: the kernel does not have it
    """

    controllers: Optional[tuple[str, ...]]
    id_programs: Mapping[str, str]
    bus_unit: bool
    sysctl_files: Mapping[str, Optional[str]]
    sysctls: Mapping[str, Optional[str]]
    apparmor: AppArmorFacts = AppArmorFacts()


@dataclass(frozen=True)
class Step:
    """One thing to do: `kind` is one of `_rootless_act.STEPS`, `subject` a user, a path or a name."""

    kind: str
    subject: str = ""
    value: str = ""

    def line(self) -> str:
        """For the difference."""
        return " ".join(filter(None, (self.kind.replace("_", " "), self.subject, self.value)))


@dataclass
class RootlessPlan:
    """What a run does, and what it leaves.

    :ivar files: for the module owned_config: the files and the keys wanted in each
    :ivar pending: by user, or `HOST`, and topic: the reason
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    pending: dict[str, dict[str, str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def leave(self, subject: str, topic: str, reason: str) -> None:
        """Something is not done."""
        self.pending.setdefault(subject, {})[topic] = reason
