# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Docker Engine does to the rest of the host by itself when a setting takes effect.

A remedy may not fail another control. Where the engine's own reaction does, that is data here, with
the reason why it is accepted, and shown in the plan before the change. Source: moby,
``daemon/libnetwork/drivers/bridge/bridge_linux.go`` (the conditions of its set-up steps),
``setup_bridgenetfiltering.go`` and ``setup_ipv4.go``; tried on 26.1 (icc off sets bridge-nf-call, the proxy
off only route_localnet) and on 28.5 (the proxy off sets both; the switch for IPv6 needs a network with IPv6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_references import (
    DRIVERS_WITHOUT_ROTATION,
    ROTATION,
)

__all__ = [
    "DOCKER_BRIDGES",
    "OTHER_BRIDGES",
    "SIDE_EFFECTS",
    "SideEffect",
    "agreeing",
    "side_effects",
]

OTHER_BRIDGES = "other_bridges"  # bridges that the engine does not own: the sysctl holds for the whole host
DOCKER_BRIDGES = "docker_bridges"  # each bridge of the engine

_IP6TABLES_BY_DEFAULT = (27,)
_FILTER = "net.bridge.bridge-nf-call-iptables"
_FILTER_6 = "net.bridge.bridge-nf-call-ip6tables"
_LOOPBACK = "net.ipv4.conf.{bridge}.route_localnet"


@dataclass(frozen=True)
class SideEffect:
    """One reaction of the engine to one value of one key of daemon.json.

    :ivar key: the key
    :ivar value: the value in force that brings it
    :ivar sysctls: what the engine sets; ``{bridge}`` stands for each of its own bridges
    :ivar reaches: whom it reaches beyond what the setting is about, `OTHER_BRIDGES` or `DOCKER_BRIDGES`
    :ivar since: the first engine version that does it
    :ivar requires: further keys and their values without which the engine leaves it
    :ivar reason: what it does, in a sentence for the plan
    :ivar accepted: control that it can fail -> why that is accepted
    """

    key: str
    value: Any
    sysctls: Mapping[str, str]
    reaches: str
    reason: str
    since: tuple[int, ...] = ()
    requires: Mapping[str, Any] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)


_PACKETS_OF_OTHERS = (
    "Packets between the ports of every bridge of this host then pass the packet filter, whose policy for "
    "what no rule lets through is DROP with Docker. Virtual machines on one bridge may stop reaching each "
    "other."
)
_ACCEPTED_FILTER = (
    "Without it icc=false and published ports between containers have no effect. Let the other bridge's "
    "packets through by a rule in the chain DOCKER-USER."
)

SIDE_EFFECTS: tuple[SideEffect, ...] = (
    SideEffect(
        key="icc",
        value=False,
        sysctls={_FILTER: "1"},
        reaches=OTHER_BRIDGES,
        requires={"iptables": True},
        reason=_PACKETS_OF_OTHERS,
        accepted={"docker-other-bridges": _ACCEPTED_FILTER},
    ),
    SideEffect(
        key="icc",
        value=False,
        sysctls={_FILTER_6: "1"},
        reaches=OTHER_BRIDGES,
        requires={"iptables": True, "ip6tables": True, "ipv6": True},
        reason=_PACKETS_OF_OTHERS,
        accepted={"docker-other-bridges": _ACCEPTED_FILTER},
    ),
    SideEffect(
        key="userland-proxy",
        value=False,
        sysctls={_FILTER: "1"},
        reaches=OTHER_BRIDGES,
        since=(27,),
        requires={"iptables": True},
        reason=_PACKETS_OF_OTHERS,
        accepted={"docker-other-bridges": _ACCEPTED_FILTER},
    ),
    SideEffect(
        key="userland-proxy",
        value=False,
        sysctls={_FILTER_6: "1"},
        reaches=OTHER_BRIDGES,
        since=(27,),
        requires={"iptables": True, "ip6tables": True, "ipv6": True},
        reason=_PACKETS_OF_OTHERS,
        accepted={"docker-other-bridges": _ACCEPTED_FILTER},
    ),
    SideEffect(
        key="userland-proxy",
        value=False,
        sysctls={_LOOPBACK: "1"},
        reaches=DOCKER_BRIDGES,
        reason=(
            "The engine lets packets with a loopback address pass its own bridges, so that this host "
            "reaches published ports on 127.0.0.1 without the proxy. The switches for all and for new "
            "interfaces stay off."
        ),
    ),
)


def side_effects(
    after: Mapping[str, Any], changed: Iterable[str], *, version: tuple[int, ...], docker: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What the engine will do by itself when the changed keys take effect, beyond what they say.

    :param after: each key of daemon.json that has a value, as it will be in force; of keys that are left out
        the engine's defaults count
    :param changed: the keys whose value changes
    :param version: the engine's version as numbers
    :param docker: the posture's ``docker``; of it ``other_bridges`` and ``networks`` are read
    :returns: ``{keys, sysctls, reaches, reason, controls}`` each; ``reaches`` names the bridges, ``controls``
        maps those that it can fail to why that is accepted. What is so already is left out.
    """
    names = set(changed)
    found: dict[str, dict[str, Any]] = {}
    for effect in SIDE_EFFECTS:
        if effect.key not in names or not _happens(effect, after, version):
            continue
        bridges, sysctls = _reached(effect, docker)
        if bridges:
            entry = found.setdefault(
                f"{effect.reaches}{effect.reason}",
                {"keys": [], "sysctls": {}, "reaches": bridges, "reason": effect.reason, "controls": {}},
            )
            entry["keys"] = sorted({*entry["keys"], effect.key})
            entry["sysctls"].update(sysctls)
            entry["controls"].update(effect.accepted)
    return list(found.values())


def _happens(effect: SideEffect, after: Mapping[str, Any], version: tuple[int, ...]) -> bool:
    defaults = {"iptables": True, "ip6tables": version >= _IP6TABLES_BY_DEFAULT, "ipv6": False}
    return (
        after.get(effect.key) == effect.value
        and version >= effect.since
        and all(after.get(key, defaults[key]) == value for key, value in effect.requires.items())
    )


def _reached(effect: SideEffect, docker: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The bridges for which something changes, and the sysctls by name."""
    if effect.reaches == OTHER_BRIDGES:
        facts = {"nf_call_iptables": _FILTER, "nf_call_ip6tables": _FILTER_6}
        wanted = [fact for fact, sysctl in facts.items() if sysctl in effect.sysctls]
        bridges = [
            str(bridge["name"])
            for bridge in _listed(docker.get("other_bridges"))
            if any(bridge.get(fact) is not True for fact in wanted)
        ]
        return bridges, dict(effect.sysctls)
    bridges = [
        str(network["interface"])
        for network in _listed(docker.get("networks"))
        if isinstance(network.get("interface"), str) and network.get("route_localnet") is not True
    ]
    sysctls = {
        name.format(bridge=bridge): value for bridge in bridges for name, value in effect.sysctls.items()
    }
    return bridges, sysctls


def _listed(fact: Any) -> list[Mapping[str, Any]]:
    """The entries of a list of facts; none when it could not be read."""
    return [entry for entry in fact if isinstance(entry, Mapping)] if isinstance(fact, list) else []


def agreeing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what another of them makes impossible: rotation for a driver that has none."""
    wanted = dict(settings)
    options, driver = wanted.get("log-opts"), wanted.get("log-driver")
    if isinstance(options, Mapping) and driver in DRIVERS_WITHOUT_ROTATION:
        wanted["log-opts"] = {name: value for name, value in options.items() if name not in ROTATION}
        if not wanted["log-opts"]:
            del wanted["log-opts"]
    return wanted
