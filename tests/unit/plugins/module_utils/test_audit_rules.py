# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit rules of the engine's files: their text, and which of them are to be loaded."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import (
    AuditPlan,
    AuditStatus,
    decide_audit,
    own_paths,
    parse_status,
    paths_of_text,
    rules_text,
)

RUNS = AuditStatus(locked=False, daemon=345)
# as auditctl 3 prints a watch, and as auditctl 4 does; the others are not ours
LOADED = """-w /etc/docker/daemon.json -p wa -k bulkhead-docker
-a always,exit -S all -F dir=/etc/docker/ -F perm=wa -F key=bulkhead-docker
-w /usr/bin/runc -p wa -k docker
-a always,exit -S all -F path=/run/docker.sock -F perm=wa -F key=bulkhead-docker-2
-a always,exit -F arch=b64 -S execve -F key=bulkhead-docker
"""


def test_the_file_holds_a_rule_per_path() -> None:
    text = rules_text({"/usr/bin/runc": False, "/etc/docker": True})
    assert text.splitlines()[1:] == [
        "-a always,exit -F dir=/etc/docker -F perm=wa -F key=bulkhead-docker",
        "-a always,exit -F path=/usr/bin/runc -F perm=wa -F key=bulkhead-docker",
    ]


def test_the_text_gives_its_paths_back() -> None:
    paths = {"/usr/bin/runc": False, "/etc/docker": True}
    assert paths_of_text(rules_text(paths)) == paths
    assert paths_of_text("# -a x\n-w /etc/passwd -p wa -k bulkhead-docker\n") == {}


def test_only_our_rules_are_ours() -> None:
    assert own_paths(LOADED) == {"/etc/docker/daemon.json", "/etc/docker"}
    assert own_paths("No rules\n") == set()


def test_what_is_missing_is_loaded_and_what_is_left_over_goes() -> None:
    plan = decide_audit(["/etc/docker", "/usr/bin/runc"], loaded=LOADED, status=RUNS)
    assert plan == AuditPlan(("/usr/bin/runc",), ("/etc/docker/daemon.json",), None)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(AuditStatus(locked=True, daemon=345), "locked"), (AuditStatus(locked=False, daemon=0), "does not run")],
)
def test_what_cannot_be_loaded_is_pending(status: AuditStatus, reason: str) -> None:
    plan = decide_audit(["/usr/bin/runc"], loaded="", status=status)
    assert (plan.load, plan.remove) == ((), ())
    assert reason in str(plan.pending)


def test_nothing_is_pending_when_all_is_loaded() -> None:
    locked = AuditStatus(locked=True, daemon=345)
    wanted = ["/etc/docker", "/etc/docker/daemon.json"]
    assert decide_audit(wanted, loaded=LOADED, status=locked) == AuditPlan((), (), None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("enabled 1\nfailure 1\npid 345\nrate_limit 0\n", RUNS),
        ("enabled 2\npid 345\n", AuditStatus(locked=True, daemon=345)),
        ("enabled 1\npid 0\n", AuditStatus(locked=False, daemon=0)),
    ],
)
def test_the_status_is_read(text: str, status: AuditStatus) -> None:
    assert parse_status(text) == status
