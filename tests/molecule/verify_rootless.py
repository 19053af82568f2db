# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each user of rootless engines has, before and after a reboot."""

from __future__ import annotations

import pytest
from rootless import (
    CONTROLLERS,
    USERS,
    controllers_of,
    limits_of_new_container,
    policy_of_new_container,
    status_of_new_container,
)
from testinfra.host import Host

FILES = ("/etc/subuid", "/etc/subgid")
# capability.h: CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, NET_BIND_SERVICE
STRICT_CAPABILITIES = sum(1 << number for number in (0, 1, 3, 5, 6, 7, 10))


@pytest.mark.parametrize("user", USERS)
def test_limits_of_a_container_are_enforced(host: Host, user: str) -> None:
    assert limits_of_new_container(host, user) == ["50000 100000", str(64 * 1024 * 1024), "32"]
    # The host's policy, and the one for a single user.
    assert policy_of_new_container(host, user) == ["300" if user == "cedar" else "2048"]


@pytest.mark.parametrize("user", ["root", *USERS])
def test_the_host_s_policy_is_in_force_in_a_container(host: Host, user: str) -> None:
    status = status_of_new_container(host, user)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == STRICT_CAPABILITIES
    assert status["Seccomp"] == "2"


@pytest.mark.parametrize("user", ["basil", "cedar"])
def test_the_manager_has_every_controller(host: Host, user: str) -> None:
    assert controllers_of(host, user) >= CONTROLLERS


@pytest.mark.parametrize("path", FILES)
def test_every_user_has_ids_that_nobody_else_has(host: Host, path: str) -> None:
    ranges = []
    for line in host.file(path).content_string.splitlines():
        owner, _colon, numbers = line.partition(":")
        start, _colon, count = numbers.partition(":")
        if start.isdigit() and count.isdigit():
            ranges.append((int(start), int(start) + int(count), owner))
    for user in USERS:
        own = [entry for entry in ranges if entry[2] == user]
        assert sum(end - start for start, end, _owner in own) >= 65536
        others = [entry for entry in ranges if entry[2] != user]
        assert [
            (mine, other) for mine in own for other in others if mine[0] < other[1] and other[0] < mine[1]
        ] == []


@pytest.mark.parametrize("path", FILES)
def test_no_line_of_others_was_changed(host: Host, path: str) -> None:
    before = host.file(f"/root/{path.rpartition('/')[2]}.before").content_string
    assert host.file(path).content_string.startswith(before)


@pytest.mark.parametrize("user", USERS)
def test_the_user_lingers_and_has_a_bus(host: Host, user: str) -> None:
    assert host.file(f"/var/lib/systemd/linger/{user}").exists
    assert host.file(f"/run/user/{host.user(user).uid}/bus").is_socket


def test_podman_is_of_the_release_that_the_readme_says(host: Host) -> None:
    release = host.check_output("podman --version").split()[-1]
    expected = {"debian-12": "4.3.", "debian-13": "5.4.", "debian-sid": "5.8."}
    assert release.startswith(expected[host.check_output("hostname")])
