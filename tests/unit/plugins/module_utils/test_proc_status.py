"""/proc/PID/status and its neighbours."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._proc_status import (
    capability_names,
    lsm_confinement,
    parse_status,
    root_outside,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_containers import DOCKER_DEFAULT, status_text


def test_dockers_default_capabilities() -> None:
    assert capability_names(DOCKER_DEFAULT) == [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SYS_CHROOT",
        "CAP_MKNOD",
        "CAP_AUDIT_WRITE",
        "CAP_SETFCAP",
    ]


def test_a_capability_newer_than_the_table_is_named_by_its_number() -> None:
    assert capability_names(1 << 40 | 1 << 41) == ["CAP_CHECKPOINT_RESTORE", "CAP_41"]


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_no_capability_is_lost(mask: int) -> None:
    assert len(capability_names(mask)) == bin(mask).count("1")


def test_status_is_parsed() -> None:
    status = parse_status(status_text(comm="a b", uid=1000, pid=812, inner_pid=1, no_new_privileges=1))
    assert (status.comm, status.uid, status.namespace_pids) == ("a b", 1000, (812, 1))
    assert status.no_new_privileges
    assert status.seccomp() == {"mode": "filter", "filters": 1}


def test_an_older_kernel_does_not_count_filters() -> None:
    text = "".join(line for line in status_text().splitlines(True) if "filters" not in line)
    assert parse_status(text).seccomp() == {"mode": "filter", "filters": None}


@pytest.mark.parametrize("name", ["CapBnd", "Seccomp", "NoNewPrivs", "NSpid", "Uid"])
def test_a_missing_line_is_an_error_and_no_default(name: str) -> None:
    text = "".join(line for line in status_text().splitlines(True) if not line.startswith(name + ":"))
    with pytest.raises(PortError, match=name):
        parse_status(text)


@pytest.mark.parametrize(
    "name, text, mode, label",
    [
        ("apparmor", "docker-default (enforce)\n", "enforce", "docker-default"),
        ("apparmor", "a (b) c (complain)\n", "complain", "a (b) c"),
        ("apparmor", "unconfined\n", "unconfined", "unconfined"),
        ("apparmor", "runc (unconfined)\n", "unconfined", "runc"),
        (
            "selinux",
            "system_u:system_r:container_t:s0:c1,c2\0",
            "enforce",
            "system_u:system_r:container_t:s0:c1,c2",
        ),
        ("selinux", "system_u:system_r:spc_t:s0\0", "unconfined", "system_u:system_r:spc_t:s0"),
        ("none", "", "unconfined", None),
    ],
)
def test_labels(name: str, text: str, mode: str, label: str | None) -> None:
    assert lsm_confinement(name, text) == {"name": name, "label": label, "mode": mode}


def test_a_permissive_selinux_does_not_enforce() -> None:
    assert lsm_confinement("selinux", "u:r:container_t:s0", enforcing=False)["mode"] == "permissive"


def test_roots_id_outside() -> None:
    assert root_outside([{"inside": 0, "outside": 100000, "count": 65536}]) == 100000
    assert root_outside([{"inside": 1, "outside": 1000, "count": 1}]) is None
