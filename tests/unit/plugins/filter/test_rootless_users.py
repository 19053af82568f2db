"""What holds for users of rootless engines after a run."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.hardening.plugins.filter.rootless_users import FilterModule

verdict = FilterModule().filters()["rootless_users_verdict"]

SUBIDS: dict[str, Any] = {
    "pending": {},
    "collisions": [{"text": "x"}],
    "unusable": [{"line": 4}],
    "ranges": {"amber": {"uid": [1]}},
}


def after(pending: dict[str, str] | None = None, host: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "users": {"amber": {"linger": True, "subids": None, "pending": pending or {}}},
        "pending": {
            **{f"amber: {topic}": reason for topic, reason in (pending or {}).items()},
            **{f"host: {topic}": reason for topic, reason in (host or {}).items()},
        },
    }


def proof(*, proven: bool = False, tried: bool = True) -> list[dict[str, Any]]:
    return [{"user": "amber", "proven": proven, "tried": tried, "reason": None if proven else "no limit"}]


def test_a_proven_user() -> None:
    result = verdict(after(), subids=SUBIDS, proofs=proof(proven=True))
    assert (result["pending"], result["failed"]) == ({}, {})
    assert result["users"]["amber"]["subids"] == {"uid": [1]}
    assert (result["collisions"], result["unusable"]) == ([{"text": "x"}], [{"line": 4}])


def test_a_user_who_has_everything_and_is_not_proven_fails() -> None:
    result = verdict(after(), subids=SUBIDS, proofs=proof())
    assert result["failed"] == {"amber": "no limit"}


def test_a_user_who_waits_is_no_failure() -> None:
    for waiting in (
        verdict(after({"delegation": "later"}), subids=SUBIDS, proofs=proof()),
        verdict(after(host={"newuidmap": "missing"}), subids=SUBIDS, proofs=proof()),
        verdict(after(), subids={**SUBIDS, "pending": {"amber": "no ids"}}, proofs=proof()),
        verdict(after(), subids=SUBIDS, proofs=proof(tried=False)),
    ):
        assert waiting["failed"] == {}
        assert waiting["pending"]["amber: proof"] == "no limit"


def test_what_others_say_stays() -> None:
    subids = {**SUBIDS, "pending": {"amber": "collides"}}
    result = verdict(
        after({"delegation": "later"}, {"apparmor": "on"}), subids=subids, proofs=proof(proven=True)
    )
    assert result["pending"] == {
        "host: apparmor": "on",
        "amber: delegation": "later",
        "amber: subids": "collides",
    }


def test_a_doubt_about_the_home_ends_with_the_proof() -> None:
    assert verdict(after({"home": "noexec"}), subids=SUBIDS, proofs=proof(proven=True))["pending"] == {}


def test_check_mode_proves_nothing_and_nobody_waits_for_it() -> None:
    result = verdict(after(), subids=SUBIDS, proofs=proof(tried=False), predicted=True)
    assert (result["pending"], result["failed"]) == ({}, {})


def test_without_a_proof() -> None:
    assert verdict(after(), subids=SUBIDS, proofs=[])["users"]["amber"]["proof"] is None
