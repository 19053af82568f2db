# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the users of the scenario rootless, and what the kernel says of their managers."""

from __future__ import annotations

import time

from testinfra.host import Host

USERS = ("amber", "basil", "cedar")
CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}
IMAGE = "localhost/busybox:1"


def uid_of(host: Host, user: str) -> int:
    """The account's uid."""
    uid: int = host.user(user).uid
    return uid


def as_user(host: Host, user: str, command: str) -> str:
    """What a command says that runs within the user's own systemd manager."""
    uid = uid_of(host, user)
    runtime = f"/run/user/{uid}"
    output: str = host.check_output(
        f"runuser --user={user} -- env HOME=/home/{user} XDG_RUNTIME_DIR={runtime} "
        f"DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus systemd-run --user --pipe --wait --collect "
        f"--quiet --property=UnsetEnvironment=INVOCATION_ID -- {command}"
    )
    return output


def wait_for_keeper(host: Host, user: str) -> str:
    """The state of the user's container `keeper`, once it runs or after four minutes.

    podman-user-wait-network-online.service of Podman 5 comes before it.
    """
    deadline, state = time.monotonic() + 240, ""
    while state != "running" and time.monotonic() < deadline:
        state = as_user(host, user, "podman inspect --format '{{.State.Status}}' keeper")
        time.sleep(2)
    return state


def controllers_of(host: Host, user: str) -> set[str]:
    """What the user's running manager was given."""
    uid = uid_of(host, user)
    path = f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"
    return set(host.file(path).content_string.split())


def limits_of_new_container(host: Host, user: str) -> list[str]:
    """cpu.max, memory.max and pids.max as a container of the user's sees them, which is started for it."""
    as_user(host, user, f"podman import --quiet /var/tmp/image.tar {IMAGE}")
    options = "--cpus 0.5 --memory 64m --pids-limit 32"
    return _limits(host, user, options, "cpu.max", "memory.max", "pids.max")


def policy_of_new_container(host: Host, user: str) -> list[str]:
    """pids.max of a container that is started without any option, from the image of the one before."""
    return _limits(host, user, "", "pids.max")


def status_of_new_container(host: Host, user: str) -> dict[str, str]:
    """/proc/self/status of a container that is started without any option, by a user or by root."""
    command = f"podman run --rm --network none {IMAGE} /bin/busybox cat /proc/self/status"
    if user == "root":
        host.check_output(f"podman import --quiet /var/tmp/image.tar {IMAGE}")
        status = host.check_output(command)
    else:
        status = as_user(host, user, command)
    return status_facts(status)


def status_facts(text: str) -> dict[str, str]:
    """/proc/PID/status by its names."""
    return {
        name: value.strip() for name, _colon, value in (line.partition(":\t") for line in text.splitlines())
    }


def _limits(host: Host, user: str, options: str, *files: str) -> list[str]:
    paths = " ".join(f"/sys/fs/cgroup/{file}" for file in files)
    command = f"podman run --rm --network none {options} {IMAGE} /bin/busybox cat {paths}"
    return as_user(host, user, command).splitlines()
