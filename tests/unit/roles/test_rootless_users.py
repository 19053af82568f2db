# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the role: defaults, argument specs, README and modules say the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_apparmor import grant_file
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_model import (
    AppArmorFacts,
    Program,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_plan import decide
from ansible_collections.bulkhead.hardening.plugins.module_utils._rootless_session import LINGER_DIRECTORY
from ansible_collections.bulkhead.hardening.plugins.module_utils._subid_run import OPTIONS as SUBID_OPTIONS
from ansible_collections.bulkhead.hardening.plugins.modules import (
    engine_proof,
    rootless_users_activate,
    subid,
)
from unit.role_files import Role, rendered
from unit.rootless_samples import CONVERGED, HOST_FACTS, WANTED

ROLE = Role("rootless_users")
PROGRAM = "/opt/docker/rootlesskit"


def test_the_modules_take_what_the_role_gives_them() -> None:
    wanted = rendered(ROLE.yaml("vars/main.yml")["__rootless_users_wanted"], **ROLE.yaml("defaults/main.yml"))
    specification = rootless_users_activate.ARGUMENT_SPEC
    assert set(wanted) == set(specification) - {"drop_in_changed", "checkpoint"}
    for name, value in wanted.items():
        if name in ("users", "restart_session", "missing_programs"):
            continue
        if name == "subids":
            assert value == {key: option["default"] for key, option in SUBID_OPTIONS.items()}
            continue
        assert value == specification[name].get("default")
    assert wanted["missing_programs"] == "error"
    assert wanted["restart_session"] is False


def test_choices_and_suboptions_are_those_of_the_modules() -> None:
    options = ROLE.options()
    spec = rootless_users_activate.ARGUMENT_SPEC
    assert options["rootless_users_namespaces"]["choices"] == spec["namespaces"]["choices"]
    assert options["rootless_users_delegate"]["choices"] == spec["delegate"]["choices"]
    assert set(options["rootless_users_reserved"]["options"]) == set(
        subid.ARGUMENT_SPEC["reserved"]["options"]
    )
    proof = options["rootless_users_proof"]["options"]
    assert set(proof) == set(engine_proof.ARGUMENT_SPEC) - {"users"}
    for name in ("cpus", "memory_mib", "pids"):
        assert proof[name]["default"] == engine_proof.ARGUMENT_SPEC[name]["default"]


def test_what_is_allowed_is_what_is_done() -> None:
    variables = {**ROLE.yaml("defaults/main.yml"), "rootless_users_allow": ["restart_session"]}
    wanted = rendered(ROLE.yaml("vars/main.yml")["__rootless_users_wanted"], **variables)
    assert wanted["restart_session"] is True
    assert wanted["subids"]["migrate"] is False
    variables["rootless_users_allow"] = ["migrate_storage"]
    wanted = rendered(ROLE.yaml("vars/main.yml")["__rootless_users_wanted"], **variables)
    assert wanted["subids"]["migrate"] is True
    task = next(task for task in ROLE.yaml("tasks/configure.yml") if "bulkhead.hardening.subid" in task)
    assert {
        name: rendered(value, __rootless_users_wanted=wanted)
        for name, value in task["bulkhead.hardening.subid"].items()
        if name not in ("users", "checkpoint")
    } == wanted["subids"]


def test_every_file_that_the_role_writes_is_in_its_checkpoint() -> None:
    facts = AppArmorFacts(restricted=True, programs=(Program("/usr/bin/podman"), Program(PROGRAM)))
    plan = decide(WANTED, replace(HOST_FACTS, apparmor=facts), [CONVERGED])
    managed = rendered(
        ROLE.yaml("vars/managed.yml")["managed"]["files"],
        rootless_users_names=["amber"],
        rootless_users_programs=[PROGRAM],
    )
    assert {file["path"] for file in plan.files} <= set(managed)
    assert grant_file(PROGRAM) in managed
    assert f"{LINGER_DIRECTORY}/amber" in managed


def test_a_rollback_takes_no_subordinate_ids_back() -> None:
    """Files of containers would lose their owner, and the next user who gets the range would own them."""
    assert "/etc/subuid" not in rendered(ROLE.yaml("vars/managed.yml")["managed"]["files"])


def test_a_converged_run_makes_three_remote_calls() -> None:
    """Look, files, proof; what acts is left out when there is nothing to do."""
    modules = [
        module
        for name in ("preflight", "configure", "verify")
        for task in ROLE.yaml(f"tasks/{name}.yml")
        for module in task
        if module.startswith("bulkhead.hardening.")
    ]
    assert len(modules) == 4
    allocate = ROLE.yaml("tasks/configure.yml")[0]
    assert "bulkhead.hardening.subid" in allocate
    for added, migrated in (([], []), (["x"], []), ([], ["amber"])):
        found = {"subids": {"added": added, "migrated": migrated}}
        done = rendered(f"{{{{ {allocate['when']} }}}}", __rootless_users_found=found)
        assert done is bool(added or migrated)
    [activate] = ROLE.yaml("tasks/activate.yml")
    variables: dict[str, Any] = {
        "__rootless_users_found": {"steps": []},
        "__rootless_users_configured": {"changed": False},
        "__rootless_users_given": {"changed": False},
    }
    assert rendered(f"{{{{ {activate['when']} }}}}", **variables) is False
    for name in variables:
        changed = {**variables, name: {"steps": ["x"], "changed": True}}
        assert rendered(f"{{{{ {activate['when']} }}}}", **changed) is True
