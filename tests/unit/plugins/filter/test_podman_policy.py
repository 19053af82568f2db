"""The filters of the role podman_policy, over what five releases of Podman say of themselves."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import tomllib
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.podman_policy import (
    podman_policy_files,
    podman_policy_verdict,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_keys import check_key
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import CurrentFile, Owner, decide
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_policy import PROFILES
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._podman_verdict import _INFO
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import WantedKeys
from hypothesis import given
from hypothesis import strategies as st

# `podman info --format json` of Debian's packages: 11, 12, 13, sid and experimental (6.1.1) of November 2026
INFO = json.loads((Path(__file__).parents[2] / "fixtures" / "podman_info.json").read_text(encoding="utf-8"))
DROP_IN = "/etc/containers/containers.conf.d/99-bulkhead.conf"
REGISTRIES = "/etc/containers/registries.conf.d/99-bulkhead.conf"
STORAGE = "/etc/containers/storage.conf"
ALICE = {"name": "alice", "uid": 1000, "home": "/home/alice", "info": {}}
PODMAN_S_OWN = INFO["5.4.2"]["host"]["security"]["capabilities"].replace("CAP_", "").split(",")
OTHER = "/etc/containers/containers.conf.d/50-admin.conf"


def _facts(version: str = "5.4.2", files: dict[str, str | None] | None = None, **more: Any) -> dict[str, Any]:
    return {"info": INFO[version], "files": files or {}, **more}


def _keys(policy: dict[str, Any], path: str) -> dict[str, Any]:
    keys: dict[str, Any] = next(file["keys"] for file in policy["files"] if file["path"] == path)
    return keys


def _error(*arguments: Any, **options: Any) -> str:
    with pytest.raises(AnsibleFilterError) as caught:
        podman_policy_files(*arguments, **options)
    return str(caught.value)


def _written(facts: dict[str, Any], policy: dict[str, Any]) -> dict[str, Any]:
    """The facts after owned_config has written the policy."""
    files = dict(facts["files"])
    for file in policy["files"]:
        if file["keys"]:
            text = files.get(file["path"])
            plan = decide(
                CurrentFile(file["path"], text, None if text is None else "0"),
                WantedKeys.from_options(file["keys"], []),
                owner=Owner("podman_policy", "podman_policy", "0"),
                format_name="toml",
            )
            files[file["path"]] = plan.text
    return {**facts, "files": files}


def test_every_value_of_a_profile_is_in_the_table() -> None:
    for profile in PROFILES.values():
        for entry in profile:
            assert check_key(entry.path, entry.value, "5.4.2") is None


def test_baseline_on_a_fresh_host() -> None:
    policy = podman_policy_files(_facts())
    assert _keys(policy, DROP_IN) == {"containers": {"pids_limit": 2048, "log_size_max": 10485760}}
    assert _keys(policy, REGISTRIES) == _keys(policy, STORAGE) == {}
    assert policy["notices"] == []


@pytest.mark.parametrize("version", INFO)
@pytest.mark.parametrize("profile", ["none", "baseline", "strict"])
def test_a_second_run_wants_the_same_and_all_of_it_wins(version: str, profile: str) -> None:
    options: dict[str, Any] = {
        "profile": profile,
        "settings": {"containers": {"umask": "0027"}, "registries": {"blocked": ["bad.example"]}},
        "users": {"alice": {"containers": {"pids_limit": 64}}},
    }
    facts = _facts(version, users=[ALICE])
    policy = podman_policy_files(facts, **options)
    after = _written(facts, policy)
    assert podman_policy_files(after, **options)["files"] == policy["files"]
    store = {
        name: value for name, value in INFO[version]["store"].items() if name in ("configFile", "volumePath")
    }
    after["info"] = {"version": {"Version": version}, "store": store}
    verdict = podman_policy_verdict(after, policy=policy)
    assert {key["state"] for key in verdict["keys"]} == {"configured"}
    assert verdict["holds"]


def test_strict_where_no_release_has_a_default_says_so() -> None:
    policy = podman_policy_files(_facts(), profile="strict")
    assert any(notice.startswith("no_new_privileges: left out") for notice in policy["notices"])
    # A limit above a user's own keeps every container of theirs from starting (tried on 5.4).
    assert "default_ulimits" not in _keys(policy, DROP_IN)["containers"]
    assert _keys(policy, REGISTRIES) == {"short-name-mode": "enforcing"}


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("pids_limit = 512", True),
        ("pids_limit = 0", False),
        ("pids_limit = -1", False),
        ("pids_limit = 4096", False),
        ('default_capabilities = ["CAP_CHOWN"]', True),
        ('default_capabilities = ["CHOWN", "SYS_ADMIN"]', False),
        ("privileged = true", False),
        ("keyring = false", False),
        ('seccomp_profile = "unconfined"', False),
        ('seccomp_profile = "/etc/mine.json"', True),
        ('ipcns = "host"', False),
    ],
)
def test_nothing_of_somebody_else_is_loosened(line: str, *, stays: bool) -> None:
    policy = podman_policy_files(_facts(files={OTHER: f"[containers]\n{line}\n"}))
    name = line.split()[0]
    assert (name not in _keys(policy, DROP_IN)["containers"]) is stays
    assert any(OTHER in notice for notice in policy["notices"]) is stays


@given(st.integers(min_value=-5, max_value=10000))
def test_the_limit_of_processes_never_rises(limit: int) -> None:
    facts = _facts(files={OTHER: f"[containers]\npids_limit = {limit}\n"})
    policy = podman_policy_files(facts)
    ours = _keys(policy, DROP_IN)["containers"].get("pids_limit", limit)
    assert ours <= limit or limit <= 0


def test_a_list_that_is_appended_is_read_as_one() -> None:
    files = {
        "/etc/containers/containers.conf": '[containers]\ndefault_capabilities = ["SYS_ADMIN"]\n',
        OTHER: '[containers]\ndefault_capabilities = ["CHOWN", {append=true}]\n',
    }
    assert "default_capabilities" in _keys(podman_policy_files(_facts(files=files)), DROP_IN)["containers"]


def test_a_new_storage_conf_stands_alone() -> None:
    settings = {"storage": {"options": {"overlay": {"mountopt": "nodev,nosuid"}}}}
    vendor = {"/usr/share/containers/storage.conf": '[storage.options]\nadditionalimagestores = ["/mnt"]\n'}
    policy = podman_policy_files(_facts(files=vendor), settings=settings)
    assert _keys(policy, STORAGE) == {
        "storage": {
            "driver": "overlay",
            "graphroot": "/var/lib/containers/storage",
            "runroot": "/run/containers/storage",
            "options": {"additionalimagestores": ["/mnt"], "overlay": {"mountopt": "nodev,nosuid"}},
        }
    }
    (file,) = [file for file in policy["files"] if file["path"] == STORAGE]
    assert file["validate"] == []


def test_where_storage_has_drop_ins_only_the_key_is_written() -> None:
    settings = {"storage": {"options": {"overlay": {"mountopt": "nodev"}}}}
    for version in ("5.8.6", "6.1.1"):
        policy = podman_policy_files(_facts(version), settings=settings)
        assert _keys(policy, "/etc/containers/storage.conf.d/99-bulkhead.conf") == settings
        assert _keys(policy, STORAGE) == {}  # an older release's keys go back


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"storage": {"graphroot": "/data"}},
            r"storage.graphroot: found '/data', accepted is '/var/lib/cont",
        ),
        ({"storage": {"driver": "vfs"}}, "storage.driver: found 'vfs', accepted is 'overlay'"),
        (
            {"engine": {"database_backend": "boltdb"}},
            "accepted is 'sqlite', which the storage or the database",
        ),
        ({"engine": {"static_dir": "/x"}}, "what it is now is not known"),
        ({"containers": {"userns": "auto"}}, "has no subordinate ids: no container would start"),
        ({"containers": {"pids_limit": "x"}}, "containers.pids_limit: found 'x', accepted is a whole number"),
        ({"nonsense": {}}, "accepted are objects named: containers, engine, network, storage, registries"),
        ({"containers": 5}, "containers: found int"),
        ({"registries": {"insecure": ["x"]}}, "registries: found insecure, accepted are: search,"),
        ({"registries": {"search": ["https://x"]}}, "registries.search: found"),
        ({"registries": {"blocked": ["x", "x"]}}, "found x twice"),
        ({"registries": {"blocked": "x"}}, "accepted is a list"),
        ({"registries": {"blocked": ["*.a/b"]}}, r"accepted is HOST\[:PORT\]\[/PATH\], or \*.DOMAIN"),
        ({"registries": {"short_name_mode": "off"}}, "accepted is one of: enforcing, permissive, disabled"),
        (
            {"registries": {"mirrored": [{"prefix": "x", "mirrors": [{"location": "m", "insecure": True}]}]}},
            "A mirror without verified TLS is not set up",
        ),
        (
            {"registries": {"blocked": ["x"], "mirrored": [{"prefix": "y", "location": "x"}]}},
            "with one location and one of them blocked",
        ),
        (
            {
                "registries": {
                    "mirrored": [
                        {
                            "prefix": "x",
                            "digest_only": True,
                            "mirrors": [{"location": "m", "pull_from_mirror": "all"}],
                        }
                    ]
                }
            },
            "found digest_only and pull_from_mirror",
        ),
    ],
)
def test_bad_input_is_named_and_nothing_is_changed(settings: dict[str, Any], message: str) -> None:
    error = _error(_facts(auto_userns_ids=False), settings=settings)
    assert error.startswith("podman_policy: nothing was changed, because of")
    with pytest.raises(AnsibleFilterError, match=message):
        podman_policy_files(_facts(auto_userns_ids=False), settings=settings)


def test_all_problems_are_in_one_answer() -> None:
    error = _error(
        _facts(files={OTHER: "[", "/etc/containers/containers.conf": None}),
        settings={"containers": {"umask": 5}},
        users={"bob": {}},
    )
    assert error.count("\n- ") == 4
    assert "it is not TOML" in error
    assert "it could not be read" in error
    assert "users: found bob" in error


def test_what_a_release_does_not_know_is_left_out_with_a_notice() -> None:
    settings = {
        "containers": {"read_only": True},
        "registries": {
            "blocked": ["*.bad.example"],
            "mirrored": [{"prefix": "x", "mirrors": [{"location": "m", "pull_from_mirror": "all"}]}],
        },
    }
    policy = podman_policy_files(_facts("3.0.1"), profile="none", settings=settings)
    assert _keys(policy, "/etc/containers/containers.conf") == {}
    assert _keys(policy, REGISTRIES) == {
        "registry": [{"prefix": "x", "location": "x", "mirror": [{"location": "m"}]}]
    }
    assert [notice.split(": left out")[0] for notice in policy["notices"]] == [
        "containers.read_only",
        "registries.blocked: *.bad.example",
        "registries.mirrored: x: pull_from_mirror",
    ]


def test_podman_6_refuses_the_old_registries_conf() -> None:
    files = {"/etc/containers/registries.conf": "[registries.search]\nregistries = ['a']\n"}
    assert "version 1 of its format" in _error(_facts("6.1.1", files))
    assert podman_policy_files(_facts("5.4.2", files))["notices"] == []


def test_a_registry_without_verified_tls_is_named_and_strict_takes_it_away() -> None:
    text = (
        '[[registry]]\nprefix = "lab/x"\nlocation = "lab:5000"\ninsecure = true\n'
        '[[registry.mirror]]\nlocation = "m"\ninsecure = true\n'
    )
    facts = _facts(files={"/etc/containers/registries.conf": text})
    policy = podman_policy_files(facts)
    assert "lets lab/x be spoken to without verified TLS" in policy["notices"][0]
    assert _keys(policy, REGISTRIES) == {}
    assert _keys(podman_policy_files(facts, profile="strict"), REGISTRIES)["registry"] == [
        {"prefix": "lab/x", "location": "lab:5000", "mirror": [{"location": "m"}], "insecure": False}
    ]


def test_a_user_s_broken_file_does_not_stop_the_host() -> None:
    path = "/home/alice/.config/containers/containers.conf"
    facts = _facts(files={path: "["}, users=[ALICE])
    policy = podman_policy_files(facts)
    assert policy["notices"] == [f"users.alice: {path}: it is not TOML, and it may override the policy."]
    verdict = podman_policy_verdict(_written(facts, policy), policy=policy)
    states = {(key["account"], key["state"]) for key in verdict["keys"]}
    assert states == {("root", "configured"), ("alice", "unknown")}
    assert not verdict["holds"]


def test_the_file_of_a_user_that_overrides_is_named() -> None:
    path = "/home/alice/.config/containers/containers.conf"
    facts = _facts(files={path: "[containers]\npids_limit = 0\n"}, users=[ALICE])
    policy = podman_policy_files(facts)
    verdict = podman_policy_verdict(_written(facts, policy), policy=policy)
    (found,) = [key for key in verdict["keys"] if key["state"] == "overridden"]
    assert found == {
        "account": "alice",
        "key": "containers.pids_limit",
        "state": "overridden",
        "found": 0,
        "by": path,
    }


def test_a_user_s_registries_conf_hides_the_host_s() -> None:
    path = "/home/alice/.config/containers/registries.conf"
    facts = _facts(files={path: ""}, users=[ALICE])
    policy = podman_policy_files(facts, settings={"registries": {"blocked": ["docker.io"]}})
    keys = podman_policy_verdict(_written(facts, policy), policy=policy)["keys"]
    states = {(key["account"], key["by"]) for key in keys if key["key"] == "registry[docker.io]"}
    assert states == {("root", "the files"), ("alice", path)}


CAPABILITIES = {"containers": {"default_capabilities": ["CHOWN", "KILL"]}}


def _state(key: str, info: dict[str, Any], settings: dict[str, Any], *containers: dict[str, Any]) -> Any:
    facts = _facts()
    policy = podman_policy_files(facts, settings=settings)
    after = {**_written(facts, policy), "info": {**INFO["5.4.2"], **info}}
    keys = podman_policy_verdict(after, policy=policy, containers=containers)["keys"]
    return next((entry["state"], entry["by"]) for entry in keys if entry["key"] == key)


def test_podman_info_is_the_witness() -> None:
    key = "containers.default_capabilities"
    shown = {"host": {"security": {"capabilities": "CAP_KILL,CAP_CHOWN"}}}
    assert _state(key, shown, CAPABILITIES) == ("in_force", "podman info")
    assert _state(key, {}, CAPABILITIES) == ("failed", "podman info")


OVERLAY = {"storage": {"options": {"overlay": {"mountopt": "nodev"}}}}
# key -> settings, what podman info shows where they are in force, and where they are not
SHOWN: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "containers.default_capabilities": (CAPABILITIES, "CAP_KILL,CAP_CHOWN", "CAP_CHOWN"),
    "containers.seccomp_profile": (
        {"containers": {"seccomp_profile": "/etc/seccomp.json"}},
        "/etc/seccomp.json",
        "/usr/share/containers/seccomp.json",
    ),
    "containers.log_driver": ({"containers": {"log_driver": "journald"}}, "journald", "k8s-file"),
    "engine.cgroup_manager": ({"engine": {"cgroup_manager": "systemd"}}, "systemd", "cgroupfs"),
    "engine.events_logger": ({"engine": {"events_logger": "journald"}}, "journald", "file"),
    "engine.runtime": ({"engine": {"runtime": "runc"}}, "runc", "crun"),
    "storage.driver": (OVERLAY, "overlay", "vfs"),
    "storage.graphroot": (OVERLAY, "/var/lib/containers/storage", "/srv/storage"),
    "storage.runroot": (OVERLAY, "/run/containers/storage", "/srv/run"),
    "storage.options.overlay.mountopt": (OVERLAY, "nodev", "nodev,metacopy=on"),
    "unqualified-search-registries": (
        {"registries": {"search": ["a.example"]}},
        ["a.example"],
        ["a.example", "docker.io"],
    ),
}


def _info_with(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The table of podman info that a path begins with, with one value in it."""
    table = copy.deepcopy(INFO["5.4.2"][path[0]])
    place = table
    for name in path[1:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    return {path[0]: table}


def test_what_podman_info_shows_has_a_case_each() -> None:
    assert {tuple(key.split(".")) for key in SHOWN} == set(_INFO)


@pytest.mark.parametrize("key", SHOWN)
def test_what_podman_info_shows_is_believed_and_not_the_file(key: str) -> None:
    settings, wanted, otherwise = SHOWN[key]
    path = _INFO[tuple(key.split("."))]
    assert _state(key, _info_with(path, wanted), settings) == ("in_force", "podman info")
    assert _state(key, _info_with(path, otherwise), settings) == ("failed", "podman info")


BLOCKED = {"registries": {"blocked": ["docker.io"]}}
MIRRORED = {"registries": {"mirrored": [{"prefix": "docker.io", "mirrors": ["mirror.example"]}]}}
AT_MIRROR = [{"Location": "mirror.example", "Insecure": False, "PullFromMirror": ""}]


@pytest.mark.parametrize(
    ("settings", "shown", "state"),
    [
        (BLOCKED, {"Blocked": True}, "in_force"),
        (BLOCKED, {"Blocked": False}, "failed"),
        (BLOCKED, {"Blocked": True, "Insecure": True}, "failed"),
        (BLOCKED, {"Blocked": True, "Mirrors": AT_MIRROR}, "failed"),
        (MIRRORED, {"Blocked": False, "Mirrors": AT_MIRROR}, "in_force"),
        (MIRRORED, {"Blocked": False, "Mirrors": None}, "failed"),
        (MIRRORED, {"Blocked": True, "Mirrors": AT_MIRROR}, "failed"),
        (MIRRORED, {"Mirrors": [*AT_MIRROR, {"Location": "other.example"}]}, "failed"),
    ],
)
def test_what_podman_info_shows_of_a_registry(
    settings: dict[str, Any], shown: dict[str, Any], state: str
) -> None:
    info = {"registries": {"docker.io": {"Prefix": "docker.io", "Location": "docker.io", **shown}}}
    assert _state("registry[docker.io]", info, settings) == (state, "podman info")


def test_a_started_container_is_the_witness() -> None:
    key, none = "containers.pids_limit", {"host": {}}
    probe = {"name": "probe", "probe": True, "pids_max": "2048"}
    assert _state(key, none, {}, probe) == ("in_force", "the container probe")
    assert _state(key, none, {}, {**probe, "pids_max": "max"}) == ("failed", "the container probe")
    old = {"name": "web", "probe": False, "pids_max": "max"}
    assert _state(key, none, {}, probe, old) == ("pending", "made before, or with options of their own: web")
    assert _state(key, none, {}, {**old, "pids_max": "100"}) == ("configured", "the files")
    caps = {"name": "probe", "probe": True, "CapBnd": "0000000000000021"}  # CHOWN, KILL
    assert _state("containers.default_capabilities", none, CAPABILITIES, caps) == (
        "in_force",
        "the container probe",
    )
    assert _state("containers.default_capabilities", none, CAPABILITIES, {**caps, "CapBnd": "a80425fb"}) == (
        "failed",
        "the container probe",
    )


def _proof(user: str = "root", **facts: Any) -> dict[str, Any]:
    """As engine_proof tells of a container without options."""
    found = {
        "limits": {"pids": 2048},
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"]},
        "seccomp": {"mode": "filter", "filters": 1},
        "rlimits": {"nofile": {"soft": 1024, "hard": 4096}, "core": {"soft": None, "hard": None}},
        "lsm": {"name": "apparmor", "label": "containers-default", "mode": "enforce"},
        "uid_map": [{"inside": 0, "outside": 0, "count": 4294967295}],
        **facts,
    }
    return {"user": user, "facts": found, "reason": None, "said": {"ipc_mode": "private"}}


def _proven(
    settings: dict[str, Any],
    *proofs: dict[str, Any],
    version: str = "5.4.2",
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    facts = _facts(version, **(more or {}))
    policy = podman_policy_files(facts, profile="none", settings={"containers": settings})
    return podman_policy_verdict(_written(facts, policy), policy=policy, proofs=proofs)


@pytest.mark.parametrize(
    ("settings", "facts", "found"),
    [
        ({"pids_limit": 2048}, {"limits": {"pids": None}}, "'max'"),
        ({"pids_limit": 2048}, {"limits": {"pids": 4096}}, "4096"),
        (
            {"default_capabilities": PODMAN_S_OWN},
            {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}},
            "SYS_ADMIN",
        ),
        (
            {"seccomp_profile": "/usr/share/containers/seccomp.json"},
            {"seccomp": {"mode": "disabled", "filters": 0}},
            "0",
        ),
        ({"default_ulimits": ["nofile=1024:2048"]}, {}, "4096"),
        ({"default_ulimits": ["nofile=512:4096"]}, {}, "1024"),
        ({"default_ulimits": ["nofile=1024:4096", "core=0"]}, {}, "None"),
        ({"apparmor_profile": "containers-strict"}, {}, "containers-default"),
        ({"userns": "auto"}, {}, "host"),
        ({"userns": "host"}, {"uid_map": [{"inside": 0, "outside": 100000, "count": 65536}]}, "nomap"),
    ],
)
def test_a_proof_is_the_witness(settings: dict[str, Any], facts: dict[str, Any], found: str) -> None:
    (key,) = settings
    verdict = _proven(settings, _proof(**facts))
    assert list(verdict["failed"]) == [f"root: containers.{key}"]
    assert found in verdict["failed"][f"root: containers.{key}"]
    assert verdict["holds"] is False


def test_a_proof_that_shows_what_is_wanted_makes_it_in_force() -> None:
    verdict = _proven({"pids_limit": 2048, "ipcns": "private"}, _proof())
    assert {entry["key"]: entry["state"] for entry in verdict["keys"]} == {
        "containers.pids_limit": "in_force",
        "containers.ipcns": "in_force",
    }
    assert (verdict["holds"], verdict["pending"], verdict["failed"]) == (True, {}, {})


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"default_ulimits": ["nofile=1024:4096"]}, {}),
        ({"default_ulimits": ["nofile=2048:8192", "core=-1"]}, {}),
        ({"apparmor_profile": "containers-default"}, {}),
        ({"userns": "host"}, {}),
        ({"userns": "auto"}, {"uid_map": [{"inside": 0, "outside": 100000, "count": 65536}]}),
    ],
)
def test_what_a_proof_shows_is_in_force(settings: dict[str, Any], facts: dict[str, Any]) -> None:
    keys = _proven(settings, _proof(**facts), more={"auto_userns_ids": True})["keys"]
    assert [(entry["state"], entry["by"]) for entry in keys] == [
        ("in_force", "the container that root started to be measured")
    ]


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"userns": "private"}, {}),
        ({"userns": "keep-id"}, {}),
        ({"apparmor_profile": "x"}, {"lsm": {"name": "none", "label": None, "mode": "unconfined"}}),
        ({"apparmor_profile": "x"}, {"lsm": {"unreadable": "EINVAL"}}),
        ({"default_ulimits": ["core=0"]}, {"rlimits": {"unreadable": "EPERM"}}),
    ],
)
def test_what_a_proof_does_not_show_is_configured(settings: dict[str, Any], facts: dict[str, Any]) -> None:
    assert [entry["state"] for entry in _proven(settings, _proof(**facts))["keys"]] == ["configured"]


@pytest.mark.parametrize(
    ("mode", "inside", "state"),
    [
        ("keep-id", {"inside": 1000, "outside": 1000, "count": 1}, "in_force"),
        ("keep-id", {"inside": 0, "outside": 1000, "count": 1}, "failed"),
        ("nomap", {"inside": 0, "outside": 100000, "count": 65536}, "in_force"),
        ("nomap", {"inside": 0, "outside": 1000, "count": 1}, "failed"),
        ("host", {"inside": 0, "outside": 1000, "count": 1}, "in_force"),
        ("auto", {"inside": 0, "outside": 1000, "count": 1}, "failed"),
    ],
)
def test_who_a_user_is_in_a_container(mode: str, inside: dict[str, int], state: str) -> None:
    more = {"users": [ALICE], "auto_userns_ids": True}
    found = _proven({"userns": mode}, _proof("alice", uid_map=[inside]), more=more)["keys"]
    assert [entry["state"] for entry in found if entry["account"] == "alice"] == [state]


@pytest.mark.parametrize(("version", "part"), [("4.3.1", "pending"), ("5.4.2", "failed")])
def test_a_release_that_shares_ipc_whatever_the_file_says_is_named(version: str, part: str) -> None:
    proof = {**_proof(), "said": {"ipc_mode": "shareable"}}
    assert list(_proven({"ipcns": "private"}, proof, version=version)[part]) == ["root: containers.ipcns"]


def test_a_container_that_does_not_start_under_the_policy_is_a_failure() -> None:
    proof = {"user": "alice", "facts": None, "said": {}}
    reason = "the container did not start: exit status 126: error setting rlimits"
    verdict = _proven({"pids_limit": 2048}, {**proof, "reason": reason})
    assert verdict["failed"] == {"alice: a container": reason}
    assert (verdict["holds"], verdict["not_measured"]) == (False, {})


def test_what_could_not_be_measured_has_its_reason() -> None:
    proof = {"user": "alice", "facts": None, "reason": "no bus", "said": {}}
    verdict = _proven({"pids_limit": 2048}, proof)
    assert verdict["not_measured"] == {"alice": "no bus"}
    assert [entry["state"] for entry in verdict["keys"]] == ["configured"]


def test_check_mode_runs_no_podman() -> None:
    policy = podman_policy_files(_facts(), check_mode=True)
    assert all(file["validate"] == [] for file in policy["files"])
    real = podman_policy_files(_facts())
    assert real["files"][0]["validate"] == ["env", "CONTAINERS_CONF=%s", "podman", "info"]


def test_a_file_in_a_home_is_validated_only_where_the_user_s_podman_runs() -> None:
    settings = {"alice": {"containers": {"pids_limit": 64}}}
    path = "/home/alice/.config/containers/containers.conf.d/99-bulkhead.user.conf"

    def policy(info: dict[str, Any]) -> dict[str, Any]:
        return podman_policy_files(_facts(users=[{**ALICE, "info": info}]), users=settings)

    def validate(policy: dict[str, Any]) -> Any:
        return next(file["validate"] for file in policy["files"] if file["path"] == path)

    assert validate(policy(INFO["5.4.2"])) == ["env", "CONTAINERS_CONF=%s", "podman", "info"]
    assert policy(INFO["5.4.2"])["notices"] == []
    assert validate(policy({})) == []
    assert policy({})["notices"] == [
        f"users.alice: {path}: written without a look of Podman's, which does not run for this user."
    ]


@pytest.mark.parametrize(
    "settings", [{"storage": {"options": {"overlay": {"mountopt": "nodev"}}}}, {"storage": {"driver": "vfs"}}]
)
def test_check_mode_passes_where_a_user_has_no_storage_yet(settings: dict[str, Any]) -> None:
    facts = _facts(users=[{**ALICE, "info": None}])
    policy = podman_policy_files(facts, users={"alice": settings}, check_mode=True)
    wanted = {"storage": settings["storage"]} if "options" in settings["storage"] else {}
    assert _keys(policy, "/home/alice/.config/containers/storage.conf") == wanted
    assert any(
        notice.startswith("users.alice: storage.driver: left out in check mode:")
        for notice in policy["notices"]
    )
    assert "users.alice: " in _error(facts, users={"alice": settings})
    silent = {**facts, "info": {}, "version": "5.4.2"}
    assert "found no storage.driver" in _error(
        silent, settings={"storage": {"options": {"overlay": {"mountopt": "nodev"}}}}, check_mode=True
    )


def test_a_host_without_an_answer_and_an_unknown_profile_are_refused() -> None:
    assert "found no version" in _error({})
    assert "accepted are: none, baseline, strict" in _error(_facts(), profile="paranoid")


def test_the_written_files_are_toml_that_says_what_was_wanted() -> None:
    settings = {"registries": {"search": ["a.example"], "blocked": ["b.example"]}}
    facts = _facts()
    policy = podman_policy_files(facts, settings=settings)
    text = _written(facts, policy)["files"][REGISTRIES]
    assert tomllib.loads(text) == _keys(policy, REGISTRIES)
