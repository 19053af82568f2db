# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``/etc/containers/policy.json``, read as strictly as Podman, Buildah, Skopeo and CRI-O read it.

An unknown field, a repeated one or a value of another type makes every pull of the host fail. Sources:
containers-policy.json(5); containers/image ``signature/policy_config.go``, ``policy_config_sigstore.go`` and
the transports' ``ValidatePolicyConfigurationScope``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError, System

__all__ = [
    "LOCAL_TRANSPORTS",
    "POLICY_PATH",
    "REFUSED_BY_POLICY",
    "TRANSPORTS",
    "ContainersPolicyError",
    "parse_policy",
    "policy_problems",
    "scope_problem",
]

# How containers/image begins what it says of an image that the policy refuses (copy/single.go).
REFUSED_BY_POLICY = "Source image rejected"

POLICY_PATH = "/etc/containers/policy.json"
LOCAL_TRANSPORTS = (
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "sif",
    "tarball",
)
TRANSPORTS = ("docker", "atomic", *LOCAL_TRANSPORTS)

_WITHOUT_SCOPES = ("docker-archive", "tarball")
_SCOPED_BY_PATH = ("dir", "oci", "oci-archive", "sif")
_KEY_LIMIT = 1024 * 1024

# type -> field -> kind; `type` itself is in all of them
_SIGNED_BY = {
    "keyType": "str",
    "keyPath": "str",
    "keyPaths": "list",
    "keyData": "base64",
    "signedIdentity": "identity",
}
_FULCIO = {"caPath": "str", "caData": "base64", "oidcIssuer": "str", "subjectEmail": "str"}
_PKI = {
    "caRootsPath": "str",
    "caRootsData": "base64",
    "caIntermediatesPath": "str",
    "caIntermediatesData": "base64",
    "subjectEmail": "str",
    "subjectHostname": "str",
}
_SIGSTORE_SIGNED = {
    "keyPath": "str",
    "keyPaths": "list",
    "keyData": "base64",
    "keyDatas": "base64_list",
    "fulcio": "fulcio",
    "pki": "pki",
    "rekorPublicKeyPath": "str",
    "rekorPublicKeyPaths": "list",
    "rekorPublicKeyData": "base64",
    "rekorPublicKeyDatas": "base64_list",
    "signedIdentity": "identity",
}
_OBJECTS: Mapping[str, Mapping[str, str]] = {"fulcio": _FULCIO, "pki": _PKI}
_LISTS = {"list": "str", "base64_list": "base64"}
_REQUIREMENTS: Mapping[str, Mapping[str, str]] = {
    "insecureAcceptAnything": {},
    "reject": {},
    "signedBy": _SIGNED_BY,
    "signedBaseLayer": {"baseLayerIdentity": "identity"},
    "sigstoreSigned": _SIGSTORE_SIGNED,
}
_IDENTITIES: Mapping[str, Mapping[str, str]] = {
    "matchExact": {},
    "matchRepoDigestOrExact": {},
    "matchRepository": {},
    "exactReference": {"dockerReference": "str"},
    "exactRepository": {"dockerRepository": "str"},
    "remapIdentity": {"prefix": "str", "signedPrefix": "str"},
}
_KEY_TYPES = ("GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs")
_GPG_SOURCES = ("keyPath", "keyPaths", "keyData")
_SIGSTORE_SOURCES = ("keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki")
_REKOR_SOURCES = tuple(name for name in _SIGSTORE_SIGNED if name.startswith("rekor"))
_PATHS = ("keyPath", "caPath", "caRootsPath", "caIntermediatesPath", "rekorPublicKeyPath")


class ContainersPolicyError(BulkheadError):
    """A policy that Podman would refuse; the text names the place and what is accepted there."""


def parse_policy(text: str) -> dict[str, Any]:
    """The document of a policy, as it stands.

    :raises ContainersPolicyError: every pull would fail with it
    """
    try:
        policy = json.loads(text, object_pairs_hook=_object_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        position = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ContainersPolicyError(f"it is not JSON{position}") from None
    _object("the policy", policy, {"default", "transports"})
    if "default" not in policy:
        raise ContainersPolicyError("the policy: found no default, which it has to have")
    _requirements("default", policy["default"])
    if "transports" in policy:
        _object("transports", policy["transports"], None)
        for transport, scopes in policy["transports"].items():
            _transport(transport, scopes)
    return dict(policy)


def scope_problem(transport: str, scope: str) -> str | None:
    """What is wrong with the scope of a transport; ``None``: the program takes it."""
    if scope == "":
        return None
    if transport in _WITHOUT_SCOPES:
        return 'accepted is only "", for this transport has no scopes'
    if transport in _SCOPED_BY_PATH and (not scope.startswith("/") or scope == "/"):
        return 'accepted is an absolute path other than /, or ""'
    if transport == "containers-storage" and not scope.startswith("["):
        return 'accepted is [driver@graphroot]name, or ""'
    return None


def policy_problems(system: System, text: str) -> list[str]:
    """Sentences about a policy that is to go live; empty: nothing was found.

    Also looks on the host for the key files that it names.
    """
    try:
        policy = parse_policy(text)
    except ContainersPolicyError as error:
        return [f"{error}; with it every pull would fail"]
    problems = []
    for place, path in _named_paths(policy):
        try:
            system.read_bytes(path, limit=_KEY_LIMIT)
        except PortError as error:
            problems.append(f"{place}: {error}; without it what needs the key is refused")
    return problems


def _named_paths(policy: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place, requirement in _all_requirements(policy):
        for holder in (requirement, requirement.get("fulcio", {}), requirement.get("pki", {})):
            for name in _PATHS:
                if name in holder:
                    yield f"{place}: {name}", holder[name]
                for path in holder.get(f"{name}s", ()):
                    yield f"{place}: {name}s", path


def _all_requirements(policy: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for requirement in policy["default"]:
        yield "default", requirement
    for transport, scopes in policy.get("transports", {}).items():
        for scope, requirements in scopes.items():
            for requirement in requirements:
                yield _place(transport, scope), requirement


def _place(transport: str, scope: str) -> str:
    return f"transports.{transport}.{scope or '(all)'}"


def _transport(transport: str, scopes: Any) -> None:
    _object(f"transports.{transport}", scopes, None)
    for scope, requirements in scopes.items():
        problem = scope_problem(transport, scope)
        if problem:
            raise ContainersPolicyError(f"transports.{transport}: found the scope {scope!r}, {problem}")
        _requirements(_place(transport, scope), requirements)


def _requirements(place: str, requirements: Any) -> None:
    if not isinstance(requirements, list) or not requirements:
        raise ContainersPolicyError(f"{place}: accepted is a list of at least one requirement")
    for requirement in requirements:
        kind = _typed(place, requirement, _REQUIREMENTS)
        if kind == "signedBy":
            if requirement.get("keyType") not in _KEY_TYPES:
                _found(f"{place}: keyType", requirement.get("keyType"), "GPGKeys")
            _exactly_one(place, requirement, _GPG_SOURCES)
        elif kind == "signedBaseLayer":
            _exactly_one(place, requirement, ("baseLayerIdentity",))
        elif kind == "sigstoreSigned":
            _sigstore(place, requirement)


def _sigstore(place: str, requirement: Mapping[str, Any]) -> None:
    _exactly_one(place, requirement, _SIGSTORE_SOURCES)
    rekor = [name for name in _REKOR_SOURCES if name in requirement]
    if len(rekor) > 1:
        raise ContainersPolicyError(f"{place}: found {' and '.join(rekor)}, accepted is one of them")
    if "fulcio" in requirement:
        if not rekor:
            raise ContainersPolicyError(f"{place}: found fulcio without a rekorPublicKey, which it needs")
        _exactly_one(f"{place}: fulcio", requirement["fulcio"], ("caPath", "caData"))
        for name in ("oidcIssuer", "subjectEmail"):
            _exactly_one(f"{place}: fulcio", requirement["fulcio"], (name,))
    if "pki" in requirement:
        if rekor:
            raise ContainersPolicyError(f"{place}: found pki with {rekor[0]}, accepted is pki alone")
        _exactly_one(f"{place}: pki", requirement["pki"], ("caRootsPath", "caRootsData"))
        if not {"subjectEmail", "subjectHostname"} & set(requirement["pki"]):
            raise ContainersPolicyError(
                f"{place}: pki: accepted is one with a subjectEmail or subjectHostname"
            )


def _exactly_one(place: str, holder: Mapping[str, Any], names: tuple[str, ...]) -> None:
    found = [name for name in names if holder.get(name)]
    if len(found) != 1 or any(name in holder and not holder[name] for name in names):
        raise ContainersPolicyError(
            f"{place}: found {' and '.join(found) or 'none'}, accepted is exactly one of: {', '.join(names)}"
        )


def _typed(place: str, value: Any, kinds: Mapping[str, Mapping[str, str]]) -> str:
    """The type of an object that names it, once every field is of its kind."""
    _object(place, value, None)
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        _found(f"{place}: type", kind, ", ".join(kinds))
    _object(f"{place}: {kind}", value, {"type", *kinds[kind]})
    for name, field in kinds[kind].items():
        if name in value:
            _field(f"{place}: {name}", value[name], field)
    return str(kind)


def _field(place: str, value: Any, kind: str) -> None:
    if kind == "identity":
        _identity(place, value)
    elif kind in _OBJECTS:
        fields = _OBJECTS[kind]
        _object(place, value, set(fields))
        for name in sorted(set(fields) & set(value)):
            _field(f"{place}: {name}", value[name], fields[name])
    elif kind in _LISTS:
        if not isinstance(value, list):
            _found(place, type(value).__name__, "a list of texts")
        for item in value:
            _field(place, item, _LISTS[kind])
    elif not isinstance(value, str):
        _found(place, type(value).__name__, "a text")
    elif kind == "base64":
        _base64(place, value)


def _base64(place: str, value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ContainersPolicyError(f"{place}: it is not base64") from None


def _identity(place: str, value: Any) -> None:
    kind = _typed(place, value, _IDENTITIES)
    for name in _IDENTITIES[kind]:
        text = value.get(name)
        if not text:
            raise ContainersPolicyError(f"{place}: found {kind} without {name}, which it needs")
        named = text.rpartition("/")[2]
        tagged = ":" in named if "/" in text or name == "dockerReference" else False
        if name == "dockerReference" and not (tagged or "@" in text):
            _found(f"{place}: {name}", text, "a reference with a tag or a digest")
        if name != "dockerReference" and (tagged or "@" in text):
            _found(f"{place}: {name}", text, "a name without tag and digest")


def _object(place: str, value: Any, fields: set[str] | None) -> None:
    if not isinstance(value, dict):
        _found(place, type(value).__name__, "an object")
    unknown = sorted(set(value) - fields) if fields is not None else []
    if unknown:
        _found(place, f"the field {unknown[0]!r}", ", ".join(sorted(fields or ())))


def _found(place: str, found: Any, accepted: str) -> NoReturn:
    shown = found if isinstance(found, str) else repr(found)
    raise ContainersPolicyError(f"{place}: found {shown[:200]}, accepted is: {accepted}")


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ContainersPolicyError(f"the field {twice[:200]!r} stands in an object twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
