# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a checkpoint holds besides files goes back too, in an order that loses least, and is read again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import (
    _checkpoint_apply,
    _checkpoint_capture,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_apply import apply
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_capture import capture, known
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_host import (
    read_apparmor,
    read_units,
    sysctl_path,
    unit_steps,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_state import (
    ABSENT,
    CheckpointError,
    FileState,
    HostState,
    Managed,
    UnitState,
    differences,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._checkpoint_store import Contents
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from unit.fake_system import FakeSystem

STEPS: dict[str, tuple[UnitState, UnitState, list[list[str]]]] = {
    "as it was": (UnitState("enabled", "active"), UnitState("enabled", "active"), []),
    "stopped": (UnitState("enabled", "active"), UnitState("enabled", "inactive"), [["start", "u"]]),
    "failed": (
        UnitState("enabled", "active"),
        UnitState("enabled", "failed"),
        [["reset-failed", "u"], ["start", "u"]],
    ),
    "started": (UnitState("disabled", "inactive"), UnitState("disabled", "active"), [["stop", "u"]]),
    "enabled": (UnitState("disabled", "active"), UnitState("enabled", "active"), [["disable", "u"]]),
    "masked": (
        UnitState("enabled", "active"),
        UnitState("masked", "active"),
        [["unmask", "u"], ["enable", "u"]],
    ),
    "static": (UnitState("static", "active"), UnitState("static", "active"), []),
    "installed since": (UnitState("", "inactive"), UnitState("enabled", "active"), [["stop", "u"]]),
    "was on its way": (UnitState("enabled", "activating"), UnitState("enabled", "active"), []),
}


@pytest.mark.parametrize("name", STEPS)
def test_unit_steps(name: str) -> None:
    wanted, found, steps = STEPS[name]
    assert unit_steps({"u": wanted}, {"u": found}) == steps


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    return FakeSystem(tmp_path / "root")


def test_units_are_read_in_one_command(system: FakeSystem) -> None:
    command = ("systemctl", "show", "--property=Id,UnitFileState,ActiveState", "a.service", "b.socket")
    system.answers[command] = (
        "Id=a.service\nActiveState=active\nUnitFileState=enabled\n\nId=b.socket\nActiveState=inactive\n"
    )
    assert read_units(system, ["a.service", "b.socket"]) == {
        "a.service": UnitState("enabled", "active"),
        "b.socket": UnitState("", "inactive"),
    }
    with pytest.raises(CheckpointError, match="the states of c.service cannot be read"):
        read_units(system, ["c.service"])


def test_profiles_have_their_modes(system: FakeSystem) -> None:
    system.write(
        "/sys/kernel/security/apparmor/profiles", "docker-default (enforce)\n/usr/bin/a b (complain)\n"
    )
    assert read_apparmor(system, ["docker-default", "/usr/bin/a b", "none"]) == {
        "docker-default": "enforce",
        "/usr/bin/a b": "complain",
        "none": None,
    }


PROFILES = "/sys/kernel/security/apparmor/profiles"


def test_profiles_go_back(system: FakeSystem) -> None:
    system.write(PROFILES, "docker-default (enforce)\n")
    system.write("/usr/sbin/aa-enforce").chmod(0o755)
    managed = Managed(apparmor_profiles=("docker-default", "none"))
    before = capture(system, managed, Contents(), size_limit=1000)
    system.write(PROFILES, "docker-default (complain)\nnone (enforce)\n")
    found = capture(system, managed, Contents(), size_limit=1000)
    assert any("docker-default" in line for line in differences(before, found))
    command = ("aa-enforce", "docker-default")
    system.answers[command] = ""
    assert apply(system, before, found, {}).actions == ["AppArmor profile docker-default: enforce"]
    assert command in system.ran
    system.answers[command] = Completed(command, 1, "", "no such profile")
    with pytest.raises(CheckpointError, match="aa-enforce docker-default failed: no such profile"):
        apply(system, before, found, {})


def test_a_mode_that_no_program_sets_is_an_error(system: FakeSystem) -> None:
    system.write(PROFILES, "docker-default (complain)\n")
    before = HostState(apparmor={"docker-default": "enforce"})
    with pytest.raises(CheckpointError, match="nothing on this host puts it into mode enforce"):
        apply(system, before, before, {})


def test_units_go_back(system: FakeSystem) -> None:
    show = ("systemctl", "show", "--property=Id,UnitFileState,ActiveState", "docker.service")
    system.answers[show] = "Id=docker.service\nActiveState=inactive\nUnitFileState=disabled\n"
    steps = [("systemctl", "enable", "docker.service"), ("systemctl", "start", "docker.service")]
    for step in steps:
        system.answers[step] = ""
    wanted = HostState(units={"docker.service": UnitState("enabled", "active")})
    applied = apply(system, wanted, wanted, {})
    assert applied.actions == [" ".join(step) for step in steps]
    assert [argv for argv in system.ran if argv != show] == steps


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
        ("net.bridge.bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-iptables"),
    ],
)
def test_a_sysctl_s_file(name: str, path: str) -> None:
    assert sysctl_path(name) == path


def test_sysctls_go_back_and_what_was_not_there_is_left(system: FakeSystem) -> None:
    managed = Managed(sysctls=("net.a", "net.b"))
    forwarding = system.write("/proc/sys/net/a", "0\n")
    before = capture(system, managed, Contents(), size_limit=1000)
    forwarding.write_text("1\n")
    appeared = system.write("/proc/sys/net/b", "1\n")
    found = capture(system, managed, Contents(), size_limit=1000)
    assert apply(system, before, found, {}).actions == ["net.a = 0"]
    assert (forwarding.read_text(), appeared.read_text()) == ("0\n", "1\n")
    assert differences(before, capture(system, managed, Contents(), size_limit=1000)) == []


def test_a_star_stands_for_the_interfaces_that_there_are(system: FakeSystem) -> None:
    for name in ("br-1", "br-2", "br-3.7", "docker0"):
        system.write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "0\n")
    managed = Managed.merged([{"sysctls": ["net.ipv4.conf.br-*.route_localnet", "net.none.*.x"]}])
    before = capture(system, managed, Contents(), size_limit=1000)
    names = [f"net.ipv4.conf.br-{number}.route_localnet" for number in (1, 2)]
    assert before.sysctls == {name: "0" for name in names}
    system.write("/proc/sys/net/ipv4/conf/br-1/route_localnet", "1\n")
    system.local("/proc/sys/net/ipv4/conf/br-2/route_localnet").unlink()
    found = capture(system, known(before), Contents(), size_limit=1000)
    assert apply(system, before, found, {}).actions == [f"{names[0]} = 0"]
    # the other went with its network, and is no reason to try for ever
    assert differences(before, capture(system, known(before), Contents(), size_limit=1000)) == []


def test_selinux_goes_back(system: FakeSystem) -> None:
    enforce = system.write("/sys/fs/selinux/enforce", "1")
    managed = Managed(selinux=True)
    before = capture(system, managed, Contents(), size_limit=1000)
    enforce.write_text("0")
    found = capture(system, managed, Contents(), size_limit=1000)
    assert apply(system, before, found, {}).actions == ["SELinux enforcing: 1"]
    assert enforce.read_text() == "1\n"


def test_attributes_go_back_and_the_content_is_never_read(tmp_path: Path, system: FakeSystem) -> None:
    key = tmp_path / "key.pem"
    key.write_text("secret")
    key.chmod(0o400)
    managed, contents = Managed(attributes=(str(key), str(tmp_path / "none"))), Contents()
    before = capture(system, managed, contents, size_limit=1)
    assert contents.by_checksum == {} and before.attributes[str(key)].sha256 is None
    key.chmod(0o644)
    (tmp_path / "none").write_text("came later")
    found = capture(system, managed, contents, size_limit=1)
    assert differences(before, found) != []
    apply(system, before, found, {})
    assert key.stat().st_mode & 0o777 == 0o400
    assert differences(before, capture(system, managed, contents, size_limit=1)) == []


def test_attributes_of_what_lies_below_a_directory_go_back(tmp_path: Path, system: FakeSystem) -> None:
    certificates = tmp_path / "docker" / "certs.d" / "registry"
    certificates.mkdir(parents=True)
    key, gone, kept = (certificates / name for name in ("client.key", "gone", "daemon.json"))
    for file in (key, gone, kept):
        file.write_text("x")
        file.chmod(0o640)
    writable = tmp_path / "docker" / "group"
    writable.mkdir()
    (writable / "file").write_text("x")
    writable.chmod(0o777)
    managed = Managed(files=(str(kept),), attributes=(f"{tmp_path}/docker/**", f"{tmp_path}/none/**"))
    before = capture(system, managed, Contents(), size_limit=1000)
    assert set(before.attributes) == {
        f"{tmp_path}/docker/{name}"
        for name in (
            "certs.d",
            "certs.d/registry",
            "certs.d/registry/client.key",
            "certs.d/registry/gone",
            "group",
        )
    }
    key.chmod(0o400)
    gone.unlink()
    (certificates / "new").write_text("x")
    found = capture(system, known(before), Contents(), size_limit=1000)
    apply(system, before, found, {})
    assert key.stat().st_mode & 0o777 == 0o640
    # what somebody took away does not come back, and is no reason to try for ever
    assert differences(before, capture(system, known(before), Contents(), size_limit=1000)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_a_user_s_is_not_even_listed(
    tmp_path: Path, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "docker" / "theirs"
    (theirs / "below").mkdir(parents=True)
    os.chown(theirs, 1234, 1234)
    listed: list[str] = []
    scandir = os.scandir

    def noted(path: str) -> Any:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    for top, seen in (("docker", ["docker/theirs"]), ("docker/theirs", []), ("docker/theirs/below", [])):
        managed = Managed(attributes=(f"{tmp_path}/{top}/**",))
        found = capture(system, managed, Contents(), size_limit=1000).attributes
        assert list(found) == [f"{tmp_path}/{name}" for name in seen]
    assert listed == [f"{tmp_path}/docker"]


def test_a_file_of_which_nothing_was_known_is_left_when_it_can_be_read_again(
    tmp_path: Path, system: FakeSystem
) -> None:
    path = tmp_path / "containers.conf"
    path.write_text("theirs")
    wanted = HostState(files={str(path): FileState("unreadable", target="it is not a regular file")})
    found = capture(system, known(wanted), Contents(), size_limit=1024)
    assert apply(system, wanted, found, {}).actions == []
    assert path.read_text() == "theirs"


def test_a_directory_with_too_much_below_it_is_refused(
    tmp_path: Path, system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checkpoint_capture, "_BELOW_LIMIT", 1)
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    with pytest.raises(CheckpointError, match=r"/\*\*: found more than 1 files below it"):
        capture(system, Managed(attributes=(f"{tmp_path}/**",)), Contents(), size_limit=1000)


def test_a_unit_s_drop_in_is_read_again_by_systemd(
    system: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[str] = []
    monkeypatch.setattr(_checkpoint_apply, "put_file", lambda path, *_arguments: put.append(path))
    path = "/etc/systemd/system/x.service.d/zz.conf"
    system.answers[("systemctl", "daemon-reload")] = ""
    found = HostState(files={path: FileState("file", "0" * 64, 1, mode=0o644, uid=0, gid=0)})
    applied = apply(system, HostState(files={path: ABSENT}), found, {})
    assert put == [path]
    assert applied.actions == [f"{path}: removed", "systemctl daemon-reload"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"files": ["relative"]}, "files: found 'relative'"),
        ({"files": ["/etc/../shadow"]}, "without .. in them"),
        ({"files": ["/proc/1/mem"]}, "outside /proc, /sys and /dev"),
        ({"units": ["docker"]}, "names of systemd units with their ending"),
        ({"sysctls": ["../../etc"]}, "names such as net.ipv4.ip_forward"),
        ({"sysctls": ["net/../../x"]}, "names such as"),
        ({"engines": ["lxd"]}, "accepted are docker"),
        ({"file": []}, "accepted are lists called files"),
        ({"selinux": "yes"}, r"selinux: true or false"),
    ],
)
def test_a_wrong_declaration_is_named(part: dict[str, Any], expected: str) -> None:
    with pytest.raises(CheckpointError, match=expected):
        Managed.merged([part])


class Engine:
    """Stands for `restore_engine`: notes how it was called, and writes what it was given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, _system: Any, **options: Any) -> dict[str, Any]:
        self.calls.append(options)
        options["write"](b"a step on the way")
        options["write"](options["old"])
        return {"actions": ["restart"], "survivors": ["web"], "reasons": ["why"], "pending": {"icc": "later"}}


RUNNING, DEAD = UnitState("enabled", "active"), UnitState("enabled", "failed")


@pytest.mark.parametrize(
    ("then", "now", "changed", "asked"),
    [
        (RUNNING, RUNNING, True, True),
        (RUNNING, RUNNING, False, False),
        (RUNNING, DEAD, False, True),
        (UnitState("enabled", "inactive"), RUNNING, True, False),
    ],
)
def test_the_engine_is_put_back_by_stages_where_it_has_a_part(
    tmp_path: Path,
    system: FakeSystem,
    monkeypatch: pytest.MonkeyPatch,
    then: UnitState,
    now: UnitState,
    changed: bool,
    asked: bool,
) -> None:
    file = tmp_path / "docker" / "daemon.json"
    file.parent.mkdir()
    file.write_text("before")
    engine = Engine()
    monkeypatch.setattr(_checkpoint_apply, "restore_engine", engine)
    monkeypatch.setattr(_checkpoint_apply, "DOCKER_FILE", str(file))
    monkeypatch.setattr(_checkpoint_apply, "_DOCKER_FILES", (str(file.parent),))
    monkeypatch.setattr(
        _checkpoint_apply, "read_units", lambda _system, names: {name: then for name in names}
    )
    command = ("systemctl", "reset-failed", "docker.service")
    system.answers[command] = Completed(command, 0, "", "")
    contents = Contents()
    managed = Managed(files=(str(file),))
    before = capture(system, managed, contents, size_limit=1000)
    file.write_text("after" if changed else "before")
    found = capture(system, managed, contents, size_limit=1000)
    applied = apply(
        system,
        HostState(files=before.files, units={"docker.service": then}),
        HostState(files=found.files, units={"docker.service": now}),
        contents.by_checksum,
        engines=("docker",),
    )
    assert bool(engine.calls) == asked
    assert file.read_text() == "before"
    if asked:
        assert engine.calls[0]["old"] == b"before"
        assert (applied.survivors, applied.pending) == (["web"], {"icc": "later"})
        assert (command in system.ran) == (now == DEAD)
