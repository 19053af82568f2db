# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pulls into a storage that is thrown away: does the policy let an image in, is a kind of signature verified?

A pull that fails proves nothing by itself: the registry may be away. Only the words with which
containers/image refuses by policy (`REFUSED_BY_POLICY`) are a refusal.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._containers_policy import REFUSED_BY_POLICY
from ansible_collections.bulkhead.hardening.plugins.module_utils._facts import printable
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import (
    Completed,
    PortError,
    System,
)

__all__ = ["lack_of_sigstore", "try_image"]

_SECONDS = 300.0
_SAID = 500
# What Podman 4.3 and Skopeo 1.9 of Debian 12 answer to every sigstore signature, also to a good one (tried).
_LACKING = "sigstore disabled"
_PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKhn0tepLM0J63It0FI3LDSntRjA/
hxAlxuI+OUI+hS2V13A+OY7tiQQ58cLLpXnhU5HMIaQ+wjxSmckYh/CiRA==
-----END PUBLIC KEY-----
"""


def try_image(system: System, reference: str, *, wanted: str) -> dict[str, Any]:
    """Whether an image is `pulled` or `refused`, as wanted.

    :return: `{reference, wanted, found, proven, said}`; `found` is `pulled`, `refused` or `error`
    """
    program = system.find_program("podman")
    if program is None:
        return _outcome(reference, wanted, "error", "podman is not installed")
    directory = tempfile.mkdtemp(prefix="bulkhead-trust-")
    try:
        completed = _pull(system, program, directory, "--", reference)
    except PortError as error:
        return _outcome(reference, wanted, "error", str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    said = (completed.stderr or completed.stdout).strip()
    if completed.returncode == 0:
        return _outcome(reference, wanted, "pulled", "")
    return _outcome(reference, wanted, "refused" if REFUSED_BY_POLICY in said else "error", said)


def lack_of_sigstore(system: System) -> Optional[str]:
    """Why this host's Podman verifies no sigstore signature, as it says; None: nothing speaks against it.

    A made-up image with a made-up signature is asked for, which no policy lets in.
    """
    program = system.find_program("podman")
    if program is None:
        return None
    directory = tempfile.mkdtemp(prefix="bulkhead-trust-")
    try:
        _write_signed_image(directory)
        policy = f"--signature-policy={directory}/policy.json"
        completed = _pull(system, program, directory, policy, "--", f"dir:{directory}/image")
    except PortError:
        return None  # a Podman that does not answer is told of elsewhere
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    said = completed.stderr.strip()
    return printable(said[-_SAID:]) if _LACKING in said else None


def _write_signed_image(directory: str) -> None:
    """An image without layers (containers/image ``directory``), and a policy that asks for a signature."""
    os.mkdir(f"{directory}/image")
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "size": 2,
        "digest": f"sha256:{'0' * 64}",
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [],
    }
    signature = {
        "mimeType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "payload": _base64("{}"),
        "annotations": {"dev.cosignproject.cosign/signature": _base64("none")},
    }
    requirement = {"type": "sigstoreSigned", "keyData": _base64(_PUBLIC_KEY)}
    for name, text in {
        "image/version": "Directory Transport Version: 1.2\n",
        "image/manifest.json": json.dumps(manifest),
        "image/signature-1": f"\0sigstore-json\n{json.dumps(signature)}",
        "policy.json": json.dumps({"default": [requirement]}),
    }.items():
        with open(f"{directory}/{name}", "w", encoding="utf-8") as stream:
            stream.write(text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _pull(system: System, program: str, directory: str, *words: str) -> Completed:
    return system.run(
        [
            *(program, "--root", f"{directory}/root", "--runroot", f"{directory}/run"),
            *("--storage-driver", "vfs", "pull", "--quiet", *words),
        ],
        timeout=_SECONDS,
        environment={"HOME": "/root"},
    )


def _outcome(reference: str, wanted: str, found: str, said: str) -> dict[str, Any]:
    return {
        "reference": reference,
        "wanted": wanted,
        "found": found,
        "proven": found == wanted,
        "said": printable(said[-_SAID:]),
    }
