# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine's API listens: TLS on TCP, and `hosts` in the file against `-H` in the unit.

Sources: moby ``daemon/command/daemon.go`` and ``contrib/init/systemd/docker.service`` at docker-v29.7.2;
systemd.unit(5) (drop-ins are read in the order of their names) and systemd.service(5) (an empty ExecStart=
clears the ones before).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    parse_flags,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine

__all__ = ["SERVICE_DROP_IN", "listener_problems", "service_drop_in"]

# Sorts behind an administrator's override.conf, whose ExecStart would win otherwise.
SERVICE_DROP_IN = "/etc/systemd/system/docker.service.d/zz-bulkhead.conf"

_TLS_PATHS = ("tlscacert", "tlscert", "tlskey")
_LISTENER_KEYS = {"hosts", "tls", "tlsverify", *_TLS_PATHS}
_LOCAL = ("unix://", "fd://")
_PLAIN_WORD = re.compile(r"[^\s\"'\\]+")


def listener_problems(engine: Engine, settings: Mapping[str, Any], *, unauthenticated_tcp: bool) -> list[str]:
    """What is wrong with the listeners that a user's settings leave, in sentences.

    What the role set before and no setting names any more is given back in the same run, and does not count.
    """
    if not _LISTENER_KEYS & (engine.owned | set(settings)):
        return []
    problems = _hosts_problems(engine, settings) if "hosts" in settings else []
    after = engine.predicted(settings)
    open_hosts = [host for host in _texts(after.configured("hosts")) if not host.startswith(_LOCAL)]
    missing = _missing_for_clients_certificates(after)
    if open_hosts and missing and not unauthenticated_tcp:
        problems.append(
            f"docker_engine_settings: hosts: found {', '.join(open_hosts)} without {', '.join(missing)}; "
            "accepted is a TCP address together with tlsverify true and the paths tlscacert, tlscert and "
            "tlskey, because whoever reaches the port is root on this host. "
            "docker_engine_unauthenticated_tcp: true opens it to everybody."
        )
    return problems


def service_drop_in(engine: Engine, keys: Mapping[str, Any]) -> dict[str, Any]:
    """What the drop-in of the service has to hold: its command without -H where the file names the hosts."""
    if "hosts" not in keys or not engine.exec_start:
        return {}
    return {"Service": {"ExecStart": ["", " ".join(_quoted(word) for word in _without_hosts(engine))]}}


def _hosts_problems(engine: Engine, settings: Mapping[str, Any]) -> list[str]:
    problems = []
    if not any(host.startswith(_LOCAL) for host in _texts(settings["hosts"])):
        problems.append(
            "docker_engine_settings: hosts: found no local socket; accepted is a list with fd:// or "
            "unix:///run/docker.sock in it, without which neither docker nor this role reaches the engine."
        )
    found = engine.flags.get("hosts")
    if not found:
        return problems
    if engine.exec_start_hidden is not None:
        problems.append(
            f"hosts: {engine.unit} gives the flag -H too, and its command cannot be repeated in a drop-in: "
            f"{engine.exec_start_hidden}. Move those settings out of the command."
        )
    elif parse_flags(list(engine.exec_start)).get("hosts") != found:
        problems.append(
            f"hosts: a variable of {engine.unit} (an environment file or a drop-in) gives the flag -H, and "
            "the engine does not start with hosts in its flags and in its file. Remove the flag there."
        )
    return problems


def _texts(value: Any) -> list[str]:
    """A list's elements as text; what is no list is refused elsewhere, by its type."""
    return [str(item) for item in value] if isinstance(value, list) else []


def _missing_for_clients_certificates(engine: Engine) -> list[str]:
    missing = [] if engine.configured("tlsverify") is True else ["tlsverify: true"]
    return missing + [name for name in _TLS_PATHS if not engine.configured(name)]


def _without_hosts(engine: Engine) -> list[str]:
    """``dockerd -H fd:// --host=tcp://[::1]:1 --x`` -> ``dockerd --x``."""
    words, kept = list(engine.exec_start), []
    while words:
        word = words.pop(0)
        if word in ("-H", "--host"):
            words[:1] = []
        elif not word.startswith(("-H", "--host=")):
            kept.append(word)
    return kept


def _quoted(word: str) -> str:
    """A word as ExecStart= takes it; `systemctl show` has put specifiers in, so that % stands for itself."""
    text = word.replace("%", "%%")
    if _PLAIN_WORD.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
