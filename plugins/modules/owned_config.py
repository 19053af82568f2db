#!/usr/bin/python
# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Own single keys of configuration files: the target's side, see `plugins/action/owned_config.py`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: owned_config
short_description: Own single keys of configuration files
version_added: "0.1.0"
author: "The Bulkhead authors (@bulkhead)"
description:
  - Merges keys into files that others write too. Everything else in the files, its order and its layout
    stay byte for byte.
  - A ledger on the host (C(/var/lib/bulkhead/ledger.json), readable by root only) remembers what each key
    was before. A key that its owner no longer wants goes back to that value, or away; a file that was made
    for its keys goes away with them unless somebody edited it since.
  - All files and the ledger are read in one round trip and merged on the controller. Only a difference
    causes a second round trip, which validates every new text on the host, beside its target, and moves it
    into place. It refuses when a file changed in between.
  - A key that holds the wanted value already is not taken over, so that it stays when the owner no longer
    wants it.
  - Values of keys that can hold credentials are never shown (one table of them is built in, O(files[].secret)
    adds to it), and URLs are shown without their user information.
  - A file below a directory that a user can write is read and written as that user, without following a link.
    The ledger stays root's.
  - Names the reason and leaves every file as it was when a file is not of its format, holds a key twice,
    is empty, begins with a byte order mark, is a symbolic link that leads out of its directory, cannot be
    written, or is refused by the validator.
extends_documentation_fragment: bulkhead.hardening.open_checkpoint
options:
  owner:
    description: Name under which the keys are owned. Use the name of the role.
    type: str
    required: true
  files:
    description: The files and the keys wanted in each.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the file. It is made where it is missing and keys are wanted.
        type: path
        required: true
      format:
        description:
          - How the file is written. V(json), V(toml) and V(yaml) are what their names say; comments stay.
          - V(keyfile) is systemd's syntax, which most INI files follow too. Keys are members of their
            sections, values are texts, and a list of texts is a repeated key (C(ExecStart=) twice).
          - V(lines) is a set of lines, like audit rules. Its one key is C(lines), see O(files[].lists).
        type: str
        choices: [json, keyfile, lines, toml, yaml]
        default: json
      keys:
        description:
          - The wanted keys as a nested mapping. Objects are merged member by member, every other value is
            set whole.
        type: dict
        default: {}
      at_least:
        description: Keys that are set unless the file holds a stronger value of somebody else.
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: Path of the key, a list of names from the top of the file.
            type: list
            elements: str
            required: true
          value:
            description: The value to set.
            type: raw
            required: true
          stronger:
            description: Which values of somebody else are stronger and stay.
            type: str
            choices: [smaller_size, smaller_number]
          weak:
            description: Only these values of somebody else are replaced; everything else, and absence, stays.
            type: list
            elements: raw
      lists:
        description: Lists that are not simply set whole, each with its elements.
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: Path of the list, names from the top of the file.
            type: list
            elements: str
            required: true
          mode:
            description:
              - V(additive) adds the elements that are missing behind those of others; the ledger remembers
                which are ours, and only these go again.
              - V(authoritative) makes the elements the whole list, as O(files[].keys) does.
            type: str
            choices: [additive, authoritative]
            default: additive
          elements:
            description: The wanted elements.
            type: list
            elements: raw
            required: true
      secret:
        description:
          - Shell patterns of further keys, as names joined by dots, whose values are never shown. A
            difference says that the value changed.
        type: list
        elements: str
        default: []
      validate:
        description: As O(validate), for this file alone and in its stead.
        type: list
        elements: str
        default: []
      look:
        description:
          - Looks on the host for what the new text names. V(docker_daemon) knows Docker's C(daemon.json), and
            refuses a text that names a seccomp profile, TLS files, authorization plugins or an account for
            remapping without which the engine does not start. It does so in check mode too. In a file of a
            user's own daemon it looks for the seccomp profile and the TLS files, as that user.
          - V(containers_policy) reads C(policy.json) of Podman, Skopeo and CRI-O as strictly as they do, and
            refuses a text with which every pull would fail, and one that names key files that are not there.
        type: str
        choices: [nothing, docker_daemon, containers_policy]
        default: nothing
        version_added: "0.2.0"
  validate:
    description:
      - Command, as a list, that accepts a new text by its exit status. C(%s) stands for the path of the
        temporary file. It runs in check mode too, on a file in a private directory.
      - For a file below a directory that a user can write it runs as that user, without supplementary groups,
        in an environment with C(HOME) and C(XDG_RUNTIME_DIR) of the user's.
    type: list
    elements: str
    default: []
  state_directory:
    description: Directory of the ledger, made with mode 0700.
    type: path
    default: /var/lib/bulkhead
  phase:
    description: Set by the action plugin; do not set it.
    type: str
    choices: [read, validate, write]
    default: read
  plan:
    description: Set by the action plugin; do not set it.
    type: str
  seal:
    description: Set by the action plugin; do not set it. Keeps the contents of the files out of logs.
    type: str
attributes:
  check_mode:
    description: Predicts the same changes and difference as a real run, and runs the validator.
    support: full
  diff_mode:
    description: Shows the keys that change, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Keep containers running while the engine restarts
  bulkhead.hardening.owned_config:
    owner: my_docker_role
    files:
      - path: /etc/docker/daemon.json
        keys:
          live-restore: true
        at_least:
          - key: [log-opts, max-size]
            value: 10m
            stronger: smaller_size
        secret: [http-proxy, "log-opts.*token*"]
    validate: [dockerd, --validate, --config-file, "%s"]

- name: Add to files that others write too
  bulkhead.hardening.owned_config:
    owner: my_other_role
    files:
      - path: /etc/containers/containers.conf
        format: toml
        lists:
          - key: [containers, default_ulimits]
            elements: [nproc=1024:2048]
      - path: /etc/systemd/system/docker.service.d/50-limits.conf
        format: keyfile
        keys:
          Service:
            LimitNOFILE: 1048576
      - path: /etc/audit/rules.d/60-docker.rules
        format: lines
        lists:
          - key: [lines]
            elements: ["-w /etc/docker -k docker"]

- name: Give all of them back
  bulkhead.hardening.owned_config:
    owner: my_docker_role
    files:
      - path: /etc/docker/daemon.json
"""

RETURN = r"""
writes:
  description:
    - Whether a run writes anything. It does without a change of a file where a key that somebody edited since
      is let go, which only the ledger knows.
  returned: success
  type: bool
files:
  description: What became of each file, in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    changed:
      description: Whether the file changed.
      type: bool
    keys:
      description: The keys that changed.
      type: list
      elements: dict
      contains:
        key:
          description: Names from the top of the file.
          type: list
          elements: str
        why:
          description: V(set), V(drift) (somebody changed our value since) or V(released) (it goes back).
          type: str
        element:
          description: The element that comes or goes, where it is not the whole key.
          type: raw
        gone:
          description: Whether the file does not hold it any more.
          type: bool
    owned:
      description: All keys that the owner owns now, with the time when each was set (null in check mode).
      type: list
      elements: dict
      contains:
        key:
          description: Names from the top of the file.
          type: list
          elements: str
        time:
          description: When its present value was set, RFC 3339 with microseconds.
          type: str
        element:
          description: The element of the list at this key that is owned, where it is not the whole key.
          type: raw
    kept:
      description: Keys whose value of somebody else was left, because it is stronger or was edited since.
      type: list
      elements: list
"""

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import policy_problems
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_references import (
    reference_problems,
    user_reference_problems,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import OwnedKey, parse_entry
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_store import LedgerStore
from ansible_collections.bulkhead.hardening.plugins.module_utils._owned_files import (
    NewText,
    Validator,
    read_file,
    same_file,
    target_of,
    validate_texts,
    write_files,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import System
from ansible_collections.bulkhead.hardening.plugins.module_utils._run_fence import changing
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, seal
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_files import owner_of_path
from ansible_collections.bulkhead.hardening.plugins.module_utils._user_reader import UserReader

ARGUMENT_SPEC: dict[str, Any] = {
    "owner": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "format": {
                "type": "str",
                "choices": ["json", "keyfile", "lines", "toml", "yaml"],
                "default": "json",
            },
            "keys": {"type": "dict", "default": {}, "no_log": False},
            "at_least": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "key": {"type": "list", "elements": "str", "required": True, "no_log": False},
                    "value": {"type": "raw", "required": True},
                    "stronger": {"type": "str", "choices": ["smaller_size", "smaller_number"]},
                    "weak": {"type": "list", "elements": "raw"},
                },
            },
            "lists": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "key": {"type": "list", "elements": "str", "required": True, "no_log": False},
                    "mode": {"type": "str", "choices": ["additive", "authoritative"], "default": "additive"},
                    "elements": {"type": "list", "elements": "raw", "required": True},
                },
            },
            "secret": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "validate": {"type": "list", "elements": "str", "default": []},
            "look": {
                "type": "str",
                "choices": ["nothing", "docker_daemon", "containers_policy"],
                "default": "nothing",
            },
        },
    },
    "validate": {"type": "list", "elements": "str", "default": []},
    "state_directory": {"type": "path", "default": "/var/lib/bulkhead"},
    "checkpoint": {"type": "str"},
    "phase": {"type": "str", "choices": ["read", "validate", "write"], "default": "read"},
    # Whole contents of files: kept out of the host's log.
    "plan": {"type": "str", "no_log": True},
    "seal": {"type": "str", "no_log": True},
}

Look = Callable[[System, str], list[str]]
_LOOKS: dict[str, Look] = {"docker_daemon": reference_problems, "containers_policy": policy_problems}


def read(store: LedgerStore, paths: list[str]) -> list[dict[str, Any]]:
    """The texts of the files, and what the ledger says of them."""
    ledger = store.read()
    known = {entry.path for entry in ledger.keys}
    names = {path: {other for other in known if same_file(path, other)} for path in paths}
    return [
        {
            **read_file(path),
            "target": target_of(path),
            "keys": [entry.as_json() for entry in ledger.keys if entry.path in names[path]],
            "facts": ledger.files[path].as_json() if path in ledger.files else None,
        }
        for path in paths
    ]


def write(store: LedgerStore, plan: dict[str, Any], validator: Validator) -> dict[str, Any]:
    """Carry out a plan; the time of every new entry is the host's own."""
    time = datetime.datetime.now(tz=datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entries: tuple[OwnedKey, ...] = tuple(replace(parse_entry(entry), time=time) for entry in plan["entries"])

    released = {(owner, path, tuple(key), element) for owner, path, key, element in plan["released"]}
    texts = _texts(plan)
    write_files(texts, store=store, entries=entries, released=released, validator=validator)
    return {"changed": bool(texts), "time": time}


def _texts(plan: dict[str, Any]) -> list[NewText]:
    return [NewText(**text) for text in plan["texts"]]


def look_of(file: dict[str, Any]) -> Look:
    """The look at what a file names; what a user's own names is read as that user."""
    uid = owner_of_path(file["path"]) if file["look"] == "docker_daemon" else None
    if uid is None:
        return _LOOKS[file["look"]]
    reader = UserReader(uid)
    return lambda _system, text: user_reference_problems(reader, text)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do the phase that the action plugin asks for."""
    store = LedgerStore(module.params["state_directory"])
    if module.params["phase"] == "read":
        # Without the action plugin nobody can open it.
        found = read(store, [file["path"] for file in module.params["files"]])
        return {"changed": False, "sealed": seal(found, module.params["seal"] or new_key())}
    plan = json.loads(module.params["plan"])
    own = {file["path"]: file["validate"] for file in module.params["files"]}
    looks = {file["path"]: look_of(file) for file in module.params["files"] if file["look"] in _LOOKS}
    validator = Validator(System(), module.params["validate"], plan["secrets"], own, looks)
    if module.params["phase"] == "validate" or module.check_mode:
        validate_texts(_texts(plan), validator)
        return {"changed": False}
    with changing(module.params["checkpoint"], module.params["state_directory"]):
        return write(store, plan, validator)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        outcome = run(module)
    except BulkheadError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
