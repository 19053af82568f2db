# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of the report: names, order and meaning of results, severities, areas and references."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AREAS",
    "RESULTS",
    "SEVERITIES",
    "ResultWords",
    "area_words",
    "reference_words",
    "severity_rank",
]

SEVERITIES = ("critical", "high", "medium", "low")

AREAS = {
    "docker_engine": "Docker engine",
    "docker_files": "Docker files",
    "docker_audit": "Docker audit trail",
    "containers": "Containers",
    "networks": "Networks",
    "host": "Host",
    "kernel": "Kernel",
    "podman": "Podman",
    "image_trust": "Image trust",
    "rootless": "Rootless engines",
    "rootless_podman": "Rootless Podman",
    "rootless_docker": "Rootless Docker",
    "collection": "This collection",
}

_REFERENCES = {
    "cis_docker_1_8": "CIS Docker 1.8",
    "cis_docker_1_6": "CIS Docker 1.6",
    "disa_docker_ee": "DISA STIG Docker EE",
    "nist_800_53": "NIST SP 800-53",
    "nist_800_190": "NIST SP 800-190",
    "anssi_bp_028": "ANSSI BP-028",
    "bsi_sys_1_6": "BSI IT-Grundschutz",
    "cis_rhel_9": "CIS RHEL 9",
    "cis_ubuntu_24_04": "CIS Ubuntu 24.04",
    "disa_rhel_8": "DISA STIG RHEL 8",
    "disa_rhel_9": "DISA STIG RHEL 9",
    "disa_ubuntu_24_04": "DISA STIG Ubuntu 24.04",
}


@dataclass(frozen=True)
class ResultWords:
    """One kind of result: its key, its heading, its word beside a number, and what it means."""

    key: str
    heading: str
    word: str
    meaning: str


RESULTS = (
    ResultWords(
        "fail", "Failed", "failed", "Each heading says what should hold. What was measured is something else."
    ),
    ResultWords(
        "error",
        "Could not be read",
        "could not be read",
        "A fact that these controls need could not be read. That is never a pass.",
    ),
    ResultWords(
        "pending",
        "Pending",
        "pending",
        "What is configured is not what is in force, or it is not known to be. Counts as failed until it is.",
    ),
    ResultWords("waived", "Waived", "waived", "Accepted by somebody, for a reason, until a date."),
    ResultWords(
        "manual", "For a person to judge", "to judge", "Only somebody who knows the host can decide."
    ),
    ResultWords("pass", "Passed", "passed", "What was measured is what the control asks for."),
    ResultWords(
        "not_applicable",
        "Not applicable",
        "not applicable",
        "What these controls look at is not on this host.",
    ),
)


def area_words(area: str) -> str:
    """Return the area as a heading; an area of a user's own catalogue from its file's name."""
    return AREAS.get(area) or area.replace("_", " ").capitalize()


def reference_words(source: str) -> str:
    """Return the name of a reference's source as its publisher writes it."""
    return _REFERENCES.get(source, source)


def severity_rank(severity: str) -> int:
    """Return 0 for critical to 3 for low; an unknown severity comes last."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
