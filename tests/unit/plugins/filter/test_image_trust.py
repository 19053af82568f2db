# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters of image_trust: what is written, what it refuses, and what of it is in force."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulkhead.hardening.plugins.filter.image_trust import (
    image_trust_decisions,
    image_trust_files,
    image_trust_verdict,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import (
    LOCAL_TRANSPORTS,
    parse_policy,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust_decisions import (
    decide_image,
    merged_policy,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._merge import CurrentFile, Owner, decide
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._wanted_keys import WantedKeys

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
PACKAGED = json.dumps({"default": ACCEPT})
POLICY = "/etc/containers/policy.json"
LOOKUPS = "/etc/containers/registries.d/50-bulkhead.yaml"
KEYRING = b"\x98\x33\x04public"
HOST = "registry.example.com"


def _armored(content: bytes, label: str = "PUBLIC KEY BLOCK") -> bytes:
    body = base64.b64encode(content).decode()
    return f"-----BEGIN PGP {label}-----\nVersion: 1\n\n{body}\n=abcd\n-----END PGP {label}-----\n".encode()


def _pem(content: bytes = b"\x30\x59", label: str = "PUBLIC KEY") -> bytes:
    body = base64.b64encode(content).decode()
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


@pytest.fixture
def keys(tmp_path: Path) -> str:
    files = {
        "one.asc": _armored(KEYRING),
        "two.gpg": KEYRING,
        "secret.asc": _armored(b"\x94", "PRIVATE KEY BLOCK"),
        "secret.gpg": b"\x94secret",
        "text": b"no key",
        "one.pub": _pem(),
        "two.pub": _pem(b"\x30\x60"),
        "private.pem": _pem(label="PRIVATE KEY"),
        "torn.pub": _pem(b"\x31"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


def _facts(policy: str | None = PACKAGED, **more: Any) -> dict[str, Any]:
    return {
        "policy": policy,
        "registries_d": {},
        "registries_conf": {},
        "versions": {"podman": "5.4.2", "skopeo": "1.18.0"},
        "accounts": [],
        **more,
    }


def _scope(**more: Any) -> dict[str, Any]:
    return {"scope": HOST, "requires": "signed_by_gpg", "keys": ["one.asc"], **more}


def _keys(wanted: dict[str, Any], path: str = POLICY) -> dict[str, Any]:
    keys: dict[str, Any] = next(file["keys"] for file in wanted["files"] if file["path"] == path)
    return keys


def _error(facts: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(AnsibleFilterError) as caught:
        image_trust_files(facts or _facts(), **options)
    return str(caught.value)


def test_nothing_is_wanted_by_default_and_a_stricter_host_stays() -> None:
    for text in (PACKAGED, json.dumps({"default": REJECT}), None, "broken"):
        wanted = image_trust_files(_facts(text))
        assert [file["keys"] for file in wanted["files"]] == [{}, {}]
        assert wanted["notices"] == []


def test_the_policy_goes_live_after_what_says_where_signatures_lie() -> None:
    files = image_trust_files(_facts())["files"]
    assert [file["path"] for file in files] == [LOOKUPS, POLICY]
    assert files[1]["look"] == "containers_policy"


def test_gpg_keys_are_embedded_as_one_keyring(keys: str) -> None:
    wanted = image_trust_files(_facts(), scopes=[_scope(keys=["one.asc", "two.gpg"])], base=keys)
    (requirement,) = _keys(wanted)["transports"]["docker"][HOST]
    assert requirement["type"] == "signedBy"
    assert base64.b64decode(requirement["keyData"]) == KEYRING * 2
    assert "default" not in _keys(wanted)


def test_sigstore_needs_its_attachments_looked_for(keys: str) -> None:
    scope = _scope(
        requires="signed_by_sigstore", keys=["one.pub"], identity="repository", mirrors=["m.example/x"]
    )
    wanted = image_trust_files(_facts(), scopes=[scope], base=keys)
    (requirement,) = _keys(wanted)["transports"]["docker"][HOST]
    assert requirement["signedIdentity"] == {"type": "matchRepository"}
    assert base64.b64decode(requirement["keyData"]) == _pem()
    lookup = {"use-sigstore-attachments": True}
    assert _keys(wanted, LOOKUPS) == {"docker": {HOST: lookup, "m.example/x": lookup}}


@pytest.mark.parametrize("podman", ["5.4.2", None])
def test_several_sigstore_keys(keys: str, podman: str | None) -> None:
    scope = _scope(requires="signed_by_sigstore", keys=["one.pub", "two.pub"])
    wanted = image_trust_files(_facts(versions={"podman": podman}), scopes=[scope], base=keys)
    assert len(_keys(wanted)["transports"]["docker"][HOST][0]["keyDatas"]) == 2


@pytest.mark.parametrize(
    ("identity", "made"),
    [
        ("exact", {"type": "matchExact"}),
        ("exact_reference", {"type": "exactReference", "dockerReference": "a.example/b:1"}),
        ("exact_repository", {"type": "exactRepository", "dockerRepository": "a.example/b:1"}),
        ("remap", {"type": "remapIdentity", "prefix": HOST, "signedPrefix": "a.example/b:1"}),
    ],
)
def test_identities(keys: str, identity: str, made: dict[str, str]) -> None:
    named = {} if identity == "exact" else {"signed_as": "a.example/b:1"}
    wanted = image_trust_files(_facts(), scopes=[_scope(identity=identity, **named)], base=keys)
    assert _keys(wanted)["transports"]["docker"][HOST][0]["signedIdentity"] == made


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"keys": []}, "found no keys"),
        ({"keys": ["gone.asc"]}, "gone.asc: No such file or directory (on the controller)"),
        ({"keys": ["secret.asc"]}, "found a PGP private key block"),
        ({"keys": ["secret.gpg"]}, "found a secret key"),
        ({"keys": ["text"]}, "found no OpenPGP public key"),
        ({"requires": "signed_by_sigstore", "keys": ["private.pem"]}, "found private key"),
        ({"requires": "signed_by_sigstore", "keys": ["text"]}, "found no PEM"),
        ({"requires": "signed_by_sigstore", "keys": ["torn.pub"]}, "holds no public key"),
        ({"requires": "reject"}, "found keys with requires: reject"),
        ({"identity": "remap"}, "found no signed_as with identity: remap"),
        ({"signed_as": "x"}, "found signed_as with identity: digest_or_exact"),
        ({"scope": "https://registry"}, "image_trust_scopes[0].scope: found 'https://registry'"),
        ({"transport": "dir", "scope": "images"}, "accepted is an absolute path"),
        ({"lookaside": "http://x"}, "accepted is https://"),
        ({"mirrors": ["m.example"]}, "mirrors: found it without lookaside"),
        ({"transport": "atomic", "lookaside": "https://x"}, "accepted is docker"),
    ],
)
def test_what_cannot_be_meant_is_named(keys: str, scope: dict[str, Any], said: str) -> None:
    error = _error(scopes=[_scope(**scope)], base=keys)
    assert said in error
    assert "nothing was changed" in error


def test_what_a_release_cannot_do_is_named(keys: str) -> None:
    scope = _scope(requires="signed_by_sigstore", keys=["one.pub", "two.pub"])
    assert "before Podman 5.4 is one" in _error(
        _facts(versions={"podman": "4.3.1"}), scopes=[scope], base=keys
    )
    lacking = _facts(versions={"podman": "4.3.1"}, lack_of_sigstore="sigstore disabled")
    assert "every pull would be refused (sigstore disabled)" in _error(lacking, scopes=[scope], base=keys)
    assert "from 4.2 on" in _error(_facts(versions={"podman": "4.1.0"}), scopes=[scope], base=keys)


def test_an_old_release_says_sigstore_for_lookaside(keys: str) -> None:
    scope = _scope(lookaside="https://x.example")
    wanted = image_trust_files(_facts(versions={"podman": "3.0.1"}), scopes=[scope], base=keys)
    assert _keys(wanted, LOOKUPS) == {"docker": {HOST: {"sigstore": "https://x.example"}}}


def test_a_scope_twice_and_a_scope_of_another_file(keys: str) -> None:
    assert "found docker:registry.example.com again" in _error(scopes=[_scope(), _scope()], base=keys)
    facts = _facts(registries_d={"/etc/containers/registries.d/a.yaml": f"docker: {{{HOST}: {{}}}}"})
    assert "a.yaml has docker: registry.example.com already" in _error(
        facts, scopes=[_scope(lookaside="https://x")], base=keys
    )


def test_what_is_broken_already_is_named_once_something_is_wanted() -> None:
    assert "Every pull fails on this host now" in _error(_facts("{}"), default="reject")
    broken = _facts(registries_d={"/etc/containers/registries.d/a.yaml": "a: ["})
    assert "a.yaml: it is not YAML" in _error(broken, default="reject")


def test_a_host_without_a_policy_gets_a_default(keys: str) -> None:
    wanted = image_trust_files(_facts(None), scopes=[_scope()], base=keys)
    assert _keys(wanted)["default"] == ACCEPT
    assert "has to have a default" in wanted["notices"][0]


def test_a_default_of_reject_says_what_it_breaks() -> None:
    (notice,) = image_trust_files(_facts(), default="reject")["notices"]
    assert "containers-storage" in notice
    wanted = image_trust_files(_facts(), default="reject", local_transports="accept")
    assert wanted["notices"] == []
    assert _keys(wanted)["transports"] == {name: {"": ACCEPT} for name in LOCAL_TRANSPORTS}


def test_a_weaker_entry_below_ours_is_said(keys: str) -> None:
    policy = json.dumps({"default": ACCEPT, "transports": {"docker": {f"{HOST}/free": ACCEPT}}})
    (notice,) = image_trust_files(_facts(policy), scopes=[_scope()], base=keys)["notices"]
    assert f"{HOST}/free is accepted" in notice


@pytest.mark.parametrize(
    ("requirement", "what"),
    [
        ({"requires": "signed_by_sigstore", "keys": ["one.pub"]}, "sigstore attachments"),
        ({"lookaside": "https://signatures.example"}, "GPG signatures"),
    ],
)
def test_a_mirror_without_its_lookup_is_said(keys: str, requirement: dict[str, Any], what: str) -> None:
    conf = f'[[registry]]\nlocation = "{HOST}/a"\n[[registry.mirror]]\nlocation = "m.example/a"\n'
    facts = _facts(registries_conf={"/etc/containers/registries.conf": conf})
    scope = _scope(**requirement)
    (notice,) = image_trust_files(facts, scopes=[scope], base=keys)["notices"]
    assert f"is pulled from m.example/a, where no {what} are looked for" in notice
    assert image_trust_files(facts, scopes=[{**scope, "mirrors": ["m.example"]}], base=keys)["notices"] == []


def test_a_registry_that_may_hand_out_signatures_itself_is_not_judged(keys: str) -> None:
    conf = f'[[registry]]\nlocation = "{HOST}/a"\n[[registry.mirror]]\nlocation = "m.example/a"\n'
    facts = _facts(registries_conf={"/etc/containers/registries.conf": conf})
    assert image_trust_files(facts, scopes=[_scope()], base=keys)["notices"] == []


@pytest.mark.parametrize(
    "conf", ['registry = ["x"]', 'registry = "x"', '[[registry]]\nlocation = "HOST/a"\nmirror = ["x"]', "["]
)
def test_a_file_of_registries_that_podman_does_not_take_has_no_mirrors(keys: str, conf: str) -> None:
    files = {"/etc/containers/registries.conf": conf.replace("HOST", HOST)}
    scope = _scope(requires="signed_by_sigstore", keys=["one.pub"])
    assert image_trust_files(_facts(registries_conf=files), scopes=[scope], base=keys)["notices"] == []


def test_everything_that_is_wanted_is_a_policy_that_podman_takes(keys: str) -> None:
    scopes = [
        _scope(),
        _scope(scope=f"{HOST}/sig", requires="signed_by_sigstore", keys=["one.pub"], identity="repository"),
        _scope(scope="*.example.org", identity="remap", signed_as="a.example"),
        {"scope": "/srv/images", "transport": "dir", "requires": "accept"},
    ]
    wanted = image_trust_files(_facts(), default="reject", scopes=scopes, base=keys)
    policy = merged_policy(PACKAGED, _keys(wanted))
    assert parse_policy(json.dumps(policy)) == policy


DEBIAN = '{\n    "default": [\n        {\n            "type": "insecureAcceptAnything"\n        }\n    ]\n}\n'
OTHERS = json.dumps({"default": REJECT, "transports": {"docker": {HOST: REJECT}}})


@pytest.mark.parametrize("text", [DEBIAN, OTHERS])
def test_what_is_no_longer_wanted_gives_the_bytes_back(keys: str, text: str) -> None:
    wanted = image_trust_files(
        _facts(text), default="accept", local_transports="reject", scopes=[_scope()], base=keys
    )
    owner = Owner("image_trust", "image_trust", "0")
    current = CurrentFile(POLICY, text, "0")
    plan = decide(current, WantedKeys.from_options(_keys(wanted), []), owner=owner, format_name="json")
    assert plan.text is not None
    assert parse_policy(plan.text) == merged_policy(text, _keys(wanted))
    written = CurrentFile(POLICY, plan.text, "1", keys=tuple(plan.entries))
    released = decide(written, WantedKeys.from_options({}, []), owner=owner, format_name="json")
    assert released.text == text


@pytest.mark.parametrize(
    ("reference", "decision"),
    [
        ("a.example/x:1", "refused"),
        (f"{HOST}/app:1", "needs_signature"),
        (f"{HOST}/free/app:1", "accepted"),
        (f"{HOST}/freeze:1", "needs_signature"),
        (f"{HOST}/free/app:bad", "refused"),
        (f"{HOST}/free/app@sha256:{'a' * 64}", "accepted"),
        ("x.example.org:5000/y:1", "accepted"),
    ],
)
def test_the_most_specific_scope_decides_alone(reference: str, decision: str) -> None:
    scopes = {
        HOST: [{"type": "signedBy"}],
        f"{HOST}/free": ACCEPT,
        f"{HOST}/free/app:bad": REJECT,
        "*.example.org": ACCEPT,
    }
    assert decide_image({"default": REJECT, "transports": {"docker": scopes}}, reference) == decision


def test_which_images_would_be_refused(keys: str) -> None:
    accounts = [
        {"user": "root", "images": [f"{HOST}/a:1", "docker.io/library/b:1", "localhost/c:1"]},
        {"user": "alice", "images": {"unreadable": "no"}},
    ]
    facts = _facts(accounts=accounts)
    wanted = image_trust_files(facts, default="reject", scopes=[_scope()], base=keys)
    assert image_trust_decisions(facts, files=wanted["files"]) == {
        "refused": [{"user": "root", "image": "docker.io/library/b:1"}],
        "needs_signature": [{"user": "root", "image": f"{HOST}/a:1"}],
        "accepted": 0,
        "unknown": [{"user": "alice", "unreadable": "no"}],
    }


def test_an_entry_that_goes_is_not_held_against_images() -> None:
    policy = json.dumps({"default": ACCEPT, "transports": {"docker": {HOST: REJECT}}})
    facts = _facts(policy, accounts=[{"user": "root", "images": [f"{HOST}/a:1"]}])
    files = image_trust_files(facts)["files"]
    predicted = {"files": [{"path": POLICY, "keys": [{"key": ["transports", "docker", HOST], "gone": True}]}]}
    assert image_trust_decisions(facts, files=files)["refused"] != []
    assert image_trust_decisions(facts, files=files, predicted=predicted)["refused"] == []


def _account(user: str, uid: int, own: Any) -> dict[str, Any]:
    return {
        "user": user,
        "uid": uid,
        "own_policy": own,
        "own_policy_path": f"/{user}/policy.json",
        "images": [],
    }


def test_what_is_in_force_and_who_goes_past_it() -> None:
    files = image_trust_files(_facts(), default="reject", local_transports="accept")["files"]
    text = json.dumps(merged_policy(PACKAGED, files[1]["keys"]))
    accounts = [
        _account("root", 0, False),
        _account("alice", 1000, True),
        _account("bob", 1001, {"unreadable": "x"}),
    ]
    verdict = image_trust_verdict(_facts(text, accounts=accounts), files=files)
    assert verdict["failed"] == []
    assert len(verdict["in_force"]) == 1 + len(LOCAL_TRANSPORTS)
    assert [entry["user"] for entry in verdict["unenforceable"]] == ["alice", "bob"]
    assert image_trust_verdict(_facts(), files=files)["failed"] != []
    predicted = image_trust_verdict(_facts(), files=files, check_mode=True)
    assert (predicted["failed"], len(predicted["pending"])) == ([], 1 + len(LOCAL_TRANSPORTS))
    assert image_trust_verdict(_facts(None), files=files)["failed"][0].endswith("it is not there")
    assert image_trust_verdict(_facts("{}"), files=files)["failed"][0].endswith("has to have")
    roots = image_trust_verdict(_facts(text, accounts=[_account("root", 0, True)]), files=files)
    assert "goes before the host's policy" in roots["failed"][0]


def test_what_was_tried() -> None:
    proofs = [
        {"reference": "a", "wanted": "pulled", "found": "pulled", "proven": True, "said": ""},
        {"reference": "b", "wanted": "refused", "found": "pulled", "proven": False, "said": ""},
        {"reference": "c", "wanted": "refused", "found": "error", "proven": False, "said": "no route"},
    ]
    verdict = image_trust_verdict(_facts(), files=image_trust_files(_facts())["files"], proofs=proofs)
    assert verdict["proven"] == ["a"]
    assert verdict["failed"] == ["b: wanted refused, found pulled"]
    assert verdict["unproven"] == ["c: wanted refused, found error no route"]
