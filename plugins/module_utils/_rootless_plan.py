# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a list of users gets: files, kernel values, managers, and what has to wait for whom. Pure.

Sources: systemd.resource-control(5) (Delegate=), loginctl(1), newuidmap(1), the kernel's
``Documentation/admin-guide/sysctl/user.rst``, podman-restart of podman-generate-systemd(1). Tried on Debian
12 and 13: a daemon-reload changes nothing for a running user@UID.service, its next start does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._id_programs import ID_PROGRAMS
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor import decide_apparmor
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    HOST,
    PING_GROUP_RANGE,
    SYSCTL_FILE,
    UNCHANGED,
    UNPRIVILEGED_PORT,
    USER_NAMESPACES,
    USERNS_CLONE,
    HostFacts,
    RootlessError,
    RootlessPlan,
    Step,
    UserFacts,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_files import (
    Override,
    overrides,
    parse_sysctl_file,
    slashed_name,
    winners,
)

__all__ = ["LEAST_NAMESPACES", "NAMESPACES", "decide", "flat", "outcome"]

# An engine needs one for each user and few for each container; the value is what Docker's own check suggests.
LEAST_NAMESPACES = 1024
NAMESPACES = "28633"
_SHOWN = 10


def decide(wanted: Wanted, host: HostFacts, users: Sequence[UserFacts]) -> RootlessPlan:
    """The plan.

    :raises RootlessError: nothing that is asked for can be had on this host
    """
    if wanted.users and host.controllers is None:
        raise RootlessError(
            "rootless_users_names: found users on a host without the unified cgroup hierarchy (cgroup v1, or "
            "both); accepted is cgroup v2, without which no limit of a rootless container is enforced. Boot "
            f"with systemd.unified_cgroup_hierarchy=1. {UNCHANGED}"
        )
    plan = RootlessPlan()
    _delegation(wanted, host, users, plan)
    _sysctls(wanted, host, plan)
    decide_apparmor(host.apparmor, wanted=bool(wanted.users), plan=plan)
    _id_programs(wanted, host, plan)
    for user in users:
        _user(wanted, host, user, plan)
    return plan


def _delegation(wanted: Wanted, host: HostFacts, users: Sequence[UserFacts], plan: RootlessPlan) -> None:
    delegate = " ".join(wanted.delegate) if wanted.users else ""
    keys = {"Service": {"Delegate": delegate}} if delegate else {}
    plan.files.insert(0, {"path": DROP_IN, "format": "keyfile", "keys": keys})
    unknown = [name for name in wanted.delegate if name not in (host.controllers or ())]
    if unknown and wanted.users:
        plan.leave(HOST, "controllers", f"the kernel of this host offers no {', '.join(unknown)}")
    if _needs_reload(wanted, users):
        plan.steps.append(Step("daemon_reload"))


def _needs_reload(wanted: Wanted, users: Sequence[UserFacts]) -> bool:
    if wanted.drop_in_changed or any(user.unit.needs_reload for user in users):
        return True
    return bool(wanted.delegate) and any(DROP_IN not in user.unit.drop_ins for user in users)


def _sysctls(wanted: Wanted, host: HostFacts, plan: RootlessPlan) -> None:
    values = _wanted_sysctls(wanted, host, plan) if wanted.users else {}
    lost = {
        override.name: override for override in overrides(host.sysctl_files, own=SYSCTL_FILE, wanted=values)
    }
    # A dash: a kernel without the key is no failure at boot (sysctl.d(5)).
    lines = [f"{'-' if name == USERNS_CLONE else ''}{name} = {value}" for name, value in values.items()]
    plan.files.append({"path": SYSCTL_FILE, "format": "lines", "keys": {"lines": lines} if lines else {}})
    for name, value in values.items():
        if name in lost:
            plan.leave(HOST, name, _override_text(lost[name]))
        elif not _same(host.sysctls.get(name), value):
            plan.steps.append(Step("sysctl", name, value))


def _override_text(override: Override) -> str:
    return (
        f"would not be {override.wanted} after the next boot: {override.reason}. Nothing is set now either, "
        f"because it would end with a reboot. Take it out of {override.path}, or rename that file"
    )


def _wanted_sysctls(wanted: Wanted, host: HostFacts, plan: RootlessPlan) -> dict[str, str]:
    """What our file sets: what is asked for by name, and limits of others that forbid user namespaces."""
    values: dict[str, str] = {}
    for name, value in ((USER_NAMESPACES, NAMESPACES), (USERNS_CLONE, "1")):
        obstacle = _namespace_obstacle(host, name)
        if obstacle is None:
            continue
        if wanted.namespaces:
            values[name] = value
        elif obstacle:
            plan.leave(
                HOST, name, f"{obstacle}. rootless_users_namespaces: enabled permits to set it to {value}"
            )
    if wanted.ping_group_range:
        values[PING_GROUP_RANGE] = wanted.ping_group_range
    if wanted.unprivileged_port is not None:
        values[UNPRIVILEGED_PORT] = str(wanted.unprivileged_port)
    return values


def _namespace_obstacle(host: HostFacts, name: str) -> Optional[str]:
    """What forbids user namespaces; "": only our own file is why nothing does; ``None``: nothing does.

    What our file says already stays in it: without it, the boot's value would count again.
    """
    live = host.sysctls.get(name)
    if live is None:
        return None
    others = {path: text for path, text in host.sysctl_files.items() if path != SYSCTL_FILE}
    winner = winners(others).get(slashed_name(name))
    least = LEAST_NAMESPACES if name == USER_NAMESPACES else 1
    if winner is not None and winner.value is not None and _below(winner.value, least):
        return f"{winner.by.path}, line {winner.by.line}, sets it to {winner.value} at boot"
    if _below(live, least):
        return f"it is {live} now, and no file sets it"
    own = host.sysctl_files.get(SYSCTL_FILE) or ""
    ours = any(line.key == slashed_name(name) for line in parse_sysctl_file(SYSCTL_FILE, own))
    return "" if ours else None


def _below(value: str, least: int) -> bool:
    text = value.strip()
    return not (text.isascii() and text.isdigit()) or int(text[:20]) < least


def _same(live: Optional[str], value: str) -> bool:
    return live is not None and live.split() == value.split()


def _id_programs(wanted: Wanted, host: HostFacts, plan: RootlessPlan) -> None:
    for name in ID_PROGRAMS if wanted.users else ():
        reason = host.id_programs.get(name, "it is not installed")
        if reason:
            plan.leave(HOST, name, reason)


def _user(wanted: Wanted, host: HostFacts, user: UserFacts, plan: RootlessPlan) -> None:
    session = user.session
    if user.home_obstacle:
        plan.leave(session.name, "home", user.home_obstacle)
    if session.linger is None or session.manager is None:
        reason = session.unread.get("linger") or session.unread.get("manager", "")
        plan.leave(session.name, "session", reason)
        return
    if wanted.linger and not session.linger:
        plan.steps.append(Step("enable_linger", session.name))
    _manager(wanted, host, user, plan)
    if not host.bus_unit:
        plan.leave(
            session.name,
            "session",
            "no session bus: no dbus.socket is among the units of users' managers. The package "
            "dbus-user-session (dbus on Fedora) brings it",
        )
    elif session.manager and session.bus:
        plan.leave(session.name, "session", session.bus)
    _at_boot(wanted, user, plan)


def _manager(wanted: Wanted, host: HostFacts, user: UserFacts, plan: RootlessPlan) -> None:
    session = user.session
    if not session.manager:
        if wanted.linger or session.linger:
            plan.steps.append(Step("start", session.name, str(session.uid)))
        else:
            plan.leave(
                session.name,
                "session",
                "no systemd manager of this user runs, and it is not to linger (rootless_users_linger): it "
                "runs while the user is logged in",
            )
        return
    # What the kernel lacks is pending for the host; no restart brings it.
    missing = [
        name for name in session.missing_controllers(wanted.delegate) if name in (host.controllers or ())
    ]
    if not missing:
        return
    lacking = f"the running user@{session.uid}.service lacks {', '.join(missing)}"
    reloaded = any(step.kind == "daemon_reload" for step in plan.steps)
    refused = [name for name in missing if name not in user.unit.delegate]
    if refused and not reloaded:
        plan.leave(session.name, "delegation", f"{lacking}, and its next start would too{_later(user)}")
    elif wanted.restart_session or not (user.running or user.running_unknown):
        plan.steps.append(Step("restart", session.name, str(session.uid)))
    else:
        plan.leave(
            session.name,
            "delegation",
            f"{lacking}; it gets them when it starts again (a reboot does that too), which ends: "
            f"{_running(user)}. rootless_users_allow: [restart_session] permits it",
        )


def _later(user: UserFacts) -> str:
    """The drop-ins that are read after ours, which may take delegation back."""
    names = [path.rpartition("/")[2] for path in user.unit.drop_ins]
    own = DROP_IN.rpartition("/")[2]
    later = [path for path, name in zip(user.unit.drop_ins, names) if name > own]
    if later:
        return f": {', '.join(later)}, read after {DROP_IN}, takes it back"
    return f": {DROP_IN} is not in force (systemctl show user@{user.session.uid}.service)"


def _running(user: UserFacts) -> str:
    if user.running_unknown:
        return f"what runs there could not be read ({user.running_unknown})"
    names = [item.text for item in user.running]
    more = len(names) - _SHOWN
    return ", ".join([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


def _at_boot(wanted: Wanted, user: UserFacts, plan: RootlessPlan) -> None:
    if not wanted.containers_at_boot:
        return
    if user.at_boot_obstacle:
        plan.leave(user.session.name, "containers_at_boot", user.at_boot_obstacle)
    elif user.at_boot is False and "session" not in plan.pending.get(user.session.name, {}):
        # Before a restart, so that the containers which it ends come back.
        restarts = bool(plan.steps) and plan.steps[-1].kind == "restart"
        plan.steps.insert(len(plan.steps) - restarts, Step("enable_containers_at_boot", user.session.name))


def outcome(users: Sequence[UserFacts], plan: RootlessPlan) -> dict[str, Any]:
    """Facts and pending items per user, and the same pending items as a flat mapping."""
    facts = {}
    for user in users:
        pending = plan.pending.get(user.session.name, {})
        facts[user.session.name] = {
            **user.session.as_facts(),
            "containers_at_boot": user.at_boot,
            "pending": dict(pending),
        }
    return {"users": facts, "pending": flat(plan.pending)}


def flat(pending: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """`{"amber": {"home": reason}}` -> `{"amber: home": reason}`, as a checkpoint keeps it."""
    return {
        f"{subject}: {topic}": reason
        for subject, topics in pending.items()
        for topic, reason in topics.items()
    }
