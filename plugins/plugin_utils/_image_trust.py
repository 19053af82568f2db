# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role `image_trust` writes: requirements into policy.json, places of signatures into registries.d.

Keys are embedded in the policy, so that a policy and its keys go live in one rename. Sources:
containers-policy.json(5), containers-registries.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import (
    LOCAL_TRANSPORTS,
    POLICY_PATH,
    ContainersPolicyError,
    parse_policy,
    scope_problem,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._docker_keys import parse_version
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._image_trust_keys import (
    KeyFileError,
    gpg_key_data,
    sigstore_key_data,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._registries_d import (
    REGISTRIES_D_PATH,
    Lookups,
)

__all__ = ["IDENTITIES", "REQUIRES", "ImageTrustError", "Trust", "image_trust"]

REQUIRES = ("accept", "reject", "signed_by_gpg", "signed_by_sigstore")
_SIMPLE = {"accept": {"type": "insecureAcceptAnything"}, "reject": {"type": "reject"}}
IDENTITIES = {
    "digest_or_exact": "matchRepoDigestOrExact",
    "exact": "matchExact",
    "repository": "matchRepository",
    "exact_reference": "exactReference",
    "exact_repository": "exactRepository",
    "remap": "remapIdentity",
}
_SIGSTORE_SINCE, _SEVERAL_SIGSTORE_KEYS_SINCE = (4, 2), (5, 4)
# A registry and what is below it: host[:port][/path][:tag or @digest], or *.domain.
_SCOPE = re.compile(
    r"\*\.[a-z0-9.-]+|[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127}|@[a-z0-9]+:[0-9a-f]{32,})?"
)


class ImageTrustError(BulkheadError):
    """The variables cannot be meant; every problem in one text."""


@dataclass
class Trust:
    """What is wanted.

    :ivar policy: wanted keys of policy.json
    :ivar lookups: wanted keys of the file in registries.d
    :ivar notices: what the operator has to know before it is written
    """

    policy: dict[str, Any] = field(default_factory=dict)
    lookups: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def files(self) -> list[dict[str, Any]]:
        """The option of owned_config; the file that only says where to look goes first."""
        return [
            {"path": REGISTRIES_D_PATH, "format": "yaml", "keys": self.lookups},
            {"path": POLICY_PATH, "format": "json", "keys": self.policy, "look": "containers_policy"},
        ]


def image_trust(
    facts: Mapping[str, Any],
    *,
    default: str,
    scopes: Sequence[Mapping[str, Any]],
    local_transports: str,
    base: str,
) -> Trust:
    """Work out the files from the role's variables.

    :param facts: as `image_trust_info` returns them
    :param base: directory on the controller from which relative paths of keys start
    :raises ImageTrustError: with every problem
    """
    draft = _Draft(facts, base)
    for number, scope in enumerate(scopes):
        draft.add(f"image_trust_scopes[{number}]", scope)
    if local_transports != "left_alone":
        for transport in LOCAL_TRANSPORTS:
            draft.put(transport, "", _SIMPLE[local_transports], "image_trust_local_transports")
    draft.finish(default, local_transports)
    if draft.problems:
        lines = "".join(f"\n- {problem}" for problem in draft.problems)
        raise ImageTrustError(f"image_trust: nothing was changed, because of{lines}")
    return draft.trust


class _Draft:
    """The files while they are worked out."""

    def __init__(self, facts: Mapping[str, Any], base: str) -> None:
        self.trust = Trust()
        self.problems: list[str] = []
        self._base = base
        podman = facts["versions"].get("podman")
        self._version = parse_version(podman)[:2] if podman else None
        self._lack_of_sigstore = facts.get("lack_of_sigstore")
        self._text: str | None = facts["policy"]
        self._lookups = Lookups.of(facts["registries_d"], old_names=self._is_before(_SIGSTORE_SINCE))

    def _is_before(self, release: tuple[int, int]) -> bool:
        return self._version is not None and tuple(self._version) < release

    def add(self, where: str, wanted: Mapping[str, Any]) -> None:
        """Take one element of the variable `image_trust_scopes`."""
        transport, scope = wanted.get("transport") or "docker", str(wanted["scope"])
        problem = scope_problem(transport, scope)
        if problem is None and transport == "docker" and scope and not _SCOPE.fullmatch(scope):
            problem = 'accepted is registry[:port][/path][:tag], *.domain, or "" for the whole transport'
        if problem:
            self.problems.append(f"{where}.scope: found {scope!r}, {problem}")
            return
        self._put_lookups(where, transport, scope, wanted)
        try:
            requirement = self._requirement(scope, wanted)
        except (KeyFileError, ImageTrustError) as error:
            self.problems.append(f"{where}: {error}")
            return
        self.put(transport, scope, requirement, where)

    def put(self, transport: str, scope: str, requirement: Mapping[str, Any], where: str) -> None:
        """Require it of a scope."""
        scopes = self.trust.policy.setdefault("transports", {}).setdefault(transport, {})
        if scope in scopes:
            self.problems.append(f"{where}: found {transport}:{scope} again, accepted is once")
        scopes[scope] = [dict(requirement)]

    def finish(self, default: str, local_transports: str) -> None:
        """Set the default, and say what stays open."""
        if default != "left_alone":
            self.trust.policy["default"] = [dict(_SIMPLE[default])]
        if not self.trust.policy:
            return
        self.problems += self._lookups.problems
        found: dict[str, Any] = {}
        if self._text is not None:
            try:
                found = parse_policy(self._text)
            except ContainersPolicyError as error:
                self.problems.append(
                    f"{POLICY_PATH}: {error}. Every pull fails on this host now; repair the file or remove it"
                )
                return
        elif default == "left_alone":
            self.trust.policy["default"] = [dict(_SIMPLE["accept"])]
            self.trust.notices.append(
                f"{POLICY_PATH} is not there and has to have a default: it gets accept, which is what holds "
                "on this host only if nothing refuses. Set image_trust_default: reject for the other"
            )
        self._say_what_stays_weaker(found)
        self._say_what_breaks(default, local_transports, found)

    def _say_what_stays_weaker(self, found: Mapping[str, Any]) -> None:
        wanted = self.trust.policy.get("transports", {})
        for transport, scopes in found.get("transports", {}).items():
            for scope, requirements in scopes.items():
                if scope in wanted.get(transport, {}) or requirements != [_SIMPLE["accept"]]:
                    continue
                above = [other for other in wanted.get(transport, {}) if _is_below(scope, other)]
                if above:
                    self.trust.notices.append(
                        f"{transport}:{scope} is accepted without a signature by an entry of somebody else, "
                        f"which goes before {transport}:{above[0] or '(all)'}; name it in image_trust_scopes"
                    )

    def _say_what_breaks(self, default: str, local_transports: str, found: Mapping[str, Any]) -> None:
        if default != "reject" or local_transports != "left_alone":
            return
        named = {
            transport
            for transports in (found.get("transports", {}), self.trust.policy.get("transports", {}))
            for transport, scopes in transports.items()
            if "" in scopes
        }
        missing = [transport for transport in LOCAL_TRANSPORTS if transport not in named]
        if missing:
            self.trust.notices.append(
                f"image_trust_default: reject also refuses {', '.join(missing)} (podman load, for example); "
                "image_trust_local_transports: accept lets them through"
            )

    def _requirement(self, scope: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        requires = wanted["requires"]
        keys = [str(path) for path in wanted.get("keys") or []]
        if requires in _SIMPLE:
            unused = [name for name in ("keys", "identity", "signed_as") if wanted.get(name)]
            if unused:
                raise ImageTrustError(f"found {unused[0]} with requires: {requires}, which has no signatures")
            return dict(_SIMPLE[requires])
        if not keys:
            raise ImageTrustError(f"found no keys, requires: {requires} needs at least one public key")
        identity = self._identity(scope, wanted)
        if requires == "signed_by_gpg":
            data: dict[str, Any] = {"keyType": "GPGKeys", "keyData": gpg_key_data(keys, self._base)}
            return {"type": "signedBy", **data, **identity}
        if self._is_before(_SIGSTORE_SINCE):
            raise ImageTrustError("found signed_by_sigstore, which Podman knows from 4.2 on")
        if self._lack_of_sigstore:
            raise ImageTrustError(
                "found signed_by_sigstore, and this host's Podman verifies no such signature, so that every "
                f"pull would be refused ({self._lack_of_sigstore})"
            )
        texts = sigstore_key_data(keys, self._base)
        if len(texts) == 1:
            return {"type": "sigstoreSigned", "keyData": texts[0], **identity}
        if self._is_before(_SEVERAL_SIGSTORE_KEYS_SINCE):
            raise ImageTrustError(
                "found several keys with signed_by_sigstore, accepted before Podman 5.4 is one"
            )
        return {"type": "sigstoreSigned", "keyDatas": texts, **identity}

    def _identity(self, scope: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        name, signed_as = wanted.get("identity") or "digest_or_exact", wanted.get("signed_as")
        made = {"type": IDENTITIES[name]}
        needs = name in ("exact_reference", "exact_repository", "remap")
        if needs != bool(signed_as):
            found = "no signed_as" if needs else "signed_as"
            raise ImageTrustError(
                f"found {found} with identity: {name}; exact_reference, exact_repository and remap need it, "
                "the others have none"
            )
        if name == "exact_reference":
            made["dockerReference"] = str(signed_as)
        elif name == "exact_repository":
            made["dockerRepository"] = str(signed_as)
        elif name == "remap":
            made.update({"prefix": scope, "signedPrefix": str(signed_as)})
        return {} if name == "digest_or_exact" else {"signedIdentity": made}

    def _put_lookups(self, where: str, transport: str, scope: str, wanted: Mapping[str, Any]) -> None:
        lookaside, mirrors = wanted.get("lookaside"), wanted.get("mirrors") or []
        sigstore = wanted["requires"] == "signed_by_sigstore"
        if not (lookaside or sigstore):
            if mirrors:
                self.problems.append(f"{where}.mirrors: found it without lookaside and sigstore signatures")
            return
        if transport != "docker":
            self.problems.append(f"{where}: found lookaside or sigstore with {transport}, accepted is docker")
            return
        if lookaside and not str(lookaside).startswith(("https://", "file:///")):
            self.problems.append(f"{where}.lookaside: found {lookaside}, accepted is https://… or file:///…")
            return
        for place in (scope, *(str(mirror) for mirror in mirrors)):
            problem = self._lookups.add(place, lookaside=lookaside, sigstore=sigstore)
            if problem:
                self.problems.append(f"{where}: {problem}")
        self.trust.lookups = self._lookups.wanted
        self.trust.notices += self._lookups.hidden_by(scope, lookaside)


def _is_below(scope: str, other: str) -> bool:
    return scope != other and (other == "" or scope.startswith((f"{other}/", f"{other}:", f"{other}@")))
