# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Ansible inventory of the machines that are up."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from lab.cache import Keys
from lab.ssh import ADDRESS, ssh_options


def inventory_text(ports: Mapping[str, int], *, keys: Keys, known_hosts: Path) -> str:
    """YAML with one group, `lab`; ports by instance name. Host keys are checked against the lab's file."""
    lines = ["---", "# Written by `python -m lab`; lists the machines that are up.", "lab:"]
    lines += ["  hosts:" if ports else "  hosts: {}"]
    for name, port in sorted(ports.items()):
        lines.append(f"    {json.dumps(name)}:")
        lines.append(f"      ansible_port: {port}")
    shared = {
        "ansible_host": ADDRESS,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.login),
        "ansible_ssh_common_args": shlex.join(ssh_options(known_hosts)),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    lines.append("  vars:")
    lines += [f"    {variable}: {json.dumps(value)}" for variable, value in shared.items()]
    return "\n".join(lines) + "\n"
