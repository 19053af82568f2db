# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to set: the remedy of a control as YAML that can be copied into group_vars."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._plain import plain
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import visible
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._side_effects import agreeing

__all__ = ["Remedy", "merged_yaml", "remedy"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"\['([^'\]]+)'\]|\[\"([^\"\]]+)\"\]|\.([A-Za-z_][A-Za-z0-9_]*)")
_REASON_LIMIT = 800
_DOCKER_SETTINGS = "docker_engine_settings"


@dataclass(frozen=True)
class Remedy:
    """Either a role's variable with its value, or the reason why there is none."""

    role: str | None
    path: tuple[str, ...]
    value: Any
    reason: str | None

    @property
    def yaml(self) -> str | None:
        """The variable as one line of YAML, ``docker_engine_settings: {icc: false}``; None without one."""
        if not self.path:
            return None
        nested = self.value
        for key in reversed(self.path[1:]):
            nested = {key: nested}
        return _line({self.path[0]: plain(nested)})


def remedy(record: Mapping[str, Any] | None) -> Remedy:
    """Read a finding's ``remedy``: ``{role, variable, value}`` or ``{none: reason}``."""
    if record and "variable" in record:
        return Remedy(
            role=visible(record["role"]) if record.get("role") else None,
            path=_path(str(record["variable"])),
            value=record.get("value"),
            reason=None,
        )
    reason = record.get("none") if record else None
    return Remedy(
        role=None, path=(), value=None, reason=visible(reason or "No role remedies this", _REASON_LIMIT)
    )


def merged_yaml(remedies: Iterable[Remedy]) -> str:
    """Return all variables as one YAML document; where two remedies set one key, the first one counts.

    Copied one by one, two lines that set the same dictionary would replace each other. What the engine would
    not start with is left out (see `_side_effects.agreeing`).
    """
    wanted: dict[str, Any] = {}
    for each in remedies:
        if each.path:
            _set(wanted, each.path, each.value)
    if isinstance(wanted.get(_DOCKER_SETTINGS), dict):
        wanted[_DOCKER_SETTINGS] = agreeing(wanted[_DOCKER_SETTINGS])
    return _dump(wanted) if wanted else ""


def _path(variable: str) -> tuple[str, ...]:
    name = _NAME.match(variable)
    if not name:
        return (variable,)
    keys = [name.group()]
    position = name.end()
    while position < len(variable):
        key = _KEY.match(variable, position)
        if not key:
            return (variable,)
        keys.append(next(part for part in key.groups() if part is not None))
        position = key.end()
    return tuple(keys)


def _set(wanted: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    place = wanted
    for key in path[:-1]:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        place = inner
    # A copy: yaml.safe_dump writes what two keys share as an alias.
    place.setdefault(path[-1], plain(value))


class _OneLine(yaml.SafeDumper):
    """Keeps to one line: line breaks as ``\\n`` in double quotes, keys of any length in place."""

    def check_simple_key(self) -> bool:
        return True


def _text(dumper: _OneLine, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else None)


_OneLine.add_representer(str, _text)


def _line(document: dict[str, Any]) -> str:
    flow = yaml.dump([document], Dumper=_OneLine, default_flow_style=True, width=math.inf, sort_keys=False)
    return flow.strip()[2:-2]


def _dump(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, default_flow_style=False, width=1_000_000, sort_keys=False)
