"""Looking at a host and its users for what rootless engines need."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _rootless_look
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_look import (
    look,
    read_units,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    HostFacts,
    Program,
    RootlessError,
    UnitFacts,
    UserFacts,
    Wanted,
)
from unit.fake_system import FakeSystem

UID = os.getuid() or 1001
CGROUP = f"/user.slice/user-{UID}.slice/user@{UID}.service"
MANAGER = f"/sys/fs/cgroup{CGROUP}"
PROPERTIES = "Id,DelegateControllers,DropInPaths,NeedDaemonReload"
SHOW = ("systemctl", "show", f"user@{UID}.service", "--property", PROPERTIES)
ROOT_MOUNT = "26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
RESTART = "podman-restart.service"


@pytest.fixture
def host(tmp_path: Path) -> FakeSystem:
    """A host with one user whose manager runs with systemd's own delegation."""
    system = FakeSystem(tmp_path)
    for directory in (tmp_path, *tmp_path.parents):  # a child that is the user passes through them
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    system.add_account("amber", UID)
    system.local("/home/amber").mkdir(parents=True)
    os.chown(system.local("/home/amber"), UID, -1)
    system.local("/run/systemd/system").mkdir(parents=True)
    system.write("/proc/self/mountinfo", ROOT_MOUNT)
    system.write("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    system.write(f"{MANAGER}/cgroup.events", "populated 1\n")
    system.write(f"{MANAGER}/cgroup.controllers", "cpu memory pids\n")
    system.write("/usr/lib/systemd/user/dbus.socket")
    system.answers[SHOW] = (
        f"Id=user@{UID}.service\nDelegateControllers=cpu memory pids\nNeedDaemonReload=no\n"
    )
    for name in ("newuidmap", "newgidmap"):
        system.write(f"/usr/bin/{name}").chmod(0o4755)
    system.write("/proc/sys/user/max_user_namespaces", "11800\n")
    return system


def seen(host: FakeSystem) -> tuple[HostFacts, UserFacts]:
    facts, users = look(host, Wanted(("amber",)))
    return facts, users[0]


def test_a_host_without_systemd(host: FakeSystem) -> None:
    host.local("/run/systemd/system").rmdir()
    with pytest.raises(RootlessError, match=r"not run by systemd"):
        seen(host)


def test_units_of_all_users_in_one_call(host: FakeSystem) -> None:
    argv = ("systemctl", "show", "user@1001.service", "user@1002.service", "--property", PROPERTIES)
    host.write(DROP_IN)
    host.answers[argv] = (
        f"Id=user@1001.service\nDelegateControllers=cpu pids\nDropInPaths={DROP_IN}\nNeedDaemonReload=no\n"
        "\nId=user@1002.service\nDelegateControllers=\nDropInPaths=/gone.conf\nNeedDaemonReload=no\n"
    )
    assert read_units(host, [1001, 1002]) == {
        1001: UnitFacts(("cpu", "pids"), (DROP_IN,)),
        1002: UnitFacts((), ("/gone.conf",), needs_reload=True),
    }
    assert host.ran == [argv]


def test_cgroup_v1(host: FakeSystem) -> None:
    host.local("/sys/fs/cgroup/cgroup.controllers").unlink()
    assert seen(host)[0].controllers is None


def test_programs_with_their_rights(host: FakeSystem) -> None:
    expected = {"newuidmap": "", "newgidmap": ""} if os.getuid() == 0 else None
    found = seen(host)[0].id_programs
    assert expected is None or found == expected


@pytest.mark.parametrize("bit, right", [(7, True), (6, False)])
def test_a_file_capability_is_a_right(
    host: FakeSystem, monkeypatch: pytest.MonkeyPatch, bit: int, *, right: bool
) -> None:
    host.local("/usr/bin/newuidmap").chmod(0o755)
    capability = struct.pack("<IIIII", 0x02000001, 1 << bit, 0, 0, 0)
    monkeypatch.setattr(host, "extended_attribute", lambda _path, _name: capability)
    reason = seen(host)[0].id_programs["newuidmap"]
    assert (reason == "") is right
    assert right or "neither setuid root nor has it cap_setuid" in reason


def test_nosuid_takes_the_rights(host: FakeSystem) -> None:
    host.write("/proc/self/mountinfo", ROOT_MOUNT.replace("rw,relatime", "rw,nosuid"))
    assert "mounted nosuid" in seen(host)[0].id_programs["newuidmap"]


def test_a_program_that_is_missing(host: FakeSystem) -> None:
    host.local("/usr/bin/newgidmap").unlink()
    assert "newgidmap" not in seen(host)[0].id_programs


def test_sysctl_files_with_links(host: FakeSystem) -> None:
    host.write("/etc/sysctl.d/50-a.conf", "a=1\n")
    host.write("/etc/sysctl.conf", "b=2\n")
    host.link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf")
    host.link("/etc/sysctl.d/98-gone.conf", "nowhere")
    host.local("/usr/lib/sysctl.d").mkdir(parents=True)
    host.local("/usr/lib/sysctl.d/10-d.conf").mkdir()
    assert seen(host)[0].sysctl_files == {
        "/etc/sysctl.d/50-a.conf": "a=1\n",
        "/etc/sysctl.d/98-gone.conf": "",
        "/etc/sysctl.d/99-sysctl.conf": "b=2\n",
        "/usr/lib/sysctl.d/10-d.conf": "",
    }


def test_live_values_and_those_that_the_kernel_lacks(host: FakeSystem) -> None:
    sysctls = seen(host)[0].sysctls
    assert sysctls["user.max_user_namespaces"] == "11800"
    assert sysctls["kernel.unprivileged_userns_clone"] is None


def test_what_ends_with_the_manager(host: FakeSystem) -> None:
    web, job = "a" * 64, "b" * 64
    places = {
        501: ("systemd", f"{CGROUP}/init.scope", b""),
        502: ("dbus-daemon", f"{CGROUP}/session.slice/dbus.service", b""),
        503: ("podman pause", f"{CGROUP}/user.slice/podman-pause-ceb390a4.scope", b""),
        504: (
            "conmon",
            f"{CGROUP}/user.slice/libpod-conmon-{web}.scope",
            f"conmon\0-c\0{web}\0-n\0web\0".encode(),
        ),
        505: ("sleep", f"{CGROUP}/user.slice/libpod-{web}.scope/container", b""),
        506: ("sleep", f"{CGROUP}/user.slice/libpod-{job}.scope", b""),
        507: ("vim", f"/user.slice/user-{UID}.slice/session-3.scope", b""),
        508: ("other", "/user.slice/user-4711.slice/user@4711.service/app.slice/a.service", b""),
        509: ("sshd", "/system.slice/ssh.service", b""),
    }
    for pid, (comm, cgroup, cmdline) in places.items():
        host.add_process(pid, comm=comm, cgroup=f"0::{cgroup}\n", cmdline=cmdline)
    assert [item.text for item in seen(host)[1].running] == [
        f"container {job[:12]}",
        "container web",
        "vim (process 507)",
    ]


def test_what_runs_is_not_looked_for_where_nothing_is_missing(host: FakeSystem) -> None:
    host.write(f"{MANAGER}/cgroup.controllers", "cpuset cpu io memory pids\n")
    host.add_process(507, cgroup=f"0::{CGROUP}/app.slice/a.service\n")
    assert seen(host)[1].running == ()


def probed(
    host: FakeSystem, monkeypatch: pytest.MonkeyPatch, answer: str | Completed, *, began: float
) -> UserFacts:
    """The user, whose manager began then, and the answer of a unit of that manager."""
    monkeypatch.setattr(_rootless_look.secrets, "token_hex", lambda _size: "0a1b2c3d")
    monkeypatch.setattr(host, "started_at", lambda _ticks: began)
    monkeypatch.setattr(_rootless_look.UserSession, "without_socket", lambda *_: None)
    host.write(f"{MANAGER}/cgroup.controllers", "cpuset cpu io memory pids\n")
    host.write(f"{MANAGER}/init.scope/cgroup.procs", "501\n")
    host.add_process(501, comm="systemd", cgroup=f"0::{CGROUP}/init.scope\n")
    host.answers[PROBE] = answer
    os.utime(host.write(DROP_IN), (2000.0, 2000.0))
    return seen(host)[1]


UNIT = "bulkhead-look-0a1b2c3d.service"
PROBE = (
    *("systemd-run", "--user", "--pipe", "--wait", "--collect", "--quiet"),
    *(f"--unit={UNIT}", "--slice=app.slice", "--property=Delegate=yes", "--"),
    *("cat", f"/sys/fs/cgroup{CGROUP}/app.slice/{UNIT}/cgroup.controllers"),
)


def test_a_manager_from_before_the_drop_in_is_asked_what_it_hands_down(
    host: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = probed(host, monkeypatch, "cpu memory pids\n", began=1000.0)
    assert user.session.controllers == ("cpu", "memory", "pids")


def test_a_manager_from_after_the_drop_in_is_not_asked(
    host: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = probed(host, monkeypatch, "", began=3000.0)
    assert user.session.controllers == ("cpuset", "cpu", "io", "memory", "pids")
    assert PROBE not in host.ran


def test_a_manager_that_starts_no_unit(host: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    user = probed(host, monkeypatch, Completed(PROBE, 1, "", "no bus\n"), began=1000.0)
    assert "starts no unit (systemd-run --user): no bus" in str(user.session.bus)


def with_restart_unit(host: FakeSystem) -> FakeSystem:
    host.write("/usr/bin/podman").chmod(0o755)
    host.write(f"/usr/lib/systemd/user/{RESTART}")
    return host


def test_without_podman_nothing_comes_back_at_boot(host: FakeSystem) -> None:
    assert seen(host)[1].at_boot is None


def test_the_restart_unit_is_not_enabled(host: FakeSystem) -> None:
    assert seen(with_restart_unit(host))[1].at_boot is False


def test_the_restart_unit_is_enabled_for_all(host: FakeSystem) -> None:
    with_restart_unit(host).link(f"/etc/systemd/user/default.target.wants/{RESTART}", "/x")
    assert seen(host)[1].at_boot is True


@pytest.mark.parametrize(
    "link, target, enabled, obstacle",
    [
        (f"default.target.wants/{RESTART}", f"/usr/lib/systemd/user/{RESTART}", True, ""),
        (RESTART, "/dev/null", False, "amber has masked"),
        (RESTART, "/home/amber/mine.service", False, ""),
    ],
)
def test_what_the_user_says_of_the_restart_unit(
    host: FakeSystem, link: str, target: str, obstacle: str, *, enabled: bool
) -> None:
    with_restart_unit(host).link(f"/home/amber/.config/systemd/user/{link}", target)
    for place in (host.local("/home/amber/.config"), *host.local("/home/amber/.config").rglob("*")):
        os.chown(place, UID, -1, follow_symlinks=False)
    user = seen(host)[1]
    assert (user.at_boot, bool(user.at_boot_obstacle)) == (enabled, bool(obstacle))
    assert obstacle in user.at_boot_obstacle


@pytest.mark.parametrize(
    "line, expected",
    [
        ("30 26 0:50 / /home rw shared:9 - nfs4 server:/home rw", "a nfs4 file system"),
        ("30 26 0:50 / /home rw shared:9 - fuse.gocryptfs /srv rw", "a fuse.gocryptfs file system"),
        ("30 26 0:50 / /home rw,noexec shared:9 - ext4 /dev/vdb rw", "mounted noexec"),
        ("30 26 0:50 / /home ro shared:9 - ext4 /dev/vdb rw", "read-only"),
        ("30 26 0:50 / /home rw shared:9 - xfs /dev/vdb rw", ""),
        ("30 26 0:50 / /homestead rw shared:9 - nfs4 server:/home rw", ""),
        ("30 26 0:50 / /home/amber/.local/share/containers rw shared:9 - vfat /dev/vdb rw", "a vfat file"),
    ],
)
def test_the_file_system_of_the_home(host: FakeSystem, line: str, expected: str) -> None:
    host.write("/proc/self/mountinfo", f"{ROOT_MOUNT}{line}\n")
    obstacle = seen(host)[1].home_obstacle
    assert expected in obstacle
    assert bool(obstacle) is bool(expected)


def test_a_home_that_is_not_there_or_not_the_users(host: FakeSystem) -> None:
    host.local("/home/amber").rmdir()
    assert "No such file" in seen(host)[1].home_obstacle
    host.write("/home/amber")
    assert "found a file of user" in seen(host)[1].home_obstacle


def restricted(host: FakeSystem, attachments: dict[str, str]) -> FakeSystem:
    host.write("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
    host.write("/usr/bin/podman").chmod(0o755)
    for number, (name, pattern) in enumerate(attachments.items()):
        place = f"/sys/kernel/security/apparmor/policy/profiles/{name}.{number}"
        host.write(f"{place}/name", f"{name}\n")
        host.write(f"{place}/attach", f"{pattern}\n")
    return host


@pytest.mark.parametrize(
    "pattern, attached",
    [
        ("/usr/bin/podman", "p"),
        ("/{,usr/}bin/podman", "p"),
        ("/usr/**", "p"),
        ("/usr/bin/pod?an", "p"),
        ("/usr/*/podman", "p"),
        ("/usr/*", ""),
        ("/usr/bin/podman2", ""),
        ("/usr/bin/[", ""),
        ("", ""),
    ],
)
def test_profiles_that_are_attached(host: FakeSystem, pattern: str, attached: str) -> None:
    facts = seen(restricted(host, {"p": pattern}))[0].apparmor
    assert facts.restricted is True
    assert facts.programs == (Program("/usr/bin/podman", attached),)


def test_our_own_grants_are_known(host: FakeSystem) -> None:
    name = "bulkhead-userns.usr.bin.podman"
    host.write(f"/etc/apparmor.d/{name}")
    host.write("/etc/apparmor.d/usr.sbin.other")
    facts = seen(restricted(host, {name: "/usr/bin/podman"}))[0].apparmor
    assert (facts.loaded, facts.files) == ((name,), (f"/etc/apparmor.d/{name}",))


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to others")
def test_a_program_that_a_user_can_replace_gets_no_grant(host: FakeSystem) -> None:
    for place in (host.write("/opt/bin/tool"), host.local("/opt/bin")):
        place.chmod(0o755)
    host.local("/opt").chmod(0o755)
    look(host, Wanted((), programs=("/opt/bin/tool",)))
    os.chown(host.local("/opt/bin"), 1001, -1)
    with pytest.raises(RootlessError, match=r"/opt/bin is a directory of user 1001.*Nothing was changed"):
        look(host, Wanted((), programs=("/opt/bin/tool",)))
