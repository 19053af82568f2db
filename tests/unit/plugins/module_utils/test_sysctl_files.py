"""Which file decides on a sysctl at boot; compared with systemd-sysctl itself where that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._sysctl_files import (
    SYSCTL_DIRECTORIES,
    SysctlFilesError,
    boot_order,
    dotted_name,
    overrides,
    parse_sysctl_file,
    slashed_name,
    winners,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

OWN = "/etc/sysctl.d/80-bulkhead.conf"
FORWARD = "net.ipv4.ip_forward"


def _value(files: Mapping[str, str | None], key: str) -> str | None:
    found = winners(files, [key])
    name = slashed_name(key)
    return found[name].value if name in found else None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("/net//ipv4/./ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu"),
        ("net/ipv4/conf/eth0.1/mtu", "net/ipv4/conf/eth0.1/mtu"),
        ("kernel", "kernel"),
    ],
)
def test_the_first_separator_decides_what_the_others_mean(name: str, key: str) -> None:
    assert slashed_name(name) == key
    assert slashed_name(dotted_name(key)) == key


def test_names_are_sorted_whatever_their_directory_and_the_highest_directory_hides() -> None:
    order = boot_order(
        [
            "/usr/lib/sysctl.d/50-default.conf",
            "/etc/sysctl.d/50-default.conf",
            "/run/sysctl.d/60-x.conf",
            "/usr/lib/sysctl.d/60-x.conf",
            "/lib/sysctl.d/99-a.conf",
            "/etc/sysctl.d/README.sysctl",
            "/etc/sysctl.d/Z.conf",
            "/etc/sysctl.conf",
            "/etc/ufw/sysctl.conf",
        ]
    )
    assert order.read == (
        "/etc/sysctl.d/50-default.conf",
        "/run/sysctl.d/60-x.conf",
        "/lib/sysctl.d/99-a.conf",
        "/etc/sysctl.d/Z.conf",
    )
    assert order.hidden == {
        "/usr/lib/sysctl.d/50-default.conf": "/etc/sysctl.d/50-default.conf",
        "/usr/lib/sysctl.d/60-x.conf": "/run/sysctl.d/60-x.conf",
    }
    assert sorted(order.not_read) == [
        "/etc/sysctl.conf",
        "/etc/sysctl.d/README.sysctl",
        "/etc/ufw/sysctl.conf",
    ]


def test_lines_as_systemd_reads_them() -> None:
    text = "# a\n ; b\n\nnonsense\n-a.b = 1 \n\tc/d=x = y\r\n-e.f\n- g.h=\n"
    found = [(line.line, line.key, line.value) for line in parse_sysctl_file("/x", text)]
    assert found == [(5, "a/b", "1"), (6, "c/d", "x = y"), (7, "e/f", None), (8, "g/h", "")]


def test_the_last_file_wins_and_the_others_are_named() -> None:
    files = {
        "/etc/sysctl.d/10-a.conf": "net.ipv4.ip_forward=0\n",
        "/usr/lib/sysctl.d/50-b.conf": "# c\nnet/ipv4/ip_forward = 1\n",
        "/run/sysctl.d/20-c.conf": "net.ipv4.ip_forward=1\n",
    }
    winner = winners(files)["net/ipv4/ip_forward"]
    assert (winner.value, winner.by.path, winner.by.line) == ("1", "/usr/lib/sysctl.d/50-b.conf", 2)
    assert [line.path for line in winner.overridden] == ["/etc/sysctl.d/10-a.conf"]


def test_sysctl_conf_counts_through_its_link_alone() -> None:
    text = "net.ipv4.ip_forward=1\n"
    assert _value({"/etc/sysctl.conf": text}, FORWARD) is None  # Debian 13
    linked = {"/etc/sysctl.conf": text, "/etc/sysctl.d/99-sysctl.conf": text}  # Debian 12
    assert _value(linked, FORWARD) == "1"
    found = overrides(linked, own=OWN, wanted={FORWARD: "0"})
    assert [(entry.path, entry.line, entry.found) for entry in found] == [
        ("/etc/sysctl.d/99-sysctl.conf", 1, "1")
    ]


def test_a_link_to_dev_null_masks() -> None:
    files = {"/usr/lib/sysctl.d/50-b.conf": "kernel.x=1\n", "/etc/sysctl.d/50-b.conf": ""}
    assert winners(files) == {}


def test_a_key_named_in_full_is_not_touched_by_a_pattern() -> None:
    files = {
        "/etc/sysctl.d/10.conf": "net.ipv4.conf.lo.rp_filter=2\n-net.ipv4.conf.eth0.rp_filter\n",
        "/etc/sysctl.d/20.conf": "net.ipv4.conf.*.rp_filter=1\n",
    }
    for name, value in (("lo", "2"), ("eth0", None), ("eth1", "1")):
        assert _value(files, f"net.ipv4.conf.{name}.rp_filter") == value
    assert "net/ipv4/conf/eth1/rp_filter" not in winners(files)  # a pattern alone names no key


def test_a_line_that_begins_with_a_dash_takes_back_what_was_set() -> None:
    files = {"/etc/sysctl.d/10.conf": "a.b=1\n", "/etc/sysctl.d/20.conf": "-a.b\n"}
    winner = winners(files)["a/b"]
    assert (winner.value, winner.by.path) == (None, "/etc/sysctl.d/20.conf")


def test_a_pattern_repeated_with_its_value_does_not_move() -> None:
    files = {
        "/etc/sysctl.d/10.conf": "a.*.c=1\n",
        "/etc/sysctl.d/20.conf": "a.?.c=2\n",
        "/etc/sysctl.d/30.conf": "a.*.c=1\n",
    }
    assert _value(files, "a.b.c") == "2"
    assert _value({**files, "/etc/sysctl.d/30.conf": "a.*.c=3\n"}, "a.b.c") == "3"
    found = overrides(files, own="/etc/sysctl.d/30.conf", wanted={"a.*.c": "1"}, present=["a.b.c"])
    assert [(entry.name, entry.path) for entry in found] == [("a.b.c", "/etc/sysctl.d/20.conf")]
    assert "does not move it" in found[0].reason


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a.*.c", "a/b/c", True),
        ("a.*", "a/b/c", False),
        ("a.*.c", "a/.b/c", False),
        ("a.[!x]y.c", "a/by/c", True),
        ("a.[a-c]y.c", "a/dy/c", False),
        ("a.{b,x}*.c", "a/bz/c", True),
        (r"a.\**.c", "a/b/c", False),
    ],
)
def test_patterns_as_glob_reads_them(pattern: str, name: str, *, matches: bool) -> None:
    assert (_value({"/etc/sysctl.d/1.conf": f"{pattern}=1\n"}, name) == "1") is matches


def test_our_file_wins_where_nothing_is_read_after_it() -> None:
    files = {
        "/etc/sysctl.d/10-a.conf": f"{FORWARD}=0\n",
        "/etc/sysctl.d/99-z.conf": f"{FORWARD} = 1\nkernel.kptr_restrict=1\n",
        OWN: f"{FORWARD}=7\n",
    }
    wanted = {FORWARD: "1", "kernel.kptr_restrict": "2", "kernel.dmesg_restrict": "1"}
    (found,) = overrides(files, own=OWN, wanted=wanted)
    assert (found.name, found.wanted, found.found, found.line) == ("kernel.kptr_restrict", "2", "1", 2)
    assert found.reason == (f"/etc/sysctl.d/99-z.conf, line 2, sets it to 1, and is read after {OWN}")


def test_blanks_between_numbers_are_one_to_the_kernel() -> None:
    files = {"/etc/sysctl.d/99-z.conf": "net.ipv4.tcp_rmem = 4096\t87380  6291456\n"}
    assert overrides(files, own=OWN, wanted={"net.ipv4.tcp_rmem": "4096 87380 6291456"}) == []


def test_a_wanted_pattern_is_overridden_by_keys_named_in_full() -> None:
    files = {"/usr/lib/sysctl.d/50.conf": "net.ipv4.conf.all.rp_filter=2\n-net.ipv4.conf.lo.rp_filter\n"}
    found = overrides(files, own=OWN, wanted={"net.ipv4.conf.*.rp_filter": "1"})
    assert [(entry.name, entry.found) for entry in found] == [
        ("net.ipv4.conf.all.rp_filter", "2"),
        ("net.ipv4.conf.lo.rp_filter", None),
    ]
    assert all("not touched by a pattern" in entry.reason for entry in found)


def test_a_hidden_file_of_ours_says_so_for_each_key() -> None:
    own = "/usr/lib/sysctl.d/80-bulkhead.conf"
    found = overrides({OWN: ""}, own=own, wanted={"a.b": "1", "c.d": "2"})
    assert [(entry.name, entry.path, entry.line) for entry in found] == [
        ("a.b", OWN, None),
        ("c.d", OWN, None),
    ]
    assert "in its stead" in found[0].reason


def test_what_could_not_be_read_is_never_a_pass() -> None:
    (found,) = overrides({"/etc/sysctl.d/99-z.conf": None}, own=OWN, wanted={"a.b": "1"})
    assert (found.path, found.line, found.found) == ("/etc/sysctl.d/99-z.conf", None, None)
    assert "could not be read" in found.reason
    assert overrides({"/etc/sysctl.d/10-a.conf": None}, own=OWN, wanted={"a.b": "1"}) == []


@pytest.mark.parametrize("own", ["/etc/sysctl.conf", "/etc/sysctl.d/80-bulkhead", "/opt/sysctl.d/1.conf"])
def test_a_file_that_is_never_read_is_refused(own: str) -> None:
    with pytest.raises(SysctlFilesError, match=r"Accepted is a name that ends in \.conf"):
        overrides({}, own=own, wanted={"a.b": "1"})


# What the differential test draws from: few names, so that files meet.
_KEYS = ("a/x", "a/y", "b/x", "b/y", "c/e.1/x")
_NAMES = (
    *("a.x", "a/x", "a.y", "b/x", "b.y", "c.e/1.x", "c/e.1/x", "/a/x", "a..x"),
    *("*.x", "a.*", "?.x", "*/y", "[ab].x", "{a,c.e*}.?", "[!a].*", "c.*.x"),
)
_BASES = ("10-a.conf", "50-b.conf", "99-z.conf", "B.conf", "README")
_LINE = st.one_of(
    st.builds(
        "{}{}{}={}".format,
        st.sampled_from(["", "-", " ", "- "]),
        st.sampled_from(_NAMES),
        st.sampled_from(["", " "]),
        st.sampled_from("123"),
    ),
    st.builds("-{}".format, st.sampled_from(_NAMES)),
    st.sampled_from(["", "# a.x=9", ";a.x=9", "nonsense"]),
)
_TEXT = st.lists(_LINE, max_size=4).map("\n".join)
_PATH = st.builds("{}/{}".format, st.sampled_from(SYSCTL_DIRECTORIES[:4]), st.sampled_from(_BASES))
_PROGRAM = next(
    (
        path
        for path in ("/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl")
        if Path(path).exists()
    ),
    None,
)


def _reason_to_skip() -> str | None:
    if _PROGRAM is None or shutil.which("unshare") is None or shutil.which("mount") is None:
        return "systemd-sysctl, unshare or mount is not here"
    if os.geteuid() != 0 or not Path("/usr/lib/sysctl.d").is_dir():
        return "needs root, and a directory /usr/lib/sysctl.d to mount over"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "no mount namespace may be made here"


_MOUNTS = """
set -e
mount --bind "$1/proc" /proc/sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/local/lib
mkdir /run/sysctl.d /usr/local/lib/sysctl.d
for each in etc run usr/local/lib usr/lib; do mount --bind "$1/$each/sysctl.d" "/$each/sysctl.d"; done
SYSTEMD_LOG_LEVEL=emerg "$2" || true  # it fails where a key is not there; what it wrote is compared
"""


def _by_systemd(directory: Path, files: Mapping[str, str]) -> dict[str, str]:
    """What systemd-sysctl writes: in a mount namespace of its own, /proc/sys is a directory of files."""
    for each in SYSCTL_DIRECTORIES[:4]:
        (directory / each.lstrip("/")).mkdir(parents=True)
    for path, text in files.items():
        (directory / path.lstrip("/")).write_text(text)
    for key in _KEYS:
        file = directory / "proc" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("-\n")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOUNTS, "sh"]
    subprocess.run([*command, str(directory), str(_PROGRAM)], check=True, capture_output=True, timeout=30)
    return {key: (directory / "proc" / key).read_text().strip() for key in _KEYS}


@pytest.mark.skipif(_reason_to_skip() is not None, reason=str(_reason_to_skip()))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(_PATH, _TEXT, max_size=6))
@example(files={f"/etc/sysctl.d/{name}.conf": line for name, line in zip("123", ("*.x=1", "?.x=2", "*.x=1"))})
@example(files={f"/etc/sysctl.d/{name}.conf": f"a.x={value}" for name, value in (("B", 1), ("a", 2))})
@example(files={"/etc/sysctl.d/1.conf": "a.x=1\n-b.x", "/etc/sysctl.d/2.conf": "*.x=2\n-a.x"})
@example(files={f"{each}/1.conf": f"a.x={number}" for number, each in enumerate(SYSCTL_DIRECTORIES[:4])})
def test_the_same_as_systemd_sysctl(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    found = winners(files, _KEYS)
    expected = {key: (found[key].value if key in found else None) or "-" for key in _KEYS}
    assert _by_systemd(tmp_path_factory.mktemp("root"), files) == expected


@given(files=st.dictionaries(_PATH, _TEXT, max_size=6), value=st.sampled_from("123"))
def test_no_override_means_that_ours_wins(files: dict[str, str], value: str) -> None:
    for key in _KEYS:
        ours = {**files, OWN: f"{dotted_name(key)} = {value}\n"}
        overridden = overrides(files, own=OWN, wanted={key: value})
        assert (overridden == []) == (winners(ours)[key].value == value)


@given(st.text(alphabet="ab.*?[]{},-=/# \n\r\0\\!^"))
def test_every_text_is_read(text: str) -> None:
    files = {"/etc/sysctl.d/50.conf": text}
    for line in parse_sysctl_file("/etc/sysctl.d/50.conf", text):
        assert line.line >= 1
    assert all(key == winner.key for key, winner in winners(files, ["a/b"]).items())
