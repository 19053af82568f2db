# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `dockerd --validate` lets through is found before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._docker_conflicts import conflicts
from unit.plugins.plugin_utils.test_docker_profile import ENGINE

# wanted settings, what the next start has, facts of the engine, what the problem says (None: there is none)
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str | None]] = [
    ({"live-restore": True}, {}, {"swarm": True}, "live-restore: an engine in a swarm refuses it"),
    ({"live-restore": False}, {}, {"swarm": True}, None),
    ({"icc": False}, {"iptables": False}, {}, "icc and iptables both false"),
    ({"iptables": False}, {"icc": False}, {}, "icc and iptables both false"),
    ({"icc": False, "iptables": True}, {"iptables": False}, {}, None),
    ({"icc": False, "ipv6": True}, {"ip6tables": False}, {}, "icc and ip6tables both false while ipv6"),
    ({"icc": False}, {"ip6tables": False, "ipv6": False}, {}, None),
    ({"icc": False}, {}, {"bridge_filter": False}, "icc: this kernel has no br_netfilter"),
    ({"userland-proxy": False}, {}, {"bridge_filter": False}, "userland-proxy: this kernel has no"),
    ({"userland-proxy": False}, {}, {"bridge_filter": None}, None),
    ({"bridge": "br7"}, {"bip": "10.0.0.1/24"}, {}, "found 'br7' together with bip '10.0.0.1/24'"),
    ({"bip": "10.0.0.1/24", "bridge": ""}, {"bridge": "br7"}, {}, None),
    (
        {"cgroup-parent": "/docker"},
        {},
        {"cgroup_driver": "systemd"},
        "accepted is a name that ends in .slice",
    ),
    ({"cgroup-parent": "docker.slice"}, {}, {"cgroup_driver": "systemd"}, None),
    ({"cgroup-parent": "/docker"}, {}, {"cgroup_driver": "cgroupfs"}, None),
    (
        {"exec-opts": ["native.cgroupdriver=systemd"]},
        {"cgroup-parent": "/docker"},
        {"cgroup_driver": "cgroupfs"},
        "with the cgroup driver systemd",
    ),
    (
        {"default-runtime": "runsc"},
        {},
        {"runtimes": ("runc",)},
        "found 'runsc', which runtimes does not name",
    ),
    ({"default-runtime": "runsc"}, {}, {"runtimes": ("runc", "runsc")}, None),
    ({"default-runtime": "runsc", "runtimes": {"runsc": {"path": "/usr/bin/runsc"}}}, {}, {}, None),
    # the list replaces the one that is there
    ({"runtimes": {}}, {"default-runtime": "runsc"}, {"runtimes": ("runc", "runsc")}, "found 'runsc'"),
    ({"default-runtime": "io.containerd.runsc.v1"}, {}, {}, None),
    ({"log-opts": {"max-size": "1m"}, "log-driver": "journald"}, {}, {}, "which does not rotate"),
    ({"log-opts": {"max-size": "1m"}}, {"log-driver": "syslog"}, {}, "log driver syslog"),
    ({"log-opts": {"max-size": "1m"}}, {"log-driver": "local"}, {}, None),
    ({"log-driver": "syslog"}, {"log-opts": {"max-size": "1m"}}, {}, "log driver syslog"),
    ({"log-driver": "json-file"}, {"log-opts": {"gelf-address": "x"}}, {}, "found gelf-address, with which"),
    ({"firewall-backend": "nftables"}, {}, {"swarm": True}, "firewall-backend: an engine in a swarm"),
    ({"firewall-backend": "nftables", "features": {"swarm-nftables": True}}, {}, {"swarm": True}, None),
    ({"seccomp-profile": "profile.json"}, {}, {}, "or the absolute path of a profile"),
    ({"seccomp-profile": "/etc/docker/profile.json"}, {}, {}, None),
    ({"exec-opts": ["native.cgroupdriver=systemd"]}, {}, {}, None),
    ({"exec-opts": ["native.cgroupdriver=none"]}, {}, {}, "found 'none', accepted are cgroupfs, systemd"),
    ({"exec-opts": ["Native.CgroupDriver=foo"]}, {}, {}, "found 'foo'"),
    ({"exec-opts": ["native.umask=normal"]}, {}, {}, None),
    ({"log-opts": {"max-sizes": "10m"}}, {"log-driver": "json-file"}, {}, "found max-sizes, with which"),
    ({"log-opts": {"tag": "x", "mode": "non-blocking"}}, {"log-driver": "json-file"}, {}, None),
    ({"log-opts": {"tag": "x"}, "log-driver": "local"}, {"log-driver": "json-file"}, {}, "found tag"),
    ({"log-opts": {"tag": "x"}, "log-driver": "local"}, {}, {"version": "29.0.1"}, None),
    ({"log-opts": {"anything": "x"}, "log-driver": "gelf"}, {}, {}, None),
    ({"firewall-backend": "nftables"}, {}, {"ip_forward": False}, "while net.ipv4.ip_forward is 0"),
    ({"ip-forward": True}, {"firewall-backend": "nftables"}, {"ip_forward": False}, "ip_forward is 0"),
    ({"firewall-backend": "nftables"}, {"ip-forward": False}, {"ip_forward": False}, None),
    ({"firewall-backend": "nftables"}, {}, {"ip_forward": True}, None),
    ({"firewall-backend": "nftables"}, {}, {"ip_forward": None}, None),
    ({"firewall-backend": "iptables"}, {}, {"ip_forward": False}, None),
    ({"debug": True}, {"icc": False, "iptables": False, "bridge": "a", "bip": "b"}, {}, None),
]


RUNSC = {"default-runtime": "runsc", "runtimes": ["runsc"]}
ROTATING = {"log-driver": "json-file", "log-opts": {"max-size": "1m"}}
# settings of this run, what the role wrote in an earlier one, what it found then, what the problem says
SECOND_RUNS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str | None]] = [
    ({"default-runtime": "runsc"}, RUNSC, {}, "found 'runsc', which runtimes does not name"),
    ({"default-runtime": "runsc"}, RUNSC, {"runtimes": ["runsc"]}, None),
    (
        {},
        {"runtimes": ["runsc"]},
        {"default-runtime": "runsc"},
        "found 'runsc', which runtimes does not name",
    ),
    ({}, RUNSC, {}, None),
    ({"icc": False}, {"iptables": True}, {"iptables": False}, "icc and iptables both false"),
    ({"iptables": False}, {"icc": False}, {}, None),
    ({}, {"iptables": True}, {"iptables": False, "icc": False}, "icc and iptables both false"),
    ({"log-opts": {"max-size": "1m"}}, ROTATING, {"log-driver": "journald"}, "which does not rotate"),
    ({"log-driver": "journald"}, ROTATING, {"log-driver": "journald"}, None),
    ({}, {"bridge": ""}, {"bridge": "br7", "bip": "10.0.0.1/24"}, "found 'br7' together with bip"),
    ({"bip": "10.0.0.1/24"}, {"bridge": "br7"}, {}, None),
    # an option that only the installed engine knows, beside one of the profile's: it runs with it
    (
        {},
        {"log-opts": {"new": "x", "max-size": "1m"}},
        {"log-driver": "local", "log-opts": {"new": "x"}},
        None,
    ),
    ({"log-driver": "local"}, {}, {"log-opts": {"new": "x"}}, "found new, with which"),
]


@pytest.mark.parametrize(("settings", "ours", "before", "expected"), SECOND_RUNS)
def test_the_file_is_judged_as_this_run_leaves_it(
    settings: dict[str, Any], ours: dict[str, Any], before: dict[str, Any], expected: str | None
) -> None:
    """A key that an earlier run set and this one does not name goes back to what was there before."""
    known = {name: {"configured": value} for name, value in before.items()}
    known |= {name: {"configured": value, "unowned": before.get(name)} for name, value in ours.items()}
    problems = conflicts(replace(ENGINE, settings=known, runtimes=("runc", "runsc")), settings)
    assert len(problems) == (expected is not None)
    assert expected is None or expected in problems[0]


@pytest.mark.parametrize(("settings", "configured", "facts", "expected"), CASES)
def test_a_combination_is_named_or_accepted(
    settings: dict[str, Any], configured: dict[str, Any], facts: dict[str, Any], expected: str | None
) -> None:
    known = {name: {"configured": value} for name, value in configured.items()}
    problems = conflicts(replace(ENGINE, settings=known, **facts), settings)
    if expected is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert expected in problems[0]
