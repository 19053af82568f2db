# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What somebody changed since is found, in every format as far as it can be read on the host."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger import (
    Ledger,
    LedgerError,
    OwnedFile,
    OwnedKey,
)
from ansible_collections.bulkhead.hardening.plugins.module_utils._ledger_drift import drift, ledger_drift
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._yaml_text import YamlText
from unit.fake_system import FakeSystem

PATH = "/etc/no such directory/file"


def _entry(key: str, value: Any, **options: Any) -> OwnedKey:
    return OwnedKey(
        "docker_engine", PATH, tuple(key.split("/")), {"absent_from": 1}, value, "", "", "", **options
    )


def _ledger(*entries: OwnedKey, format_name: str = "json", written: bytes = b"") -> Ledger:
    return Ledger(entries, {PATH: OwnedFile(False, hashlib.sha256(written).hexdigest(), format_name)})


def _found(ledger: Ledger, content: bytes | None) -> list[tuple[Any, ...]]:
    return [
        (item["key"], item["set"], item["found"], item["state"]) for item in drift(ledger, lambda _: content)
    ]


def test_a_key_as_it_was_set_has_not_drifted() -> None:
    assert _found(_ledger(_entry("log-opts/max-size", "10m")), b'{"log-opts": {"max-size": "10m"}}') == []


@pytest.mark.parametrize(
    ("content", "found", "state"),
    [
        (b'{"icc": true}', True, "changed"),
        (b'{"icc": null}', None, "changed"),
        (b'{"icc": 0}', 0, "changed"),
        (b"{}", None, "absent"),
        (b"[]", None, "absent"),
        (None, None, "absent"),
    ],
)
def test_a_key_that_somebody_changed(content: bytes | None, found: Any, state: str) -> None:
    assert _found(_ledger(_entry("icc", False)), content) == [(["icc"], False, found, state)]


def test_a_value_on_its_way_has_not_drifted() -> None:
    entry = _entry("mtu", 1400, replaces={"value": 1500})
    assert _found(_ledger(entry), b'{"mtu": 1500}') == []


def test_an_element_that_somebody_removed() -> None:
    ledger = _ledger(_entry("dns", "::1", element={"value": "::1"}))
    assert _found(ledger, b'{"dns": ["::2", "::1"]}') == []
    assert _found(ledger, b'{"dns": ["::2"]}') == [(["dns"], "::1", None, "absent")]


def test_a_repeated_key_of_a_unit_s_drop_in() -> None:
    ledger = _ledger(_entry("Service/ExecStart", ["", "/usr/bin/dockerd"]), format_name="keyfile")
    assert _found(ledger, b"[Service]\nExecStart=\nExecStart=/usr/bin/dockerd\n") == []
    assert _found(ledger, b"[Service]\nExecStart=/other\n") == [
        (["Service", "ExecStart"], ["", "/usr/bin/dockerd"], "/other", "changed")
    ]


def test_a_line_that_somebody_removed() -> None:
    ledger = _ledger(_entry("lines", "-w /etc", element={"value": "-w /etc"}), format_name="lines")
    assert _found(ledger, b"# x\n  -w /etc\n") == []
    assert _found(ledger, b"# -w /etc\n") == [(["lines"], "-w /etc", None, "absent")]


@pytest.mark.parametrize("format_name", ["toml", "yaml"])
def test_a_file_that_cannot_be_parsed_here_is_known_by_its_checksum(
    monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    monkeypatch.setitem(sys.modules, "tomllib" if format_name == "toml" else "yaml", None)
    ledger = _ledger(_entry("engine/runtime", "crun"), format_name=format_name, written=b"as written")
    assert _found(ledger, b"as written") == []
    assert _found(ledger, b"edited") == [(None, None, None, "edited")]


@pytest.mark.parametrize("format_name", ["json", "keyfile", "toml", "yaml"])
def test_a_file_on_its_way_is_as_it_was_written(format_name: str) -> None:
    ledger = _ledger(_entry("a", "b"), format_name=format_name, written=b"old")
    facts = replace(ledger.files[PATH], next_sha256=hashlib.sha256(b"new").hexdigest())
    assert _found(replace(ledger, files={PATH: facts}), b"new") == []


TOML = b'[engine]\nruntime = "crun"\n'
YAML = b"engine:\n  runtime: crun\n"


@pytest.mark.parametrize(
    ("format_name", "content", "expected"),
    [
        ("toml", b"# a comment\n" + TOML + b"since = 2026-11-24\n", None),
        ("toml", b'engine = {runtime = "runc"}', ("runc", "changed")),
        ("toml", b"engine = {runtime = 2026-11-24}", ("2026-11-24", "changed")),
        ("toml", b"[engine]", (None, "absent")),
        ("yaml", b"# a comment\nother: [yes, {1: 2}]\n" + YAML, None),
        ("yaml", b"engine: {runtime: 'crun'}", None),
        ("yaml", b"engine: {runtime: !mine crun}", None),
        ("yaml", b"engine: {runtime: yes}", ("yes", "changed")),
        ("yaml", b"engine: {runtime: true}", (True, "changed")),
        ("yaml", b"engine: {runtime: 'true'}", ("true", "changed")),
        ("yaml", b"engine:", (None, "absent")),
        ("yaml", b"", (None, "absent")),
    ],
)
def test_an_edit_beside_an_owned_key_is_no_drift_of_it(
    format_name: str, content: bytes, expected: tuple[Any, str] | None
) -> None:
    ledger = _ledger(_entry("engine/runtime", "crun"), format_name=format_name, written=b"before the edit")
    found = [] if expected is None else [(["engine", "runtime"], "crun", *expected)]
    assert _found(ledger, content) == found


@pytest.mark.parametrize(("value", "written"), [("yes", b"yes"), ("1_0", b"1_0"), (8, b"0o10"), (10, b"010")])
def test_yaml_means_on_the_host_what_it_means_on_the_controller(value: Any, written: bytes) -> None:
    ledger = _ledger(_entry("a/1", value), format_name="yaml")
    assert YamlText(f"a: {{1: {written.decode()}}}").value == {"a": {"1": value}}
    assert _found(ledger, b"a:\n  1: " + written) == []


@pytest.mark.parametrize(
    ("format_name", "content"),
    [
        ("yaml", b"a: &a [*a]\nengine: *a\n"),
        ("yaml", b"a: &a crun\nengine: {runtime: *a}\n"),
        ("yaml", YAML + b"#" * 128 * 1024),
        ("toml", TOML + b"#" * 128 * 1024),
    ],
)
def test_what_is_not_read_here_is_not_guessed_at(format_name: str, content: bytes) -> None:
    ledger = _ledger(_entry("engine/runtime", "crun"), format_name=format_name)
    assert _found(ledger, content) == [(None, None, None, "edited")]


@pytest.mark.parametrize(
    ("content", "format_name"),
    [
        (b"{", "json"),
        (b"\xff", "json"),
        (b"[" * 99999, "json"),
        (b"x", "keyfile"),
        (b"x", "toml"),
        (b"x = " + b"[" * 9999, "toml"),
        (b"x: [", "yaml"),
        (b"[" * 9999, "yaml"),
        (b"{[1]: 2}", "yaml"),
        (b"a: 1\n---\nb: 2", "yaml"),
        (b"a: \x00", "yaml"),
    ],
)
def test_what_is_no_longer_of_its_format_is_unreadable(content: bytes, format_name: str) -> None:
    [(key, _set, found, state)] = _found(_ledger(_entry("icc", False), format_name=format_name), content)
    assert (key, state) == (None, "unreadable")
    assert "not of its format any more" in found


def test_a_file_that_cannot_be_read_is_unreadable_and_the_others_are_looked_at() -> None:
    other = replace(_entry("icc", False), path="/other")
    ledger = Ledger((_entry("icc", False), other))

    def read(path: str) -> bytes:
        if path == PATH:
            raise BulkheadError(f"{path}: Permission denied")
        return b"{}"

    assert [(item["path"], item["state"]) for item in drift(ledger, read)] == [
        (PATH, "unreadable"),
        ("/other", "absent"),
    ]


def test_secrets_are_never_shown() -> None:
    ledger = _ledger(
        _entry("http-proxy", "http://u:hunter2@x"),
        _entry("named-by-the-caller", "hunter3", secret=True),
        _entry("labels", ["http://u:hunter4@x"]),
    )
    content = b'{"http-proxy": "hunter5", "named-by-the-caller": "hunter6", "labels": ["https://hunter7@y"]}'
    items = drift(ledger, lambda _: content)
    assert "hunter" not in str(items)
    assert items[0]["set"] == items[0]["found"] == "(secret)"
    assert items[2]["found"] == ["https://y"]


def test_a_host_is_read_through_its_port(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    assert ledger_drift(system) == []
    system.write("/var/lib/bulkhead/ledger.json", _ledger(_entry("icc", False)).render())
    assert [item["state"] for item in ledger_drift(system)] == ["absent"]
    system.write(PATH, '{"icc": true}')
    assert [item["state"] for item in ledger_drift(system)] == ["changed"]
    system.write(PATH, '{"icc": false}')
    assert ledger_drift(system) == []


def test_a_damaged_ledger_is_an_error(tmp_path: Path) -> None:
    system = FakeSystem(tmp_path)
    system.write("/var/lib/bulkhead/ledger.json", "{")
    with pytest.raises(LedgerError, match=r"ledger.json: it is damaged"):
        ledger_drift(system)
