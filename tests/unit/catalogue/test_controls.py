# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every control of the catalogue passes on one document and fails on another, as its case says.

``base.json`` is the posture of a careful host: recorded on Debian 13, shortened, and mended so that all that
applies there passes. ``cases/AREA.yml`` has, for each control, patches over it: a path with slashes to
the value that is there then. ``passes`` may be left out where the base passes as it is. A control that a
person decides has the case ``manual``.
"""

from __future__ import annotations

import copy
import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import Control, load_catalogue
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._evaluation import evaluate

HERE = Path(__file__).parent
ROLE = HERE.parents[2] / "roles" / "posture_audit"
FILES = sorted((ROLE / "files" / "catalogue").glob("*.yml"))
CONTROLS = {control.id: control for control in load_catalogue(str(path) for path in FILES)}
BASE = json.loads((HERE / "base.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {}
for area in sorted((HERE / "cases").glob("*.yml")):
    CASES.update(yaml.safe_load(area.read_text(encoding="utf-8")))

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
UNREADABLE = {"unreadable": "permission denied"}


def patched(patch: dict[str, Any]) -> dict[str, Any]:
    """The base document with other values; the place of each has to be there."""
    posture: dict[str, Any] = copy.deepcopy(BASE)
    for path, value in patch.items():
        owner: Any = posture
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        for step in steps:
            owner = owner[step]
        assert isinstance(owner, list) or last in owner, f"{path} is not in the base document"
        owner[last] = value
    return posture


def results(control: Control, posture: dict[str, Any]) -> list[tuple[str, str | None]]:
    report = evaluate(posture, host="h", controls=[control], waivers=[], now=NOW, collection_version="0")
    return [(finding["result"], finding["reason"]) for finding in report["findings"]]


def cases(kind: str) -> list[Any]:
    return [pytest.param(name, case, id=name) for name, case in CASES.items() if kind in case]


def test_every_control_has_its_case_and_no_case_is_left_over() -> None:
    assert set(CASES) == set(CONTROLS)
    for name, case in CASES.items():
        wanted = {"manual"} if CONTROLS[name].passes is None else {"fails"}
        assert wanted <= set(case) <= {"passes", "fails", "manual"}, name


@pytest.mark.parametrize(("name", "case"), cases("fails"))
def test_passes(name: str, case: dict[str, Any]) -> None:
    outcome = results(CONTROLS[name], patched(case.get("passes", {})))
    assert {result for result, _ in outcome} == {"pass"} or ("pass", None) in outcome, outcome
    assert not {"fail", "error"} & {result for result, _ in outcome}, outcome


@pytest.mark.parametrize(("name", "case"), cases("fails"))
def test_fails(name: str, case: dict[str, Any]) -> None:
    patches = case["fails"] if isinstance(case["fails"], list) else [case["fails"]]
    for patch in patches:
        outcome = results(CONTROLS[name], patched({**case.get("passes", {}), **patch}))
        assert "fail" in {result for result, _ in outcome}, (patch, outcome)
        assert "error" not in {result for result, _ in outcome}, (patch, outcome)


@pytest.mark.parametrize(("name", "case"), cases("manual"))
def test_is_left_to_a_person_with_readable_evidence(name: str, case: dict[str, Any]) -> None:
    posture = patched(case["manual"] or {})
    report = evaluate(
        posture, host="h", controls=[CONTROLS[name]], waivers=[], now=NOW, collection_version="0"
    )
    for finding in report["findings"]:
        assert finding["result"] == "manual"
        for shown in finding["evidence"]:
            assert not isinstance(shown["value"], dict) or "unreadable" not in shown["value"], shown


@pytest.mark.parametrize("name", sorted(name for name, control in CONTROLS.items() if control.passes))
@pytest.mark.parametrize(
    "part",
    ["host", "kernel", "docker", "podman", "rootless", "rootless_engines", "containers", "bulkhead"],
)
def test_never_passes_on_a_fact_that_it_reads_and_that_is_unreadable(name: str, part: str) -> None:
    """With a whole part of the document unreadable, a control is an error, or does not read that part."""
    before = results(CONTROLS[name], patched(CASES[name].get("passes", {})))
    after = results(CONTROLS[name], {**patched(CASES[name].get("passes", {})), part: UNREADABLE})
    control = CONTROLS[name]
    assert control.passes is not None
    subject = {
        "container": "containers",
        "network": "docker",
        "user": "rootless",
        "host": None,
    }.get(control.subject, control.subject)
    if part == subject or re.search(rf"(?<![.\w']){part}\b", control.passes.source):
        assert {result for result, _ in after} == {"error"}, after
    else:
        assert "fail" not in {result for result, _ in after}
        assert {result for result, _ in after} <= {result for result, _ in before} | {"error"}


def test_every_control_of_cis_docker_that_a_posture_can_decide_is_there() -> None:
    covered = {control.references.get("cis_docker_1_8") for control in CONTROLS.values()}
    section_1 = {f"1.1.{number}" for number in range(1, 19)}
    section_2 = {f"2.{number}" for number in range(1, 20)}
    section_3 = {f"3.{number}" for number in range(1, 25)}
    # who ran an exec as root is in the audit log, which a posture does not hold
    section_5 = {f"5.{number}" for number in range(1, 33)} - {"5.24"}
    assert (section_1 | section_2 | section_3 | section_5) - covered == set()


def test_engines_without_root_have_their_thirty_controls() -> None:
    areas = ("rootless", "rootless_docker", "rootless_podman", "image_trust")
    files = [ROLE / "files" / "catalogue" / f"{area}.yml" for area in areas]
    decided = [control.id for control in load_catalogue(map(str, files)) if control.passes is not None]
    assert len([name for name in decided if "fails" in CASES[name]]) >= 30


def test_ids_of_1_6_follow_the_one_insertion_of_1_8() -> None:
    """1.8 puts 2.7 in and moves what followed by one; nothing else is renumbered."""
    for control in CONTROLS.values():
        new, old = control.references.get("cis_docker_1_8"), control.references.get("cis_docker_1_6")
        if new is None or new == "2.7":
            assert old is None
            continue
        section, number = new.split(".")[0], new.split(".")[-1]
        moved = section == "2" and int(number) > 7
        assert old == (f"2.{int(number) - 1}" if moved else new), control.id


def test_no_control_asks_for_what_stops_containers() -> None:
    for control in CONTROLS.values():
        assert "ip_forward" not in control.id
        source = control.passes.source if control.passes else ""
        assert "max_user_namespaces'] == '0'" not in source
        assert "net.ipv4.ip_forward" not in source


@pytest.mark.parametrize("name", ["docker-unlisted-containers", "container-unlisted"])
def test_a_container_that_no_engine_lists_is_critical(name: str) -> None:
    assert CONTROLS[name].severity == "critical"


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_remedy_names_a_role_and_variable_that_exist(control: Control) -> None:
    if "none" in control.remedy:
        return
    specs = ROLE.parent / control.remedy["role"] / "meta" / "argument_specs.yml"
    options = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    variable, *keys = re.findall(r"[A-Za-z0-9_.-]+", control.remedy["variable"])
    assert variable in options
    known = options[variable].get("options")
    for key in keys:
        if known is None:
            break
        assert key in known
        known = known[key].get("options")


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_texts_are_for_readers(control: Control) -> None:
    assert not control.title.endswith(".")
    assert control.title[0].isupper() or control.title.startswith(("docker.", "daemon.", "systemd ", "/"))
    assert len(control.title) <= 80
    assert control.rationale.endswith(".")
    assert 1 <= control.rationale.count(". ") + 1 <= 3


def test_settings_that_a_control_judges_are_in_its_evidence() -> None:
    for control in CONTROLS.values():
        if control.passes is not None:
            shown = {expression.source for expression in control.evidence}
            assert {setting.source for setting in control.passes.settings} <= shown, control.id
