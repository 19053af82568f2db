# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each setting of the daemon: what is in force, what is configured, and what proves it.

`proven`: the value in force was seen. `configured`: nothing shows it, but what configures it has not changed
since the daemon read it. `pending`: the configuration differs from what is in force, or may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import DOCKER_KEYS, DockerKey
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import unreadable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import same
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_configuration import shown
from ansible_collections.bulkhead.hardening.plugins.module_utils._posture_docker_witnesses import (
    WITNESSES,
    EngineEvidence,
    Seen,
)

__all__ = ["Configuration", "collect_settings"]

# the stamps of systemd are whole seconds: a change in the same second counts as before it
_RELOAD_STAMP_SECONDS = 1.0


@dataclass(frozen=True)
class Configuration:
    """What configures the daemon, and when the daemon last read it.

    :ivar file: the settings in its file, None when the file is invalid or unreadable
    :ivar flags_now: the settings in the running daemon's command line, None when it does not run
    :ivar flags_next: those of its next start
    :ivar changed_at: when the file last changed (seconds since the epoch), None when that is not known
    :ivar started_at: when the daemon started, None when it does not run
    :ivar reloaded_at: its last reload through systemd
    :ivar given_back: the settings in its file without what the role owns in it; ``None``: it owns nothing
    """

    file: Optional[Mapping[str, Any]]
    flags_now: Optional[Mapping[str, Any]]
    flags_next: Mapping[str, Any]
    changed_at: Optional[float]
    started_at: Optional[float]
    reloaded_at: Optional[float]
    given_back: Optional[Mapping[str, Any]] = None

    def configured(self, row: DockerKey) -> tuple[Any, str]:
        """The value that the daemon's next start or reload gives to a key, and where it comes from."""
        if row.name in self.flags_next:
            return self.flags_next[row.name], "flag"
        if self.file is not None and row.name in self.file:
            return self.file[row.name], "file"
        return row.default, "default"

    def unowned(self, row: DockerKey) -> Any:
        """The value that the next start would give to a key if the role gave back what it owns."""
        if self.given_back is None:
            return self.configured(row)[0]
        return replace(self, file=self.given_back, given_back=None).configured(row)[0]

    def changed_since_read(self, row: DockerKey) -> bool:
        """Whether the file has changed since the daemon last took this key from it (or that is not known)."""
        if self.changed_at is None or self.started_at is None:
            return self.changed_at is not None
        read_at = self.started_at
        if row.reloadable and self.reloaded_at is not None:
            read_at = max(read_at, self.reloaded_at + _RELOAD_STAMP_SECONDS)
        return self.changed_at > read_at


def collect_settings(
    configuration: Configuration, evidence: EngineEvidence, *, known: Iterable[str]
) -> dict[str, Any]:
    """The posture's `docker.settings`: one per audited key, None for keys that this engine does not have."""
    names = set(known)
    return {
        name: _setting(row, configuration, evidence) if name in names else None
        for name, row in DOCKER_KEYS.items()
        if row.audited
    }


def _setting(row: DockerKey, configuration: Configuration, evidence: EngineEvidence) -> dict[str, Any]:
    configured, origin = configuration.configured(row)
    fact = {"configured": shown(row.name, configured), "origin": origin}
    unowned = configuration.unowned(row)
    if not same(unowned, configured):
        fact["unowned"] = shown(row.name, unowned)
    if configuration.flags_now is None:
        reason = "the daemon is not running"
        return {"value": unreadable(reason), **fact, "proof": "pending", "witness": reason}
    seen = _seen(row, configuration, evidence, configured)
    if configuration.file is None and origin == "default":
        return _unknown_file(row, seen)
    if seen is None:
        return {**fact, **_unseen(row, configuration, configured)}
    agrees = _same(row, seen.value, configured)
    # a value that the engine chose by itself is shown as it was seen
    value = seen.value if not agrees or configured is None else configured
    return {
        "value": shown(row.name, value),
        **fact,
        "proof": "proven" if agrees else "pending",
        "witness": seen.witness,
    }


def _seen(
    row: DockerKey, configuration: Configuration, evidence: EngineEvidence, configured: Any
) -> Optional[Seen]:
    flags_now = configuration.flags_now or {}
    if row.name in flags_now and row.name != "runtimes":
        return Seen(flags_now[row.name], "/proc/PID/cmdline")
    witness = WITNESSES.get(row.name)
    seen = witness(evidence, configured) if witness else None
    if seen is None and row.name in configuration.flags_next:
        # not among the present flags: what holds now comes from the file or the engine
        now = configuration.file.get(row.name, row.default) if configuration.file else row.default
        return Seen(now, "not in /proc/PID/cmdline, but among the flags of the next start")
    return seen


def _unseen(row: DockerKey, configuration: Configuration, configured: Any) -> dict[str, Any]:
    if configuration.changed_since_read(row):
        return {
            "value": unreadable("changed after the daemon started; nothing shows the value in force"),
            "proof": "pending",
            "witness": "none; change time of the file against start and reload of the daemon",
        }
    return {
        "value": shown(row.name, configured),
        "proof": "configured",
        "witness": "none; the file has not changed since the daemon read it",
    }


def _unknown_file(row: DockerKey, seen: Optional[Seen]) -> dict[str, Any]:
    reason = unreadable("the daemon's configuration file is not valid or cannot be read")
    return {
        "value": shown(row.name, seen.value) if seen else reason,
        "configured": reason,
        "origin": "file",
        "proof": "pending",
        "witness": seen.witness if seen else "none",
    }


def _same(row: DockerKey, seen: Any, configured: Any) -> bool:
    if configured is None:
        return True  # no fixed default: the engine's choice
    if row.name == "runtimes" and isinstance(configured, dict):
        return bool(sorted(configured) == seen)
    if row.name == "registry-mirrors" and isinstance(configured, list):
        configured = [str(mirror).rstrip("/") for mirror in configured]
    if isinstance(seen, list) and isinstance(configured, list):
        return {str(item) for item in seen} == {str(item) for item in configured}
    return bool(seen == configured)
