# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Own single keys of configuration files: read on the host, merge here, write there what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from glob import escape
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import OwnedFile, parse_entry
from ansible_collections.bulkhead.hardening.plugins.module_utils._sealed import new_key, unseal
from ansible_collections.bulkhead.hardening.plugins.modules.owned_config import ARGUMENT_SPEC
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._collection import collection_version
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import (
    FORMATS,
    CurrentFile,
    FilePlan,
    Owner,
    decide,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._owned_diff import (
    change_outcome,
    diff_of,
    entry_outcome,
    secret_texts,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import WantedKeys

_MODULE = "bulkhead.hardening.owned_config"


class ActionModule(ActionBase):  # type: ignore[misc]
    """One round trip when nothing changes, two when something does."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read, decide, and act unless in check mode."""
        del tmp  # has no effect any more, says Ansible
        variables = task_vars or {}
        super().run(task_vars=variables)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        key = new_key()
        found = self._call(options, "read", variables, seal=key)
        if found.get("failed"):
            return found
        try:
            plans = _decide(options, unseal(found["sealed"], key), _owner(options["owner"], variables))
        except BulkheadError as error:
            return {"failed": True, "msg": f"{error} Nothing was changed."}
        written = self._act(options, plans, variables)
        if written.get("failed"):
            return written
        return _outcome(options["files"], plans, written.get("time"))

    def _act(
        self, options: Mapping[str, Any], plans: Sequence[FilePlan], variables: dict[str, Any]
    ) -> dict[str, Any]:
        if not _writes(plans):
            return {}
        if not self._task.check_mode:
            return self._call(options, "write", variables, plan=_plan_text(options["files"], plans))
        validated = options["validate"] or any(
            file["validate"] or file["look"] != "nothing" for file in options["files"]
        )
        if validated and any(plan.changed for plan in plans):
            return self._call(options, "validate", variables, plan=_plan_text(options["files"], plans))
        return {}

    def _call(
        self, options: Mapping[str, Any], phase: str, variables: dict[str, Any], **further: str
    ) -> dict[str, Any]:
        """Run the module; the wanted values stay here, the host needs the paths only."""
        arguments = {
            "owner": options["owner"],
            "files": [
                {name: file[name] for name in ("path", "format", "validate", "look")}
                for file in options["files"]
            ],
            "validate": options["validate"],
            "state_directory": options["state_directory"],
            "checkpoint": options["checkpoint"],
            "phase": phase,
            **further,
        }
        outcome: dict[str, Any] = self._execute_module(
            module_name=_MODULE, module_args=arguments, task_vars=variables
        )
        outcome.pop("invocation", None)
        return outcome


def _owner(name: str, variables: Mapping[str, Any]) -> Owner:
    role = variables.get("ansible_role_name") or name
    return Owner(name=name, role=str(role), collection_version=collection_version())


def _decide(options: Mapping[str, Any], found: Sequence[Mapping[str, Any]], owner: Owner) -> list[FilePlan]:
    plans = []
    _refuse_twice(found)
    for file, current in zip(options["files"], found):
        try:
            wanted = WantedKeys.from_options(file["keys"] or {}, file["at_least"] or [], file["lists"] or [])
            plans.append(
                decide(
                    _current(current),
                    wanted,
                    owner=owner,
                    format_name=file["format"],
                    secret=file["secret"] or [],
                )
            )
        except MergeError as error:
            raise MergeError(f"{file['path']}: {error}.") from error
    return plans


def _refuse_twice(found: Sequence[Mapping[str, Any]]) -> None:
    """Each entry of `files` is merged by itself, so that two of one file would undo each other."""
    paths: dict[str, str] = {}
    for file in found:
        if file["target"] in paths:
            raise MergeError(
                f"files: found {paths[file['target']]} and {file['path']}, which are the same file; "
                "accepted is each once."
            )
        paths[file["target"]] = file["path"]


def _current(found: Mapping[str, Any]) -> CurrentFile:
    facts = None if found["facts"] is None else OwnedFile.from_json(found["facts"])
    return CurrentFile(
        path=found["path"],
        text=found["text"],
        sha256=found["sha256"],
        keys=tuple(parse_entry(entry) for entry in found["keys"]),
        facts=facts,
    )


def _patterns(file: Mapping[str, Any], plan: FilePlan) -> list[str]:
    """The secret keys: those that are named now, and those that were named when they were set."""
    entries = (*plan.current.keys, *plan.entries)
    return [*(file["secret"] or []), *(escape(".".join(entry.key)) for entry in entries if entry.secret)]


def _plan_text(files: Sequence[Mapping[str, Any]], plans: Sequence[FilePlan]) -> str:
    """The plan as the module takes it."""
    secrets: set[str] = set()
    for file, plan in zip(files, plans):
        if plan.text is not None:
            secrets.update(secret_texts(FORMATS[file["format"]](plan.text).value, _patterns(file, plan)))
    return json.dumps(
        {
            "texts": [
                {
                    "path": plan.current.path,
                    "text": plan.text,
                    "sha256": plan.current.sha256,
                    "created": plan.created,
                    "format": file["format"],
                }
                for file, plan in zip(files, plans)
                if plan.changed
            ],
            "entries": [entry.as_json() for plan in plans for entry in plan.entries],
            "released": [entry for plan in plans for entry in plan.released],
            "secrets": sorted(secrets, key=len, reverse=True),
        }
    )


def _writes(plans: Sequence[FilePlan]) -> bool:
    """Whether anything is written: a file, or the ledger alone where somebody edited a key of ours."""
    return any(plan.changes or plan.released or plan.entries for plan in plans)


def _outcome(
    files: Sequence[Mapping[str, Any]], plans: Sequence[FilePlan], time: str | None
) -> dict[str, Any]:
    changed = any(plan.changed for plan in plans)
    outcome: dict[str, Any] = {
        "changed": changed,
        "writes": _writes(plans),
        "files": [_file_outcome(plan, _patterns(file, plan), time) for file, plan in zip(files, plans)],
    }
    if changed:
        outcome["diff"] = [
            diff_of(plan, _patterns(file, plan)) for file, plan in zip(files, plans) if plan.changed
        ]
    return outcome


def _file_outcome(plan: FilePlan, patterns: Sequence[str], time: str | None) -> dict[str, Any]:
    return {
        "path": plan.current.path,
        "changed": plan.changed,
        "keys": [change_outcome(change, patterns) for change in plan.changes],
        "owned": [entry_outcome(entry, patterns, time) for entry in plan.owned],
        "kept": [list(key) for key in plan.kept],
    }
