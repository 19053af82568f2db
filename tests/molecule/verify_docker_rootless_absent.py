# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After `state: absent`: no daemon, every file as it was, and the user's data where they are."""

from __future__ import annotations

import pytest
from rootless import USERS, uid_of
from testinfra.host import Host


@pytest.mark.parametrize("user", USERS)
def test_no_daemon_runs_and_none_starts(host: Host, user: str) -> None:
    assert host.run(f"pgrep --euid {uid_of(host, user)} --full rootlesskit").rc == 1
    assert not host.file(f"/home/{user}/.config/systemd/user/docker.service").exists
    assert host.run(f"find /home/{user}/.config/systemd -name docker.service").stdout == ""


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (".config/docker/daemon.json", b'{\n   "debug": true\n}\n'),
        (".docker/config.json", b'{"currentContext": "default"}\n'),
    ],
)
def test_a_file_of_the_user_s_own_has_its_bytes_back(host: Host, path: str, content: bytes) -> None:
    file = host.file(f"/home/amber/{path}")
    assert (file.content, file.user, file.mode) == (content, "amber", 0o600)


@pytest.mark.parametrize("user", ["basil", "cedar"])
@pytest.mark.parametrize("path", [".config/docker/daemon.json", ".docker/config.json"])
def test_a_file_that_was_made_for_it_is_gone(host: Host, user: str, path: str) -> None:
    assert not host.file(f"/home/{user}/{path}").exists


@pytest.mark.parametrize("user", USERS)
def test_the_context_is_gone(host: Host, user: str) -> None:
    assert host.run(f"find /home/{user} -path '*/.docker/contexts/*' -name meta.json").stdout == ""


def test_root_s_engine_runs_again(host: Host) -> None:
    for unit in ("docker.service", "docker.socket"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled
    assert not host.file("/var/lib/bulkhead/rootful-docker.json").exists
    assert "web" in host.check_output("docker ps --all --format '{{.Names}}'").split()


@pytest.mark.parametrize("user", USERS)
def test_images_and_containers_stay_on_the_disk(host: Host, user: str) -> None:
    assert host.file(f"/home/{user}/.local/share/docker").is_directory
