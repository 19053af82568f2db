# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a host's configuration is still to come, was withheld, or was changed by somebody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["changes_of"]


def changes_of(posture: Mapping[str, Any]) -> dict[str, Any]:
    """`pending`, `drift` and `open_run` of the report of a host.

    A pending change is `{scope, key, in_force, configured, reason, since}`: a key of the engine that is
    configured and not in force, or one that a role was asked for and withheld (then `configured` is what the
    engine has, or null). `drift` and `open_run` are the posture's; what could not be read stays an object
    that says why.
    """
    own = posture.get("bulkhead")
    own = own if isinstance(own, Mapping) else {}
    withheld = own.get("pending")
    entries = {entry["key"]: entry for entry in _withheld(withheld)}
    settings = list(_settings(posture.get("docker"), entries))
    shown = {entry["key"] for entry in settings}
    pending: Any = settings + [entry for key, entry in entries.items() if key not in shown]
    if isinstance(withheld, Mapping):
        pending = pending or dict(withheld)
    return {"pending": pending, "drift": own.get("drift") or [], "open_run": own.get("open_checkpoint")}


def _withheld(fact: Any) -> Iterator[dict[str, Any]]:
    for entry in fact if isinstance(fact, list) else []:
        yield {
            "scope": entry.get("role"),
            "key": str(entry.get("key")),
            "in_force": None,
            "configured": None,
            "reason": entry.get("reason"),
            "since": entry.get("since"),
        }


def _settings(docker: Any, withheld: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The settings of a running daemon that are configured and not in force; of a stopped one nothing is."""
    if not isinstance(docker, Mapping) or docker.get("running") is not True:
        return
    settings = docker.get("settings")
    for key, setting in settings.items() if isinstance(settings, Mapping) else ():
        if isinstance(setting, Mapping) and setting.get("proof") == "pending":
            known = withheld.get(key, {})
            yield {
                "scope": "docker",
                "key": key,
                "in_force": setting.get("value"),
                "configured": setting.get("configured"),
                "reason": known.get("reason") or f"not in force yet, by {setting.get('witness')}",
                "since": known.get("since"),
            }
