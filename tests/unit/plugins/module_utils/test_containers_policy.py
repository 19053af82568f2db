# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""policy.json: what Podman takes is taken, and what makes every pull fail is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import (
    ContainersPolicyError,
    parse_policy,
    policy_problems,
    scope_problem,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_system import FakeSystem

ACCEPT = [{"type": "insecureAcceptAnything"}]
GPG = {"type": "signedBy", "keyType": "GPGKeys", "keyData": "a2V5"}
SIGSTORE = {"type": "sigstoreSigned", "keyData": "a2V5"}
FULCIO = {"caData": "a2V5", "oidcIssuer": "https://issuer.example", "subjectEmail": "a@example.com"}


def _with(requirement: Any, scope: str = "registry.example.com", transport: str = "docker") -> str:
    return json.dumps({"default": ACCEPT, "transports": {transport: {scope: [requirement]}}})


def _refused(text: str) -> str:
    with pytest.raises(ContainersPolicyError) as caught:
        parse_policy(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "requirement",
    [
        {"type": "reject"},
        GPG,
        {**GPG, "signedIdentity": {"type": "matchExact"}},
        {**GPG, "signedIdentity": {"type": "exactReference", "dockerReference": "a.example/b:1"}},
        {**GPG, "signedIdentity": {"type": "exactRepository", "dockerRepository": "a.example:5000/b"}},
        {
            **GPG,
            "signedIdentity": {
                "type": "remapIdentity",
                "prefix": "a.example:5000",
                "signedPrefix": "b.example/c",
            },
        },
        SIGSTORE,
        {**SIGSTORE, "signedIdentity": {"type": "matchRepository"}},
        {"type": "sigstoreSigned", "keyDatas": ["a2V5", "a2V5"], "rekorPublicKeyData": "a2V5"},
        {"type": "sigstoreSigned", "fulcio": FULCIO, "rekorPublicKeyData": "a2V5"},
        {"type": "sigstoreSigned", "pki": {"caRootsData": "a2V5", "subjectEmail": "a@example.com"}},
    ],
)
def test_what_podman_takes_is_taken(requirement: dict[str, Any]) -> None:
    assert parse_policy(_with(requirement))["transports"]["docker"]["registry.example.com"] == [requirement]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "the policy: found list"),
        ("{}", "no default"),
        ('{"default": []}', "default: accepted is a list of at least one"),
        (
            '{"default": [{"type": "reject"}], "default": [{"type": "reject"}]}',
            "'default' stands in an object twice",
        ),
        ('{"default": [{"type": "reject", "type": "reject"}]}', "'type' stands"),
        ('{"default": [{"type": "reject"}], "Transports": {}}', "found the field 'Transports'"),
        ('{"default": [{"type": "Reject"}]}', "default: type: found Reject"),
        ('{"default": [{"type": "reject", "why": ""}]}', "found the field 'why'"),
        ('{"default": [NaN]}', "not JSON"),
        ('{"default": [{"type": "reject"}], "transports": {"docker": []}}', "transports.docker: found list"),
        (_with({**GPG, "keyPath": "/key"}), "found keyPath and keyData"),
        (_with({**GPG, "keyData": "%"}), "keyData: it is not base64"),
        (_with({**GPG, "keyData": ""}), "found none"),
        (_with({**GPG, "keyData": 1}), "keyData: found int"),
        (_with({**GPG, "keyType": "PGP"}), "keyType: found PGP"),
        (_with({"type": "signedBy", "keyType": "GPGKeys"}), "found none, accepted is exactly one"),
        (_with({**GPG, "signedIdentity": {"type": "matchAll"}}), "signedIdentity: type: found matchAll"),
        (
            _with({**GPG, "signedIdentity": {"type": "exactReference", "dockerReference": "a/b"}}),
            "tag or a digest",
        ),
        (_with({**GPG, "signedIdentity": {"type": "exactRepository"}}), "without dockerRepository"),
        (
            _with({**GPG, "signedIdentity": {"type": "exactRepository", "dockerRepository": "a/b:1"}}),
            "without tag and digest",
        ),
        (_with({**SIGSTORE, "keyType": "GPGKeys"}), "found the field 'keyType'"),
        (_with({"type": "sigstoreSigned", "fulcio": FULCIO}), "without a rekorPublicKey"),
        (_with({"type": "reject"}, "name", "tarball"), "has no scopes"),
        (_with({"type": "reject"}, "images", "dir"), "accepted is an absolute path"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_makes_every_pull_fail_is_refused(text: str, said: str) -> None:
    assert said in _refused(text)


def test_scopes_of_transports() -> None:
    assert scope_problem("docker", "*.example.com") is None
    assert scope_problem("dir", "/srv/images") is None
    assert scope_problem("dir", "/") is not None
    assert scope_problem("containers-storage", "alpine") is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["default", "transports", "docker", "", "type", "keyType", "keyData", "signedIdentity"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_document_is_taken_as_it_stands_or_refused(document: Any) -> None:
    try:
        assert parse_policy(json.dumps(document)) == document
    except ContainersPolicyError as error:
        assert str(error)


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    with pytest.raises(ContainersPolicyError):
        parse_policy(text)


def test_a_key_file_has_to_be_on_the_host(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.write("/etc/pki/key.gpg", b"\x99")
    named = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/etc/pki/key.gpg", "/etc/pki/gone.gpg"]}
    (problem,) = policy_problems(system, _with(named))
    assert problem.startswith(
        "transports.docker.registry.example.com: keyPaths: /etc/pki/gone.gpg: No such file"
    )
    assert policy_problems(system, _with(GPG)) == []


def test_a_broken_policy_is_a_problem_in_words(tmp_path: Path) -> None:
    (problem,) = policy_problems(FakeSystem(tmp_path), "{}")
    assert problem.endswith("with it every pull would fail")
