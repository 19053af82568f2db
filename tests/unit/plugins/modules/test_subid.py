# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Subordinate ids on a made-up host: check, real, check again, real again; and with shadow's own programs."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _subid_port
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import FenceError
from ansible_collections.bulkhead.hardening.plugins.module_utils._shadow_locks import ShadowLockError
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_port import SubidHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_storage import FILE_LIMIT
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import SubidError
from ansible_collections.bulkhead.hardening.plugins.modules.subid import run
from unit.fake_system import FakeSystem

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

ALICE, BOB = 61_001, 61_002
FOREIGN = "# by hand\n\nbob:100000:65536\nnonsense\ndockremap:165536:65536\n"
PODMAN = "alice/.local/share/containers/storage"
DOCKER = "alice/.local/share/docker"
MIGRATE = ("podman", "system", "migrate")
PATHS = ("/etc/subuid", "/etc/subgid")


class ShadowSystem(FakeSystem):
    """A host with accounts that getent lists, and what else is scripted."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.environments: list[tuple[dict[str, str], int | None, int | None]] = []
        for name, uid in (("alice", ALICE), ("bob", BOB)):
            self.add_account(name, uid)
            self.add_group(name, uid)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        if argv[0] != "getent":
            if argv[0] in ("podman", "systemctl"):
                self.environments.append((options["environment"], options["uid"], options["gid"]))
            return super().run(argv, **options)
        names, records = argv[2:], list(self.accounts.values())
        if argv[1] == "group":
            lines = [f"{group.gr_name}:x:{group.gr_gid}:" for group in self.groups.values()]
            return Completed(tuple(argv), 0, "\n".join([*lines, "broken:x:?:"]), "")
        found = [record for record in records if not names or record.pw_name in names]
        lines = [":".join(str(member) for member in record) for record in found]
        missing = len(names) > len(found)
        return Completed(tuple(argv), 2 if missing else 0, "\n".join([*lines, "+::::::"]), "")


@pytest.fixture
def system(tmp_path: Path) -> ShadowSystem:
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    system = ShadowSystem(tmp_path / "host")
    system.write("/etc/subuid", FOREIGN).chmod(0o640)
    system.write("/etc/subgid", "bob:100000:65536")
    system.write("/etc/passwd", "")
    return system


def _run(system: FakeSystem, *, check: bool = False, host: SubidHost | None = None, **options: Any) -> Any:
    params = {
        "users": ["alice"],
        "count": 65536,
        "reserved": [],
        "migrate": False,
        "lock_timeout": 0,
        "checkpoint": None,
        **options,
    }
    module: Any = SimpleNamespace(params=params, check_mode=check)
    return run(module, host or SubidHost(system, str(system.directory)))


def test_a_run_whose_checkpoint_is_not_there_changes_nothing(system: FakeSystem) -> None:
    before = [_text(system, path) for path in PATHS]
    ended = {"checkpoint": "20261125T050000Z-0a1b"}
    with pytest.raises(FenceError, match="20261125T050000Z-0a1b"):
        _run(system, **ended)
    assert [_text(system, path) for path in PATHS] == before
    assert _run(system, check=True, **ended)["added"]


def _text(system: FakeSystem, path: str) -> str:
    return system.local(path).read_text()


def _theirs(system: FakeSystem, base: str, below: str) -> Path:
    """A directory of alice's below one of root's, `base`; every part of `below` is hers."""
    target = system.local(base)
    target.mkdir(parents=True, exist_ok=True)
    for name in below.strip("/").split("/"):
        target /= name
        target.mkdir(exist_ok=True)
        os.chown(target, ALICE, ALICE)
    return target


def test_the_four_runs(system: ShadowSystem) -> None:
    os.setxattr(system.local("/etc/subuid"), "user.note", b"kept")
    before = _text(system, "/etc/subuid")
    predicted = _run(system, check=True)
    assert _text(system, "/etc/subuid") == before
    assert not system.local("/etc/.pwd.lock").exists()

    done = _run(system)
    assert done == predicted
    assert done["changed"]
    assert done["diff"]["after"] == "/etc/subuid: alice:231072:65536\n/etc/subgid: alice:231072:65536\n"
    assert _text(system, "/etc/subuid") == f"{FOREIGN}alice:231072:65536\n"
    assert _text(system, "/etc/subgid") == "bob:100000:65536\nalice:231072:65536\n"
    assert stat.S_IMODE(system.local("/etc/subuid").stat().st_mode) == 0o640
    assert os.getxattr(system.local("/etc/subuid"), "user.note") == b"kept"
    assert done["ranges"] == {"alice": {kind: [{"start": 231072, "count": 65536}] for kind in ("uid", "gid")}}
    assert [(item["line"], item["text"]) for item in done["unusable"]] == [(4, "nonsense")]
    assert sorted(entry.name for entry in system.local("/etc").iterdir()) == [
        ".pwd.lock",
        "passwd",
        "subgid",
        "subuid",
    ]

    for check in (True, False):
        again = _run(system, check=check)
        assert not again["changed"]
        assert (again["diff"]["after"], again["ranges"]) == ("", done["ranges"])


def test_what_is_wrong_in_the_lines_of_others_is_told_for_both_files(system: ShadowSystem) -> None:
    lines = "cedar:oops:65536\nghost:400000:65536\ngone:430000:65536\nghost:400000:65536\nbob:100000:65536\n"
    for path in PATHS:
        system.write(path, lines + "bob:100000:65536\n")
    done = _run(system)
    told = [(item["path"], item["kind"], item["lines"], item["owners"]) for item in done["collisions"]]
    assert told == [
        (path, *found)
        for path in PATHS
        for found in (("same_owner", [5, 6], ["bob"]), ("ranges", [2, 3, 4], ["ghost", "gone"]))
    ]
    assert [(item["path"], item["line"], item["text"]) for item in done["unusable"]] == [
        (path, 1, "cedar:oops:65536") for path in PATHS
    ]
    assert all("decimal numbers" in item["reason"] for item in done["unusable"])


def test_bytes_that_are_no_text_stay(system: ShadowSystem) -> None:
    content = b"\xff\xfe:1\r\n\x00\x85\n\xe2\x80\xa8x:1:2\n"
    system.local("/etc/subuid").write_bytes(content)
    outcome = _run(system)
    assert system.local("/etc/subuid").read_bytes().startswith(content)
    json.dumps(outcome).encode()


def test_files_that_are_not_there_are_made(system: ShadowSystem) -> None:
    for path in ("/etc/subuid", "/etc/subgid"):
        system.local(path).unlink()
    _run(system)
    assert _text(system, "/etc/subuid") == "alice:100000:65536\n"
    assert stat.S_IMODE(system.local("/etc/subgid").stat().st_mode) == 0o644


def test_a_link_is_refused(system: ShadowSystem) -> None:
    system.local("/etc/subgid").rename(system.local("/etc/elsewhere"))
    system.link("/etc/subgid", "elsewhere")
    with pytest.raises(SubidError, match="/etc/subgid: accepted is a regular file.*Nothing was changed"):
        _run(system)
    assert _text(system, "/etc/subuid") == FOREIGN


@pytest.mark.parametrize(
    ("path", "text", "options", "said"),
    [
        (
            "/etc/x",
            "",
            {"users": ["alice", "carol", "dave"]},
            "users: found carol, dave, which this host does",
        ),
        (
            "/etc/login.defs",
            "SUB_UID_MAX 99\n",
            {},
            "/etc/login.defs: found SUB_UID_MIN 100000 and SUB_UID_MAX 99",
        ),
        ("/etc/login.defs", "SUB_GID_MAX 110000\n", {}, "/etc/subgid: no room for 65536 ids for alice"),
        ("/etc/x", "", {"lock_timeout": -1}, "lock_timeout: found -1, accepted are 0 to 3600 s"),
    ],
)
def test_bad_input_changes_nothing(
    system: ShadowSystem, path: str, text: str, options: dict[str, Any], said: str
) -> None:
    system.write(path, text)
    for check in (True, False):
        with pytest.raises(SubidError, match=f"{said}.*Nothing was changed"):
            _run(system, check=check, **options)
    assert _text(system, "/etc/subuid") == FOREIGN


def test_a_lock_that_is_held(system: ShadowSystem) -> None:
    system.write("/etc/subgid.lock", f"{os.getppid()}\0")
    with pytest.raises(ShadowLockError, match="/etc/subgid.lock: still held .*Nothing was changed"):
        _run(system)
    assert _text(system, "/etc/subuid") == FOREIGN
    assert _run(system, check=True)["changed"]


class MovingHost(SubidHost):
    """A host on which somebody adds a line before the locks are taken."""

    def __init__(self, system: ShadowSystem) -> None:
        super().__init__(system, str(system.directory))
        self.system = system

    def locks(self, seconds: float) -> Any:
        path = self.system.local("/etc/subuid")
        path.write_text(f"{path.read_text()}carol:231072:65536\n")
        return super().locks(seconds)


def test_what_somebody_adds_meanwhile_is_seen(system: ShadowSystem) -> None:
    done = _run(system, host=MovingHost(system))
    assert done["ranges"]["alice"]["uid"] == [{"start": 296608, "count": 65536}]
    assert "carol:231072:65536\n" in _text(system, "/etc/subuid")


def test_a_crash_between_the_two_files(system: ShadowSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file = _subid_port.replace_file

    def fail(target: str, content: bytes, give: Callable[[int], None]) -> None:
        if target.endswith("subgid"):
            raise OSError(28, "full")
        replace_file(target, content, give)

    monkeypatch.setattr(_subid_port, "replace_file", fail)
    said = "/etc/subgid: No space left on device. Written is /etc/subuid; the next run completes it"
    with pytest.raises(SubidError, match=said):
        _run(system)
    monkeypatch.undo()
    done = _run(system)
    assert done["diff"]["after"] == "/etc/subgid: alice:231072:65536\n"
    assert _text(system, "/etc/subuid").count("alice") == 1


# A directory.


def test_a_directory_is_read_and_no_file_is_edited(system: ShadowSystem) -> None:
    system.write("/etc/nsswitch.conf", "passwd: files sss\nsubid: sss\n")
    system.answers[("getsubids", "alice")] = "0: alice 2147483648 65536\n"
    system.answers[("getsubids", "-g", "alice")] = "0: alice 2147483648 65536\n"
    for option in ((), ("-g",)):
        argv = ("getsubids", *option, "bob")
        system.answers[argv] = Completed(argv, 1, "", "Error fetching ranges\n")
    outcome = _run(system, users=["alice", "bob"])
    assert (outcome["changed"], outcome["source"]) == (False, "sss")
    assert outcome["ranges"]["alice"]["gid"] == [{"start": 2147483648, "count": 65536}]
    assert list(outcome["pending"]) == ["bob"]
    assert "give a range in that directory" in outcome["pending"]["bob"]
    assert outcome["notices"] == [
        "/etc/nsswitch.conf: passwd also comes from a directory, whose ids may not all be listed. Give the "
        "ids that it uses in reserved."
    ]
    assert _text(system, "/etc/subuid") == FOREIGN


def test_a_directory_without_getsubids(system: ShadowSystem) -> None:
    system.write("/etc/nsswitch.conf", "subid: sss\n")
    with pytest.raises(SubidError, match="getsubids alice: .*No such file.*Nothing was changed"):
        _run(system)


# Storage.


@as_root
def test_storage_of_podman_needs_permission(system: ShadowSystem) -> None:
    database = _theirs(system, "/home", PODMAN) / "db.sql"
    database.touch()
    os.chown(database, ALICE, ALICE)
    system.write("/usr/bin/podman").chmod(0o755)
    _theirs(system, "/run/user", f"{ALICE}")
    outcome = _run(system)
    assert not outcome["changed"]
    assert "allow it with migrate" in outcome["pending"]["alice"]
    assert system.ran == []

    predicted = _run(system, check=True, migrate=True)
    assert predicted["migrated"] == ["alice"]
    assert system.ran == []
    system.answers[MIGRATE] = ""
    done = _run(system, migrate=True)
    assert done == predicted
    assert done["pending"] == {}
    assert system.ran == [MIGRATE]
    environment = {
        "HOME": "/home/alice",
        "USER": "alice",
        "LOGNAME": "alice",
        "XDG_RUNTIME_DIR": f"/run/user/{ALICE}",
    }
    assert system.environments == [(environment, ALICE, ALICE)]
    assert not _run(system, migrate=True)["changed"]


@as_root
@pytest.mark.parametrize(
    ("enabled", "restarted", "notices"),
    [
        ("enabled", 0, []),
        ("disabled", None, []),
        (
            "enabled",
            1,
            [
                "alice: not all containers with the restart policy always run again: systemctl --user "
                "restart podman-restart.service: exit status 1: see journalctl"
            ],
        ),
    ],
)
def test_what_a_migration_stops_comes_back_as_after_a_boot(
    system: ShadowSystem, enabled: str, restarted: int | None, notices: list[str]
) -> None:
    _theirs(system, "/home", PODMAN)
    system.write("/usr/bin/podman").chmod(0o755)
    system.write(f"/run/user/{ALICE}/bus")
    ask, restart = (
        ("systemctl", "--user", verb, "podman-restart.service") for verb in ("is-enabled", "restart")
    )
    system.answers.update({MIGRATE: "", ask: f"{enabled}\n"})
    if restarted is not None:
        system.answers[restart] = Completed(restart, restarted, "", "see journalctl")
    assert _run(system, migrate=True)["notices"] == notices
    assert system.ran == [MIGRATE, ask, *([] if restarted is None else [restart])]
    assert {(uid, gid) for _environment, uid, gid in system.environments} == {(ALICE, ALICE)}


@as_root
def test_a_migration_that_fails_says_that_the_ranges_are_there(system: ShadowSystem) -> None:
    _theirs(system, "/home", PODMAN)
    system.write("/usr/bin/podman").chmod(0o755)
    system.answers[MIGRATE] = Completed(MIGRATE, 125, "", "no cgroup")
    with pytest.raises(
        SubidError, match="The ranges are written.*alice: .*exit status 125: no cgroup.*that user"
    ):
        _run(system, migrate=True)
    assert "alice" in _text(system, "/etc/subgid")


@as_root
def test_storage_without_podman(system: ShadowSystem) -> None:
    _theirs(system, "/home", PODMAN)
    outcome = _run(system, migrate=True)
    assert (outcome["migrated"], len(outcome["added"])) == ([], 2)
    assert outcome["notices"] == ["alice: podman is not installed; its storage was left."]


@as_root
@pytest.mark.parametrize(("uid", "gid", "kind"), [(231072, ALICE, "uid"), (ALICE, 231073, "gid")])
def test_files_of_a_range_from_before(system: ShadowSystem, uid: int, gid: int, kind: str) -> None:
    layer = _theirs(system, "/home", f"{PODMAN}/overlay/l1/diff")
    (layer / "etc").mkdir(mode=0o700)
    os.chown(layer / "etc", uid, gid)
    outcome = _run(system, migrate=True)
    assert not outcome["changed"]
    assert f"files of it belong to the {kind} 23107" in outcome["pending"]["alice"]


@as_root
def test_files_that_cannot_all_be_looked_at(system: ShadowSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = _theirs(system, "/home", PODMAN)
    for name in "ab":
        (storage / name).touch()
        os.chown(storage / name, ALICE, ALICE)
    assert FILE_LIMIT == 100_000
    monkeypatch.setattr(
        "ansible_collections.bulkhead.hardening.plugins.module_utils._subid_storage.FILE_LIMIT", 1
    )
    assert "not all of its files could be looked at" in _run(system, migrate=True)["pending"]["alice"]
    monkeypatch.undo()
    _theirs(system, "/home", f"{PODMAN}/c").chmod(0)
    assert "not all of its files could be looked at" in _run(system, migrate=True)["pending"]["alice"]


@as_root
def test_storage_of_docker(system: ShadowSystem) -> None:
    _theirs(system, "/home", DOCKER)
    assert "rootless Docker daemon has storage" in _run(system, migrate=True)["pending"]["alice"]


@as_root
def test_a_link_of_the_user_is_not_followed(system: ShadowSystem) -> None:
    _theirs(system, "/home", "alice")
    system.link("/home/alice/.local", "/")
    pending = _run(system, migrate=True)["pending"]["alice"]
    assert "not known whether there is storage" in pending
    assert "a symbolic link, or something else than a directory" in pending


@as_root
@pytest.mark.parametrize(("mapped", "stale"), [(1, True), (65536, False)])
def test_a_pause_process_from_before(system: ShadowSystem, mapped: int, stale: bool) -> None:
    system.write("/etc/subuid", "alice:200000:65536\n")
    system.write("/etc/subgid", "alice:200000:65536\n")
    system.write("/usr/bin/podman").chmod(0o755)
    pid = _theirs(system, "/run/user", f"{ALICE}/libpod/tmp") / "pause.pid"
    pid.write_text("77")
    os.chown(pid, ALICE, ALICE)
    maps = f"         0 {ALICE:>10}          1\n         1     200000 {mapped:>10}\n"
    status = f"Name:\tcatatonit\nUid:\t{ALICE}\t{ALICE}\t{ALICE}\t{ALICE}\n"
    system.add_process(77, status=status, uid_map=maps, gid_map=maps)
    assert ("alice" in _run(system)["pending"]) == stale
    system.answers[MIGRATE] = ""
    outcome = _run(system, migrate=True)
    assert (outcome["changed"], outcome["migrated"]) == (stale, ["alice"] if stale else [])
    assert outcome["diff"]["after"] == ("alice: podman system migrate\n" if stale else "")

    foreign = status.replace(f"Uid:\t{ALICE}", f"Uid:\t{BOB}")
    system.add_process(77, status=foreign, uid_map=maps, gid_map=maps)
    assert not _run(system)["pending"]


# Shadow's own programs, in a mount namespace with an /etc of its own.

_NAMESPACE = """
set -e
mount -t tmpfs -o size=64m none "$1"
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mkdir "$1/home"
printf 'subid: files\\n' >> /etc/nsswitch.conf
printf '# by hand\\ndockremap:100000:65536\\nnonsense\\n' > /etc/subuid
printf 'dockremap:100000:65536\\n' > /etc/subgid
exec "$2" -W ignore -c "$3"
"""


def _in_namespace(directory: Path, code: str) -> subprocess.CompletedProcess[str]:
    script = ["sh", "-c", _NAMESPACE, "sh", str(directory), sys.executable, code]
    environment = {**os.environ, "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ["unshare", "--mount", *script], check=False, capture_output=True, text=True, env=environment
    )


def _namespace_obstacle() -> str | None:
    if os.geteuid() != 0:
        return "only root can make a mount namespace with an /etc of its own"
    missing = [name for name in ("unshare", "useradd", "usermod", "getsubids") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False)
    return "mount namespaces are not allowed here" if tried.returncode else None


_OBSTACLE = _namespace_obstacle()
in_namespace = pytest.mark.skipif(_OBSTACLE is not None, reason=_OBSTACLE or "")

_MODULE = f"""
import json, subprocess, sys
from types import SimpleNamespace
from {SubidHost.__module__} import SubidHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from {run.__module__} import run

def allocate(*users, **options):
    usual = {{"count": 65536, "reserved": [], "migrate": False, "lock_timeout": 50, "checkpoint": None}}
    module = SimpleNamespace(params={{"users": list(users), **usual, **options}}, check_mode=False)
    return run(module, SubidHost(System()))

def call(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
"""


@in_namespace
def test_getsubids_and_useradd_agree(tmp_path: Path) -> None:
    code = """
call("useradd", "--no-create-home", "--system", "bh-system")
done = allocate("bh-system")
call("useradd", "--no-create-home", "bh-later")
again = allocate("bh-system", "bh-later")
print(json.dumps([done, again, call("getsubids", "bh-system"), call("getsubids", "-g", "bh-later")]))
"""
    ended = _in_namespace(tmp_path, _MODULE + code)
    assert ended.returncode == 0, ended.stderr
    done, again, uids, gids = json.loads(ended.stdout)
    assert done["added"][0] == {"path": "/etc/subuid", "user": "bh-system", "start": 165536, "count": 65536}
    assert (again["changed"], again["pending"], again["collisions"]) == (False, {}, [])
    assert uids == "0: bh-system 165536 65536\n"
    assert gids == "0: bh-later 231072 65536\n"


@in_namespace
def test_a_parallel_useradd_and_usermod_lose_nothing(tmp_path: Path) -> None:
    code = """
import threading
names = [f"bh{number}" for number in range(6)]
for name in names:
    call("useradd", "--no-create-home", "--system", name)
failed = []

def useradd():
    for number in range(8):
        try:
            call("useradd", "--no-create-home", f"parallel{number}")
            call("usermod", "--add-subuids", f"{900000000 + number * 10}-{900000009 + number * 10}", "bh0")
        except subprocess.CalledProcessError as error:
            failed.append(error.stderr)

thread = threading.Thread(target=useradd)
thread.start()
for name in names:
    allocate(name)
thread.join()
last = allocate(*names)
texts = {path: open(path).read() for path in ("/etc/subuid", "/etc/subgid")}
print(json.dumps([failed, last["changed"], last["collisions"], texts]))
"""
    ended = _in_namespace(tmp_path, _MODULE + code)
    assert ended.returncode == 0, ended.stderr
    failed, changed, collisions, texts = json.loads(ended.stdout)
    assert (failed, changed, collisions) == ([], False, [])
    for path, text in texts.items():
        lines = text.splitlines()
        owners = [line.partition(":")[0] for line in lines]
        for name in ["dockremap", *(f"parallel{number}" for number in range(8))]:
            assert owners.count(name) == 1, (path, text)
        for number in range(1, 6):
            assert owners.count(f"bh{number}") == 1, (path, text)
    uids = texts["/etc/subuid"].splitlines()
    assert {"# by hand", "nonsense"} <= set(uids)
    assert [f"bh0:{900000000 + number * 10}:10" in uids for number in range(8)] == [True] * 8


@in_namespace
def test_usermod_waits_for_our_locks_and_we_name_it(tmp_path: Path) -> None:
    code = """
import os, time
host = SubidHost(System())
call("useradd", "--no-create-home", "--system", "bh-system")
with host.locks(5):
    usermod = subprocess.Popen(["usermod", "--add-subuids", "900000000-900000009", "bh-system"])
    time.sleep(1)
    waited = usermod.poll() is None and "bh-system" not in open("/etc/subuid").read()
ended = usermod.wait()
open("/etc/subgid.lock", "w").write("1\\0")
try:
    allocate("bh-system", lock_timeout=0)
    said = ""
except Exception as error:  # its text is what is asserted
    said = str(error)
print(json.dumps([waited, ended, said, open("/etc/subuid").read()]))
"""
    ended = _in_namespace(tmp_path, _MODULE + code)
    assert ended.returncode == 0, ended.stderr
    waited, status, said, text = json.loads(ended.stdout)
    assert (waited, status) == (True, 0)
    assert "bh-system:900000000:10\n" in text
    assert "/etc/subgid.lock: still held after 0 s, by process 1 (" in said
