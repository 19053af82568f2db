# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy says of the images that a host has, before it is written.

Nobody asks for the signatures: an image that needs one may have it. An image is decided by the name it has;
one that was pulled by a mirror keeps the name that was asked for, which is what the policy looks at.
Source: containers-policy.json(5), docker/policyconfiguration of containers/image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import (
    POLICY_PATH,
    parse_policy,
)

__all__ = ["decide_image", "decisions", "merged_policy"]

_SIGNED = ("signedBy", "sigstoreSigned", "signedBaseLayer")


def merged_policy(
    text: str | None, keys: Mapping[str, Any], predicted: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The policy as it will be.

    :param text: the policy that is there
    :param keys: wanted keys, as the role gives them to owned_config
    :param predicted: what owned_config returned; keys that it takes away are not in the policy
    """
    policy: dict[str, Any] = deepcopy(parse_policy(text)) if text else {}
    for change in _released(predicted or {}):
        holder: Any = policy
        for name in change[:-1]:
            holder = holder.get(name, {})
        holder.pop(change[-1], None)
    if "default" in keys:
        policy["default"] = keys["default"]
    for transport, scopes in keys.get("transports", {}).items():
        policy.setdefault("transports", {}).setdefault(transport, {}).update(scopes)
    return policy


def _released(predicted: Mapping[str, Any]) -> Iterator[list[str]]:
    for file in predicted.get("files", ()):
        if file["path"] == POLICY_PATH:
            yield from (change["key"] for change in file["keys"] if change.get("gone"))


def decide_image(policy: Mapping[str, Any], reference: str) -> str:
    """`accepted`, `needs_signature` or `refused`: what a pull of the image by this name comes to.

    :param reference: full name with a tag or a digest, `docker.io/library/alpine:3`
    """
    scopes = policy.get("transports", {}).get("docker", {})
    requirements = next(
        (scopes[scope] for scope in _scopes_of(reference) if scope in scopes), policy.get("default", [])
    )
    types = {requirement["type"] for requirement in requirements}
    if not types or "reject" in types:
        return "refused"
    return "needs_signature" if types & set(_SIGNED) else "accepted"


def _scopes_of(reference: str) -> Iterator[str]:
    """The scopes of an image, most specific first."""
    yield reference
    name = reference.partition("@")[0]
    directory, slash, last = name.rpartition("/")
    name = f"{directory}{slash}{last.partition(':')[0]}"
    while name:
        yield name
        name = name.rpartition("/")[0]
    labels = reference.partition("/")[0].partition(":")[0].split(".")
    for start in range(1, len(labels)):
        yield f"*.{'.'.join(labels[start:])}"
    yield ""


def decisions(policy: Mapping[str, Any], accounts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """`{refused, needs_signature, accepted, unknown}`: the first two name user and image, the third counts.

    Images of `localhost/` were made here and are pulled from nowhere; they are left out.
    """
    found: dict[str, Any] = {"refused": [], "needs_signature": [], "accepted": 0, "unknown": []}
    for account in accounts:
        if not isinstance(account["images"], list):
            found["unknown"].append({"user": account["user"], **account["images"]})
            continue
        for image in account["images"]:
            if image.startswith("localhost/"):
                continue
            decision = decide_image(policy, image)
            if decision == "accepted":
                found["accepted"] += 1
            else:
                found[decision].append({"user": account["user"], "image": image})
    return found
