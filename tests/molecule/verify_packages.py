# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker is the given repository's, with its key, and no run upgraded it; Podman is the distribution's."""

from __future__ import annotations

from testinfra.host import Host


def test_the_engine_is_the_repository_s(host: Host) -> None:
    assert host.package("docker.io").version.endswith("+upstream1")


def test_a_newer_one_waits_for_somebody_to_upgrade(host: Host) -> None:
    candidates = host.check_output("apt-cache madison docker.io")
    assert "+upstream2" in candidates
    assert "file:/srv/repository" in candidates


def test_the_repository_has_its_own_key(host: Host) -> None:
    description = host.file("/etc/apt/sources.list.d/upstream.sources").content_string
    assert "URIs: file:///srv/repository" in description
    assert "Signed-By:" in description
    assert not host.file("/etc/apt/trusted.gpg.d/upstream.asc").exists


def test_podman_has_its_policy(host: Host) -> None:
    assert host.package("podman").is_installed
    assert host.file("/var/lib/bulkhead/ledger.json").contains('"owner": "podman_policy"')


def test_the_user_has_what_maps_ids(host: Host) -> None:
    assert host.file("/usr/bin/newuidmap").exists
    for path in ("/etc/subuid", "/etc/subgid"):
        assert host.file(path).contains("^amber:")
