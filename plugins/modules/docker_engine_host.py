#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Harden what surrounds a Docker engine: modes and owners, audit rules, group members, what restarts it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine_host
short_description: Harden what surrounds a Docker engine on its host
version_added: "0.2.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Takes rights away from the files that decide on the engine, and gives none. A symbolic link, or a file in
    a directory that others than root can write to, is left and reported as pending.
  - Writes audit rules for the engine's files to C(/etc/audit/rules.d/50-bulkhead-docker.rules), loads those
    that are missing one by one, so that rules that somebody loaded by hand stay, and verifies what the kernel
    lists.
  - Takes single accounts out of the socket's group.
  - Keeps needrestart and unattended-upgrades from restarting the engine, by files of its own.
  - Looks at everything first, then acts. Everything is done in one call.
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
options:
  permissions:
    description: Files, and what they may be at most. One that is not there is left out.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      mode:
        description: The bits that it may have, as an octal text. Bits beyond are taken away.
        type: str
      owner:
        description: Its owner.
        type: str
      group:
        description: Its group.
        type: str
      exact:
        description: Set exactly O(permissions[].mode), also where that gives a right.
        type: bool
        default: false
  audit:
    description: Paths that are to be watched for changes. Empty takes all rules of this module away.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The path. One that is not there, or has white space in its name, is left out.
        type: str
        required: true
      recursive:
        description: Whether everything below a directory is watched too.
        type: bool
        default: false
      expected:
        description: Whether it is there by now in a real run, so that check mode counts it.
        type: bool
        default: false
  group:
    description: The group whose members reach the engine's socket.
    type: str
    default: docker
  members_removed:
    description: Accounts that are taken out of the group.
    type: list
    elements: str
    default: []
  needrestart:
    description: V(deferred) keeps needrestart from restarting the engine, V(left_alone) takes our file away.
    type: str
    choices: [deferred, left_alone]
    default: left_alone
  unattended_upgrades:
    description:
      - V(excluded) keeps unattended-upgrades from upgrading the engine, V(left_alone) takes our file away.
    type: str
    choices: [excluded, left_alone]
    default: left_alone
  reload_units:
    description: Units for which systemd is to read its files again where they are newer.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Predicts what a real run does.
    support: full
  diff_mode:
    description: Shows what changes, a line each.
    support: full
"""

EXAMPLES = r"""
- name: Take rights away, and watch the engine's configuration
  bulkhead.hardening.docker_engine_host:
    permissions:
      - path: /etc/docker/daemon.json
        mode: "0644"
        owner: root
        group: root
    audit:
      - path: /etc/docker
        recursive: true
    members_removed: [bob]
"""

RETURN = r"""
pending:
  description: What was not done, or is not in force yet, each with the reason.
  returned: success
  type: dict
  sample: {"audit rules": "auditd does not run; its rules are loaded when it starts"}
notices:
  description: What was left out because the host has no use for it.
  returned: success
  type: list
  elements: str
watched:
  description: The paths that the audit's rules of this module name.
  returned: success
  type: list
  elements: str
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import (
    RULES_PATH,
    AuditPlan,
    decide_audit,
    rules_text,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host import (
    NEEDRESTART_PATH,
    DockerHostError,
    Found,
    Limit,
    OwnFile,
    PermissionStep,
    decide_permissions,
    own_file_steps,
    restart_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host_port import DockerHost
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing

ARGUMENT_SPEC: dict[str, Any] = {
    "permissions": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "exact": {"type": "bool", "default": False},
        },
    },
    "audit": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "recursive": {"type": "bool", "default": False},
            "expected": {"type": "bool", "default": False},
        },
    },
    "group": {"type": "str", "default": "docker"},
    "members_removed": {"type": "list", "elements": "str", "default": []},
    "needrestart": {"type": "str", "choices": ["deferred", "left_alone"], "default": "left_alone"},
    "unattended_upgrades": {"type": "str", "choices": ["excluded", "left_alone"], "default": "left_alone"},
    "reload_units": {"type": "list", "elements": "str", "default": []},
    "checkpoint": {"type": "str"},
}

RULES_MODE = 0o640
OWN_FILE_MODE = 0o644
_PROGRAMS = {RULES_PATH: "auditd", NEEDRESTART_PATH: "needrestart"}


@dataclass
class HostPlan:
    """What a run does, decided before the first change."""

    permissions: list[PermissionStep] = field(default_factory=list)
    files: list[OwnFile] = field(default_factory=list)
    audit: AuditPlan = field(default_factory=lambda: AuditPlan((), (), None))
    watched: dict[str, bool] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    reload: bool = False
    pending: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def lines(self) -> tuple[list[str], list[str]]:
        """Before and after, a line for each change."""
        before = [f"{step.path}: {_shown(step.before)}" for step in self.permissions]
        after = [f"{step.path}: {_shown(step.after)}" for step in self.permissions]
        for file in self.files:
            before += [f"{file.path}: {line}" for line in (file.found or "").splitlines()]
            after += [f"{file.path}: {line}" for line in (file.text or "").splitlines()]
        before += [f"audit rule: {path}" for path in self.audit.remove]
        after += [f"audit rule: {path}" for path in self.audit.load]
        before += [f"member of the group: {name}" for name in self.members]
        after += ["systemctl daemon-reload"] if self.reload else []
        return before, after


def _shown(found: Found) -> str:
    return f"{found.owner}:{found.group} {found.mode:04o}"


def decide(host: DockerHost, params: dict[str, Any], *, check_mode: bool) -> HostPlan:
    """Look at the host, and plan."""
    plan = HostPlan()
    limits = [_limit(item) for item in params["permissions"]]
    for limit in limits:
        host.check_names(limit.owner, limit.group)
    found = {limit.path: host.found(limit.path) for limit in limits}
    plan.permissions, plan.pending = decide_permissions(limits, found)
    audit = {
        item["path"].rstrip("/") or "/": item["recursive"]
        for item in params["audit"]
        if not any(character.isspace() for character in item["path"])
        and (host.exists(item["path"]) or (check_mode and item["expected"]))
    }
    _plan_audit(host, audit, plan)
    wanted = restart_files(
        needrestart=params["needrestart"], unattended_upgrades=params["unattended_upgrades"]
    )
    _plan_files(host, wanted, plan)
    _plan_members(host, params, plan)
    plan.reload = any(host.needs_daemon_reload(unit) for unit in params["reload_units"])
    return plan


def _limit(item: dict[str, Any]) -> Limit:
    mode: Optional[int] = None
    if item["mode"] is not None:
        try:
            mode = int(item["mode"], 8)
        except ValueError:
            raise DockerHostError(
                f"{item['path']}: mode: found {item['mode']!r}, accepted is an octal text such as "
                '"0644". Nothing was changed.'
            ) from None
    return Limit(item["path"], mode, item["owner"], item["group"], item["exact"])


def _plan_audit(host: DockerHost, watched: dict[str, bool], plan: HostPlan) -> None:
    plan.watched = watched
    _plan_files(host, {RULES_PATH: rules_text(plan.watched) if plan.watched else None}, plan)
    if not host.has_directory_of(RULES_PATH) or host.audit_program() is None:
        plan.watched = {}
        return
    plan.audit = decide_audit(plan.watched, loaded=host.audit_rules(), status=host.audit_status())
    if plan.audit.pending is not None:
        plan.pending["audit rules"] = plan.audit.pending


def _plan_files(host: DockerHost, texts: dict[str, Optional[str]], plan: HostPlan) -> None:
    for path, text in texts.items():
        if host.has_directory_of(path):
            plan.files += own_file_steps([OwnFile(path, text, host.text(path))])
        elif text is not None:
            plan.notices.append(f"{path}: left out, {_PROGRAMS.get(path, 'apt')} is not installed.")


def _plan_members(host: DockerHost, params: dict[str, Any], plan: HostPlan) -> None:
    group, members = params["group"], host.members(params["group"])
    for name in params["members_removed"]:
        if name in members:
            plan.members.append(name)
        if host.has_primary_group(name, group):
            plan.pending[f"member {name}"] = (
                f"{group} is the primary group of {name}; give the account another one (usermod --gid)"
            )


def act(host: DockerHost, plan: HostPlan, group: str) -> None:
    """Carry the plan out."""
    for step in plan.permissions:
        host.set_permissions(step)
    for file in plan.files:
        host.put(file, RULES_MODE if file.path == RULES_PATH else OWN_FILE_MODE)
    for path in plan.audit.remove:
        host.remove_rule(path)
    for path in plan.audit.load:
        host.load_rule(path, recursive=plan.watched[path])
    for name in plan.members:
        host.remove_member(name, group)
    if plan.reload:
        host.daemon_reload()


def verify(host: DockerHost, plan: HostPlan, group: str) -> None:
    """Read back what was changed; raise `DockerHostError` with what is not as it should be."""
    wrong = [
        step.path
        for step in plan.permissions
        for found in [host.found(step.path)]
        if found is None or _shown(found) != _shown(step.after)
    ]
    wrong += [file.path for file in plan.files if host.text(file.path) != file.text]
    if plan.audit.load or plan.audit.remove:
        again = decide_audit(plan.watched, loaded=host.audit_rules(), status=host.audit_status())
        wrong += [f"the audit rule for {path}" for path in (*again.load, *again.remove)]
    wrong += [f"member {name} of {group}" for name in plan.members if name in host.members(group)]
    if wrong:
        raise DockerHostError(f"changed, and not as wanted afterwards: {', '.join(wrong)}")


def run(module: AnsibleModule, host: DockerHost) -> dict[str, Any]:
    """Look, decide, act unless in check mode, read back."""
    plan = decide(host, module.params, check_mode=module.check_mode)
    before, after = plan.lines()
    outcome: dict[str, Any] = {
        "changed": before != after,
        "pending": plan.pending,
        "notices": plan.notices,
        "watched": sorted(plan.watched),
        "diff": {"before": _text(before), "after": _text(after)},
    }
    if outcome["changed"] and not module.check_mode:
        with changing(module.params["checkpoint"]):
            act(host, plan, module.params["group"])
        verify(host, plan, module.params["group"])
    return outcome


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = run(module, DockerHost(System()))
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
