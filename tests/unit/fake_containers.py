"""A fake host with containers in its /proc, as Docker 26 and Podman 5 leave them on Debian 13."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from unit.fake_system import FakeSystem

FULL = 0x1FFFFFFFFFF
DOCKER_DEFAULT = 0xA80425FB
HOST_NAMESPACES = {
    name: f"{name}:[{4026531830 + number}]"
    for number, name in enumerate(("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"))
}
HOST_MOUNTS = """\
24 30 0:22 / /proc rw,nosuid shared:5 - proc proc rw
25 30 0:23 / /sys rw,nosuid shared:6 - sysfs sysfs rw
26 30 0:6 / /dev rw shared:2 - devtmpfs udev rw
27 30 0:25 / /run rw shared:4 - tmpfs tmpfs rw
30 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw
31 25 0:29 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw
32 30 254:16 / /srv rw shared:10 - ext4 /dev/vdb rw
90 30 0:60 / /var/lib/docker/overlay2/abc/merged rw shared:40 - overlay overlay rw
"""
CONTAINER_MOUNTS = """\
500 400 0:60 / / rw - overlay overlay rw,lowerdir=x
501 500 0:62 / /proc rw,nosuid - proc proc rw
502 500 0:63 / /dev rw,nosuid - tmpfs tmpfs rw
503 500 0:65 / /sys ro,nosuid - sysfs sysfs ro
504 503 0:29 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
505 500 254:1 /var/lib/docker/containers/{id}/hosts /etc/hosts rw - ext4 /dev/vda1 rw
506 501 0:62 /sys /proc/sys ro - proc proc rw
507 501 0:66 / /proc/acpi ro - tmpfs tmpfs ro
508 501 0:63 /null /proc/kcore rw - tmpfs tmpfs rw
"""
PRIVILEGED_MOUNTS = """\
500 400 0:60 / / rw - overlay overlay rw
501 500 0:62 / /proc rw,nosuid - proc proc rw
502 500 0:63 / /dev rw,nosuid - tmpfs tmpfs rw
503 500 0:65 / /sys rw,nosuid - sysfs sysfs rw
"""


def status_text(
    *,
    comm: str = "sleep",
    uid: int = 0,
    inner_pid: int | None = None,
    pid: int = 1,
    parent: int = 1,
    permitted: int = DOCKER_DEFAULT,
    bounding: int = DOCKER_DEFAULT,
    seccomp: int = 2,
    no_new_privileges: int = 0,
) -> str:
    numbers = f"{pid}" if inner_pid is None else f"{pid}\t{inner_pid}"
    return (
        f"Name:\t{comm}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nNSpid:\t{numbers}\n"
        f"CapInh:\t{0:016x}\nCapPrm:\t{permitted:016x}\nCapEff:\t{permitted:016x}\n"
        f"CapBnd:\t{bounding:016x}\nCapAmb:\t{0:016x}\n"
        f"NoNewPrivs:\t{no_new_privileges}\n"
        f"Seccomp:\t{seccomp}\nSeccomp_filters:\t{1 if seccomp == 2 else 0}\n"
    )


def inspect_document(container_id: str, pid: int, **host_config: Any) -> dict[str, Any]:
    """The engine's record of a container, as far as the posture reads it, with secrets that it must not."""
    return {
        "Id": container_id,
        "Name": f"/name-{pid}",
        "Created": "2026-11-23T17:04:58.123456789+02:00",
        "State": {"Pid": pid, "Running": True},
        "Config": {
            "Image": "busybox:test",
            "User": "",
            "Env": ["SECRET=hunter2"],
            "Cmd": ["serve", "--token=hunter2"],
            "Labels": {"token": "hunter2", "com.docker.swarm.task.id": "hunter2"},
        },
        "HostConfig": {"Runtime": "runc", "RestartPolicy": {"Name": "no"}, **host_config},
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "Networks": {"bridge": {}},
        },
        "Mounts": [],
    }


class ContainerHost(FakeSystem):
    """A host on which `container` starts containers; `docker` is what its daemon answers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let_users_in()
        self.inspected: dict[str, Any] = {}
        self.write("/proc/sys/kernel/cap_last_cap", "40\n")
        self.write("/proc/stat", "cpu 1 2 3\nbtime 1763900000\n")
        self.process_with(1, comm="systemd", mountinfo=HOST_MOUNTS, cgroup="/init.scope", namespaces={})

    def docker(self) -> DockerRecords:
        return DockerRecords({}, {}, [], sorted(self.inspected), self.inspected)

    def process_with(
        self,
        pid: int,
        *,
        comm: str = "sleep",
        mountinfo: str = "",
        cgroup: str = "/",
        namespaces: dict[str, str],
        status: str | None = None,
        start_ticks: int = 100,
        label: str = "docker-default (enforce)",
        uid_map: str = "         0          0 4294967295\n",
    ) -> None:
        """A process; `namespaces` are the ones that are not the host's."""
        self.add_process(
            pid,
            comm=comm,
            start_ticks=start_ticks,
            status=status or status_text(comm=comm, pid=pid),
            mountinfo=mountinfo,
            cgroup=f"0::{cgroup}\n",
            uid_map=uid_map,
            **{"attr/apparmor/current": label + "\n"},
        )
        for name, link in {**HOST_NAMESPACES, **namespaces}.items():
            self.link(f"/proc/{pid}/ns/{name}", link)

    def container(
        self,
        pid: int,
        *,
        digit: str = "a",
        engine_cgroup: str = "/system.slice/docker-{id}.scope",
        mountinfo: str = CONTAINER_MOUNTS,
        host: tuple[str, ...] = ("user",),
        listed: bool = True,
        status: str | None = None,
        label: str = "docker-default (enforce)",
        uid_map: str = "         0          0 4294967295\n",
        **host_config: Any,
    ) -> str:
        """Start a container whose id is 64 times `digit`; `host` names the namespaces that it shares."""
        container_id = digit * 64
        inner = None if "pid" in host else 1
        self.process_with(
            pid,
            mountinfo=mountinfo.format(id=container_id),
            cgroup=engine_cgroup.format(id=container_id),
            namespaces=private_namespaces(digit, host),
            status=status or status_text(pid=pid, inner_pid=inner),
            start_ticks=1000 + pid,
            label=label,
            uid_map=uid_map,
        )
        self.local(f"/proc/{pid}/root/dev").mkdir(parents=True)
        if listed:
            self.inspected[container_id] = inspect_document(container_id, pid, **host_config)
        return container_id

    def cgroup_file(self, path: str, content: str) -> None:
        self.write(f"/sys/fs/cgroup{path}", content)


def private_namespaces(digit: str, host: tuple[str, ...] = ()) -> dict[str, str]:
    return {name: f"{name}:[{int(digit, 16)}]" for name in HOST_NAMESPACES if name not in host}
