# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user's own Docker daemon needs to run as it is configured, and what may have to wait. Pure.

A daemon in a user namespace holds the network of its containers: they end with it, whatever live-restore
says (rootlesskit's child namespaces go; tried on 26.1). So every restart counts as the end of what runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "ALLOWED",
    "LEAST_IDS",
    "NEEDS",
    "UNCHANGED",
    "UNIT",
    "DockerRootlessError",
    "RootlessPlan",
    "RunningDaemon",
    "UserDaemon",
    "decide",
    "end_of_containers",
]

UNIT = "docker.service"
UNCHANGED = "Nothing was changed."
# What a run may cost a user's containers, from the least to the most.
ALLOWED = ("nothing", "restart", "stop_containers")
# What the files of a daemon that is there can need: the user's manager reads the unit again; the daemon reads
# daemon.json again; the daemon starts anew.
NEEDS = ("daemon_reload", "reload", "restart")
# docs.docker.com/engine/security/rootless: at least 65,536 subordinate uids and gids.
LEAST_IDS = 65536


class DockerRootlessError(BulkheadError):
    """What was asked for cannot be had; the text says what was (not) changed."""


@dataclass(frozen=True)
class RunningDaemon:
    """A daemon that runs.

    :ivar started_at: seconds since the epoch
    :ivar reloaded_at: when systemd last asked it to read its file again, None for never
    :ivar version: what it says of itself; "" where it does not answer, and `silence` says why
    :ivar containers: names of its running containers
    """

    started_at: float
    version: str = ""
    containers: tuple[str, ...] = ()
    silence: str = ""
    reloaded_at: Optional[float] = None


@dataclass(frozen=True)
class UserDaemon:
    """One user's daemon as it is.

    :ivar obstacle: why none can run for this user, or ""
    :ivar unreachable: why the user's manager cannot be asked, or ""
    :ivar lingers: whether the manager starts at boot and stays after logout
    :ivar enabled: whether the user's manager starts it
    :ivar needs_reload: whether the user's manager has an older unit than the files
    :ivar data: whether there is a directory of images, volumes and containers
    """

    name: str
    uid: int
    home: str
    obstacle: str = ""
    unreachable: str = ""
    lingers: bool = True
    enabled: bool = False
    needs_reload: bool = False
    daemon: Optional[RunningDaemon] = None
    data: bool = False

    def as_facts(self) -> dict[str, Any]:
        """For a module's result."""
        daemon = self.daemon
        return {
            "uid": self.uid,
            "home": self.home,
            "obstacle": self.obstacle or None,
            "enabled": self.enabled,
            "running": daemon is not None,
            "version": (daemon.version or None) if daemon else None,
            "started_at": daemon.started_at if daemon else None,
            "reloaded_at": daemon.reloaded_at if daemon else None,
            "containers": list(daemon.containers) if daemon else [],
            "data": self.data,
        }


@dataclass
class RootlessPlan:
    """What is done for whom, and what has to wait.

    :ivar steps: pairs of what (daemon_reload, enable, start, reload, restart, stop, disable) and the user
    :ivar pending: by user (or `USER, linger`), why something has to wait
    :ivar withheld: users whose files stay as they are
    """

    steps: list[tuple[str, str]] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    withheld: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Each step for a reader."""
        return [f"{what.replace('_', ' ')} {name}" for what, name in self.steps]


def decide(
    users: Sequence[UserDaemon], *, state: str, allow: str, needs: Mapping[str, Sequence[str]]
) -> RootlessPlan:
    """Plan for all users.

    :param state: ``present`` or ``absent``
    :param allow: one of `ALLOWED`
    :param needs: by user, what their files need to come into force: some of `NEEDS`
    """
    plan = RootlessPlan()
    for user in users:
        if state == "present":
            _present(plan, user, allow, needs.get(user.name, ()))
        else:
            _absent(plan, user, allow, needs.get(user.name, ()))
    return plan


def _present(plan: RootlessPlan, user: UserDaemon, allow: str, needs: Sequence[str]) -> None:
    if user.obstacle:
        plan.pending[user.name] = user.obstacle
        plan.withheld.append(user.name)
        return
    if not user.lingers:
        plan.pending[f"{user.name}, linger"] = (
            "the daemon ends with the user's last session, and no boot starts it; the role rootless_users "
            "lets the user linger"
        )
    if user.needs_reload or "daemon_reload" in needs:
        plan.steps.append(("daemon_reload", user.name))
    if not user.enabled:
        plan.steps.append(("enable", user.name))
    if user.daemon is None:
        plan.steps.append(("start", user.name))
    elif "restart" in needs:
        reason = _end_of_daemon(user, allow)
        if reason:
            plan.pending[user.name] = f"what is in its files needs a restart, and {reason}"
        else:
            plan.steps.append(("restart", user.name))
    elif "reload" in needs:
        plan.steps.append(("reload", user.name))


def _absent(plan: RootlessPlan, user: UserDaemon, allow: str, needs: Sequence[str]) -> None:
    if user.daemon is not None:
        reason = _end_of_daemon(user, allow)
        if reason:
            plan.pending[user.name] = f"the daemon stays, because {reason}"
            plan.withheld.append(user.name)
            return
        plan.steps.append(("stop", user.name))
    if user.enabled and user.unreachable:
        plan.pending[user.name] = f"the unit stays enabled, because {user.unreachable}"
        plan.withheld.append(user.name)
        return
    if user.enabled:
        plan.steps.append(("disable", user.name))
    if "daemon_reload" in needs:
        plan.steps.append(("daemon_reload", user.name))


def _end_of_daemon(user: UserDaemon, allow: str) -> str:
    daemon = user.daemon
    return "" if daemon is None else end_of_containers(daemon.containers, daemon.silence, allow)


def end_of_containers(containers: Sequence[str], silence: str, allow: str) -> str:
    """Why a running daemon may not be ended, or "".

    :param silence: why it does not say what runs, or ""
    :param allow: one of `ALLOWED`
    """
    if allow == "stop_containers":
        return ""
    permits = "docker_rootless_allow: stop_containers permits it"
    if silence:
        return f"it does not say what would end with it ({silence}); {permits}"
    if containers:
        return f"its end would stop: {', '.join(containers)}; {permits}"
    if allow == "nothing":
        return "docker_rootless_allow is nothing; restart permits it"
    return ""
