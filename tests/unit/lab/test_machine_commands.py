# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exact command lines of QEMU and ssh, and the inventory."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from lab import qemu
from lab.cache import Keys
from lab.image import Image
from lab.inventory import inventory_text
from lab.platforms import recipe_for
from lab.qemu import KVM, TCG, machine_arguments, overlay_arguments
from lab.ssh import known_hosts_line, ssh_arguments


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "program", lambda name, _package: f"/usr/bin/{name}")


COMMON = [
    *("-m", "3072", "-smp", "2"),
    *("-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"),
    *("-device", "virtio-net-pci,netdev=net"),
    *("-nodefaults", "-display", "none", "-vga", "none"),
    *("-drive", "if=virtio,cache=unsafe,format=qcow2,file=/lab/web/overlay.qcow2"),
    *("-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:2201-:22"),
    *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
    *("-qmp", "unix:monitor.sock,server=on,wait=off"),
    *("-pidfile", "qemu.pid", "-daemonize"),
]
EMULATED = ["/usr/bin/qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "qemu64"]


def test_an_emulated_machine_boots_the_kernel_of_its_image(image: Image) -> None:
    assert machine_arguments(image, Path("/lab/web"), TCG, port=2201) == [
        *EMULATED,
        *COMMON,
        *("-kernel", f"{image.directory}/vmlinuz", "-initrd", f"{image.directory}/initrd"),
        *("-append", "root=LABEL=lab-root rw console=ttyS0"),
    ]


def test_a_saved_state_is_loaded_on_the_same_hardware(image: Image) -> None:
    cold = machine_arguments(image, Path("/lab/web"), TCG, port=2201)
    assert machine_arguments(image, Path("/lab/web"), TCG, port=2201, load_state=True) == [
        *cold,
        *("-loadvm", "booted"),
    ]


def test_a_machine_with_a_boot_loader_gets_no_kernel(image: Image) -> None:
    own = Image(recipe_for("debian-13-bootloader"), image.directory)
    assert machine_arguments(own, Path("/lab/web"), KVM, port=2201) == [
        *("/usr/bin/qemu-system-x86_64", "-accel", "kvm", "-cpu", "host"),
        *COMMON,
    ]


def test_a_comma_in_a_path_is_doubled() -> None:
    assert qemu.drive_option(Path("/a,b")).endswith("file=/a,,b/overlay.qcow2")
    assert overlay_arguments(Path("/c,d/disk.img"), Path("/a,b/overlay.qcow2"))[1:] == [
        *("create", "-q", "-f", "qcow2"),
        *("-o", "backing_fmt=raw,backing_file=/c,,d/disk.img", "/a,b/overlay.qcow2"),
    ]
    assert "backing_fmt=qcow2,backing_file=/c/x.qcow2" in overlay_arguments(Path("/c/x.qcow2"), Path("o"))


OPTIONS = [
    *("-F", "none", "-o", "IdentitiesOnly=yes", "-o", 'UserKnownHostsFile="/lab/known hosts"'),
    *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"),
]


def test_ssh_uses_only_the_keys_of_the_lab() -> None:
    argv = ssh_arguments(2201, Path("/keys/lab"), Path("/lab/known hosts"))
    assert argv[0].endswith("/ssh")
    assert argv[1:] == [*OPTIONS, "-i", "/keys/lab", "-p", "2201", "root@127.0.0.1"]


def test_the_host_key_is_known_for_the_port(keys: Keys) -> None:
    line = known_hosts_line(2201, keys)
    assert line.startswith("[127.0.0.1]:2201 ssh-ed25519 AAAA")
    assert line == f"[127.0.0.1]:2201 {Keys.public(keys.host)}\n"


def test_the_inventory_lists_the_machines_and_keeps_host_key_checking(keys: Keys) -> None:
    text = inventory_text({"web": 2201, "db-1": 2202}, keys=keys, known_hosts=Path("/lab/known hosts"))
    group = yaml.safe_load(text)["lab"]
    assert group["hosts"] == {"web": {"ansible_port": 2201}, "db-1": {"ansible_port": 2202}}
    assert shlex.split(group["vars"].pop("ansible_ssh_common_args")) == OPTIONS
    assert group["vars"] == {
        "ansible_host": "127.0.0.1",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.login),
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def test_an_inventory_without_machines_is_valid(keys: Keys) -> None:
    assert yaml.safe_load(inventory_text({}, keys=keys, known_hosts=Path("k")))["lab"]["hosts"] == {}
