# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever looks at a list of users: what one has in the place of a home keeps nobody from the next one's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless_port import look_at_users
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_rootless_settings import (
    decisive_settings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_look import look_at_trust
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_gather import gather_podman
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_look import look
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import Wanted
from unit.fake_system import FakeSystem

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

FIRST, SECOND = 61_001, 61_002
NAMES = ["first", "second"]
FILES = {
    ".config/containers/containers.conf": "[engine]\n",
    ".config/containers/policy.json": "{}",
    ".config/docker/daemon.json": '{"icc": false}',
    ".local/share/docker/engine-id": "x",
}


def _nothing(_home: Path) -> None:
    pass


def _link(home: Path) -> None:
    home.symlink_to("/etc")


def _fifo(home: Path) -> None:
    os.mkfifo(home)


def _program(home: Path) -> None:
    """As with /bin/sh in its place."""
    home.write_bytes(b"\x7fELF")


def _links_below(home: Path) -> None:
    home.mkdir()
    for name in (".config", ".local"):
        (home / name).symlink_to("/etc")


def _fifos_below(home: Path) -> None:
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(home / name)
    for path in home.rglob("*"):
        os.chown(path, FIRST, FIRST)


HOMES = [_nothing, _link, _fifo, _program, _links_below, _fifos_below]


@pytest.fixture(params=HOMES, ids=[make.__name__[1:] for make in HOMES])
def made(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """What the first user has in the place of a home."""
    make: Callable[[Path], None] = request.param
    return make


@pytest.fixture
def system(tmp_path: Path, made: Callable[[Path], None]) -> FakeSystem:
    """A host on which the second user has all of `FILES`."""
    system = FakeSystem(tmp_path)
    system.let_users_in()
    for name, content in FILES.items():
        system.write(f"/home/second/{name}", content)
    made(system.local("/home/first"))
    for name, uid in zip(NAMES, (FIRST, SECOND)):
        home = system.local(f"/home/{name}")
        system.add_account(name, uid, home=str(home))
        if os.path.lexists(home) and (name, made) != ("first", _program):
            os.chown(home, uid, uid, follow_symlinks=False)
    for place in system.local("/home/second").rglob("*"):
        os.chown(place, SECOND, SECOND)
    return system


def test_podman_s_files(system: FakeSystem, made: Callable[[Path], None]) -> None:
    system.write("/usr/bin/podman").chmod(0o755)
    system.answers[("/usr/bin/podman", "info", "--format", "json")] = '{"version": {"Version": "5.4.2"}}'
    found = gather_podman(system, NAMES, check_mode=True)
    assert [user["name"] for user in found["users"]] == NAMES
    own = f"{system.local('/home/second')}/.config/containers/containers.conf"
    assert found["files"][own] == "[engine]\n"
    theirs = str(system.local("/home/first"))
    first = {text for path, text in found["files"].items() if path.startswith(theirs)}
    assert first == (set() if made is _nothing else {None})


def test_trust_in_images(system: FakeSystem, made: Callable[[Path], None]) -> None:
    _root, first, second = look_at_trust(system, NAMES)["accounts"]
    assert (second["own_policy"], second["images"]) == (True, [])
    if made is _nothing:
        assert first["own_policy"] is False
    else:
        assert str(system.local("/home/first")) in first["own_policy"]["unreadable"]


def test_docker_without_root(system: FakeSystem, made: Callable[[Path], None]) -> None:
    system.add_process(1, mountinfo="26 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n")
    first, second = look_at_users(system, NAMES)
    assert (first.name, first.data) == ("first", made is _fifos_below)
    assert (second.name, second.data) == ("second", True)
    settings = [decisive_settings(system.account_named(name)) for name in NAMES]
    assert settings == [{}, {"icc": False}]


def test_what_rootless_engines_need(system: FakeSystem, made: Callable[[Path], None]) -> None:
    for name, uid in zip(NAMES, (FIRST, SECOND)):
        system.add_account(name, uid)
    system.local("/run/systemd/system").mkdir(parents=True)
    system.write("/proc/self/mountinfo", "26 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n")
    system.write("/usr/bin/podman").chmod(0o755)
    system.write("/usr/lib/systemd/user/podman-restart.service")
    properties = "Id,DelegateControllers,DropInPaths,NeedDaemonReload"
    units = [f"user@{uid}.service" for uid in (FIRST, SECOND)]
    system.answers[("systemctl", "show", *units, "--property", properties)] = ""
    _host, (first, second) = look(system, Wanted(tuple(NAMES)))
    assert (second.home_obstacle, second.at_boot, second.at_boot_obstacle) == ("", False, "")
    if made is _fifos_below:
        assert (first.home_obstacle, first.at_boot_obstacle) == ("", "")
    elif made is _links_below:
        assert "a symbolic link" in first.at_boot_obstacle
    else:
        assert "/home/first" in first.home_obstacle
