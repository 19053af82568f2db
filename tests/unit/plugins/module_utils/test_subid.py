# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Subordinate ids: nothing ever overlaps, no foreign line changes, and planning twice is planning once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid import decide, users_in_question
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_collisions import Reserved
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_model import (
    Account,
    Host,
    Storage,
    SubidPlan,
    Wanted,
    wanted_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_space import IdSpace
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_text import (
    FILES,
    KINDS,
    LAST_ID,
    Entry,
    Limits,
    Range,
    SubidError,
    local_sources_only,
    parse_directory,
    parse_limits,
    parse_subids,
    subid_source,
    with_lines,
)
from hypothesis import given
from hypothesis import strategies as st

UIDS = {"root": 0, "alice": 1001, "bob": 1002, "carol": 1003}
ACCOUNTS = {name: Account(name, uid, uid, f"/home/{name}") for name, uid in UIDS.items()}
REAL = {
    "uid": {uid: f"user {name}" for name, uid in UIDS.items()},
    "gid": {uid: f"group {name}" for name, uid in UIDS.items()},
}


def _host(subuid: str = "", subgid: str = "", **members: Any) -> Host:
    host = Host(
        files={"uid": parse_subids(FILES["uid"], subuid), "gid": parse_subids(FILES["gid"], subgid)},
        limits=dict.fromkeys(KINDS, Limits()),
        accounts=ACCOUNTS,
        real=REAL,
    )
    return replace(host, **members)


def _after(host: Host, plan: SubidPlan, kinds: Sequence[str] = KINDS) -> Host:
    """The host when the texts of some kinds have been written."""
    files = {
        kind: parse_subids(file.path, plan.text(kind, file.text)) if kind in kinds else file
        for kind, file in host.files.items()
    }
    return replace(host, files=files)


def _added(plan: SubidPlan) -> list[str]:
    return plan.lines()


# What a line says.


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("alice:100000:65536", [Entry(1, "alice", Range(100000, 65536))]),
        ("# old\n\n1001:0:1\n", [Entry(3, "1001", Range(0, 1))]),
        ("a b:1:2\nAD\\x:3:4\n", [Entry(1, "a b", Range(1, 2)), Entry(2, "AD\\x", Range(3, 4))]),
        (f"alice:1:{LAST_ID}", [Entry(1, "alice", Range(1, LAST_ID))]),
        ("a\x0cb:1:2", [Entry(1, "a\x0cb", Range(1, 2))]),  # only a line feed ends a line
    ],
)
def test_entries(text: str, entries: list[Entry]) -> None:
    found = parse_subids("/etc/subuid", text)
    assert (list(found.entries), found.unusable) == (entries, ())


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("garbage", []),
        ("alice:100000", []),
        (":100000:65536", [Range(100000, 65536)]),
        ("alice:100000:65536:1", [Range(100000, 65536)]),  # shadow reads the first three fields
        ("alice:100000:65536\r", [Range(100000, 65536)]),  # containers/storage trims the line
        (" alice:100000:65536", [Range(100000, 65536)]),
        ("alice:0x20:7", [Range(32, 7)]),  # tried: getsubids prints 32
        ("alice:0100000:8", [Range(32768, 8), Range(100000, 8)]),
        ("alice:100000:0", []),
        (f"alice:{LAST_ID}:2", [Range(LAST_ID, 1)]),
        (f"alice:5:{'9' * 5000}", [Range(5, LAST_ID - 4)]),
        (f"alice:{'9' * 5000}:1", []),
        ("alice:-1:5", []),
        ("+alice:5:6", [Range(5, 6)]),
        ("alice:٣:5", []),
    ],
)
def test_a_line_that_is_no_entry_is_reported_and_its_ids_stay_free(line: str, held: list[Range]) -> None:
    found = parse_subids("/etc/subuid", f"bob:1:1\n{line}\n")
    assert [entry.owner for entry in found.entries] == ["bob"]
    assert [(item.line, item.text) for item in found.unusable] == [(2, line)]
    assert sorted(found.held) == held


def test_a_comment_is_not_reported_and_its_ids_stay_free() -> None:
    found = parse_subids("/etc/subuid", "#alice:100000:65536\n")
    assert (found.unusable, found.held) == ((), (Range(100000, 65536),))


def test_an_unfinished_last_line_is_finished() -> None:
    assert with_lines("a:1:2", ["b:3:4"]) == "a:1:2\nb:3:4\n"
    assert with_lines("a:1:2", []) == "a:1:2"


# The other sources.


def test_limits() -> None:
    assert parse_limits("uid", "") == Limits()
    text = '# SUB_UID_MIN 1\nSUB_UID_MIN\t200000\nSUB_UID_MAX 300000\nSUB_UID_COUNT "70000"\nUID_MAX 70000\n'
    assert parse_limits("uid", text) == Limits(200000, 300000, 70000, Range(1000, 69001))
    assert parse_limits("gid", text) == Limits()
    assert parse_limits("uid", "SUB_UID_MAX 99999999999\n").maximum == LAST_ID


@pytest.mark.parametrize("text", ["SUB_UID_MIN many", "SUB_UID_MAX -1", "SUB_UID_MAX 99999", "UID_MAX 0x10"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(SubidError, match=r"/etc/login\.defs: .*found .*accepted is .* Nothing was changed\."):
        parse_limits("uid", text)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("", "files"),
        ("passwd: files sss\n", "files"),
        ("subid: sss\n", "sss"),
        ("subid:\nSUBID:\tsss files\n", "sss"),
        ("# subid: sss\nsubid: files\n", "files"),
    ],
)
def test_source(text: str, source: str) -> None:
    assert subid_source(text) == source


def test_which_accounts_can_be_listed() -> None:
    assert local_sources_only("passwd: files systemd\n", "passwd")
    assert local_sources_only("passwd: files [NOTFOUND=return] systemd # sss\n", "passwd")
    assert not local_sources_only("passwd: files sss\n", "passwd")


def test_directory() -> None:
    found = parse_directory("uid", ["0: alice 100000 65536\n1: alice 5000 1001\n", "", "0: b c 1 2\n"])
    assert [(entry.owner, entry.ids) for entry in found.entries] == [
        ("alice", Range(100000, 65536)),
        ("alice", Range(5000, 1001)),
        ("b c", Range(1, 2)),
    ]
    with pytest.raises(SubidError, match=r"getsubids -g: found 'x', accepted is 0: NAME START COUNT"):
        parse_directory("gid", ["x"])


# Options.


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("users", ["alice", "a:b"], r"users\[1\]: found 'a:b'"),
        ("users", [""], r"users\[0\]: found ''"),
        ("users", ["a\nroot:0:65536"], r"users\[0\]: found 'a\\nroot"),
        ("users", ["#a"], "users"),
        ("users", ["-g"], "users"),
        ("users", ["1001"], "not a number"),
        ("users", [" a"], "users"),
        ("count", 65535, "count: found 65535, accepted is a number from 65536"),
        ("count", 2**32, "count: found 4294967296"),
        (
            "reserved",
            [{"start": -1, "count": 5, "reason": "", "owner": None}],
            r"reserved\[0\]: found start -1",
        ),
        ("reserved", [{"start": 1, "count": 0, "reason": "", "owner": None}], "count 0; accepted are"),
        ("reserved", [{"start": 1, "count": 2**32, "reason": "", "owner": None}], r"reserved\[0\]"),
    ],
)
def test_bad_options(option: str, value: Any, said: str) -> None:
    good: Mapping[str, Any] = {"users": ["alice"], "count": 65536, "reserved": [], "migrate": False}
    assert wanted_of(good) == Wanted(("alice",))
    with pytest.raises(SubidError, match=f"{said}.*Nothing was changed"):
        wanted_of({**good, option: value})


# Who gets what.


def test_first_ranges() -> None:
    plan = decide(Wanted(("alice", "bob")), _host())
    assert _added(plan) == [
        "/etc/subuid: alice:100000:65536",
        "/etc/subgid: alice:100000:65536",
        "/etc/subuid: bob:165536:65536",
        "/etc/subgid: bob:165536:65536",
    ]
    assert (plan.pending, plan.collisions, plan.migrate) == ({}, [], [])


def test_uids_and_gids_start_alike_where_they_can() -> None:
    plan = decide(Wanted(("alice",)), _host("bob:100000:65536\n", "bob:165536:65536\n"))
    assert {item.ids.start for item in plan.additions} == {231072}
    narrow = dict.fromkeys(KINDS, Limits(maximum=231071))
    plan = decide(Wanted(("alice",)), _host("bob:100000:65536\n", "bob:165536:65536\n", limits=narrow))
    assert [item.ids.start for item in plan.additions] == [165536, 100000]


@pytest.mark.parametrize("owner", ["alice", "1001"])
def test_enough_is_enough(owner: str) -> None:
    text = f"{owner}:200000:30000\n{owner}:300000:35536\n"
    plan = decide(Wanted(("alice",)), _host(text, text))
    assert (plan.additions, plan.pending) == ([], {})


def test_the_same_ids_twice_count_once() -> None:
    text = "alice:200000:40000\nalice:200000:40000\n"
    plan = decide(Wanted(("alice",)), _host(text, text))
    assert len(plan.additions) == 2
    assert [item.kind for item in plan.collisions] == ["same_owner", "same_owner"]
    assert "usermod --del-subuids 200000-239999" in plan.pending["alice"]


def test_everything_is_kept_free() -> None:
    subuid = "dockremap:100000:65536\ncontainers:165536:65536\n#old:231072:65536\nx:296608:65536:y\n"
    host = _host(
        subuid,
        limits={"uid": Limits(maximum=1_000_000, count=70_000), "gid": Limits(accounts=Range(1000, 200_000))},
        real={"uid": {**REAL["uid"], 400_000: "user ldap"}, "gid": REAL["gid"]},
    )
    reserved = (Reserved(Range(500_000, 100), "Kubernetes"),)
    plan = decide(Wanted(("alice",), reserved=reserved), host)
    uid, gid = plan.additions
    assert uid.ids == Range(400_001, 70_000)
    assert gid.ids == Range(400_001, 65_536)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_useradd_gives_are_kept_free(kind: str) -> None:
    limits = {**dict.fromkeys(KINDS, Limits()), kind: Limits(accounts=Range(1000, 200_000))}
    plan = decide(Wanted(("alice",)), _host(limits=limits))
    assert {item.ids.start for item in plan.additions} == {201_000}


def test_no_room() -> None:
    limits = {"uid": Limits(maximum=165_534), "gid": Limits()}
    said = (
        "/etc/subuid: no room for 65536 ids for alice from 100000 to 165534 .*found at most 65535 in one "
        r"piece.*Accepted are.*Nothing was changed\."
    )
    with pytest.raises(SubidError, match=said):
        decide(Wanted(("alice",)), _host(limits=limits))


def test_what_a_crash_between_the_files_left_is_completed_alike() -> None:
    wanted = Wanted(("alice", "bob"))
    host = _host("carol:100000:65536\n", "")
    whole = decide(wanted, host)
    half = _after(host, whole, ["uid"])
    again = decide(wanted, half)
    assert [item.kind for item in again.additions] == ["gid", "gid"]
    assert _after(half, again).files == _after(host, whole).files


# Storage.

PODMAN, DOCKER = Storage(podman=True), Storage(docker=True)
SHORT = "alice:200000:1000\n"


@pytest.mark.parametrize(
    ("text", "storage", "migrate", "said"),
    [
        ("", PODMAN, False, "no range, and Podman has storage.*allow it with migrate"),
        ("", DOCKER, True, "rootless Docker daemon has storage.*Put the line from before back"),
        ("", replace(PODMAN, docker=True), True, "rootless Docker daemon has storage"),
        (
            "",
            replace(PODMAN, earlier={"uid": "files of it belong to the uid 7"}),
            True,
            "/etc/subuid: no range, but Podman has storage, and files of it belong to the uid 7",
        ),
        ("", replace(PODMAN, earlier={"gid": "x"}), True, "/etc/subgid: no range, but .* and x"),
        ("", Storage(doubt="a link"), True, "not known whether there is storage: a link"),
        (SHORT, PODMAN, False, "too few ids, and Podman has storage.*allow it with migrate"),
        (SHORT, Storage(doubt="a link"), True, "not known whether there is storage"),
    ],
)
def test_storage_stands_in_the_way(text: str, storage: Storage, migrate: bool, said: str) -> None:
    plan = decide(Wanted(("alice",), migrate=migrate), _host(text, text, storage={"alice": storage}))
    assert (plan.additions, plan.migrate) == ([], [])
    assert re.search(said, plan.pending["alice"])


def test_with_permission_the_first_range_is_given_and_brought_into_force() -> None:
    plan = decide(Wanted(("alice",), migrate=True), _host(storage={"alice": PODMAN}))
    assert len(plan.additions) == 2
    assert (plan.migrate, plan.pending) == (["alice"], {})


@pytest.mark.parametrize(("storage", "migrated"), [(PODMAN, ["alice"]), (DOCKER, [])])
def test_storage_gets_ids_behind_its_own_only(storage: Storage, migrated: list[str]) -> None:
    host = _host(SHORT, SHORT, storage={"alice": storage})
    plan = decide(Wanted(("alice",), migrate=True), host)
    assert {item.ids for item in plan.additions} == {Range(201_000, 65_536)}
    assert plan.migrate == migrated
    assert bool(plan.notices) == (storage is DOCKER)


def test_no_room_behind_the_ids_of_storage_is_pending() -> None:
    limits = dict.fromkeys(KINDS, Limits(maximum=210_000))
    host = _host(SHORT, SHORT, storage={"alice": PODMAN}, limits=limits)
    plan = decide(Wanted(("alice", "bob"), migrate=True), host)
    assert "only ids from 201000 on can be added" in plan.pending["alice"]
    assert {item.user for item in plan.additions} == {"bob"}


def test_whose_storage_is_looked_at() -> None:
    text = "alice:100000:65536\nbob:100000:65536\n1003:300000:65536\n"
    wanted = Wanted(("alice", "bob", "carol", "root"))
    assert users_in_question(wanted, _host(text, text)) == {"alice": False, "bob": False, "root": True}


# A pause process that holds ranges from before.

ENOUGH = "alice:200000:65536\n"


@pytest.mark.parametrize("migrate", [False, True])
@pytest.mark.parametrize(
    ("mapped", "stale"),
    [
        ([], True),
        ([Range(200_000, 65_536)], False),
        ([Range(200_000, 99)], True),
    ],
)
def test_a_pause_process_from_before(mapped: list[Range], stale: bool, migrate: bool) -> None:
    host = _host(ENOUGH, ENOUGH, held_maps={"alice": {"uid": mapped, "gid": mapped}})
    plan = decide(Wanted(("alice",), migrate=migrate), host)
    assert plan.migrate == (["alice"] if stale and migrate else [])
    assert ("alice" in plan.pending) == (stale and not migrate)


@pytest.mark.parametrize(
    ("text", "mapped", "kept"),
    [
        ("alice:300000:9\nalice:200000:9\n", [Range(200_000, 9), Range(300_000, 9)], True),
        ("alice:300000:9\nalice:200000:9\n", [Range(200_000, 9)], True),
        ("alice:200000:99\n", [Range(200_000, 9)], True),
        ("alice:200000:9\n", [], True),
        ("alice:200000:99999\nalice:300000:9\n", [Range(200_000, 9), Range(300_000, 9)], False),
        ("alice:300000:9\nalice:200000:9\n", [Range(300_000, 9)], False),
        ("alice:200000:8\n", [Range(200_000, 9)], False),
        ("", [Range(200_000, 9)], False),
    ],
)
def test_ranges_that_were_moved_by_hand_are_not_brought_into_force(
    text: str, mapped: list[Range], kept: bool
) -> None:
    maps = {"alice": {"uid": mapped, "gid": mapped}}
    host = _host(text, text, storage={"alice": PODMAN}, held_maps=maps)
    plan = decide(Wanted(("alice",), migrate=True), host)
    assert (plan.migrate, bool(plan.additions)) == ((["alice"], True) if kept else ([], False))
    moved = f"which uses {mapped[0]}" if mapped else "which uses"
    assert (moved in plan.pending.get("alice", "")) != kept


# Collisions.


def test_collisions() -> None:
    subuid = (
        "alice:100000:65536\nbob:150000:10\n1001:90000:10001\ncarol:0:65536\nkubelet:300000:9\nx:300001:1\n"
    )
    reserved = (Reserved(Range(300_000, 100), "Kubernetes", "kubelet"),)
    plan = decide(Wanted(("alice",), reserved=reserved), _host(subuid, ENOUGH))
    found = {item.kind: item.facts() for item in plan.collisions if item.path == "/etc/subuid"}
    assert [item.kind for item in plan.collisions].count("reserved") == 1
    assert sorted(found) == ["account", "ranges", "reserved"]
    assert found["account"]["owners"] == ["carol"]
    assert "the id 0 of user root overlaps with the id 1001 of user alice" not in found["account"]["text"]
    assert "the id 0 of user root, the id 1001 of user alice" in found["account"]["text"]
    assert (found["reserved"]["owners"], found["reserved"]["lines"]) == (["x"], [6])
    assert "Kubernetes" in found["reserved"]["text"]
    assert sum(item.kind == "ranges" for item in plan.collisions) == 2  # and kubelet's with x's
    assert (
        "/etc/subuid: alice 100000-165535 (line 1) overlaps with bob 150000-150009" in plan.pending["alice"]
    )
    way = "(usermod --del-subuids 100000-165535 alice, line 3 of /etc/subuid)"
    assert f"take the range away {way}" in plan.pending["alice"]
    assert [item.kind for item in plan.additions] == []


def test_a_name_and_its_uid_are_one_owner() -> None:
    plan = decide(Wanted(()), _host("alice:100000:65536\n1001:100000:65536\n9999:100000:1\n"))
    assert [item.kind for item in plan.collisions] == ["ranges"]
    plan = decide(Wanted(()), _host("alice:100000:65536\n1001:100000:65536\n"))
    assert [item.kind for item in plan.collisions] == ["same_owner"]


def test_a_collision_of_a_user_with_storage_says_that_the_storage_goes_first() -> None:
    text = "alice:100000:65536\nbob:100000:65536\n"
    plan = decide(Wanted(("alice", "bob")), _host(text, text, storage={"alice": PODMAN}))
    assert "alice has storage, whose files belong to these ids" in plan.pending["alice"]
    assert "usermod --del-subuids 100000-165535 --del-subgids 100000-165535 alice" in plan.pending["alice"]
    assert "has storage" not in plan.pending["bob"]
    assert not plan.additions


def test_thousands_of_equal_ranges_are_one_short_collision() -> None:
    text = "".join(f"u{number}:100000:65536\n" for number in range(5000))
    plan = decide(Wanted(("alice",)), _host(text, text))
    assert len(plan.collisions) == 2
    assert len(plan.collisions[0].text()) < 1000


def test_a_directory_is_only_read() -> None:
    files = {kind: parse_directory(kind, ["0: bob 100000 65536\n"]) for kind in KINDS}
    plan = decide(Wanted(("alice", "bob")), _host(files=files, source="sss"))
    assert plan.additions == []
    assert list(plan.pending) == ["alice"]
    assert "come from sss" in plan.pending["alice"]


# Properties.

_NAMES = st.sampled_from(["alice", "bob", "1003", "dockremap", "containers", "x y"])
_STARTS = st.one_of(st.integers(95_000, 1_500_000), st.integers(0, LAST_ID))
_ENTRY_LINES = st.builds("{}:{}:{}".format, _NAMES, _STARTS, st.integers(0, 300_000))
_GARBAGE = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30)
_LINES = st.one_of(_ENTRY_LINES, _ENTRY_LINES.map("#{}".format), _ENTRY_LINES.map("{}:x".format), _GARBAGE)
_TEXTS = st.builds(
    lambda lines, end: "\n".join(lines) + end, st.lists(_LINES, max_size=8), st.sampled_from(["", "\n"])
)
_RESERVED = st.lists(
    st.builds(
        lambda start, count: Reserved(Range(start, count), "r"),
        st.integers(90_000, 900_000),
        st.integers(1, 99_999),
    ),
    max_size=3,
)
_STORAGE = st.sampled_from([Storage(), PODMAN, DOCKER, Storage(doubt="x")])


@st.composite
def _hosts(draw: st.DrawFn) -> tuple[Wanted, Host]:
    real = {number: "user ldap" for number in draw(st.lists(st.integers(90_000, 900_000), max_size=4))}
    host = _host(
        draw(_TEXTS),
        draw(_TEXTS),
        real={kind: {**REAL[kind], **real} for kind in KINDS},
        storage={user: draw(_STORAGE) for user in ("alice", "bob", "carol")},
    )
    wanted = Wanted(
        tuple(draw(st.permutations(("alice", "bob", "carol")))),
        draw(st.sampled_from([65536, 100_000])),
        tuple(draw(_RESERVED)),
        draw(st.booleans()),
    )
    return wanted, host


@given(_hosts())
def test_nothing_that_is_added_overlaps_with_anything(case: tuple[Wanted, Host]) -> None:
    wanted, host = case
    plan = decide(wanted, host)
    for kind in KINDS:
        limits = host.limits[kind]
        added = [item.ids for item in plan.additions if item.kind == kind]
        others = [entry.ids for entry in host.files[kind].entries]
        others += [Range(number, 1) for number in host.real[kind]]
        others += [keep.ids for keep in wanted.reserved]
        for place, ids in enumerate(added):
            assert limits.minimum <= ids.start <= ids.last <= limits.maximum
            assert ids.count >= wanted.count
            assert not any(ids.overlaps(other) for other in [*others, *added[:place]])
    before = {item.text() for item in plan.collisions}
    after = {item.text() for item in decide(wanted, _after(host, plan)).collisions}
    assert before == after


@given(_hosts())
def test_no_line_that_is_there_changes(case: tuple[Wanted, Host]) -> None:
    wanted, host = case
    plan = decide(wanted, host)
    for kind in KINDS:
        before = host.files[kind].text
        after = plan.text(kind, before)
        assert after.startswith(before)
        added = [item.line() for item in plan.additions if item.kind == kind]
        finished = before.removesuffix("\n").split("\n") if before else []
        assert after.removesuffix("\n").split("\n") == ([*finished, *added] or [""])


@given(_hosts())
def test_planning_twice_is_planning_once(case: tuple[Wanted, Host]) -> None:
    wanted, host = case
    plan = decide(wanted, host)
    assert not decide(wanted, _after(host, plan)).additions


@given(_hosts())
def test_a_crash_between_the_files_is_completed(case: tuple[Wanted, Host]) -> None:
    wanted, host = case
    whole = decide(wanted, host)
    half = _after(host, whole, ["uid"])
    rest = decide(wanted, half)
    assert {item.kind for item in rest.additions} <= {"gid"}
    assert {item.user for item in rest.additions} == {
        item.user for item in whole.additions if item.kind == "gid"
    }


@given(_hosts())
def test_the_ids_of_storage_keep_their_places(case: tuple[Wanted, Host]) -> None:
    wanted, host = case
    plan = decide(wanted, host)
    for user in wanted.users:
        for kind in KINDS:
            before, after = sorted(host.own(kind, user)), sorted(plan.ranges(host, kind, user))
            if host.storage[user].exists():
                assert after[: len(before)] == before


_RANGES = st.lists(st.builds(Range, st.integers(0, 60), st.integers(0, 12)), max_size=8)


@given(_RANGES, _RANGES, st.integers(1, 15), st.integers(0, 60), st.integers(0, 70))
def test_id_space(at_once: list[Range], one_by_one: list[Range], count: int, low: int, high: int) -> None:
    space = IdSpace(at_once)
    for ids in one_by_one:
        space.take(ids)
    taken = {number for ids in [*at_once, *one_by_one] for number in range(ids.start, ids.start + ids.count)}
    assert space.size() == len(taken)
    free = [start for start in range(low, high - count + 2) if not taken & set(range(start, start + count))]
    assert space.first_free(count, low, high) == (free[0] if free else None)
    wanted = Range(low, count)
    assert space.is_free(wanted) == (not taken & set(range(low, low + count)))
    assert space.holds(wanted) == (set(range(low, low + count)) <= taken)
    lengths = [
        length
        for length in range(1, 80)
        for start in range(low, high - length + 2)
        if not taken & set(range(start, start + length))
    ]
    assert space.largest_hole(low, high) == max(lengths, default=0)
