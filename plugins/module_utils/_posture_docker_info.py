# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of the engine's `GET /info` that bears on security (proxies and labels can hold secrets)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable

__all__ = ["info_fact"]


def info_fact(info: Mapping[str, Any]) -> dict[str, Any]:
    """The posture's `docker.info`."""
    options = _texts(info.get("SecurityOptions"))
    swarm = info.get("Swarm")
    return {
        "storage_driver": _text(info.get("Driver")),
        "logging_driver": _text(info.get("LoggingDriver")),
        "cgroup_driver": _text(info.get("CgroupDriver")),
        "cgroup_version": _text(info.get("CgroupVersion")),
        "security_options": options,
        "swarm": _text(swarm.get("LocalNodeState")) if isinstance(swarm, dict) else None,
        "runtimes": sorted(printable(name, limit=100) for name in info.get("Runtimes") or {}),
        "default_runtime": _text(info.get("DefaultRuntime")),
        "data_root": _text(info.get("DockerRootDir")),
        "experimental": info.get("ExperimentalBuild") is True,
        "rootless": any(option.split(",")[0] == "name=rootless" for option in options),
        "containers_running": info.get("ContainersRunning"),
        "warnings": _texts(info.get("Warnings")),
    }


def _text(value: Any) -> Any:
    return printable(value, limit=1000) if isinstance(value, str) else None


def _texts(value: Any) -> list[str]:
    return [printable(str(item), limit=1000) for item in value[:100]] if isinstance(value, list) else []
