# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading catalogue files: what is accepted, and what a wrong or hostile one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._catalogue import (
    CatalogueError,
    load_catalogue,
)

CONTROL: dict[str, Any] = {
    "id": "our-control",
    "title": "Ours",
    "severity": "high",
    "subject": "host",
    "passes": "kernel.x == '1'",
    "evidence": ["kernel.x"],
    "rationale": "Because\n  of that.",
    "remedy": {"role": "docker_engine", "variable": "docker_engine_settings['icc']", "value": False},
    "references": {"cis_docker_1_8": "2.2", "nist_800_190": ["4.3.3"]},
}


def written(directory: Path, *records: dict[str, Any], name: str = "ours.yml") -> str:
    path = directory / name
    path.write_text(json.dumps({"controls": list(records)}), encoding="utf-8")
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(CatalogueError) as error:
        load_catalogue([path])
    assert path in str(error.value)
    return str(error.value)


def test_control_is_read(tmp_path: Path) -> None:
    (control,) = load_catalogue([written(tmp_path, CONTROL)])
    assert (control.id, control.area, control.severity) == ("our-control", "ours", "high")
    assert control.passes is not None
    assert control.passes.source == "kernel.x == '1'"
    assert [expression.source for expression in control.evidence] == ["kernel.x"]
    assert control.rationale == "Because of that."
    assert control.remedy == CONTROL["remedy"]
    assert control.references == CONTROL["references"]


def test_a_remedy_of_false_or_nothing_keeps_its_value(tmp_path: Path) -> None:
    remedy = {"role": "docker_engine", "variable": "x"}
    without, given = load_catalogue(
        [written(tmp_path, {**CONTROL, "remedy": remedy}, {**CONTROL, "id": "b"})]
    )
    assert "value" not in without.remedy
    assert given.remedy["value"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": None}, ["our-control", "title"]),
        ({"severity": "urgent"}, ["our-control", "severity", "urgent", "critical, high, medium, low"]),
        ({"subject": "pod"}, ["subject", "pod", "container"]),
        ({"pases": "x"}, ["pases", "passes"]),
        ({"references": {"cis_dokcer": "2.2"}}, ["cis_dokcer", "cis_docker_1_8"]),
        ({"references": ["2.2"]}, ["references", "dict"]),
        ({"remedy": {"role": "docker_engine"}}, ["remedy", "found role", "role and variable"]),
        ({"remedy": {"none": "x", "role": "y"}}, ["remedy", "none, role"]),
        ({"remedy": {}}, ["remedy", "found nothing"]),
        ({"evidence": []}, ["evidence", "at least one"]),
        ({"manual": True}, ["passes", "not both"]),
        ({"passes": None}, ["passes", "found nothing"]),
        ({"rationale": ""}, ["rationale", "found nothing"]),
        ({"passes": "kernel.x("}, ["passes", "no expression"]),
        ({"applies": "run()"}, ["applies", "Call is not part of the language"]),
        ({"evidence": ["''.join(x)"]}, ["evidence", "Call"]),
        ({"id": "Our Control"}, ["id", "lower-case words"]),
        ({"id": "a" * 81}, ["id", "at most 80"]),
    ],
)
def test_wrong_control_is_named_with_what_is_accepted(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    message = refusal(written(tmp_path, {**CONTROL, **change}))
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", ["title", "severity", "subject", "evidence", "rationale", "remedy", "passes"])
def test_missing_key_is_named(tmp_path: Path, key: str) -> None:
    message = refusal(written(tmp_path, {name: value for name, value in CONTROL.items() if name != key}))
    assert "our-control" in message
    assert key in message


def test_control_that_is_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "ours.yml"
    path.write_text("controls: [text]", encoding="utf-8")
    assert "a control is a mapping, found str" in refusal(str(path))


def test_id_is_unique_over_all_files(tmp_path: Path) -> None:
    first = written(tmp_path, CONTROL, name="first.yml")
    second = written(tmp_path, CONTROL, name="second.yml")
    with pytest.raises(CatalogueError) as error:
        load_catalogue([first, second])
    assert "our-control" in str(error.value)
    assert first in str(error.value)
    assert second in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("controls:\n  - id: a\n    id: b\n", "found the key 'id' twice"),
        ("controls: []\ncontrols: []\n", "found the key 'controls' twice"),
        ("a: &a [x, x]\nb: [*a, *a]\n", "no anchors"),
        ("controls: &a []\n", "no anchors"),
        ("controls: " + "[" * 30 + "]" * 30, "nested deeper than 20"),
        ("[" * 100_000, "nest"),  # libyaml 0.2.6 has a limit of its own, and reads ahead
        ("controls: !!python/object/apply:os.system ['id']\n", "no accepted YAML"),
        ("controls: [", "no accepted YAML"),
        ("controls: \x00", "no accepted YAML"),
        ("other: []\n", "accepted is one key, 'controls'"),
        ("controls: {}\n", "accepted is one key, 'controls'"),
        ("", "accepted is one key, 'controls'"),
        ("controls: []\n" + "#" * (1 << 20), "at most 1048576 bytes"),
    ],
    ids=range(13),
)
def test_hostile_or_broken_file(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "ours.yml"
    path.write_text(content, encoding="utf-8")
    assert words in refusal(str(path))


def test_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "ours.yml"
    path.write_bytes(b"controls: \xff\xfe")
    assert "no accepted YAML" in refusal(str(path))
    assert "cannot be read: No such file" in refusal(str(tmp_path / "missing.yml"))


def test_name_of_the_file_is_the_area(tmp_path: Path) -> None:
    (control,) = load_catalogue([written(tmp_path, CONTROL, name="our-company.yml")])
    assert control.area == "our_company"
    assert "names the area" in refusal(written(tmp_path, CONTROL, name="Our Company.yml"))


def test_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = written(tmp_path, CONTROL)
    assert load_catalogue([path])[0].title == "Ours"
    written(tmp_path, {**CONTROL, "title": "Changed"})
    assert load_catalogue([path])[0].title == "Changed"
