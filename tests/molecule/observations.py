# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the checks of the molecule scenarios ask a machine, and what was recorded of the runs before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from testinfra.host import Host

IMAGE = "localhost/busybox:1"


def info(host: Host) -> dict[str, Any]:
    """What the engine says of itself."""
    answer: dict[str, Any] = json.loads(host.check_output("docker info --format '{{json .}}'"))
    return answer


def status_of_new_container(host: Host) -> dict[str, str]:
    """/proc/self/status and the open-files limit in a container that is started for it."""
    text = host.check_output(
        f"docker run --rm {IMAGE} /bin/busybox sh -c "
        "'/bin/busybox cat /proc/self/status; /bin/busybox grep \"open files\" /proc/self/limits'"
    )
    lines = text.splitlines()
    status = {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines) if value}
    return {**status, "limits": lines[-1]}


def process_of_web(host: Host) -> str:
    """Process id and start time of the ordinary container, now."""
    pid = host.check_output("docker inspect --format '{{.State.Pid}}' web")
    stat = host.check_output(f"cat /proc/{pid}/stat")
    return f"{pid} {stat.rpartition(')')[2].split()[19]}"


def admins_rule_is_in_force(host: Host) -> bool:
    """Whether forwarded packets still meet the rule that prepare.yml put into the chain DOCKER-USER."""
    rules = host.check_output("iptables --list-rules").splitlines()
    return "-A FORWARD -j DOCKER-USER" in rules and "-A DOCKER-USER -s 198.51.100.0/24 -j DROP" in rules


def records() -> list[dict[str, Any]]:
    """What the callback recorded, oldest first."""
    paths = sorted(Path(os.environ["BULKHEAD_RECORD_DIRECTORY"]).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def converges() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The records of check, converge and idempotence."""
    runs = [record for record in records() if record["playbook"] == "converge.yml"]
    check = next(record for record in runs if record["check"])
    converge, again = [record for record in runs if not record["check"]][:2]
    return check, converge, again


def changes(record: dict[str, Any], host: str) -> dict[str, Any]:
    """What each task that changed something showed as its difference, by the task's name."""
    return {task["task"]: task["diff"] for task in record["hosts"][host] if task["changed"]}


def assert_predicted(host: Host) -> None:
    """Check mode told of every change that was made, and of no other."""
    name = host.backend.get_hostname()
    check, converge, _again = converges()
    assert changes(converge, name)
    assert changes(check, name) == changes(converge, name)


def assert_converged(host: Host, *, most_calls: int) -> None:
    """The second run changed nothing, and made few remote calls."""
    name = host.backend.get_hostname()
    _check, _converge, again = converges()
    assert changes(again, name) == {}
    assert 0 < sum(task["remote"] for task in again["hosts"][name]) <= most_calls
