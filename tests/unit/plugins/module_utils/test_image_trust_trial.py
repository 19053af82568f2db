# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a host's Podman verifies sigstore signatures: what it is asked, and how its answer is taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._image_trust_trial import lack_of_sigstore
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import Completed, PortError
from unit.fake_system import FakeSystem

# Recorded from Podman 4.3.1 of Debian 12, which says it of a good signature too; and any other refusal.
DEBIAN_12 = "Error: Source image rejected: Debian-local change: sigstore disabled\n"
OTHERS = "Error: Source image rejected: cryptographic signature verification failed: invalid signature\n"


class Host(FakeSystem):
    """A host with Podman, which gives this answer."""

    def __init__(self, root: Path, answer: str | None) -> None:
        super().__init__(root)
        self.write("/usr/bin/podman").chmod(0o755)
        self.answer = answer
        self.seen: dict[str, Any] = {}

    def run(self, argv: Sequence[str], **_options: Any) -> Completed:
        policy = next(word for word in argv if word.startswith("--signature-policy=")).partition("=")[2]
        image = Path(argv[-1].partition(":")[2])
        self.seen = {
            "words": argv[5:],
            "requirement": json.loads(Path(policy).read_text())["default"][0]["type"],
            "signature": (image / "signature-1").read_bytes()[:15],
            "directory": image.parent,
        }
        if self.answer is None:
            raise PortError("podman: timed out")
        return Completed(tuple(argv), 125, "", self.answer)


@pytest.mark.parametrize(("answer", "lacks"), [(DEBIAN_12, True), (OTHERS, False), (None, False)])
def test_podman_is_asked_for_an_image_that_no_policy_lets_in(
    tmp_path: Path, answer: str | None, *, lacks: bool
) -> None:
    host = Host(tmp_path, answer)
    assert lack_of_sigstore(host) == (DEBIAN_12.strip() if lacks else None)
    assert host.seen["requirement"] == "sigstoreSigned"
    assert host.seen["signature"] == b"\0sigstore-json\n"[:15]
    assert not host.seen["directory"].exists()


def test_a_host_without_podman_is_not_asked(tmp_path: Path) -> None:
    assert lack_of_sigstore(FakeSystem(tmp_path)) is None
