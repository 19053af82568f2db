# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What policy.json trusts: its default, its scopes, and the files of the keys that it names.

Sources: containers-policy.json(5), containers-registries.d(5). A requirement of an unknown type makes every
pull fail, and the facts say that the policy is not valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import (
    attempt,
    octal_mode,
    printable,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import NotThere, PortError, System
from ansible_collections.bulkhead.hardening.plugins.module_utils._unix_http import parse_json

__all__ = ["REQUIREMENTS", "collect_image_trust", "file_facts_of", "strictest", "trust_of_policy"]

POLICY = "/etc/containers/policy.json"
LOOKASIDE_DIRECTORY = "/etc/containers/registries.d"
# From the one that lets everything in to the one that lets nothing in.
REQUIREMENTS = ("insecureAcceptAnything", "signedBy", "sigstoreSigned", "reject")
# Transports that bring images from elsewhere; the others read what is on the host already.
_REMOTE = ("docker", "atomic")
_KEY_PATHS = ("keyPath", "keyPaths")
_SCOPES = 500
_KEYS = 100
_TEXT_LENGTH = 300


def collect_image_trust(system: System) -> dict[str, Any]:
    """The posture's `podman.image_trust`."""
    text = attempt(lambda: _text(system))
    trust = trust_of_policy(text) if text is None or isinstance(text, str) else None
    names = ("valid", "error", "default", "scopes", "accepting_scopes")
    return {
        "path": POLICY,
        "exists": text is not None,
        **({name: text for name in names} if trust is None else {name: trust[name] for name in names}),
        "keys": text if trust is None else [file_facts_of(system, path) for path in trust["keys"]],
        "lookaside_files": attempt(
            lambda: [
                file_facts_of(system, f"{LOOKASIDE_DIRECTORY}/{name}")
                for name in system.names_in(LOOKASIDE_DIRECTORY)
                if name.endswith(".yaml")
            ]
        ),
    }


def trust_of_policy(text: Optional[str]) -> dict[str, Any]:
    """What a policy says; without one every pull fails, which the fact `error` says.

    :returns: `valid`, `error`, `default` (the strictest requirement, None where it is not known), `scopes`
        (`transport`, `scope`, `requirement`), `accepting_scopes` (of registries, that let anything in) and
        `keys`, the paths of the keys
    """
    empty: dict[str, Any] = {"default": None, "scopes": [], "accepting_scopes": [], "keys": []}
    if text is None:
        return {**empty, "valid": False, "error": "there is no policy.json, and without it every pull fails"}
    try:
        policy = parse_json(text)
        if not isinstance(policy, dict) or set(policy) - {"default", "transports"}:
            raise PortError("accepted is an object with the keys default and transports")
        default = strictest(policy.get("default"), "its default")
        scopes = list(_scopes(policy.get("transports", {})))
        keys = sorted(set(_keys(policy)))
    except PortError as error:
        return {**empty, "valid": False, "error": printable(str(error))}
    return {
        "valid": True,
        "error": None,
        "default": default,
        "scopes": scopes,
        "accepting_scopes": [
            f"{entry['transport']}:{entry['scope']}"
            for entry in scopes
            if entry["transport"] in _REMOTE and entry["requirement"] == REQUIREMENTS[0]
        ],
        "keys": keys[:_KEYS],
    }


def strictest(requirements: Any, what: str) -> str:
    """The strictest of a list of requirements, which all have to hold; raises `PortError`."""
    if not isinstance(requirements, list) or not requirements:
        raise PortError(f"{what} is no list of requirements")
    types = [entry.get("type") for entry in requirements if isinstance(entry, dict)]
    if len(types) != len(requirements) or not all(name in REQUIREMENTS for name in types):
        raise PortError(f"{what} has a requirement of an unknown type")
    return max((str(name) for name in types), key=REQUIREMENTS.index)


def file_facts_of(system: System, path: str) -> dict[str, Any]:
    """`path`, `exists`, `owner` and `mode` of a file of root's."""
    try:
        facts = system.stat(path)
    except NotThere:
        return {"path": printable(path), "exists": False, "owner": None, "mode": None}
    except PortError as error:
        marker = {"unreadable": printable(str(error))}
        return {"path": printable(path), "exists": True, "owner": marker, "mode": marker}
    return {
        "path": printable(path),
        "exists": True,
        "owner": printable(system.account_name(facts.uid)),
        "mode": octal_mode(facts.mode),
    }


def _scopes(transports: Any) -> Iterator[dict[str, str]]:
    if not isinstance(transports, dict):
        raise PortError("transports is no object")
    count = 0
    for transport, scopes in transports.items():
        if not isinstance(scopes, dict):
            raise PortError(f"transport {printable(str(transport), limit=_TEXT_LENGTH)} is no object")
        for scope, requirements in scopes.items():
            count += 1
            if count > _SCOPES:
                raise PortError(f"more than {_SCOPES} scopes")
            where = printable(f"scope {transport}:{scope}", limit=_TEXT_LENGTH)
            yield {
                "transport": printable(transport, limit=_TEXT_LENGTH),
                "scope": printable(scope, limit=_TEXT_LENGTH),
                "requirement": strictest(requirements, where),
            }


def _keys(policy: Mapping[str, Any]) -> Iterator[str]:
    lists = [
        policy["default"],
        *(item for scopes in policy.get("transports", {}).values() for item in scopes.values()),
    ]
    for requirement in (entry for requirements in lists for entry in requirements):
        for name in _KEY_PATHS:
            value = requirement.get(name, [])
            for path in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
                if not isinstance(path, str) or not path.startswith("/"):
                    raise PortError(f"a {name} is no absolute path")
                yield path


def _text(system: System) -> Optional[str]:
    try:
        return system.read_text(POLICY)
    except NotThere:
        return None
