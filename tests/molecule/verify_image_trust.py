# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After image_trust: what is signed as wanted is pulled, everything else is refused by the policy.

The registry and its images are made by image_trust_registry.sh.
"""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

REGISTRY = "127.0.0.1:5443"
PULLED = ("gpg/app:signed", "free/app:unsigned")
# Where Podman verifies sigstore signatures; elsewhere there is no scope for them, and the default refuses.
PULLED_BY_SIGSTORE = ("sig/app:signed", "repository/app:second-tag")
WITHOUT_SIGSTORE = "debian-12"
UNSIGNED, OTHER_NAME = "no signature exists", "is not accepted"
NO_SCOPE = "rejected by policy"
# Why, in the words of containers/image.
REFUSED = {
    "gpg/app:unsigned": UNSIGNED,
    "gpg/other-key:signed": "Invalid GPG signature",
    "gpg/wrong-repository:signed": OTHER_NAME,
    "gpg/moved:tag": UNSIGNED,
    "sig/app:unsigned": UNSIGNED,
    "sig/other-key:signed": "cryptographic signature verification failed",
    "sig/app:second-tag": OTHER_NAME,
    "nobody/app:unsigned": NO_SCOPE,
}


def _pull(host: Host, image: str) -> tuple[int, str]:
    """The exit status and the complaint of a pull into a storage of its own."""
    storage = host.check_output("mktemp -d")
    command = f"podman --root {storage}/root --runroot {storage}/run --storage-driver vfs pull --quiet"
    result = host.run(f"{command} {REGISTRY}/{image}")
    host.check_output(f"rm -rf {storage}")
    return result.rc, result.stderr


@pytest.mark.parametrize("image", PULLED)
def test_what_is_signed_as_wanted_is_pulled(host: Host, image: str) -> None:
    assert _pull(host, image)[0] == 0


def _verifies_sigstore(host: Host) -> bool:
    return host.check_output("hostname") != WITHOUT_SIGSTORE


@pytest.mark.parametrize("image", PULLED_BY_SIGSTORE)
def test_what_sigstore_has_signed_is_pulled_where_that_is_verified(host: Host, image: str) -> None:
    status, said = _pull(host, image)
    assert (status == 0) == _verifies_sigstore(host)
    assert status == 0 or NO_SCOPE in said


@pytest.mark.parametrize("image", REFUSED)
def test_everything_else_is_refused_by_the_policy(host: Host, image: str) -> None:
    status, said = _pull(host, image)
    assert status != 0
    signed_for = not image.startswith("sig/") or _verifies_sigstore(host)
    assert (REFUSED[image] if signed_for else NO_SCOPE) in said


def test_local_images_go_on(host: Host) -> None:
    archive = "/srv/image-trust/saved.tar"
    host.check_output(f"rm -f {archive}")
    host.check_output(f"podman save --quiet --output {archive} localhost/first:1")
    host.check_output(f"podman load --quiet --input {archive}")


def test_an_image_that_was_pulled_before_still_runs(host: Host) -> None:
    image = f"{REGISTRY}/nobody/app:unsigned"
    host.check_output(f"podman image exists {image}")
    assert host.check_output(f"podman run --rm --network none {image} /bin/busybox echo ran") == "ran"


def test_the_keys_are_in_the_policy_and_nowhere_else(host: Host) -> None:
    policy = json.loads(host.file("/etc/containers/policy.json").content_string)
    assert policy["default"] == [{"type": "reject"}]
    requirements = [requirement for scope in policy["transports"]["docker"].values() for requirement in scope]
    assert [entry for entry in requirements if "keyPath" in entry] == []
    keys = [entry for entry in requirements if entry.get("keyData")]
    assert len(keys) == (3 if _verifies_sigstore(host) else 1)
