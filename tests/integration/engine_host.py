# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs on a machine of the lab, for test_effects.py: an engine, its file, its containers, our functions."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_activation import Activation, decide
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_effects import WrittenKey
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_health import engine_health
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_restore import restore_engine
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_service import (
    DockerService,
    DockerServiceError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_userns_preflight import (
    userns_preflight,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_firewall import user_chain
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import unix_http

FILE = Path("/etc/docker/daemon.json")
SOCKET = "/run/docker.sock"
IMAGE = "localhost/effects:1"
PROBE = "localhost/bulkhead-probe:latest"

system = System()
service = DockerService(system, socket=SOCKET, timeout=120)


def command(*argv: str, check: bool = True) -> str:
    """The output of a command of this machine."""
    completed = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and completed.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {completed.returncode}: {completed.stderr}")
    return completed.stdout.strip()


def api(method: str, target: str, document: Any = None) -> Any:
    """The engine's answer. Its own client takes seconds to start on an emulated machine."""
    with unix_http(system, SOCKET, peer_uid=0, deadline=120) as engine:
        status, answer = engine.send(method, target, document)
    if status >= 400:
        raise RuntimeError(f"{method} {target}: {status}: {answer}")
    return answer


def make_images() -> None:
    """An image of the static busybox, and one whose own command ends well: the probe."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "bin").mkdir()
        (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (root / "bin/busybox").chmod(0o755)
        archive = "/root/effects.tar"
        command("tar", "--create", "--file", archive, "--directory", name, ".")
    command("docker", "import", archive, IMAGE)
    command("docker", "import", "--change", 'CMD ["/bin/busybox", "true"]', archive, PROBE)


def write(content: bytes | None) -> None:
    """The engine's file, by rename; None: no file."""
    if content is None:
        FILE.unlink(missing_ok=True)
        return
    FILE.parent.mkdir(exist_ok=True)
    beside = FILE.with_name("daemon.json.new")
    beside.write_bytes(content)
    beside.replace(FILE)


def write_keys(keys: Mapping[str, Any]) -> None:
    write(json.dumps(keys, indent=2).encode())


def fresh(content: bytes | None = None, *, auto_remove: bool = False) -> None:
    """An engine with this file in force, and one container, web; with `auto_remove` also job, run by --rm."""
    if command("systemctl", "is-active", "docker.service", check=False) != "active":
        write(None)
        command("systemctl", "reset-failed", "docker.service", "docker.socket")
        command("systemctl", "start", "docker.service")
    for entry in api("GET", "/containers/json?all=true"):
        api("DELETE", f"/containers/{entry['Id']}?force=true")
    write(content)
    command("systemctl", "reset-failed", "docker.service", "docker.socket")
    command("systemctl", "restart", "docker.service")
    run("web")
    if auto_remove:
        run("job", auto_remove=True)


def run(name: str, *, auto_remove: bool = False, port: int | None = None) -> None:
    """Start a container; with `port`, one that publishes its port 80 there, on loopback."""
    options: dict[str, Any] = {"AutoRemove": auto_remove, "NetworkMode": "bridge"}
    if port is not None:
        options["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    document: dict[str, Any] = {
        "Image": IMAGE,
        "Cmd": ["/bin/busybox", "sleep", "1000000"],
        "HostConfig": options,
    }
    document["StopTimeout"] = 1
    if port is not None:
        document["ExposedPorts"] = {"80/tcp": {}}
    api("POST", f"/containers/create?name={name}", document)
    api("POST", f"/containers/{name}/start")


def proxy_of(port: int) -> bool:
    """Whether a process of the engine's relays this published port."""
    return command("pgrep", "--full", f"docker-proxy .*-host-port {port} ", check=False) != ""


def restart(name: str) -> None:
    api("POST", f"/containers/{name}/restart?t=0")


def containers() -> dict[str, list[int | None]]:
    """Name -> process and when it began, of what the engine lists as running."""
    return {entry.name: [entry.pid, entry.start_ticks] for entry in service.state().containers}


def info(name: str) -> Any:
    return api("GET", "/info")[name]


def bridge_option(name: str) -> str | None:
    option: str | None = api("GET", "/networks/bridge")["Options"].get(f"com.docker.network.{name}")
    return option


def read_proc(name: str, file: str) -> str:
    """The text of /proc/PID/`file` of a container's first process."""
    return Path(f"/proc/{containers()[name][0]}/{file}").read_text()


def no_new_privileges(name: str) -> str:
    lines = read_proc(name, "status").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("NoNewPrivs:"))


def change(keys: Mapping[str, Any], names: list[str], *, allow: str = "restart") -> Activation:
    """Write the keys, plan those of these names as changed, and carry the plan out."""
    before = service.state()
    write_keys(keys)
    activation = decide(
        before,
        [WrittenKey(name, None, in_force=False, differs=True, removed=name not in keys) for name in names],
        live_restore_wanted=keys.get("live-restore") is True,
        allow=allow,
    )
    stopped = [stop.container for stop in activation.stops]
    again = [stop.container for stop in activation.stops if stop.started_again]
    for step in activation.steps:
        if step == "stop_containers":
            service.stop_containers(stopped)
        elif step == "start_containers":
            service.start_containers(again)
        else:
            getattr(service, step)()
        if step in ("reload", "restart"):
            service.await_answer()
    return activation


def restore(
    old: bytes | None, before: list[dict[str, Any]] | None = None, *, taken_at: float | None = None
) -> dict[str, Any]:
    return restore_engine(
        system,
        socket=SOCKET,
        path=str(FILE),
        old=old,
        write=write,
        other_files_changed=False,
        before=before or [],
        taken_at=taken_at,
    )


def reload_is_refused() -> bool:
    """Ask for a reload of the file as it is; whether the engine did not do it."""
    try:
        DockerService(system, socket=SOCKET, timeout=20).reload()
    except DockerServiceError:
        return True
    return False


def health(before: Mapping[str, list[int | None]], *, image: str | None = None) -> list[str]:
    identifiers = {entry.name: entry.id for entry in service.state().containers}
    wanted = [
        {"id": identifiers.get(name, name), "name": name, "pid": pid, "start_ticks": ticks}
        for name, (pid, ticks) in before.items()
    ]
    return engine_health(system, socket=SOCKET, before=wanted, probe=True, probe_image=image)


def docker_user(rule: str) -> dict[str, bool]:
    """What the posture says of the chain DOCKER-USER, and whether a rule is in it."""
    rules = command("iptables", "-S").splitlines()
    return {**user_chain(rules), "rule": rule in rules}


def preflight() -> dict[str, Any]:
    return userns_preflight(system, socket=SOCKET)
