# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture's `docker`: the rootful engine, as it is configured and as it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional, Union

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_api import (
    DOCKER_SOCKET,
    DockerRecords,
    fetch_docker_records,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_file_note import was_read
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import (
    DOCKER_KEYS,
    known_keys,
    parse_version,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    is_unreadable,
    printable,
    rfc3339,
    unreadable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import LedgerError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_before import given_back
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_drift import read_ledger
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    ConfigurationFile,
    configuration_path,
    conflicts,
    parse_flags,
    read_configuration_file,
    shown,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_daemon import (
    Daemon,
    find_daemon,
    packaging_of,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_evidence import (
    api_listeners,
    engine_evidence,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_files import (
    docker_files,
    socket_fact,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_info import info_fact
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_networks import (
    bridge_networks,
    filter_rules,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_settings import (
    Configuration,
    collect_settings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_surroundings import (
    SURROUNDINGS_WITNESSES,
    surroundings,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._systemd_unit import Service, read_service

__all__ = ["DOCKER_WITNESSES", "DockerAnswer", "collect_docker"]

DOCKER_WITNESSES = {
    "docker": "the file system",
    "docker.packaging": "/proc/PID/exe and the package database",
    "docker.version": "GET /version, or dockerd --version when it does not run",
    "docker.version_text": "GET /version, or dockerd --version when it does not run",
    "docker.installed_version": "dockerd --version where /proc/PID/exe leads to a replaced file",
    "docker.upgrade_pending": "the installed version against the running one",
    "docker.running": "systemctl show docker.service, the pid file and /proc",
    "docker.pid": "systemctl show docker.service, the pid file and /proc/PID/exe",
    "docker.started_at": "/proc/PID/stat",
    "docker.last_reload_at": "systemctl show docker.service: ExecReload",
    "docker.needs_daemon_reload": "systemctl show docker.service: NeedDaemonReload",
    "docker.exec_start": "systemctl show docker.service: ExecStart",
    "docker.configuration_file": "the file itself",
    "docker.flags": "/proc/PID/cmdline (now) and systemctl show docker.service (next)",
    "docker.conflicts": "the configuration file against the flags of the next start",
    "docker.settings": "named in each setting",
    "docker.info": "GET /info",
    "docker.data_root_is_mount_point": "/proc/self/mountinfo",
    "docker.socket": "stat(2)",
    "docker.group_members": "the account database",
    "docker.listeners": "/proc/PID/fd and /proc/PID/net/tcp, tcp6",
    "docker.networks": "GET /networks and the packet filter, named in each network",
    **SURROUNDINGS_WITNESSES,
    "docker.unlisted_containers": "cgroups of the processes in /proc against GET /containers/json",
    "docker.files": "stat(2)",
}

_OWNER = "docker_engine"  # the role, as it stands in the ledger
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_OCTAL = re.compile(r"\\([0-7]{3})")
MOUNTINFO_LIMIT = 8 * 1024 * 1024


# What the engine answered; None when it does not run, an `unreadable` object when it could not be asked.
DockerAnswer = Union[DockerRecords, dict[str, str], None]


@dataclass(frozen=True)
class _Sight:
    """What was found of the engine, before it is written down."""

    binary: Optional[str]
    service: Optional[Service]
    daemon: Optional[Daemon]
    records: DockerAnswer
    file: Any  # ConfigurationFile or an `unreadable` object
    flags_now: Optional[dict[str, Any]]
    flags_next: dict[str, Any]
    socket_path: str

    @property
    def file_fact(self) -> Any:
        return self.file.as_fact() if isinstance(self.file, ConfigurationFile) else self.file

    @property
    def answers(self) -> Optional[DockerRecords]:
        return self.records if isinstance(self.records, DockerRecords) else None


def collect_docker(system: System, *, containers: bool = True) -> tuple[dict[str, Any], DockerAnswer]:
    """The `docker` part of the posture, and the engine's records for whoever joins containers with them.

    `containers=False` does not ask the engine for its containers.
    """
    binary = system.find_program("dockerd")
    if binary is None and system.exists("/snap/docker/current"):
        return _absent(packaging="snap", installed=True), None
    service = _service(system)
    daemon = find_daemon(system, service.main_pid if service else 0)
    executable = daemon.executable if daemon else binary
    if executable is None:
        return _absent(packaging=None, installed=False), None
    packaging = packaging_of(system, executable)
    if packaging == "snap":
        return _absent(packaging="snap", installed=True), None
    sight = _look(system, binary=executable, service=service, daemon=daemon, containers=containers)
    return {"installed": True, "packaging": packaging, **_facts(system, sight)}, sight.records


def _absent(*, packaging: Optional[str], installed: bool) -> dict[str, Any]:
    """Docker from a snap is named and not read: its files, units and confinement are of another kind."""
    facts: dict[str, Any] = dict.fromkeys(name.partition(".")[2] for name in DOCKER_WITNESSES if "." in name)
    running = None if installed else False
    return {**facts, "installed": installed, "packaging": packaging, "binary": None, "running": running}


def _service(system: System) -> Optional[Service]:
    try:
        return read_service(system, "docker.service")
    except NotThere:
        return None


def _look(
    system: System, *, binary: str, service: Optional[Service], daemon: Optional[Daemon], containers: bool
) -> _Sight:
    argv_now = daemon.argv if daemon else None
    argv_next = service.command if service else argv_now or []
    flags_now = parse_flags(argv_now) if argv_now is not None else None
    path = configuration_path(argv_next or argv_now or [])
    file = attempt(lambda: read_configuration_file(system, path))
    flags_next = parse_flags(argv_next)
    hosts = (flags_now or {}).get("hosts") or _file_settings(file).get("hosts") or []
    socket_path = _socket_path(hosts)
    # Without the daemon nobody is asked: systemd would start it for whoever connects to its socket.
    records = (
        attempt(lambda: fetch_docker_records(system, path=socket_path, containers=containers))
        if daemon
        else None
    )
    return _Sight(binary, service, daemon, records, file, flags_now, flags_next, socket_path)


def _file_settings(file: Any) -> dict[str, Any]:
    return dict(file.settings) if isinstance(file, ConfigurationFile) else {}


def _socket_path(hosts: list[str]) -> str:
    paths = [host[len("unix://") :] for host in hosts if str(host).startswith("unix:///")]
    named = any(host == "fd://" for host in hosts)
    return paths[0] if paths and not named else DOCKER_SOCKET


def _facts(system: System, sight: _Sight) -> dict[str, Any]:
    version_text = attempt(lambda: _version_text(system, sight))
    version = _VERSION.match(version_text) if isinstance(version_text, str) else None
    rules = _filter_rules(system, sight)
    networks = _networks(system, sight.answers, rules)
    settings = _settings(system, sight, version[0] if version else None, networks)
    return {
        "binary": sight.binary,
        "version": version[0] if version else version_text,
        "version_text": version_text,
        **_installed_version(system, sight, version_text),
        **_process_facts(sight),
        "configuration_file": sight.file.as_fact()
        if isinstance(sight.file, ConfigurationFile)
        else sight.file,
        "flags": {"now": _shown_flags(sight.flags_now), "next": _shown_flags(sight.flags_next)},
        "conflicts": conflicts(_file_settings(sight.file), sight.flags_next),
        "settings": settings,
        "info": _info(sight),
        "data_root_is_mount_point": attempt(lambda: _is_mount_point(system, settings["data-root"]["value"])),
        "socket": attempt(lambda: socket_fact(system, sight.socket_path)),
        "group_members": attempt(lambda: _group_members(system)),
        "listeners": _listeners(sight, settings),
        "networks": networks,
        **_surroundings(system, sight, settings, rules),
        "unlisted_containers": None,
        "files": docker_files(
            system,
            service_unit=sight.service.fragment if sight.service else None,
            configuration_path=configuration_path(sight.service.command if sight.service else []),
            tls_paths={name: _tls_path(settings, name) for name in ("tlscacert", "tlscert", "tlskey")},
            socket_path=sight.socket_path,
        ),
    }


def _process_facts(sight: _Sight) -> dict[str, Any]:
    daemon, service = sight.daemon, sight.service
    return {
        "running": daemon is not None,
        "pid": daemon.pid if daemon else None,
        "started_at": rfc3339(daemon.started_at) if daemon else None,
        "last_reload_at": rfc3339(service.reloaded_at) if service and service.reloaded_at else None,
        "needs_daemon_reload": service.need_daemon_reload if service else None,
        "exec_start": _exec_start(service) if service else None,
    }


def _exec_start(service: Service) -> Any:
    """The command's words with their variables; kept back whole where one of them may hold a credential."""
    flags = parse_flags(service.exec_start)
    hidden = sorted(
        name for name, value in flags.items() if name != "runtimes" and shown(name, value) != value
    )
    if hidden:
        return unreadable(f"it holds settings that are not shown: {', '.join(hidden)}")
    return [printable(word, limit=1000) for word in service.exec_start]


def _version_text(system: System, sight: _Sight) -> str:
    if sight.answers and isinstance(sight.answers.version, dict) and "Version" in sight.answers.version:
        return printable(str(sight.answers.version["Version"]), limit=100)
    return _program_version(system, str(sight.binary))


def _program_version(system: System, binary: str) -> str:
    completed = system.run([binary, "--version"])
    match = re.match(r"Docker version ([^,\s]+)", completed.stdout)
    if match is None:
        raise PortError(f"{binary} --version: no version in its answer")
    return printable(match[1], limit=100)


def _shown_flags(flags: Optional[dict[str, Any]]) -> Optional[dict[str, Any]]:
    return None if flags is None else {name: shown(name, value) for name, value in flags.items()}


def _info(sight: _Sight) -> Any:
    if sight.records is None:
        return unreadable("the daemon is not running")
    if sight.answers is None:
        return sight.records
    info = sight.answers.info
    return info if is_unreadable(info) else info_fact(info)


def _filter_rules(system: System, sight: _Sight) -> Any:
    if sight.answers is None:
        return unreadable("the engine was not asked")
    return attempt(lambda: filter_rules(system))


def _networks(system: System, records: Optional[DockerRecords], rules: Any) -> Any:
    if records is None:
        return unreadable("the engine was not asked")
    if not isinstance(records.networks, list):
        return records.networks
    return bridge_networks(system, records.networks, records.running(), rules)


def _surroundings(system: System, sight: _Sight, settings: dict[str, Any], rules: Any) -> dict[str, Any]:
    return surroundings(
        system,
        networks=sight.answers.networks if sight.answers else None,
        info=sight.answers.info if sight.answers else None,
        settings=settings,
        rules=rules,
        socket_path=sight.socket_path,
        binary=str(sight.binary),
        service=sight.service,
    )


def _installed_version(system: System, sight: _Sight, running: Any) -> dict[str, Any]:
    """A daemon whose program was replaced since it started leads to a deleted file (proc_pid_exe(5))."""
    if sight.daemon is None or not isinstance(running, str):
        return {"installed_version": running, "upgrade_pending": False}
    try:
        replaced = system.read_link(f"/proc/{sight.daemon.pid}/exe").endswith(" (deleted)")
        installed = _program_version(system, str(sight.binary)) if replaced else running
    except PortError as error:
        return dict.fromkeys(("installed_version", "upgrade_pending"), unreadable(error))
    return {"installed_version": installed, "upgrade_pending": installed != running}


def _changed_at(
    system: System, file: Optional[ConfigurationFile], daemon: Optional[Daemon]
) -> Optional[float]:
    """When the file got another content than the daemon read, as far as its change time or a note tells."""
    if file is None or file.changed_at is None or daemon is None:
        return file.changed_at if file else None
    content = system.read_bytes(file.path) if file.exists else None
    return None if was_read(system, content, started_at=daemon.started_at) else file.changed_at


def _settings(system: System, sight: _Sight, version: Optional[str], networks: Any) -> dict[str, Any]:
    file = sight.file if isinstance(sight.file, ConfigurationFile) and sight.file.error is None else None
    configuration = Configuration(
        file=file.settings if file else None,
        flags_now=sight.flags_now,
        flags_next=sight.flags_next,
        changed_at=_changed_at(system, file, sight.daemon),
        started_at=sight.daemon.started_at if sight.daemon else None,
        reloaded_at=sight.service.reloaded_at if sight.service else None,
        given_back=_given_back(system, file),
    )
    pidfile, _origin = configuration.configured(DOCKER_KEYS["pidfile"])
    evidence = engine_evidence(
        system,
        sight.daemon,
        sight.answers,
        engine=parse_version(version) if version else (),
        networks=networks,
        pidfile=str(pidfile),
    )
    return collect_settings(configuration, evidence, known=known_keys(version) if version else DOCKER_KEYS)


def _given_back(system: System, file: Optional[ConfigurationFile]) -> Optional[dict[str, Any]]:
    """The file's settings without what the role docker_engine owns; a ledger that is damaged owns nothing.

    With such a ledger no role writes anything.
    """
    try:
        ledger = read_ledger(system)
    except (PortError, LedgerError):
        return None
    return None if file is None else given_back(ledger, file.path, file.settings, owner=_OWNER)


def _is_mount_point(system: System, path: Any) -> Any:
    if not isinstance(path, str):
        return path
    text = system.read_text("/proc/self/mountinfo", limit=MOUNTINFO_LIMIT)
    points = {line.split(" ")[4] for line in text.splitlines() if line.count(" ") > 4}
    return path in {_OCTAL.sub(lambda match: chr(int(match[1], 8)), point) for point in points}


def _group_members(system: System) -> list[str]:
    """Members of the group docker, by list and by primary group: root on the host in all but name."""
    try:
        group = system.group("docker")
    except NotThere:
        return []
    fields = [line.split(":") for line in system.read_text("/etc/passwd").splitlines()]
    primary = {row[0] for row in fields if len(row) == 7 and row[3] == str(group.gr_gid)}
    return sorted(printable(name, limit=255) for name in primary | set(group.gr_mem))


def _listeners(sight: _Sight, settings: dict[str, Any]) -> Any:
    if sight.daemon is None:
        return []
    if isinstance(sight.daemon.listeners, str):
        return unreadable(sight.daemon.listeners)
    listeners = api_listeners(sight.daemon.listeners, sight.answers, _other_ports(settings))
    certificate = settings["tlsverify"]["value"]
    return [
        {
            "address": listener.address,
            "port": listener.port,
            "loopback": listener.loopback,
            "client_certificate_required": certificate if is_unreadable(certificate) else certificate is True,
        }
        for listener in listeners
    ]


def _other_ports(settings: dict[str, Any]) -> set[int]:
    """The ports of the metrics and of the diagnostics, which are no API."""
    texts = [str(settings["metrics-addr"]["value"]).rpartition(":")[2]]
    texts.append(str(settings["network-diagnostic-port"]["value"]))
    return {int(text) for text in texts if text.isdigit()}


def _tls_path(settings: dict[str, Any], name: str) -> Optional[str]:
    value = settings[name]["value"]
    return value if isinstance(value, str) and value.startswith("/") else None
