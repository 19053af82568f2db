# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Combinations of keys that ``dockerd --validate`` lets through, and the engine's start does not.

Sources: moby at docker-v29.7.2, ``daemon/daemon_unix.go`` (verifyDaemonSettings), ``daemon/cluster``,
``daemon/libnetwork/drivers/bridge``, ``daemon/runtime_unix.go``, ``daemon/logger`` (ValidateLogOpt of the
drivers, cache; ``local`` at 20.10, 28.3 and 29).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import check_key, parse_version
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_engine import Engine
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._side_effects import agreeing

__all__ = ["conflicts"]

_CGROUP_DRIVERS = ("cgroupfs", "systemd")

_ROTATION_OPTIONS = frozenset({"max-size", "max-file", "compress"})
_LABEL_OPTIONS = frozenset({"labels", "labels-regex", "env", "env-regex", "tag"})
# of every driver; the cache is for those that the engine cannot read back
_COMMON_OPTIONS = frozenset(
    {"mode", "max-buffer-size", "cache-disabled", *(f"cache-{name}" for name in _ROTATION_OPTIONS)}
)
_LOCAL_WITH_LABELS = (29,)


@dataclass(frozen=True)
class _Sight:
    """An engine as the run leaves it, and the keys that the run decides on: wanted, or owned until now."""

    engine: Engine
    decided: frozenset[str]

    def value(self, name: str) -> Any:
        return self.engine.configured(name)


def conflicts(engine: Engine, settings: Mapping[str, Any]) -> list[str]:
    """What cannot be had of the settings that a user names, a sentence each.

    The file is judged as it will be: a key that the role set before and that no setting names any more has
    the value that comes back. A combination that is there already, and that the run does not decide on, is
    not named: the engine runs with it. Nor is a setting that `check_key` refuses by itself.
    """
    readable = {name: value for name, value in settings.items() if check_key(name, value, None) is None}
    named = frozenset(readable)
    sight = _Sight(engine.predicted(readable), engine.owned | named)
    rules = [rule for keys, rule in _COMBINATIONS if keys & sight.decided]
    rules += [rule for keys, rule in _VALUES if keys & named]
    return [problem for rule in rules for problem in rule(sight)]


def _live_restore(sight: _Sight) -> Iterator[str]:
    if sight.value("live-restore") is True and sight.engine.swarm:
        yield "live-restore: an engine in a swarm refuses it."


def _icc(sight: _Sight) -> Iterator[str]:
    if sight.value("icc") is not False:
        return
    if sight.value("iptables") is False:
        yield "icc: the engine refuses to start with icc and iptables both false."
    if sight.value("ipv6") is True and sight.value("ip6tables") is False:
        yield "icc: the engine refuses to start with icc and ip6tables both false while ipv6 is true."


def _bridge_filter(sight: _Sight) -> Iterator[str]:
    for name in ("icc", "userland-proxy"):
        if name in sight.decided and sight.value(name) is False and sight.engine.bridge_filter is False:
            yield f"{name}: this kernel has no br_netfilter, and the engine would not start."


def _bridge(sight: _Sight) -> Iterator[str]:
    if sight.value("bridge") and sight.value("bip"):
        yield (
            f"bridge: found {sight.value('bridge')!r} together with bip {sight.value('bip')!r}; "
            "the engine refuses to start with both. Name one."
        )


def _cgroup_parent(sight: _Sight) -> Iterator[str]:
    parent, options = sight.value("cgroup-parent"), sight.value("exec-opts")
    named = [str(option) for option in options or () if str(option).startswith("native.cgroupdriver=")]
    driver = named[-1].partition("=")[2] if named else sight.engine.cgroup_driver
    if parent and driver == "systemd" and not str(parent).endswith(".slice"):
        yield (
            f"cgroup-parent: found {parent!r} with the cgroup driver systemd, accepted is a name that ends "
            "in .slice."
        )


def _default_runtime(sight: _Sight) -> Iterator[str]:
    runtime, runtimes = sight.value("default-runtime"), sight.value("runtimes")
    # since 23.0 a shim of containerd may be named itself
    if not runtime or str(runtime).startswith("io.containerd."):
        return
    found = sight.engine.flags.get("runtimes") if "runtimes" in sight.decided else sight.engine.runtimes
    known = {"runc", *(found or ()), *(runtimes or ())}
    if runtime not in known:
        yield (
            f"default-runtime: found {runtime!r}, which runtimes does not name; accepted are: "
            f"{', '.join(sorted(known))}."
        )


def _rotation(sight: _Sight) -> Iterator[str]:
    options, driver = sight.value("log-opts") or None, sight.value("log-driver")
    accepted = agreeing({"log-opts": options, "log-driver": driver}).get("log-opts")
    if options is not None and accepted != options:
        yield (
            "log-opts: the engine does not start with max-size or max-file and the log driver "
            f"{driver}, which does not rotate; json-file and local do."
        )


def _cgroup_driver(sight: _Sight) -> Iterator[str]:
    for option in sight.value("exec-opts") or ():
        name, equals, driver = str(option).partition("=")
        if equals and name.lower() == "native.cgroupdriver" and driver not in _CGROUP_DRIVERS:
            accepted = ", ".join(_CGROUP_DRIVERS)
            yield f"exec-opts: native.cgroupdriver: found {driver!r}, accepted are {accepted}."


def _log_options(sight: _Sight) -> Iterator[str]:
    driver = sight.value("log-driver")
    if driver not in ("json-file", "local"):
        return
    accepted = _COMMON_OPTIONS | _ROTATION_OPTIONS
    if driver == "json-file" or parse_version(sight.engine.version) >= _LOCAL_WITH_LABELS:
        accepted |= _LABEL_OPTIONS
    unknown = sorted(set(sight.value("log-opts") or ()) - accepted)
    if unknown:
        yield (
            f"log-opts: found {', '.join(unknown)}, with which the engine does not start while the log "
            f"driver is {driver}; accepted are: {', '.join(sorted(accepted))}."
        )


def _forwarding(sight: _Sight) -> Iterator[str]:
    if (
        sight.value("firewall-backend") == "nftables"
        and sight.value("ip-forward") is not False
        and sight.engine.ip_forward is False
    ):
        yield (
            "firewall-backend: found nftables while net.ipv4.ip_forward is 0, which the engine does not "
            "switch on with this backend; it makes no network then. Set the sysctl to 1, or ip-forward to "
            "false."
        )


def _firewall_backend(sight: _Sight) -> Iterator[str]:
    features = sight.value("features")
    allowed = isinstance(features, Mapping) and features.get("swarm-nftables") is True
    if sight.value("firewall-backend") == "nftables" and sight.engine.swarm and not allowed:
        yield (
            "firewall-backend: an engine in a swarm refuses nftables unless features has swarm-nftables: "
            "true."
        )


def _seccomp_profile(sight: _Sight) -> Iterator[str]:
    profile = sight.value("seccomp-profile")
    if profile not in (None, "", "builtin", "unconfined") and not str(profile).startswith("/"):
        yield (
            f"seccomp-profile: found {profile!r}, accepted is builtin, unconfined or the absolute path of a "
            "profile."
        )


# the keys of which the run has to decide on one, and the rule
_COMBINATIONS: tuple[tuple[frozenset[str], Callable[[_Sight], Iterator[str]]], ...] = (
    (frozenset({"live-restore"}), _live_restore),
    (frozenset({"icc", "iptables", "ip6tables", "ipv6"}), _icc),
    (frozenset({"icc", "userland-proxy"}), _bridge_filter),
    (frozenset({"bridge", "bip"}), _bridge),
    (frozenset({"cgroup-parent", "exec-opts"}), _cgroup_parent),
    (frozenset({"default-runtime", "runtimes"}), _default_runtime),
    (frozenset({"log-opts", "log-driver"}), _rotation),
    (frozenset({"firewall-backend", "ip-forward"}), _forwarding),
    (frozenset({"firewall-backend", "features"}), _firewall_backend),
)
# the keys of which the user has to name one; with what comes back for ours the engine ran before
_VALUES: tuple[tuple[frozenset[str], Callable[[_Sight], Iterator[str]]], ...] = (
    (frozenset({"exec-opts"}), _cgroup_driver),
    (frozenset({"log-opts", "log-driver"}), _log_options),
    (frozenset({"seccomp-profile"}), _seccomp_profile),
)
