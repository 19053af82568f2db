# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds Docker's packet filter rules: the chain for the host's own rules, and who flushes them all.

Rules of a host's own belong into the chain DOCKER-USER, which the chain FORWARD has to enter. A firewall
service that flushes the whole ruleset when it is started or reloaded takes Docker's chains away until the
next restart of the engine. firewalld does too, but tells the engine, which puts them back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import attempt
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System

__all__ = ["firewall_backend", "firewall_fact", "parse_units", "user_chain"]

NFTABLES_FILES = ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf")
_FLUSH = re.compile(r"^\s*flush\s+ruleset\b", re.MULTILINE)

# Whether the engine's rules are still there after a start or reload; None: see the service's own file.
_SERVICES: Mapping[str, Optional[bool]] = {
    "firewalld": True,  # the engine hears of it over D-Bus (moby, daemon/libnetwork/iptables/firewalld.go)
    "ip6tables": False,  # iptables-restore(8) without --noflush
    "iptables": False,
    "netfilter-persistent": False,
    "nftables": None,  # nft(8) keeps what its file does not flush
    "shorewall": False,
    "ufw": True,  # it flushes its own chains (ufw-framework(8), MANAGE_BUILTINS=no)
}
_SHOW = ("Id", "LoadState", "ActiveState", "UnitFileState")


def firewall_fact(
    system: System, *, backend: Optional[str], manages_rules: bool, rules: Any
) -> dict[str, Any]:
    """The posture's `docker.firewall`.

    `manages_rules` is the engine's setting iptables, `rules` those of the filter table or an `unreadable`
    object. Without the iptables backend, or with iptables off, there is no chain to look for.
    """
    looked_for = manages_rules and backend != "nftables"
    chain = user_chain(rules) if isinstance(rules, list) else rules
    return {
        "backend": backend,
        "user_chain": chain if looked_for else None,
        "services": attempt(lambda: _services(system)),
    }


def firewall_backend(info: Any) -> Optional[str]:
    """`iptables` or `nftables`: FirewallBackend of `GET /info`; engines that do not name it have iptables."""
    if not isinstance(info, Mapping) or set(info) == {"unreadable"}:
        return None
    backend = info.get("FirewallBackend")
    driver = backend.get("Driver") if isinstance(backend, Mapping) else None
    return "nftables" if str(driver).startswith("nftables") else "iptables"


def user_chain(rules: list[str]) -> dict[str, bool]:
    """Whether the chain DOCKER-USER is there, and whether every forwarded packet enters it."""
    return {
        "exists": "-N DOCKER-USER" in rules,
        "jumped_to": "-A FORWARD -j DOCKER-USER" in rules,
    }


def parse_units(text: str) -> dict[str, dict[str, str]]:
    """Unit name -> properties, in what `systemctl show UNIT…` prints: a block of lines for each."""
    units = {}
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        fields = {name: value for name, _equals, value in pairs}
        if "Id" in fields:
            units[fields["Id"]] = fields
    return units


def _services(system: System) -> list[dict[str, Any]]:
    """The firewall services that are installed here."""
    names = [f"{name}.service" for name in _SERVICES]
    completed = system.run(["systemctl", "show", *names, "--property", ",".join(_SHOW)])
    if completed.returncode != 0:
        raise PortError(f"systemctl show: exit status {completed.returncode}")
    units = parse_units(completed.stdout)
    services = []
    for name, survive in _SERVICES.items():
        unit = units.get(f"{name}.service", {})
        if unit.get("LoadState") == "loaded":
            services.append(
                {
                    "name": name,
                    "active": unit.get("ActiveState") in ("active", "reloading"),
                    "enabled": unit.get("UnitFileState") == "enabled",
                    "keeps_other_rules": _keeps(system) if survive is None else survive,
                }
            )
    return services


def _keeps(system: System) -> Any:
    """Whether nftables' file leaves the rules of others alone."""
    for path in NFTABLES_FILES:
        try:
            return _FLUSH.search(system.read_text(path)) is None
        except NotThere:
            continue
        except PortError as error:
            return {"unreadable": str(error)}
    return True
