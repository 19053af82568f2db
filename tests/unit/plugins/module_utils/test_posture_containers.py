"""Containers as the kernel shows them, joined with their engines, on a host that may lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils import _container_facts, _posture_containers
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import DockerRecords
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_containers import (
    collect_containers,
    collect_rootless_engines,
)
from unit.fake_containers import (
    CONTAINER_MOUNTS,
    DOCKER_DEFAULT,
    FULL,
    PRIVILEGED_MOUNTS,
    ContainerHost,
    inspect_document,
    private_namespaces,
    status_text,
)

ALICE_SLICE = "/user.slice/user-1000.slice/user@1000.service/user.slice"
ALICE_MAP = "         0       1000          1\n         1     100000      65536\n"


@pytest.fixture
def host(tmp_path: Path) -> ContainerHost:
    system = ContainerHost(tmp_path)
    system.add_account("alice", 1000)
    return system


SANDBOX_ROOT = "500 400 0:77 / / rw - tmpfs tmpfs rw\n"
SERVICE_ROOT = "500 400 254:1 / / rw master:1 - ext4 /dev/vda1 rw\n501 500 0:22 / /proc rw - proc proc rw\n"


def collect(host: ContainerHost) -> list[dict[str, Any]]:
    return collect_containers(host, docker_records=host.docker())


def only(host: ContainerHost) -> dict[str, Any]:
    (container,) = collect(host)
    return container


def install_podman(host: ContainerHost, ids: list[str], answer: object) -> None:
    host.write("/usr/bin/podman").chmod(0o755)
    host.answers[("/usr/bin/podman", "container", "inspect", *ids)] = json.dumps(answer)


def test_an_ordinary_docker_container(host: ContainerHost) -> None:
    identity = host.container(800)
    container = only(host)
    assert (container["id"], container["engine"], container["user"]) == (identity, "docker", "root")
    assert (container["name"], container["image"]) == ("name-800", "busybox:test")
    assert container["capabilities"]["effective"][0] == "CAP_CHOWN"
    assert len(container["capabilities"]["bounding"]) == 14
    assert container["seccomp"] == {"mode": "filter", "filters": 1}
    assert container["lsm"] == {"name": "apparmor", "label": "docker-default", "mode": "enforce"}
    assert container["user_namespace"]["root_is_host_root"] is True
    assert container["namespaces"]["user"] == "host"
    assert container["namespaces"]["net"] == "private"
    assert container["mounts"] == []
    assert container["masked_paths"] == ["/proc/acpi", "/proc/kcore"]
    assert container["read_only_paths"] == ["/proc/sys", "/sys"]
    assert container["read_only_root"] is False
    assert container["privileged"] == {"in_force": False, "reasons": []}
    assert container["init"]["started_at"] == "2025-11-23T12:13:38Z"
    assert container["record"]["ports"] == [
        {"host_address": "0.0.0.0", "host_port": 8080, "container_port": 80, "protocol": "tcp"}
    ]
    assert container["record"]["created_at"] == "2026-11-23T15:04:58Z"
    assert container["record"]["swarm_task"]


def test_no_secret_of_a_record_is_collected(host: ContainerHost) -> None:
    host.container(800)
    assert "hunter2" not in json.dumps(collect(host))


@pytest.mark.parametrize("uid, permitted", [(0, FULL), (1000, 0)])
def test_a_full_bounding_set_is_privileged_whatever_the_user_holds(
    host: ContainerHost, uid: int, permitted: int
) -> None:
    status = status_text(pid=800, inner_pid=1, uid=uid, permitted=permitted, bounding=FULL, seccomp=0)
    host.container(800, mountinfo=PRIVILEGED_MOUNTS, status=status, label="unconfined")
    privileged = only(host)["privileged"]
    assert privileged["in_force"] is True
    assert "the bounding set holds every capability over the host's user namespace" in privileged["reasons"]
    assert "nothing of /proc and /sys is masked or read-only" in privileged["reasons"]


def test_one_added_capability_is_not_privileged(host: ContainerHost) -> None:
    more = DOCKER_DEFAULT | 1 << 21
    host.container(800, status=status_text(pid=800, inner_pid=1, permitted=more, bounding=more))
    container = only(host)
    assert "CAP_SYS_ADMIN" in container["capabilities"]["effective"]
    assert container["privileged"]["in_force"] is False


def test_a_container_in_the_hosts_namespaces(host: ContainerHost) -> None:
    host.container(800, host=("user", "pid", "net", "ipc", "uts", "cgroup"))
    assert only(host)["namespaces"] == {
        "cgroup": "host",
        "ipc": "host",
        "mnt": "private",
        "net": "host",
        "pid": "host",
        "user": "host",
        "uts": "host",
    }


def test_mounts_are_named_by_the_hosts_path(host: ContainerHost) -> None:
    binds = (
        "600 500 0:25 /docker.sock /var/run/docker.sock rw - tmpfs tmpfs rw\n"
        "601 500 254:1 / /host ro - ext4 /dev/vda1 rw\n"
        "610 601 0:25 / /host/run ro - tmpfs tmpfs rw\n"
        "611 601 254:16 / /host/srv ro - ext4 /dev/vdb rw\n"
        "602 500 0:25 / /hostrun rw master:4 - tmpfs tmpfs rw\n"
        "603 500 254:1 /etc/ssl /ssl ro - ext4 /dev/vda1 rw\n"
        "604 500 254:1 /etc/cron.d /cron rw - ext4 /dev/vda1 rw\n"
        "605 500 0:6 /vda /disk rw - devtmpfs udev rw\n"
        "606 500 254:16 /my\\040files /data rw shared:3 - ext4 /dev/vdb rw\n"
        "607 500 0:99 /x /elsewhere rw - ext4 /dev/vdz rw\n"
    )
    host.container(800, mountinfo=CONTAINER_MOUNTS + binds)
    container = only(host)
    found = {entry["destination"]: entry for entry in container["mounts"]}
    assert {place: (entry["source"], entry["sensitive"]) for place, entry in found.items()} == {
        "/cron": ("/etc/cron.d", "etc"),
        "/data": ("/srv/my files", None),
        "/disk": ("/dev/vda", "device"),
        "/host": ("/", "root"),
        "/host/run": ("/run", "engine_socket"),
        "/hostrun": ("/run", "engine_socket"),
        "/ssl": ("/etc/ssl", None),
        "/var/run/docker.sock": ("/run/docker.sock", "engine_socket"),
    }
    assert found["/host"]["read_only"] is True
    assert found["/hostrun"]["propagation"] == "slave"
    assert container["devices"] == ["/disk"]


def test_the_engine_names_a_source_that_the_host_does_not_show(host: ContainerHost) -> None:
    identity = host.container(
        800, mountinfo=CONTAINER_MOUNTS + "607 500 0:99 /x /elsewhere rw - ext4 /dev/vdz rw\n"
    )
    host.inspected[identity]["Mounts"] = [
        {"Type": "bind", "Source": "/etc/shadow.d", "Destination": "/elsewhere"}
    ]
    (mount,) = only(host)["mounts"]
    assert (mount["source"], mount["sensitive"]) == ("/etc/shadow.d", "etc")


def test_device_nodes_are_looked_for_in_dev_and_no_link_is_followed(
    host: ContainerHost, tmp_path: Path
) -> None:
    host.container(800)
    assert only(host)["devices"] == []
    dev = host.local("/proc/800/root/dev")
    dev.rmdir()
    dev.symlink_to(tmp_path)
    assert "symbolic links" in only(host)["devices"]["unreadable"]


def test_user_namespace_remapping(host: ContainerHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_posture_containers, "user_namespace_owner", lambda _system, _pid: 0)
    host.container(800, host=(), uid_map="         0     100000      65536\n")
    container = only(host)
    assert (container["engine"], container["user"]) == ("docker", "root")
    assert container["user_namespace"] == {
        "host": False,
        "root_is_host_root": False,
        "uid_map": [{"inside": 0, "outside": 100000, "count": 65536}],
    }


def test_rootless_podman_is_asked_once_as_its_user(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_posture_containers, "user_namespace_owner", lambda _system, _pid: 1000)
    ids = [
        host.container(
            pid,
            digit=digit,
            engine_cgroup=ALICE_SLICE + "/libpod-{id}.scope/container",
            host=(),
            listed=False,
            uid_map=ALICE_MAP,
            status=status_text(pid=pid, inner_pid=1, uid=1000),
        )
        for pid, digit in ((900, "b"), (901, "c"))
    ]
    install_podman(host, ids, [inspect_document(ids[0], 900), inspect_document(ids[1], 901)])
    containers = collect(host)
    assert [(container["engine"], container["user"]) for container in containers] == [("podman", "alice")] * 2
    assert [container["user_namespace"]["root_is_host_root"] for container in containers] == [False, False]
    assert host.ran == [("/usr/bin/podman", "container", "inspect", *ids)]
    assert collect_rootless_engines(containers) == [
        {"engine": "podman", "user": "alice", "uid": 1000, "containers": 2}
    ]


@pytest.mark.parametrize(
    "comm, uid, words, engine",
    [
        ("conmon", 1000, ["conmon", "-c", "b" * 64, "-n", "worker"], "podman"),
        ("conmon", 1001, ["conmon", "-c", "b" * 64], "unknown"),
        ("sleep", 1000, ["sleep", "-c", "b" * 64], "unknown"),
        ("conmon", 1000, ["conmon", "-c", "../../etc"], "unknown"),
        ("conmon", 1000, ["conmon", "-c"], "unknown"),
    ],
)
def test_without_a_cgroup_of_its_own_the_users_conmon_names_the_container(
    host: ContainerHost,
    monkeypatch: pytest.MonkeyPatch,
    comm: str,
    uid: int,
    words: list[str],
    engine: str,
) -> None:
    monkeypatch.setattr(_posture_containers, "user_namespace_owner", lambda _system, _pid: 1000)
    host.process_with(899, comm=comm, namespaces={}, status=status_text(comm=comm, pid=899, uid=uid))
    host.write("/proc/899/cmdline", "".join(word + "\0" for word in words))
    container_id = host.container(
        900,
        digit="b",
        engine_cgroup="/user.slice/user-0.slice/session-1.scope",
        host=(),
        listed=False,
        uid_map=ALICE_MAP,
        status=status_text(pid=900, inner_pid=1, uid=1000, parent=899),
    )
    install_podman(host, [container_id], [inspect_document(container_id, 900)])
    container = only(host)
    assert (container["engine"], container["user"]) == (engine, "alice")
    assert container["id"] == (container_id if engine == "podman" else None)


def test_a_users_docker_is_asked_on_the_users_own_socket(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(_system: System, *, path: str, uid: int) -> DockerRecords:
        asked.append((path, uid))
        return DockerRecords({}, {}, [], [identity], {identity: inspect_document(identity, 900)})

    monkeypatch.setattr(_posture_containers, "user_namespace_owner", lambda _system, _pid: 1000)
    monkeypatch.setattr(_posture_containers, "fetch_docker_records", answer)
    identity = host.container(
        900,
        engine_cgroup=ALICE_SLICE + "/docker-{id}.scope",
        host=(),
        listed=False,
        uid_map=ALICE_MAP,
        status=status_text(pid=900, inner_pid=1, uid=1000),
    )
    container = only(host)
    assert (container["engine"], container["user"], container["name"]) == ("docker", "alice", "name-900")
    assert asked == [("/run/user/1000/docker.sock", 1000)]


def test_podman_that_cannot_be_asked_leaves_the_measured_facts(host: ContainerHost) -> None:
    identity = host.container(900, engine_cgroup="/machine.slice/libpod-{id}.scope", listed=False)
    install_podman(host, [], [])
    command = ("/usr/bin/podman", "container", "inspect", identity)
    host.answers[command] = Completed(argv=command, returncode=125, stdout="", stderr="boom")
    container = only(host)
    assert container["engine"] == "podman"
    assert "not JSON" in container["record"]["unreadable"]
    assert container["seccomp"]["mode"] == "filter"


@pytest.mark.parametrize("stolen_pid", [True, False])
def test_a_user_cannot_pass_a_sandbox_off_as_the_rootful_engines(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch, stolen_pid: bool
) -> None:
    owners = {800: 0, 900: 1000}
    monkeypatch.setattr(_posture_containers, "user_namespace_owner", lambda _system, pid: owners[pid])
    real = host.container(800)
    host.container(
        900,
        engine_cgroup=ALICE_SLICE + f"/docker-{real}.scope",
        host=(),
        digit="b",
        listed=False,
        uid_map=ALICE_MAP,
        status=status_text(pid=900, inner_pid=1, uid=1000),
    )
    if stolen_pid:
        host.inspected[real]["State"]["Pid"] = 900
    spoof = collect(host)[1]
    assert (spoof["engine"], spoof["user"], spoof["name"]) == ("unknown", "alice", None)
    assert (spoof["id"], spoof["record"]) == (None, None)


def test_a_users_name_for_a_cgroup_makes_no_container_of_a_program(host: ContainerHost) -> None:
    host.container(
        900,
        engine_cgroup=ALICE_SLICE + "/docker-{id}.scope",
        mountinfo=SERVICE_ROOT,
        host=(),
        listed=False,
        status=status_text(pid=900, inner_pid=1, uid=1000),
    )
    assert collect(host) == []


def test_a_container_of_root_that_its_engine_does_not_list_is_unknown(host: ContainerHost) -> None:
    host.container(800, listed=False)
    container = only(host)
    assert (container["engine"], container["id"], container["record"]) == ("unknown", None, None)
    assert container["unlisted_by"] == "docker"


def test_podman_says_which_of_its_containers_it_does_not_know(host: ContainerHost) -> None:
    identity = host.container(900, engine_cgroup="/machine.slice/libpod-{id}.scope", listed=False)
    install_podman(host, [identity], [])
    assert only(host)["unlisted_by"] == "podman"


def test_an_engine_that_is_not_asked_hides_nothing(host: ContainerHost) -> None:
    host.container(900, engine_cgroup="/system.slice/crio-{id}.scope", listed=False)
    assert only(host)["unlisted_by"] is None


def test_a_record_of_another_process_is_not_joined(host: ContainerHost) -> None:
    identity = host.container(800)
    host.inspected[identity]["State"]["Pid"] = 4711
    assert only(host)["engine"] == "unknown"


def test_docker_that_does_not_answer_is_still_the_engine(host: ContainerHost) -> None:
    host.container(800)
    (container,) = collect_containers(host, docker_records=unreadable("no answer"))
    assert (container["engine"], container["record"]) == ("docker", {"unreadable": "no answer"})
    assert container["unlisted_by"] == {"unreadable": "no answer"}


def test_what_no_engine_made_is_found_by_its_namespaces_and_root(host: ContainerHost) -> None:
    host.container(800, engine_cgroup="/user.slice/user-0.slice/session-1.scope", listed=False)
    container = only(host)
    assert (container["engine"], container["id"], container["name"]) == ("unknown", None, None)
    assert container["cgroup"] == "/user.slice/user-0.slice/session-1.scope"


@pytest.mark.parametrize(
    "mountinfo, shared",
    [
        pytest.param(SERVICE_ROOT, ("pid", "user"), id="service with PrivateTmp"),
        pytest.param(SERVICE_ROOT, ("user",), id="service with PrivatePIDs"),
        pytest.param(SANDBOX_ROOT, (), id="program in an empty directory"),
        pytest.param(CONTAINER_MOUNTS, ("pid", "user"), id="own root in the host's pid namespace"),
    ],
)
def test_services_and_sandboxed_programs_are_no_containers(
    host: ContainerHost, mountinfo: str, shared: tuple[str, ...]
) -> None:
    host.container(
        800, engine_cgroup="/system.slice/x.service", mountinfo=mountinfo, host=shared, listed=False
    )
    assert collect(host) == []


def test_a_name_like_a_containers_in_the_hosts_mount_namespace_is_none(host: ContainerHost) -> None:
    host.process_with(800, cgroup=f"/system.slice/docker-{'a' * 64}.scope", namespaces={})
    assert collect(host) == []


def exec_process(host: ContainerHost, pid: int, **status: Any) -> None:
    host.process_with(
        pid,
        cgroup=f"/system.slice/docker-{'a' * 64}.scope",
        namespaces=private_namespaces("a", ("user",)),
        status=status_text(pid=pid, inner_pid=7, **status),
        start_ticks=9000,
    )


def test_a_process_that_holds_more_than_the_init_is_reported(host: ContainerHost) -> None:
    host.container(800)
    exec_process(host, 810, comm="sh", permitted=FULL, bounding=FULL)
    exec_process(host, 811, uid=1000, permitted=0, bounding=FULL)
    exec_process(host, 812, permitted=DOCKER_DEFAULT & ~1)
    container = only(host)
    assert container["privileged"]["in_force"] is False
    assert [entry["pid"] for entry in container["extra_privilege_processes"]] == [810, 811]
    assert "CAP_SYS_ADMIN" in container["extra_privilege_processes"][0]["gained"]
    assert container["processes"] == {"count": 4, "sshd": False}


def test_capabilities_over_a_namespace_of_its_own_are_no_gain(host: ContainerHost) -> None:
    host.container(800)
    host.process_with(
        810,
        cgroup=f"/system.slice/docker-{'a' * 64}.scope",
        namespaces={**private_namespaces("a", ("user",)), "user": "user:[77]"},
        status=status_text(pid=810, inner_pid=7, permitted=FULL, bounding=FULL),
        start_ticks=9000,
    )
    assert only(host)["extra_privilege_processes"] == []


def test_a_lower_pid_does_not_make_a_process_the_init(host: ContainerHost) -> None:
    host.container(800)
    exec_process(host, 300, permitted=FULL, bounding=FULL)  # pids wrapped around
    container = only(host)
    assert container["init"]["pid"] == 800
    assert [entry["pid"] for entry in container["extra_privilege_processes"]] == [300]


def test_a_container_cannot_hide_a_process_behind_a_cgroup_of_its_own(host: ContainerHost) -> None:
    host.container(800)
    host.process_with(
        810,
        cgroup=f"/system.slice/docker-{'a' * 64}.scope/docker-{'f' * 64}.scope",
        namespaces=private_namespaces("a", ("user",)),
        status=status_text(pid=810, inner_pid=9, permitted=FULL, bounding=FULL),
    )
    host.process_with(
        811,
        cgroup="/elsewhere",
        namespaces=private_namespaces("a", ("user",)),
        status=status_text(pid=811, inner_pid=10, permitted=FULL, bounding=FULL),
    )
    assert [entry["pid"] for entry in only(host)["extra_privilege_processes"]] == [810, 811]


def test_a_container_within_a_container_is_one_of_its_own(host: ContainerHost) -> None:
    host.container(800)
    host.container(
        900, digit="b", engine_cgroup=f"/system.slice/docker-{'a' * 64}.scope/docker/{{id}}", listed=False
    )
    outer, inner = collect(host)
    assert (outer["engine"], outer["processes"]["count"]) == ("docker", 1)
    assert (inner["engine"], inner["init"]["pid"]) == ("unknown", 900)


def run_runsc(host: ContainerHost, monkeypatch: pytest.MonkeyPatch, *, installed: str, uid: int) -> None:
    """The container runs /usr/bin/runsc; what the host has under that name is `installed`, of user `uid`."""
    running = host.write("/usr/bin/runsc", "program")
    host.link("/proc/800/exe", str(running))
    installed_file = host.write(installed, "program") if installed != "/usr/bin/runsc" else running
    facts = replace(System().stat(str(installed_file)), uid=uid)
    monkeypatch.setattr(host, "stat", lambda _path: facts)


def test_gvisor_is_not_judged_by_what_proc_shows(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.container(800)
    run_runsc(host, monkeypatch, installed="/usr/bin/runsc", uid=0)
    container = only(host)
    assert container["sandbox"] == "gvisor"
    for name in ("capabilities", "seccomp", "privileged", "mounts"):
        assert container[name] == {"not_applicable": "gVisor: /proc shows the sandbox, not the container"}
    assert "memory_bytes" in container["limits"]


@pytest.mark.parametrize("installed, uid", [("/elsewhere/runsc", 0), ("/usr/bin/runsc", 1000)])
def test_a_program_that_calls_itself_runsc_is_judged(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch, installed: str, uid: int
) -> None:
    host.container(800)
    run_runsc(host, monkeypatch, installed=installed, uid=uid)
    container = only(host)
    assert container["sandbox"] is None
    assert container["seccomp"]["mode"] == "filter"


def test_kata_containers_are_known_from_the_engine_only(host: ContainerHost) -> None:
    host.inspected["d" * 64] = inspect_document("d" * 64, 555, Runtime="io.containerd.kata.v2")
    host.inspected["e" * 64] = inspect_document("e" * 64, 556)
    container = only(host)
    assert (container["sandbox"], container["name"]) == ("kata", "name-555")
    assert "not_applicable" in container["capabilities"]


def test_a_reused_pid_is_not_believed(host: ContainerHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.container(800)
    discover = _posture_containers.find_containers

    def discover_then_reuse(*arguments: Any, **keywords: Any) -> Any:
        found = discover(*arguments, **keywords)
        host.add_process(800, start_ticks=99_999)
        return found

    monkeypatch.setattr(_posture_containers, "find_containers", discover_then_reuse)
    assert collect(host) == []


def test_bytes_in_a_command_name_do_not_break_the_document(host: ContainerHost) -> None:
    host.container(800, status=status_text(pid=800, inner_pid=1, comm="\udcff\udcfe{{ x }}"))
    assert only(host)["init"]["comm"] == "\ufffd\ufffd{{ x }}"


def test_too_many_processes_are_said_and_not_cut_off(
    host: ContainerHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_container_facts, "_MEMBER_LIMIT", 1)
    host.container(800)
    exec_process(host, 810)
    container = only(host)
    assert container["processes"]["count"] == 2
    assert "more than the 1" in container["extra_privilege_processes"]["unreadable"]


def test_a_mount_table_beyond_the_limit_is_unreadable(host: ContainerHost) -> None:
    line = "700 500 254:1 /" + "x" * 200 + " /m rw - ext4 /dev/vda1 rw\n"
    host.container(800, mountinfo=CONTAINER_MOUNTS + line * 25_000)
    container = only(host)
    assert "longer than" in container["mounts"]["unreadable"]
    assert "unreadable" in container["privileged"]
    assert container["seccomp"]["mode"] == "filter"


def test_limits_are_the_strictest_from_the_container_down_to_its_init(host: ContainerHost) -> None:
    identity = host.container(800, engine_cgroup="/machine.slice/libpod-{id}.scope/container", listed=False)
    scope = f"/machine.slice/libpod-{identity}.scope"
    install_podman(host, [identity], [inspect_document(identity, 800)])
    host.cgroup_file("/machine.slice/pids.max", "5\n")
    host.cgroup_file(f"{scope}/memory.max", "67108864\n")
    host.cgroup_file(f"{scope}/pids.max", "2048\n")
    host.cgroup_file(f"{scope}/cpu.max", "50000 100000\n")
    host.cgroup_file(f"{scope}/cpu.weight", "100\n")
    host.cgroup_file(f"{scope}/container/pids.max", "max\n")
    host.cgroup_file(f"{scope}/container/memory.max", "max\n")
    host.cgroup_file(f"{scope}/container/cpu.max", "max 100000\n")
    assert only(host)["limits"] == {
        "memory_bytes": 67108864,
        "pids": 2048,
        "cpu_cores": 0.5,
        "cpu_weight": 100,
    }


def test_without_the_right_to_look_at_process_1_nothing_is_claimed(host: ContainerHost) -> None:
    host.local("/proc/1/ns/pid").unlink()
    with pytest.raises(PortError, match="/proc/1/ns/pid"):
        collect(host)
