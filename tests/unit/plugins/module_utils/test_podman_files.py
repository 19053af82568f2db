"""Which files each release of Podman reads; the orders were seen with the five versions below."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._podman_files import (
    DROP_IN,
    FILES,
    ROOT,
    USER_DROP_IN,
    Account,
    Reader,
)
from hypothesis import given
from hypothesis import strategies as st

ALICE = Account("alice", 1000, "/home/alice")
VERSIONS = ("3.0.1", "4.3.1", "5.4.2", "5.8.6", "6.1.1")


def _reader(version: str) -> Reader:
    return Reader(version, storage_drop_ins=version in ("5.8.6", "6.1.1"))


@pytest.mark.parametrize(
    ("version", "paths"),
    [
        ("3.0.1", ("containers.conf", "storage.conf", f"registries.conf.d/{DROP_IN}")),
        ("4.3.1", (f"containers.conf.d/{DROP_IN}", "storage.conf", f"registries.conf.d/{DROP_IN}")),
        ("5.4.2", (f"containers.conf.d/{DROP_IN}", "storage.conf", f"registries.conf.d/{DROP_IN}")),
        ("6.1.1", tuple(f"{file}.conf.d/{DROP_IN}" for file in FILES)),
    ],
)
def test_the_host_s_file_of_each_release(version: str, paths: tuple[str, ...]) -> None:
    assert [_reader(version).own_file(file) for file in FILES] == [
        f"/etc/containers/{path}" for path in paths
    ]


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("3.0.1", "/home/alice/.config/containers/containers.conf"),
        ("5.4.2", f"/home/alice/.config/containers/containers.conf.d/{USER_DROP_IN}"),
        ("5.8.6", f"/etc/containers/containers.rootless.conf.d/1000/{USER_DROP_IN}"),
        ("6.1.1", f"/etc/containers/containers.rootless.conf.d/1000/{USER_DROP_IN}"),
    ],
)
def test_a_user_s_file_is_root_s_where_the_release_has_a_place_for_it(version: str, path: str) -> None:
    assert _reader(version).own_file("containers", ALICE) == path


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("account", [ROOT, ALICE])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_is_read_and_last_of_what_root_has_in_etc(
    version: str, account: Account, file: str
) -> None:
    reader = _reader(version)
    own = reader.own_file(file, account)
    etc = [f"/etc/containers/{file}.conf", f"/etc/containers/{file}.conf.d/{DROP_IN}"]
    order = reader.reading_order(file, {own, *etc, f"/usr/share/containers/{file}.conf"}, account)
    assert order[-1] == own


def test_root_s_own_file_is_read_from_5_4_and_the_drop_ins_of_6_win_over_it() -> None:
    own, ours = "/root/.config/containers/containers.conf", f"/etc/containers/containers.conf.d/{DROP_IN}"
    assert _reader("4.3.1").reading_order("containers", [own, ours]) == [ours]
    assert _reader("5.4.2").reading_order("containers", [own, ours]) == [ours, own]
    assert _reader("6.1.1").reading_order("containers", [own, ours]) == [own, ours]


@pytest.mark.parametrize("account", [ROOT, ALICE])
def test_a_registries_conf_in_the_home_hides_all_of_etc_before_6(account: Account) -> None:
    own = f"{account.configuration}/registries.conf"
    ours = f"/etc/containers/registries.conf.d/{DROP_IN}"
    theirs = f"{account.configuration}/registries.conf.d/1.conf"
    paths = [own, ours, theirs, "/etc/containers/registries.conf"]
    assert _reader("5.8.6").reading_order("registries", paths, account) == [own, theirs]
    assert _reader("6.1.1").reading_order("registries", paths, account) == [own, theirs, ours]


def test_a_pool_is_read_by_name_and_the_higher_place_hides() -> None:
    paths = [
        "/usr/share/containers/containers.conf",
        "/etc/containers/containers.conf",
        "/usr/share/containers/containers.conf.d/10.conf",
        "/etc/containers/containers.conf.d/10.conf",
        "/etc/containers/containers.conf.d/99-x.conf",
        "/etc/containers/containers.rootless.conf.d/99-x.conf",
        "/etc/containers/containers.rootless.conf.d/1000/50.conf",
        "/etc/containers/containers.rootful.conf.d/60.conf",
        "/home/alice/.config/containers/containers.conf.d/05.conf",
        "/etc/containers/containers.conf.d/readme",
    ]
    assert _reader("6.1.1").reading_order("containers", paths, ALICE) == [
        "/etc/containers/containers.conf",
        "/home/alice/.config/containers/containers.conf.d/05.conf",
        "/etc/containers/containers.conf.d/10.conf",
        "/etc/containers/containers.rootless.conf.d/1000/50.conf",
        "/etc/containers/containers.rootless.conf.d/99-x.conf",
    ]


@given(
    st.sampled_from(VERSIONS),
    st.sampled_from(FILES),
    st.sampled_from([ROOT, ALICE]),
    st.sets(
        st.builds(
            "{}/{}{}".format,
            st.sampled_from(["/etc/containers", "/usr/share/containers", ALICE.configuration]),
            st.sampled_from([f"{file}.conf" for file in FILES]),
            st.sampled_from(["", ".d/1.conf", ".d/2.conf", ".d/2"]),
        )
    ),
)
def test_no_file_is_read_twice_and_none_that_is_not_there(
    version: str, file: str, account: Account, paths: set[str]
) -> None:
    order = _reader(version).reading_order(file, paths, account)
    assert len(order) == len(set(order))
    assert set(order) <= paths
