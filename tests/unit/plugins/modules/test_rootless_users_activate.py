"""The module: check, real, check again, real again on a made-up host; what fails is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_act import apply
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    DROP_IN,
    RootlessError,
    Step,
    Wanted,
)
from ansible_collections.bulkhead.hardening.plugins.modules import rootless_users_activate
from ansible_collections.bulkhead.hardening.plugins.modules.rootless_users_activate import (
    ARGUMENT_SPEC,
    run,
    wanted_of,
)
from unit.fake_system import FakeSystem

UID, OTHER = 61_001, 61_002
EVERY = "cpuset cpu io memory pids"
OLD = "cpu memory pids"


class LoginSystem(FakeSystem):
    """A host whose systemd and logind do what they are told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.done: list[tuple[tuple[str, ...], int | None]] = []
        self.loaded = OLD
        self.fails: dict[str, str] = {}
        for name, uid in (("amber", UID), ("basil", OTHER)):
            self.add_account(name, uid)
            self.local(f"/home/{name}").mkdir(parents=True)
        self.local("/run/systemd/system").mkdir(parents=True)
        self.write("/proc/self/mountinfo", "26 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n")
        self.write("/sys/fs/cgroup/cgroup.controllers", EVERY)
        self.write("/usr/lib/systemd/user/dbus.socket")
        self.write("/proc/sys/user/max_user_namespaces", "0\n")
        for name in ("newuidmap", "newgidmap"):
            self.write(f"/usr/bin/{name}").chmod(0o4755)

    def manager(self, uid: int, controllers: str) -> None:
        cgroup = f"/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service"
        self.write(f"{cgroup}/cgroup.events", "populated 1\n")
        self.write(f"{cgroup}/cgroup.controllers", controllers)

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        words = tuple(argv)
        if words[:2] == ("systemctl", "show"):
            return Completed(words, 0, "\n".join(self._shown(word) for word in words[2:] if "@" in word), "")
        if words[0] == "getent":
            entries = (
                f"{name}:x:{uid}:{uid}::/home/{name}:" for name, uid in (("amber", UID), ("basil", OTHER))
            )
            return Completed(words, 0, "\n".join(entries) if "passwd" in words else "", "")
        self.done.append((words, options.get("uid")))
        for part, said in self.fails.items():
            if part in " ".join(words):
                return Completed(words, 1, "", said)
        if words == ("systemctl", "daemon-reload"):
            self.loaded = EVERY
        elif words[:2] == ("loginctl", "enable-linger"):
            self.write(f"/var/lib/systemd/linger/{words[2]}")
        elif words[:2] in (("systemctl", "start"), ("systemctl", "restart")):
            self.manager(int(words[2].partition("@")[2].partition(".")[0]), self.loaded)
        else:
            raise AssertionError(words)
        return Completed(words, 0, "", "")

    def _shown(self, unit: str) -> str:
        drop_ins = DROP_IN if self.loaded == EVERY else ""
        return f"Id={unit}\nDelegateControllers={self.loaded}\nDropInPaths={drop_ins}\nNeedDaemonReload=no\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoginSystem:
    """Two users of whom nothing runs; the rights of programs and the bus are looked at elsewhere."""
    system = LoginSystem(tmp_path)
    system.write(DROP_IN)  # as the module owned_config does; systemd has not read it yet
    look = "ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_look"
    monkeypatch.setattr(f"{look}._lacks_rights", lambda *_: "")
    monkeypatch.setattr(f"{look}.home_obstacle", lambda *_: "")
    monkeypatch.setattr(
        rootless_users_activate.look.__globals__["UserSession"], "without_socket", lambda *_: None
    )
    return system


@pytest.fixture
def call(host: LoginSystem) -> Callable[..., dict[str, Any]]:
    def call(*, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
        module: Any = SimpleNamespace(
            params={**defaults, "users": ["amber", "basil"], **options}, check_mode=check_mode
        )
        return run(module, host)

    return call


def test_check_real_check_real(host: LoginSystem, call: Callable[..., dict[str, Any]]) -> None:
    predicted = call(check_mode=True)
    assert host.done == []
    done = call(drop_in_changed=True)
    assert (predicted["changed"], predicted["steps"]) == (True, done["steps"])
    assert [words for words, _uid in host.done] == [
        ("systemctl", "daemon-reload"),
        ("loginctl", "enable-linger", "amber"),
        ("systemctl", "start", f"user@{UID}.service"),
        ("loginctl", "enable-linger", "basil"),
        ("systemctl", "start", f"user@{OTHER}.service"),
    ]
    assert done["users"]["amber"]["controllers"] == EVERY.split()
    for again in (call(check_mode=True), call()):
        assert (again["changed"], again["steps"], again["diff"]["after"]) == (False, [], "")


def test_what_waits_comes_from_the_second_look(
    host: LoginSystem, call: Callable[..., dict[str, Any]]
) -> None:
    host.write("/proc/sys/kernel/unprivileged_userns_clone", "1\n")
    assert list(call()["pending"]) == ["host: user.max_user_namespaces"]
    assert list(call(namespaces="enabled")["pending"]) == []
    assert host.local("/proc/sys/user/max_user_namespaces").read_text() == "28633\n"


def test_a_restart_that_is_allowed(host: LoginSystem, call: Callable[..., dict[str, Any]]) -> None:
    host.manager(UID, OLD)
    host.write("/var/lib/systemd/linger/amber")
    host.add_process(507, cgroup=f"0::/user.slice/user-{UID}.slice/user@{UID}.service/app.slice/a.service\n")
    waiting = call(users=["amber"], drop_in_changed=True)
    assert waiting["restarted"] == []
    assert "sleep (process 507)" in waiting["users"]["amber"]["pending"]["delegation"]
    assert call(users=["amber"], restart_session=True)["restarted"] == ["amber"]
    assert host.done[-1] == (("systemctl", "restart", f"user@{UID}.service"), None)


def test_a_manager_is_not_restarted_for_nothing(host: LoginSystem) -> None:
    with pytest.raises(RootlessError, match=r"would not delegate cpuset, io .*and was not restarted"):
        apply(host, Wanted(("amber",)), [Step("restart", "amber", str(UID))])
    assert host.done == []


def test_what_fails_for_one_user_is_told_and_the_others_are_served(
    host: LoginSystem, call: Callable[..., dict[str, Any]]
) -> None:
    host.fails[f"start user@{UID}"] = "no seat\n"
    with pytest.raises(
        RootlessError, match=rf"start amber {UID}: systemctl start .*: exit status 1: no seat"
    ):
        call()
    assert host.done[-1][0] == ("systemctl", "start", f"user@{OTHER}.service")


def test_what_did_not_help_is_an_error(host: LoginSystem, call: Callable[..., dict[str, Any]]) -> None:
    host.manager = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(
        RootlessError, match=rf"still to be done when it was looked at again: start amber {UID}"
    ):
        call()


def test_missing_programs_are_an_error_unless_somebody_installs_them(
    host: LoginSystem, call: Callable[..., dict[str, Any]]
) -> None:
    host.local("/usr/bin/newgidmap").unlink()
    with pytest.raises(
        RootlessError, match=r"newgidmap not found .*rootless_users_packages is left_alone.*Nothing"
    ):
        call()
    assert host.done == []
    assert call(missing_programs="reported", check_mode=True)["programs_missing"] == ["newgidmap"]
    host.local("/usr/lib/systemd/user/dbus.socket").unlink()
    found = call(missing_programs="reported", check_mode=True)["programs_missing"]
    assert found == ["newgidmap", "dbus.socket"]


def test_the_restart_unit_is_enabled_as_the_user(host: LoginSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        host, "run", lambda argv, **options: seen.append((argv, options)) or Completed((), 0, "", "")
    )
    apply(host, Wanted(("amber",)), [Step("enable_containers_at_boot", "amber")])
    [(argv, options)] = seen
    assert argv == ("systemctl", "--user", "enable", "podman-restart.service")
    assert (options["uid"], options["gid"]) == (UID, UID)
    assert options["environment"]["XDG_RUNTIME_DIR"] == f"/run/user/{UID}"


def test_grants_are_loaded_and_taken_back(host: LoginSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(host, "run", lambda argv, **_: seen.append(argv) or Completed((), 0, "", ""))
    host.write("/sys/kernel/security/apparmor/.remove")
    path = "/etc/apparmor.d/bulkhead-userns.usr.bin.podman"
    steps = [Step("load_profile", path), Step("unload_profile", "bulkhead-userns.opt.x")]
    apply(host, Wanted(()), steps)
    assert seen == [("apparmor_parser", "--replace", path)]
    assert host.local("/sys/kernel/security/apparmor/.remove").read_text() == "bulkhead-userns.opt.x"


def test_a_grant_that_cannot_be_taken_back_is_told(host: LoginSystem) -> None:
    with pytest.raises(RootlessError, match=r"\.remove: No such file"):
        apply(host, Wanted(()), [Step("unload_profile", "x")])


@pytest.mark.parametrize(
    "options, found",
    [
        ({"ping_group_range": "0"}, "rootless_users_ping_group_range: found '0'; accepted are two group ids"),
        ({"ping_group_range": "0 4294967295"}, "ping_group_range: found '0 4294967295'"),
        ({"ping_group_range": "a b"}, "ping_group_range: found 'a b'"),
        (
            {"unprivileged_port": 65536},
            "rootless_users_unprivileged_port: found 65536; accepted are 0 to 65535",
        ),
        ({"unprivileged_port": -1}, "found -1"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], found: str) -> None:
    defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
    with pytest.raises(RootlessError) as error:
        wanted_of({**defaults, "users": [], **options})
    assert found in str(error.value)
    assert str(error.value).endswith("Nothing was changed.")


def test_the_look_tells_what_subid_would_do_and_never_does_it(
    host: LoginSystem, call: Callable[..., dict[str, Any]]
) -> None:
    wanted = {"count": 65536, "reserved": [], "migrate": False}
    for check_mode in (True, False):
        found = call(check_mode=check_mode, subids=wanted)["subids"]
        assert found["changed"] is True
        assert [item["user"] for item in found["added"]] == ["amber", "amber", "basil", "basil"]
        assert not host.local("/etc/subuid").exists()
    assert "subids" not in call(check_mode=True)


@pytest.mark.parametrize(
    "subids, found",
    [
        ({"count": 1}, "rootless_users_count: found 1, accepted is a number from 65536"),
        (
            {"reserved": [{"start": -1, "count": 1, "reason": "none", "owner": None}]},
            r"rootless_users_reserved\[0\]: found start -1",
        ),
    ],
)
def test_subordinate_ids_that_cannot_be_meant(
    call: Callable[..., dict[str, Any]], subids: dict[str, Any], found: str
) -> None:
    with pytest.raises(RootlessError, match=found):
        call(check_mode=True, subids={"count": 65536, "reserved": [], "migrate": False, **subids})


def test_systemctl_that_does_not_answer_is_an_error(
    host: LoginSystem, call: Callable[..., dict[str, Any]]
) -> None:
    host._shown = lambda _unit: ""  # type: ignore[method-assign]
    assert call(check_mode=True)["steps"][0] == "daemon reload"

    def refuse(argv: Sequence[str], **_options: Any) -> Completed:
        return Completed(tuple(argv), 1, "", "")

    host.run = refuse  # type: ignore[method-assign]
    with pytest.raises(PortError, match="systemctl show: exit status 1"):
        call(check_mode=True)
