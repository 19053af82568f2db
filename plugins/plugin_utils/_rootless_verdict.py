# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What holds for users of rootless engines after a run: facts, what waits, what is proven. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RootlessVerdict", "judge_users"]

_HOST = "host: "


@dataclass
class RootlessVerdict:
    """The result of the role.

    :ivar users: by user, facts of the session, ranges, the proof, and what is pending by topic
    :ivar pending: by user (or `host`) and topic, `{"amber: delegation": reason}`
    :ivar failed: users who should be proven and are not, with the reason
    :ivar collisions: of subordinate ids, as the module subid gives them
    :ivar unusable: lines of subuid and subgid that were left, as the module subid gives them
    """

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    collisions: list[Any] = field(default_factory=list)
    unusable: list[Any] = field(default_factory=list)


def judge_users(
    after: Mapping[str, Any],
    subids: Mapping[str, Any],
    proofs: Sequence[Mapping[str, Any]],
    *,
    predicted: bool,
) -> RootlessVerdict:
    """Put the results of the modules together.

    :param after: of rootless_users_activate
    :param predicted: in check mode nothing is proven, and that is no reason for waiting
    """
    verdict = RootlessVerdict(collisions=list(subids["collisions"]), unusable=list(subids["unusable"]))
    verdict.pending = {key: reason for key, reason in after["pending"].items() if key.startswith(_HOST)}
    by_user = {proof["user"]: proof for proof in proofs}
    for name, facts in after["users"].items():
        pending = dict(facts["pending"])
        if name in subids["pending"]:
            pending["subids"] = subids["pending"][name]
        proof = by_user.get(name)
        if proof is not None and proof["proven"]:
            pending.pop("home", None)  # a doubt, which the proof has ended
        elif proof is not None and not predicted:
            _unproven(verdict, name, proof, pending)
        verdict.users[name] = {
            **facts,
            "subids": subids["ranges"].get(name, {}),
            "proof": None if proof is None else dict(proof),
            "pending": pending,
        }
        verdict.pending.update({f"{name}: {topic}": reason for topic, reason in pending.items()})
    return verdict


def _unproven(verdict: RootlessVerdict, name: str, proof: Mapping[str, Any], pending: dict[str, str]) -> None:
    """A user who waits for something, or whom the host cannot try, is no failure."""
    if proof["tried"] and not pending and not verdict.pending:
        verdict.failed[name] = proof["reason"]
    else:
        pending["proof"] = proof["reason"]
