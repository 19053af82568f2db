# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a role, and its expressions as Ansible renders them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

__all__ = ["ROLES", "Role", "rendered"]

ROLES = Path(__file__).parents[2] / "roles"


@dataclass(frozen=True)
class Role:
    """One role of the collection."""

    name: str

    @property
    def path(self) -> Path:
        return ROLES / self.name

    def yaml(self, name: str) -> Any:
        """A file of it, parsed."""
        return yaml.safe_load((self.path / name).read_text(encoding="utf-8"))

    def options(self) -> dict[str, Any]:
        """The specification of its variables."""
        options: dict[str, Any] = self.yaml("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        return options


def rendered(expression: Any, **variables: Any) -> Any:
    """An expression of a role's, or a mapping of them, with these variables."""
    if isinstance(expression, dict):
        return {name: rendered(value, **variables) for name, value in expression.items()}
    if not isinstance(expression, str):
        return expression
    return Templar(loader=DataLoader(), variables=variables).template(trust_as_template(expression))
