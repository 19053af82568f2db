# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the role: defaults, argument specs, README and the table of keys say the same."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.filter.docker_engine import docker_engine_wanted
from ansible_collections.bulkhead.hardening.plugins.module_utils._audit_rules import RULES_PATH
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_host import (
    NEEDRESTART_PATH,
    UPGRADES_PATH,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS
from ansible_collections.bulkhead.hardening.plugins.module_utils._group_members import GROUP_FILES
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_profile import PROFILES
from unit.role_files import ROLES, Role, rendered

ROLE = Role("docker_engine")
DOCUMENT = ROLES.parent / "docs" / "docker-engine.md"

# kind in the table of keys -> type and elements of the option
TYPES = {
    "bool": ("bool", None),
    "int": ("int", None),
    "str": ("str", None),
    "ip": ("str", None),
    "size": ("raw", None),
    "list": ("list", "str"),
    "ip_list": ("list", "str"),
    "object_list": ("list", "dict"),
    "object": ("dict", None),
    "map": ("dict", None),
    "bool_map": ("dict", None),
    "map_map": ("dict", None),
    "ulimit_map": ("dict", None),
    "object_map": ("dict", None),
}


def test_every_key_of_the_engine_is_a_typed_setting_and_nothing_else_is() -> None:
    assert list(ROLE.options()["docker_engine_settings"]["options"]) == list(DOCKER_KEYS)


@pytest.mark.parametrize("name", list(DOCKER_KEYS))
def test_a_setting_has_the_type_of_its_key(name: str) -> None:
    option, row = ROLE.options()["docker_engine_settings"]["options"][name], DOCKER_KEYS[name]
    assert (option["type"], option.get("elements")) == TYPES[row.kind]
    assert tuple(option.get("choices", ())) == row.choices
    assert option.get("no_log", False) == row.secret
    text = " ".join(
        option["description"] if isinstance(option["description"], list) else [option["description"]]
    )
    if row.since is not None:
        assert f"Docker Engine {row.since} and later." in text
    if row.until is not None:
        assert f"Removed in Docker Engine {row.until}." in text


def test_every_key_of_the_profiles_has_its_reasoning() -> None:
    headings = re.findall(r"^### `([\w-]+)`", DOCUMENT.read_text(encoding="utf-8"), re.M)
    keys = {entry.key[0] for entries in PROFILES.values() for entry in entries} | {"userns-remap"}
    assert sorted(headings) == sorted(keys)


def test_every_file_that_the_role_writes_is_in_its_checkpoint() -> None:
    wanted = docker_engine_wanted(_posture(), socket={"mode": "0600"})
    written = [file["path"] for file in wanted["files"]]
    files = ROLE.yaml("vars/managed.yml")["managed"]["files"]
    assert files == [*written, RULES_PATH, NEEDRESTART_PATH, UPGRADES_PATH, *GROUP_FILES]


def test_every_mode_that_the_role_sets_is_in_its_checkpoint() -> None:
    permissions = docker_engine_wanted(_posture())["host"]["permissions"]
    managed = ROLE.yaml("vars/managed.yml")["managed"]
    known = [*managed["files"], *managed["attributes"]]
    paths = [limit["path"] for limit in permissions]
    assert "/etc/docker/certs.d/registry.example/client.key" in paths
    assert [path for path in paths if not any(fnmatch(path, pattern) for pattern in known)] == []


def _posture() -> dict[str, Any]:
    """A host that has all files that the role hardens."""
    text = (Path(__file__).parents[1] / "fixtures" / "posture_careless.json").read_text(encoding="utf-8")
    posture: dict[str, Any] = json.loads(text)
    paths = {
        "service_unit": "/etc/systemd/system/docker.service",
        "socket_unit": "/usr/lib/systemd/system/docker.socket",
        "configuration_directory": "/etc/docker",
        "daemon_json": "/etc/docker/daemon.json",
        "defaults_debian": "/etc/default/docker",
        "defaults_redhat": "/etc/sysconfig/docker",
        "containerd_socket": "/run/containerd/containerd.sock",
        "tls_key": "/etc/docker/tls/key.pem",
    }
    posture["docker"]["files"] = {
        **{name: {"path": path, "exists": True} for name, path in paths.items()},
        "registry_certificates": [
            {"path": "/etc/docker/certs.d/registry.example/client.key", "exists": True}
        ],
    }
    return posture


def test_what_remapping_leaves_behind_is_looked_at_before_anything_is_written() -> None:
    tasks = ROLE.yaml("tasks/configure.yml")
    modules = [(module, task.get("check_mode")) for task in tasks for module in task if "bulkhead" in module]
    assert modules == [
        ("bulkhead.hardening.owned_config", True),
        ("bulkhead.hardening.docker_engine_activate", True),
        ("bulkhead.hardening.owned_config", None),
    ]


@pytest.mark.parametrize(("steps", "shown"), [([], False), (["reload"], True)])
def test_the_plan_is_shown_as_a_difference_where_the_run_takes_a_step(
    steps: list[str], *, shown: bool
) -> None:
    """Before anything is written, in a real run too; a converged run makes no remote call for it."""
    (task,) = [task for task in ROLE.yaml("tasks/configure.yml") if _module(task) == "docker_engine_activate"]
    assert rendered(f"{{{{ {task['when']} }}}}", __docker_engine_plan={"steps": steps}) is shown
    assert {"diff", "changed_when"}.isdisjoint(task), "Ansible shows the difference of a changed task only"
    (activating,) = [
        task for task in ROLE.yaml("tasks/activate.yml") if _module(task) == "docker_engine_activate"
    ]
    options = dict(activating["bulkhead.hardening.docker_engine_activate"])
    del options["checkpoint"]
    assert task["bulkhead.hardening.docker_engine_activate"] == options, "what is shown is what is done"


def _module(task: dict[str, Any]) -> str:
    return next(name.rpartition(".")[2] for name in task if name.count(".") == 2)


def test_the_plan_is_shown_in_check_mode_too_and_before_anything_is_written() -> None:
    tasks = ROLE.yaml("tasks/configure.yml")
    shown = next(number for number, task in enumerate(tasks) if "docker_engine_plan_table" in str(task))
    assert "when" not in tasks[shown]
    assert _module(tasks[shown]) == "debug"
    writing = [
        number
        for number, task in enumerate(tasks)
        if _module(task) == "owned_config" and not task.get("check_mode")
    ]
    assert writing and shown < min(writing)
    assert "when" not in ROLE.yaml("tasks/main.yml")[-1]["block"][0]


def test_the_result_says_who_gets_at_the_engine() -> None:
    """Members of the group, listeners, and the socket by an ACL, as anybody or through a container."""
    tasks = ROLE.yaml("tasks/verify.yml")
    (task,) = [task for task in tasks if "ansible.builtin.set_fact" in task]
    result = task["ansible.builtin.set_fact"]["docker_engine_result"]
    posture = _posture()
    access = {
        "acl": [{"kind": "user", "name": "ci", "id": 1001}],
        "everybody": False,
        "containers": [{"name": "proxy", "published": ["0.0.0.0:2375/tcp"]}],
    }
    listener = {"address": "0.0.0.0", "port": 2375, "loopback": False, "client_certificate_required": False}
    posture["docker"].update(group_members=["ops"], listeners=[listener], socket_access=access)
    reach = rendered(task["vars"]["__docker_engine_reach"], __docker_engine_posture=posture)
    assert reach == {"group_members": ["ops"], "listeners": [listener], "socket": access}
    facts = {
        "__docker_engine_verdict": {"pending": {}},
        "__docker_engine_surroundings": {"pending": {}},
        "__docker_engine_plan": {},
        "__docker_engine_reach": reach,
    }
    assert rendered(result, **facts)["reach"] == reach


def _tasks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [inner for task in tasks for inner in ([task] if "block" not in task else _tasks(task["block"]))]


@pytest.mark.parametrize("name", ["install_distribution", "install_repository"])
def test_an_engine_that_is_there_is_never_upgraded(name: str) -> None:
    """Packages are installed only where there is no engine, and `present` upgrades none."""
    tasks = _tasks(ROLE.yaml(f"tasks/{name}.yml"))
    packages = [task[module] for task in tasks for module in task if module.endswith((".apt", ".package"))]
    assert packages
    assert {package["state"] for package in packages} == {"present"}
    assert {option for package in packages for option in package} == {"name", "state", "update_cache"}
    install = next(task for task in ROLE.yaml("tasks/main.yml") if task["name"] == "Install the engine")
    assert install["when"] == "not __docker_engine_host.posture.docker.installed"
    assert install["ansible.builtin.include_tasks"]["file"] == "install.yml"
    assert ROLE.yaml("defaults/main.yml")["docker_engine_packages"] == "left_alone"


def test_a_repository_comes_with_the_key_that_was_given() -> None:
    tasks = _tasks(ROLE.yaml("tasks/install_repository.yml"))
    task = next(task for task in tasks if "ansible.builtin.deb822_repository" in task)
    repository = task["ansible.builtin.deb822_repository"]
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nof the user\n"
    given = {"name": "x", "uri": "file:///srv/x", "suites": ["./"], "key": key, "packages": ["p"]}
    (uri,) = repository["uris"]
    found = [
        rendered(option, docker_engine_repository=given)
        for option in (repository["name"], uri, repository["suites"])
    ]
    assert found == ["x", "file:///srv/x", ["./"]]
    assert repository["signed_by"] == "{{ __docker_engine_repository_key }}"
    signed = task["vars"]["__docker_engine_repository_key"]
    assert rendered(signed, docker_engine_repository=given).strip() == key.strip()
    assert "else lookup('ansible.builtin.file', docker_engine_repository.key)" in signed


@pytest.mark.parametrize("missing", ["name", "uri", "suites", "key", "packages"])
def test_a_repository_that_is_not_complete_is_refused(missing: str) -> None:
    refusal = ROLE.yaml("tasks/install_repository.yml")[0]["ansible.builtin.assert"]
    required = ROLE.yaml("vars/main.yml")["__docker_engine_repository_required"]
    complete = dict.fromkeys(required, "x")
    incomplete = {name: value for name, value in complete.items() if name != missing}
    for repository, accepted in ((complete, True), (incomplete, False)):
        facts = {"docker_engine_repository": repository, "__docker_engine_repository_required": required}
        assert rendered(f"{{{{ {refusal['that']} }}}}", **facts) is accepted
        assert accepted or f"found no {missing};" in rendered(refusal["fail_msg"], **facts)
