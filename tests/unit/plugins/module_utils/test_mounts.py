"""Mount tables: what is visible, whose it is, and what of it is dangerous."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._mounts import (
    HostMounts,
    MountTable,
    parse_mountinfo,
    sensitive_kind,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from unit.fake_containers import CONTAINER_MOUNTS, HOST_MOUNTS


def table(text: str) -> MountTable:
    return MountTable(parse_mountinfo(text))


def container(extra: str = "") -> MountTable:
    return table(CONTAINER_MOUNTS.format(id="a" * 64) + extra)


def test_escapes_options_and_propagation_are_parsed() -> None:
    (mount,) = parse_mountinfo(
        "36 35 98:0 /mnt\\040a /x\\012y ro,nosuid shared:1 master:2 - ext4 /dev/root rw,errors=continue\n"
    )
    assert (mount.root, mount.mountpoint, mount.propagation) == ("/mnt a", "/x\ny", "shared")
    assert mount.read_only
    assert mount.filesystem == "ext4"


@pytest.mark.parametrize("text", ["36 35 98:0 / /x rw ext4 /dev/root rw", "x", "36 35 98:0 / - ext4 a b"])
def test_another_form_of_line_is_refused(text: str) -> None:
    with pytest.raises(PortError, match="mountinfo"):
        parse_mountinfo(text)


def test_a_mask_that_was_covered_since_does_not_count() -> None:
    covered = container("600 500 0:62 / /proc rw - proc proc rw\n")
    assert container().masked_paths() == ["/proc/acpi", "/proc/kcore"]
    assert covered.masked_paths() == []
    assert covered.read_only_paths() == ["/sys"]


def test_a_mask_on_a_proc_that_was_mounted_twice_counts() -> None:
    stacked = container(
        "600 501 0:62 / /proc rw - proc proc rw\n601 600 0:66 / /proc/acpi ro - tmpfs tmpfs ro\n"
    )
    assert stacked.masked_paths() == ["/proc/acpi"]


@pytest.mark.parametrize(
    "device, root, path",
    [
        ("254:1", "/", "/"),
        ("254:1", "/etc/ssl", "/etc/ssl"),
        ("0:25", "/docker.sock", "/run/docker.sock"),
        ("254:16", "/a//deleted", "/srv/a"),
        ("0:60", "/etc", "/var/lib/docker/overlay2/abc/merged/etc"),
        ("0:99", "/", None),
    ],
)
def test_the_hosts_path_of_a_mount(device: str, root: str, path: str | None) -> None:
    (mount,) = parse_mountinfo(f"1 0 {device} {root} /inside rw - ext4 x rw\n")
    assert HostMounts(table(HOST_MOUNTS)).path_of(mount) == path


def test_of_several_binds_the_widest_names_the_path() -> None:
    host = table(HOST_MOUNTS + "99 30 254:1 /opt/data /exports rw - ext4 /dev/vda1 rw\n")
    (mount,) = parse_mountinfo("1 0 254:1 /opt/data/x /inside rw - ext4 x rw\n")
    assert HostMounts(host).path_of(mount) == "/opt/data/x"


@pytest.mark.parametrize(
    "source, read_only, kind",
    [
        ("/", True, "root"),
        ("/run/docker.sock", True, "engine_socket"),
        ("/var/run/docker.sock", False, "engine_socket"),
        ("/run", True, "engine_socket"),
        ("/var/run", True, "engine_socket"),
        ("/run/podman", True, "engine_socket"),
        ("/run/user/1000", True, "engine_socket"),
        ("/run/user/1000/docker.sock", True, "engine_socket"),
        ("/run/user/1000/podman/podman.sock", True, "engine_socket"),
        ("/run/containerd/containerd.sock", True, "engine_socket"),
        ("/srv/elsewhere/docker.sock", True, "engine_socket"),
        ("/run/lock", False, None),
        ("/run/dockerish", False, None),
        ("/etc", True, "etc"),
        ("/etc/ssl", True, None),
        ("/etc/ssl", False, "etc"),
        ("/etcetera", False, None),
        ("/usr/lib", True, "lib"),
        ("/lib64", True, "lib"),
        ("/usr", True, "usr"),
        ("/usr/share/zoneinfo", True, None),
        ("/usr/bin", False, "usr"),
        ("/proc", True, "proc"),
        ("/proc/sys", True, "proc"),
        ("/sys/kernel/debug", True, "sys"),
        ("/boot/efi", True, "boot"),
        ("/dev", True, "dev"),
        ("/dev/vda", True, "device"),
        ("/dev/shm", False, None),
        ("/srv/data", False, None),
        ("/etc/../srv", False, None),
    ],
)
def test_what_is_sensitive(source: str, read_only: bool, kind: str | None) -> None:
    assert sensitive_kind(source, read_only=read_only) == kind
