# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes docs/catalogue.md from the control catalogue: ``python -m catalogue_table``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import (
    SEVERITIES,
    Control,
    load_catalogue,
)

__all__ = ["CATALOGUE", "PAGE", "page"]

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "roles" / "posture_audit" / "files" / "catalogue"
PAGE = ROOT / "docs" / "catalogue.md"

_AREAS = {
    "docker_engine": "Docker engine",
    "docker_files": "Docker's files",
    "docker_audit": "Docker's audit trail",
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
_FRAMEWORKS = {
    "cis_docker_1_8": "CIS Docker 1.8",
    "disa_docker_ee": "",
    "disa_rhel_9": "",
    "cis_rhel_9": "CIS RHEL 9",
    "cis_ubuntu_24_04": "CIS Ubuntu 24.04",
    "anssi_bp_028": "ANSSI",
    "nist_800_190": "NIST SP 800-190",
    "bsi_sys_1_6": "",
}


def page(controls: Sequence[Control]) -> str:
    """The whole page: a table per area, the gravest controls first."""
    severities = ", ".join(
        f"{sum(control.severity == severity for control in controls)} {severity}" for severity in SEVERITIES
    )
    parts = [
        "# The catalogue",
        "",
        "<!-- Written by `make docs` from roles/posture_audit/files/catalogue; do not edit. -->",
        "",
        f"{len(controls)} controls ({severities}). [controls.md](controls.md) says how to read them. Titles",
        "and texts are this project's own words; the references lead to those of the frameworks.",
    ]
    for area, name in _AREAS.items():
        parts += [
            "",
            f"## {name}",
            "",
            "| control | severity | what holds | remedy | references |",
            "|---|---|---|---|---|",
        ]
        members = [control for control in controls if control.area == area]
        parts += [_row(control) for control in sorted(members, key=_gravity)]
    return "\n".join(parts) + "\n"


def _gravity(control: Control) -> int:
    return SEVERITIES.index(control.severity)


def _row(control: Control) -> str:
    title = control.title + (" (a person decides)" if control.passes is None else "")
    cells = [
        f"`{control.id}`",
        control.severity,
        title,
        _remedy(control.remedy),
        _references(control.references),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _remedy(remedy: Mapping[str, Any]) -> str:
    if "none" in remedy:
        return str(remedy["none"])
    return f"`{remedy['variable']}`"


def _references(references: Mapping[str, Any]) -> str:
    shown = []
    for framework, name in _FRAMEWORKS.items():
        ids = references.get(framework)
        if ids:
            listed = ids if isinstance(ids, str) else ", ".join(ids)
            shown.append(f"{name} {listed}".strip())
    return "; ".join(shown)


def main() -> None:
    controls = load_catalogue(str(path) for path in sorted(CATALOGUE.glob("*.yml")))
    PAGE.write_text(page(controls), encoding="utf-8")


if __name__ == "__main__":
    main()
