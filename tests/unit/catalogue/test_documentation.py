# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages about the catalogue say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import (
    REFERENCES,
    SEVERITIES,
    SUBJECTS,
    load_catalogue,
)
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import RESULTS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expression_operations import FILTERS, TESTS
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._score import WEIGHTS
from catalogue_table import CATALOGUE, PAGE, page

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "posture_audit"
CONTROLS_PAGE = (ROOT / "docs" / "controls.md").read_text(encoding="utf-8")


def test_table_is_current() -> None:
    controls = load_catalogue(str(path) for path in sorted(CATALOGUE.glob("*.yml")))
    assert PAGE.read_text(encoding="utf-8") == page(controls), "run make docs"
    assert all(f"`{control.id}`" in page(controls) for control in controls)


def test_page_names_all_that_the_language_and_the_schema_have() -> None:
    for name in (*FILTERS, *TESTS, *REFERENCES, *SEVERITIES, *SUBJECTS, *RESULTS):
        assert f"`{name}" in CONTROLS_PAGE, name
    for severity, weight in WEIGHTS.items():
        assert f"{severity} {weight}" in CONTROLS_PAGE


def test_example_of_the_page_is_an_accepted_catalogue(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(controls:\n.*?)```", CONTROLS_PAGE, re.DOTALL)
    path = tmp_path / "our_company.yml"
    path.write_text(example, encoding="utf-8")
    (control,) = load_catalogue([str(path)])
    assert control.area == "our_company"


def test_readme_and_defaults_of_the_role_have_every_variable() -> None:
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options = specs["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert defaults == {name: option["default"] for name, option in options.items()}
    readme = (ROLE / "README.md").read_text(encoding="utf-8")
    for name, option in options.items():
        assert f"| `{name}` | {option['type']} |" in readme
