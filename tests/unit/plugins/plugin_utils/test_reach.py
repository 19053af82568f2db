# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container can do to its host: each statement follows from one fact, and is absent without it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._reach import container_summaries, reach

FIXTURES = Path(__file__).parents[2] / "fixtures"

CONFINED: dict[str, Any] = {
    "name": "web",
    "short_id": "a" * 12,
    "image": "shop:1",
    "engine": "docker",
    "user": "root",
    "sandbox": None,
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": []},
    "seccomp": {"mode": "filter", "filters": 1},
    "lsm": {"name": "apparmor", "label": "docker-default", "mode": "enforce"},
    "user_namespace": {"host": False, "root_is_host_root": False, "uid_map": []},
    "namespaces": {name: "private" for name in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")},
    "mounts": [{"source": "/srv", "destination": "/srv", "read_only": False, "sensitive": None}],
    "devices": [],
    "privileged": {"in_force": False, "reasons": []},
}
ROOT = {"host": True, "root_is_host_root": True, "uid_map": []}


def with_facts(**facts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CONFINED), **facts}


def mounted(kind: str, *, read_only: bool = False) -> dict[str, Any]:
    mount = {"source": "/x", "destination": "/y", "read_only": read_only, "sensitive": kind}
    return with_facts(mounts=[mount])


def test_confined_container_reaches_nothing() -> None:
    assert reach(CONFINED) == []


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (with_facts(privileged={"in_force": True}, user_namespace=ROOT), "is root on the host"),
        (with_facts(privileged={"in_force": True}), "inside its own user namespace"),
        (mounted("engine_socket", read_only=True), "can give orders to the engine over /x"),
        (mounted("root"), "can write to the host's root directory (/x)"),
        (mounted("root", read_only=True), "can read the host's root directory (/x)"),
        (with_facts(devices=[f"/dev/sd{n}" for n in range(9)]), "/dev/sd3 and 5 more"),
        (with_facts(user_namespace=ROOT), "has the host's user id 0"),
        (with_facts(user_namespace=ROOT, capabilities={"bounding": ["CAP_SYS_MODULE"]}), "CAP_SYS_MODULE"),
        (with_facts(namespaces={"pid": "host"}), "sees the host's processes"),
        (with_facts(namespaces={"net": "host"}), "uses the host's network"),
        (with_facts(seccomp={"mode": "disabled", "filters": 0}), "every system call"),
        (with_facts(lsm={"mode": "unconfined"}), "confined by no LSM"),
        (with_facts(mounts={"unreadable": "denied"}), "unknown: mounts could not be read (denied)"),
        (with_facts(sandbox="gvisor"), "gvisor sandbox"),
        ({"unreadable": "it ended"}, "unknown: it ended"),
    ],
)
def test_statement(container: dict[str, Any], words: str) -> None:
    assert any(words in statement for statement in reach(container))


def test_capabilities_over_its_own_user_namespace_do_not_reach_the_host() -> None:
    held = {"bounding": ["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]}
    assert reach(with_facts(capabilities=held)) == []


def test_tracing_takes_both_the_namespace_and_the_capability() -> None:
    both = with_facts(namespaces={"pid": "host"}, capabilities={"bounding": ["CAP_SYS_PTRACE"]})
    assert any("CAP_SYS_PTRACE" in statement for statement in reach(both))
    assert not any(
        "CAP_SYS_PTRACE" in statement for statement in reach(with_facts(**{"namespaces": {"pid": "host"}}))
    )


def test_summary() -> None:
    (summary,) = container_summaries(
        {"containers": [with_facts(capabilities={"bounding": ["CAP_CHOWN", "CAP_BPF"]}, init={"pid": 7})]}
    )
    assert summary == {
        "name": "web",
        "image": "shop:1",
        "engine": "docker",
        "user": "root",
        "init": {"pid": 7},
        "privileged": False,
        "root_is_host_root": False,
        "reach": [],
        "capabilities": ["CAP_BPF"],
    }


@pytest.mark.parametrize("containers", [None, {"unreadable": "denied"}, [], ["x"]])
def test_without_containers(containers: Any) -> None:
    assert container_summaries({"containers": containers}) == []


def test_facts_of_a_sandbox_stay_what_they_are() -> None:
    hidden = {"not_applicable": "gVisor: /proc shows the sandbox"}
    (summary,) = container_summaries({"containers": [with_facts(privileged=hidden, capabilities=hidden)]})
    assert summary["privileged"] == hidden
    assert summary["capabilities"] == []


def test_recorded_host() -> None:
    """The container of the recording that was started privileged, with the engine's socket."""
    posture = json.loads((FIXTURES / "posture_careless.json").read_text(encoding="utf-8"))
    by_name = {summary["name"]: summary for summary in container_summaries(posture)}
    statements = " ".join(by_name["agent"]["reach"])
    assert "is root on the host" in statements
    assert "orders to the engine over /run/docker.sock" in statements
    assert by_name["web"]["reach"] == ["root in it has the host's user id 0, should it get out"]
