# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would keep the engine from starting again, looked for on the host just before it is stopped.

``dockerd --validate`` does not read the seccomp profile, and sees the flags of its own call only (moby
``daemon/daemon_unix.go`` and ``daemon/command/daemon.go`` at docker-v29.7.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_references import (
    plugin_problems,
    profile_problems,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import (
    configuration_path,
    conflicts,
    parse_flags,
    read_configuration_file,
)

__all__ = ["start_problems"]


def start_problems(system: System, command: Sequence[str]) -> list[str]:
    """Sentences about the file and the command line of the engine's next start; empty: nothing was found.

    :param command: the argument list that systemd will start
    """
    path = configuration_path(list(command))
    try:
        file = read_configuration_file(system, path)
    except PortError as error:
        return [f"{path}: {error}"]
    if file.error is not None:
        return [f"{path}: {file.error}"]
    flags = parse_flags(list(command))
    problems = [
        f"{path}: {name}: the service's command gives it as a flag too, and the engine takes one of them only"
        for name in conflicts(file.settings, flags)
    ]
    settings = {**flags, **file.settings}
    return [
        *problems,
        *profile_problems(system, settings.get("seccomp-profile")),
        *plugin_problems(system, settings),
    ]
