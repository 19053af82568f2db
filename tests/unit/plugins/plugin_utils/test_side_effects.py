# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the engine does by itself when icc or the userland proxy goes off, as tried on 26.1 and 28.5."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._side_effects import agreeing, side_effects

FILTER = "net.bridge.bridge-nf-call-iptables"
FILTER_6 = "net.bridge.bridge-nf-call-ip6tables"
DOCKER = {
    "other_bridges": [{"name": "virbr0", "nf_call_iptables": False, "nf_call_ip6tables": False}],
    "networks": [{"name": "bridge", "interface": "docker0", "route_localnet": False}],
}
OLD, NEW = (26, 1, 5), (28, 5, 2)


def sysctls(
    settings: dict[str, Any], version: tuple[int, ...], docker: dict[str, Any] | None = None
) -> dict[str, str]:
    effects = side_effects(settings, settings, version=version, docker=DOCKER if docker is None else docker)
    return {name: value for effect in effects for name, value in effect["sysctls"].items()}


@pytest.mark.parametrize(
    ("settings", "version", "expected"),
    [
        ({"icc": False}, OLD, {FILTER}),
        ({"icc": False}, NEW, {FILTER}),
        ({"icc": False, "ipv6": True, "ip6tables": True}, OLD, {FILTER, FILTER_6}),
        ({"icc": False, "ipv6": True}, OLD, {FILTER}),
        ({"icc": False, "ipv6": True}, NEW, {FILTER, FILTER_6}),
        ({"icc": False, "iptables": False}, NEW, set()),
        ({"icc": True}, NEW, set()),
        ({"userland-proxy": False}, OLD, {"net.ipv4.conf.docker0.route_localnet"}),
        ({"userland-proxy": False}, NEW, {FILTER, "net.ipv4.conf.docker0.route_localnet"}),
        ({"live-restore": True}, NEW, set()),
    ],
)
def test_what_each_engine_sets(
    settings: dict[str, Any], version: tuple[int, ...], expected: set[str]
) -> None:
    assert set(sysctls(settings, version)) == expected


def test_what_is_so_already_is_no_effect() -> None:
    bridge = {"name": "virbr0", "nf_call_iptables": True, "nf_call_ip6tables": True}
    network = {"name": "bridge", "interface": "docker0", "route_localnet": True}
    both = {"icc": False, "userland-proxy": False}
    assert sysctls(both, NEW, {"other_bridges": [bridge], "networks": [network]}) == {}


def test_a_key_that_does_not_change_is_no_effect() -> None:
    assert side_effects({"icc": False}, ["live-restore"], version=NEW, docker=DOCKER) == []


def test_a_host_without_other_bridges_or_where_they_could_not_be_read() -> None:
    assert sysctls({"icc": False}, NEW, {"other_bridges": [], "networks": []}) == {}
    assert sysctls({"icc": False}, NEW, {"other_bridges": {"unreadable": "x"}, "networks": None}) == {}


def test_an_effect_names_its_keys_the_bridges_and_why_it_is_accepted() -> None:
    (effect,) = side_effects(
        {"icc": False, "userland-proxy": False}, ["icc", "userland-proxy"], version=NEW, docker=DOCKER
    )[:1]
    assert (effect["keys"], effect["reaches"]) == (["icc", "userland-proxy"], ["virbr0"])
    assert "DOCKER-USER" in effect["controls"]["docker-other-bridges"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"log-driver": "journald", "log-opts": {"max-size": "10m"}}, {"log-driver": "journald"}),
        (
            {"log-driver": "journald", "log-opts": {"max-file": "3", "tag": "x"}},
            {"log-driver": "journald", "log-opts": {"tag": "x"}},
        ),
        (
            {"log-driver": "local", "log-opts": {"max-size": "10m"}},
            {"log-driver": "local", "log-opts": {"max-size": "10m"}},
        ),
        ({"log-opts": {"max-size": "10m"}}, {"log-opts": {"max-size": "10m"}}),
    ],
)
def test_rotation_is_left_out_where_the_driver_has_none(settings: Any, expected: Any) -> None:
    assert agreeing(settings) == expected
