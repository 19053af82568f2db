# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds the engine, on a made-up host: check, real, check again, real again."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import RULES_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules_load import load_own_rules
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host import (
    NEEDRESTART_PATH,
    UPGRADES_PATH,
    DockerHostError,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host_port import DockerHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed
from ansible_collections.bulkhead.hardening.plugins.modules.docker_engine_host import run
from unit.fake_system import FakeSystem

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can set owners")

STATUS = "enabled 1\nfailure 1\npid 345\n"


class AuditedSystem(FakeSystem):
    """A host whose kernel keeps audit rules, and whose group has a list."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.rules: list[str] = []
        self.status = STATUS
        for uid, name in ((os.getuid(), "root"), (1001, "bob")):
            self.add_account(name, uid)
        self.add_group("root", os.getgid())
        self.refused: str | None = None

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        self.ran.append(tuple(argv))
        answer = self._answer(list(argv))
        if answer is None:
            return super().run(argv, **options)
        if self.refused is not None and self.refused in argv:
            return Completed(tuple(argv), 1, "", "refused")
        return Completed(tuple(argv), 0, answer, "")

    def _answer(self, argv: list[str]) -> str | None:
        if argv == ["auditctl", "-s"]:
            return self.status
        if argv == ["auditctl", "-l"]:
            return "".join(f"-a {rule}\n" for rule in self.rules) or "No rules\n"
        if argv[:2] == ["auditctl", "-a"]:
            self.rules.append(" ".join(argv[2:]))
            return ""
        if argv[:2] == ["auditctl", "-d"]:
            self.rules = [rule for rule in self.rules if rule != " ".join(argv[2:])]
            return ""
        if argv[:2] == ["gpasswd", "--delete"]:
            members = [name for name in self.groups[argv[3]].gr_mem if name != argv[2]]
            self.add_group(argv[3], self.groups[argv[3]].gr_gid, members)
            return ""
        return None


@pytest.fixture
def system(tmp_path: Path) -> AuditedSystem:
    system = AuditedSystem(tmp_path)
    system.write("/usr/sbin/auditctl").chmod(0o755)
    for directory in ("/etc/audit/rules.d", "/etc/needrestart/conf.d", "/etc/apt/apt.conf.d"):
        system.local(directory).mkdir(parents=True)
    system.write("/etc/docker/daemon.json", "{}").chmod(0o666)
    system.local("/etc/docker").chmod(0o755)
    system.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1001:999::/home/bob:/bin/sh\n")
    system.add_group("docker", 999, ["alice", "bob"])
    return system


DAEMON_JSON = {"path": "/etc/docker/daemon.json", "mode": "0644", "owner": "root", "group": "root"}


def _run(system: FakeSystem, *, check: bool = False, **options: Any) -> dict[str, Any]:
    params: Mapping[str, Any] = {
        "permissions": [
            {"mode": None, "owner": None, "group": None, "exact": False, **item}
            for item in options.pop("permissions", [])
        ],
        "audit": [{"recursive": False, "expected": False, **item} for item in options.pop("audit", [])],
        "group": "docker",
        "members_removed": [],
        "needrestart": "left_alone",
        "unattended_upgrades": "left_alone",
        "reload_units": [],
        "checkpoint": None,
        **options,
    }
    module: Any = SimpleNamespace(params=params, check_mode=check)
    return run(module, DockerHost(system, str(system.directory)))


EVERYTHING: dict[str, Any] = {
    "permissions": [DAEMON_JSON],
    "audit": [{"path": "/etc/docker", "recursive": True}, {"path": "/etc/docker/daemon.json"}],
    "members_removed": ["bob", "carol"],
    "needrestart": "deferred",
    "unattended_upgrades": "excluded",
}


def test_the_four_runs(system: AuditedSystem) -> None:
    predicted = _run(system, check=True, **EVERYTHING)
    assert predicted["changed"]
    assert system.rules == []
    assert stat.S_IMODE(system.local("/etc/docker/daemon.json").stat().st_mode) == 0o666
    assert not system.local(RULES_PATH).exists()

    done = _run(system, **EVERYTHING)
    assert done == predicted
    assert stat.S_IMODE(system.local("/etc/docker/daemon.json").stat().st_mode) == 0o644
    assert len(system.rules) == 2
    assert "-F dir=/etc/docker " in system.local(RULES_PATH).read_text()
    assert r"{qr(^docker\.service$)} = 0;" in system.local(NEEDRESTART_PATH).read_text()
    assert '"docker\\.io$";' in system.local(UPGRADES_PATH).read_text()
    assert system.groups["docker"].gr_mem == ["alice"]

    for check in (True, False):
        assert not _run(system, check=check, **EVERYTHING)["changed"]


def test_everything_of_ours_goes_when_it_is_not_wanted(system: AuditedSystem) -> None:
    system.rules = ["always,exit -F path=/usr/bin/runc -F perm=wa -F key=mine"]
    _run(system, **EVERYTHING)
    assert _run(system)["changed"]
    assert system.rules == ["always,exit -F path=/usr/bin/runc -F perm=wa -F key=mine"]
    for path in (RULES_PATH, NEEDRESTART_PATH, UPGRADES_PATH):
        assert not system.local(path).exists()
    assert system.groups["docker"].gr_mem == ["alice"]  # nobody is put back in


@pytest.mark.skipif(shutil.which("perl") is None, reason="needrestart's files are Perl")
def test_needrestart_defers_the_engine_and_nothing_else(system: AuditedSystem) -> None:
    _run(system, needrestart="deferred")
    program = (
        "use strict; our %nrconf; our $text = do { local $/; <STDIN> }; eval $text; die $@ if $@;"
        "foreach my $service (@ARGV) { foreach my $rule (keys %{$nrconf{override_rc}}) {"
        'print "$service $nrconf{override_rc}{$rule}\n" if $service =~ /$rule/; } }'
    )
    services = ["docker.service", "containerd.service"]
    services += ["docker.socket", "docker-registry.service", "mydocker.service", "containerd-other.service"]
    ended = subprocess.run(
        ["perl", "-e", program, *services],
        input=system.local(NEEDRESTART_PATH).read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == ["docker.service 0", "containerd.service 0"]


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o600, 0o600), (0o777, 0o644), (0o640, 0o640), (0o4755, 0o644)]
)
def test_a_mode_only_loses_bits(system: AuditedSystem, mode: int, expected: int) -> None:
    path = system.local("/etc/docker/daemon.json")
    path.chmod(mode)
    outcome = _run(system, permissions=[DAEMON_JSON])
    assert stat.S_IMODE(path.stat().st_mode) == expected
    assert outcome["changed"] == (mode != expected)


def test_a_mode_that_is_named_is_set_exactly(system: AuditedSystem) -> None:
    path = system.local("/etc/docker/daemon.json")
    path.chmod(0o600)
    _run(system, permissions=[{"path": "/etc/docker/daemon.json", "mode": "0660", "exact": True}])
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_link_and_a_shared_directory_are_left(system: AuditedSystem) -> None:
    target = system.write("/srv/other", "secret")
    target.chmod(0o666)
    system.link("/etc/docker/linked", "/srv/other")
    system.write("/shared/key.pem").chmod(0o666)
    system.local("/shared").chmod(0o777)
    limits = [{**DAEMON_JSON, "path": path} for path in ("/etc/docker/linked", "/shared/key.pem", "/no/file")]
    outcome = _run(system, permissions=limits)
    assert not outcome["changed"]
    assert "symbolic link" in outcome["pending"]["/etc/docker/linked"]
    assert "others than root can write to /shared" in outcome["pending"]["/shared/key.pem"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o666


def test_a_directory_of_somebody_else_is_left(system: AuditedSystem) -> None:
    system.write("/home/bob/key.pem").chmod(0o666)
    os.chown(system.local("/home/bob"), 1001, 1001)
    outcome = _run(system, permissions=[{**DAEMON_JSON, "path": "/home/bob/key.pem"}])
    assert not outcome["changed"]
    assert "others than root can write to /home/bob" in outcome["pending"]["/home/bob/key.pem"]


@pytest.mark.parametrize("path", ["/home/bob/docker/key.pem", "/srv/docker/key.pem"])
def test_a_directory_that_somebody_else_can_replace_is_left(system: AuditedSystem, path: str) -> None:
    key = system.write("/home/bob/docker/key.pem")
    key.chmod(0o666)
    os.chown(system.local("/home/bob"), 1001, 1001)
    system.link("/srv/docker", "../home/bob/docker")
    outcome = _run(system, permissions=[{**DAEMON_JSON, "path": path}])
    assert not outcome["changed"]
    assert f"user 1001 can replace a directory on the way to {path}" in outcome["pending"][path]
    assert stat.S_IMODE(key.stat().st_mode) == 0o666


def test_a_directory_below_one_that_everybody_can_write_is_left(system: AuditedSystem) -> None:
    system.write("/shared/docker/key.pem").chmod(0o666)
    system.local("/shared").chmod(0o777)
    outcome = _run(system, permissions=[{**DAEMON_JSON, "path": "/shared/docker/key.pem"}])
    assert not outcome["changed"]
    assert "/shared: others than its owner can write it" in outcome["pending"]["/shared/docker/key.pem"]


def test_a_name_that_does_not_exist_is_refused_before_anything_changes(system: AuditedSystem) -> None:
    limits = [DAEMON_JSON, {"path": "/etc/docker", "group": "no-such-group"}]
    with pytest.raises(
        DockerHostError, match="group no-such-group, which does not exist.*Nothing was changed"
    ):
        _run(system, permissions=limits)
    assert stat.S_IMODE(system.local("/etc/docker/daemon.json").stat().st_mode) == 0o666


def test_a_mode_that_is_no_mode_is_refused(system: AuditedSystem) -> None:
    with pytest.raises(DockerHostError, match="mode: found 'rw', accepted is an octal text"):
        _run(system, permissions=[{**DAEMON_JSON, "mode": "rw"}])


def test_without_auditd_no_rule_is_written(system: AuditedSystem) -> None:
    system.local("/etc/audit/rules.d").rmdir()
    outcome = _run(system, audit=EVERYTHING["audit"], needrestart="deferred")
    assert outcome["notices"] == [f"{RULES_PATH}: left out, auditd is not installed."]
    assert outcome["watched"] == []
    assert system.rules == []


def test_rules_wait_for_auditd(system: AuditedSystem) -> None:
    system.status = "enabled 1\npid 0\n"
    outcome = _run(system, audit=EVERYTHING["audit"])
    assert "auditd does not run" in outcome["pending"]["audit rules"]
    assert system.local(RULES_PATH).exists()
    assert system.rules == []


def test_only_what_is_there_is_watched(system: AuditedSystem) -> None:
    outcome = _run(system, audit=[{"path": "/usr/bin/runc"}, {"path": "/etc/a b"}, {"path": "/etc/docker/"}])
    assert outcome["watched"] == ["/etc/docker"]


def test_what_the_run_makes_counts_in_check_mode_and_has_to_be_there_in_a_real_run(
    system: AuditedSystem,
) -> None:
    audit = [{"path": "/etc/docker/new.json", "expected": True}]
    assert _run(system, check=True, audit=audit)["watched"] == ["/etc/docker/new.json"]
    assert _run(system, audit=audit)["watched"] == []
    system.write("/etc/docker/new.json")
    assert _run(system, audit=audit)["watched"] == ["/etc/docker/new.json"]


def test_a_rule_that_the_kernel_refuses_is_an_error(system: AuditedSystem) -> None:
    system.refused = "path=/etc/docker/daemon.json"
    with pytest.raises(DockerHostError, match="auditctl -a .*exit status 1: refused"):
        _run(system, audit=EVERYTHING["audit"])


def test_a_rule_that_does_not_come_up_is_an_error(
    system: AuditedSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DockerHost, "load_rule", lambda _host, path, recursive: None)
    with pytest.raises(DockerHostError, match="not as wanted afterwards: the audit rule for /etc/docker"):
        _run(system, audit=EVERYTHING["audit"])


def test_a_primary_group_cannot_be_taken_away(system: AuditedSystem) -> None:
    outcome = _run(system, members_removed=["bob"])
    assert "primary group of bob" in outcome["pending"]["member bob"]
    assert system.groups["docker"].gr_mem == ["alice"]


@pytest.mark.parametrize(("answer", "reloads"), [("yes", True), ("no", False)])
def test_systemd_reads_units_again_only_where_they_are_newer(
    system: AuditedSystem, answer: str, *, reloads: bool
) -> None:
    show = ("systemctl", "show", "docker.socket", "--property", "NeedDaemonReload")
    system.answers[show] = f"NeedDaemonReload={answer}\n"
    system.answers["systemctl", "daemon-reload"] = ""
    assert _run(system, reload_units=["docker.socket"])["changed"] == reloads
    assert (("systemctl", "daemon-reload") in system.ran) == reloads


def test_a_restore_makes_the_kernel_s_rules_those_of_the_file(system: AuditedSystem) -> None:
    host = DockerHost(system, str(system.directory))
    _run(system, audit=EVERYTHING["audit"])
    text = system.local(RULES_PATH).read_text()
    system.local(RULES_PATH).unlink()
    assert len(load_own_rules(host)) == 2
    assert system.rules == []
    system.write(RULES_PATH, text)
    assert load_own_rules(host) == [
        "audit rule loaded: /etc/docker",
        "audit rule loaded: /etc/docker/daemon.json",
    ]
    assert load_own_rules(host) == []
    system.local("/usr/sbin/auditctl").unlink()
    assert load_own_rules(host) == []
