# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control catalogue: YAML files of controls, read, checked and compiled.

A catalogue file may come from anybody, so it is measured before it is built (size, depth, no anchors, no key
twice), checked against a schema, and its expressions are compiled by `_expressions`.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expressions import (
    Expression,
    ExpressionError,
    compile_expression,
)

__all__ = ["REFERENCES", "SEVERITIES", "SUBJECTS", "CatalogueError", "Control", "load_catalogue", "nearest"]

SEVERITIES = ("critical", "high", "medium", "low")
SUBJECTS = ("host", "docker", "podman", "user", "container", "network")

# The frameworks that a control may refer to, and whether several of their ids can be given.
REFERENCES: Mapping[str, str] = {
    "cis_docker_1_8": "str",
    "cis_docker_1_6": "str",
    "disa_docker_ee": "list",
    "disa_rhel_8": "list",
    "disa_rhel_9": "list",
    "disa_ubuntu_24_04": "list",
    "cis_rhel_9": "list",
    "cis_ubuntu_24_04": "list",
    "anssi_bp_028": "list",
    "nist_800_53": "list",
    "nist_800_190": "list",
    "bsi_sys_1_6": "list",
}

_LARGEST_FILE = 1 << 20
_DEEPEST = 20
_IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_AREA = re.compile(r"[a-z][a-z0-9_]*")


class CatalogueError(BulkheadError):
    """A catalogue file that is not accepted; no control was evaluated."""


@dataclass(frozen=True)
class Control:
    """One rule about a host. ``passes`` is ``None`` for a control that a person decides."""

    id: str
    title: str
    area: str
    severity: str
    subject: str
    applies: Expression | None
    passes: Expression | None
    evidence: tuple[Expression, ...]
    rationale: str
    remedy: Mapping[str, Any]
    references: Mapping[str, Any]


def _specification() -> dict[str, Any]:
    text: dict[str, Any] = {"type": "str"}
    needed: dict[str, Any] = {"type": "str", "required": True}
    references = {
        name: {"type": kind, "elements": "str"} if kind == "list" else {"type": kind}
        for name, kind in REFERENCES.items()
    }
    return {
        "id": needed,
        "title": needed,
        "severity": {**needed, "choices": list(SEVERITIES)},
        "subject": {**needed, "choices": list(SUBJECTS)},
        "applies": text,
        "passes": text,
        "manual": {"type": "bool", "default": False},
        "evidence": {"type": "list", "elements": "str", "required": True},
        "rationale": needed,
        "remedy": {
            "type": "dict",
            "required": True,
            "options": {"role": text, "variable": text, "value": {"type": "raw"}, "none": text},
        },
        "references": {"type": "dict", "default": {}, "options": references},
    }


def load_catalogue(paths: Iterable[str]) -> tuple[Control, ...]:
    """Read and compile the controls of all files; the area of a control is the name of its file.

    :raises CatalogueError: a file cannot be read or is not accepted, or an id is given twice
    """
    controls: dict[str, Control] = {}
    origins: dict[str, str] = {}
    for path in paths:
        for control in _compiled(str(path), _content(Path(path))):
            if control.id in controls:
                raise CatalogueError(
                    f"{path}: control {control.id}: found the id a second time, it is taken by "
                    f"{origins[control.id]}; an id belongs to one control"
                )
            controls[control.id] = control
            origins[control.id] = str(path)
    return tuple(controls.values())


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the known name that is spelled most like ``name``, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise CatalogueError(f"{path}: the catalogue file cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise CatalogueError(f"{path}: a catalogue file has at most {_LARGEST_FILE} bytes")
    return content


@functools.lru_cache(maxsize=64)
def _compiled(path: str, content: bytes) -> tuple[Control, ...]:
    area = Path(path).stem.replace("-", "_")
    if _AREA.fullmatch(area) is None:
        raise CatalogueError(
            f"{path}: the name of the file names the area of its controls: accepted are lower-case letters, "
            f"digits and underscores, then .yml"
        )
    return tuple(_control(record, path, area) for record in _records(path, content))


def _records(path: str, content: bytes) -> list[Any]:
    try:
        _refuse_hostile_yaml(path, content)
        document = yaml.load(content, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader, see below
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise CatalogueError(f"{path}: the file is no accepted YAML: {error}") from None
    records = document.get("controls") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(records, list):
        raise CatalogueError(f"{path}: accepted is one key, 'controls', with a list of controls")
    return records


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_YAML_LOADER):  # type: ignore[misc, valid-type]
    """YAML's safe loader that refuses a key given twice, of which YAML loaders keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [pair[0].value for pair in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"found the key '{key}' twice", node.start_mark
                )
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _refuse_hostile_yaml(path: str, content: bytes) -> None:
    """Refuse what makes a small file a large or deep document: anchors, aliases, nesting."""
    depth = 0
    for event in yaml.parse(content, Loader=_YAML_LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise CatalogueError(f"{path}: a catalogue file has no anchors and no aliases")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise CatalogueError(f"{path}: the document is nested deeper than {_DEEPEST} levels")


def _control(record: Any, path: str, area: str) -> Control:
    if not isinstance(record, dict):
        raise CatalogueError(f"{path}: a control is a mapping, found {type(record).__name__}")
    place = f"{path}: control {record.get('id', '(without id)')}"
    empty = [str(key) for key, value in record.items() if value in (None, "")]
    if empty:
        raise CatalogueError(f"{place}: {', '.join(empty)}: found nothing; leave out what is not given")
    outcome = _validator().validate(record)
    if outcome.error_messages:
        raise CatalogueError(f"{place}: {'; '.join(outcome.error_messages)}")
    fields = outcome.validated_parameters
    _check_meaning(fields, place)
    return Control(
        id=fields["id"],
        title=fields["title"].strip(),
        area=area,
        severity=fields["severity"],
        subject=fields["subject"],
        applies=_expression(fields["applies"], f"{place}: applies"),
        passes=_expression(fields["passes"], f"{place}: passes"),
        evidence=tuple(
            compiled
            for source in fields["evidence"]
            if (compiled := _expression(source, f"{place}: evidence")) is not None
        ),
        rationale=" ".join(fields["rationale"].split()),
        remedy={key: value for key, value in fields["remedy"].items() if value is not None},
        references={key: value for key, value in fields["references"].items() if value is not None},
    )


@functools.lru_cache(maxsize=1)
def _validator() -> Any:
    return ArgumentSpecValidator(_specification())


def _check_meaning(fields: Mapping[str, Any], place: str) -> None:
    if _IDENTIFIER.fullmatch(fields["id"]) is None or len(fields["id"]) > 80:
        raise CatalogueError(
            f"{place}: id: accepted are lower-case words joined by '-', at most 80 characters"
        )
    if (fields["passes"] is None) != fields["manual"]:
        raise CatalogueError(f"{place}: passes: accepted is either an expression or 'manual: true', not both")
    remedy = {key for key, value in fields["remedy"].items() if value is not None}
    if remedy - {"value"} != {"role", "variable"} and remedy != {"none"}:
        raise CatalogueError(
            f"{place}: remedy: found {', '.join(sorted(remedy)) or 'nothing'}, accepted are role and "
            f"variable (and value), or none with the reason why there is no remedy"
        )
    if not fields["evidence"]:
        raise CatalogueError(f"{place}: evidence: accepted is at least one expression")


def _expression(source: str | None, place: str) -> Expression | None:
    if source is None:
        return None
    try:
        return compile_expression(source)
    except ExpressionError as error:
        raise CatalogueError(f"{place}: {error}") from None
