# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TOML edited as text: layout and comments stay, and what cannot be written is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._merge_errors import MergeError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._toml_text import TomlText

CONTAINERS_CONF = """# The containers configuration file
[containers]

# Ulimits for all containers.
default_ulimits = [
  "nofile=1024:2048", # as ever
]
#pids_limit = 2048

[engine]
runtime = 'crun' # the default
[engine.runtimes]
crun = ["/usr/bin/crun"]
inline = { a.b = 1, c = 2 }

[[registry]]
location = "a"
"""


def test_keys_come_where_they_belong() -> None:
    text = TomlText(CONTAINERS_CONF)
    text.set(["containers", "pids_limit"], 512)
    text.set(["engine", "runtime"], "runc")
    text.set(["engine", "runtimes", "inline", "a", "d"], 'x "y" \\ é \x7f')
    text.set(["network", "firewall driver"], "nftables")
    text.add_element(["containers", "default_ulimits"], "nproc=1:2")
    assert text.text == CONTAINERS_CONF.replace(
        '  "nofile=1024:2048", # as ever\n]\n',
        '  "nofile=1024:2048", # as ever\n  "nproc=1:2",\n]\npids_limit = 512\n',
    ).replace("'crun'", '"runc"').replace(
        "a.b = 1, c = 2 }", 'a.b = 1, c = 2, a.d = "x \\"y\\" \\\\ é \\u007f" }'
    ) + ('\n[network]\n"firewall driver" = "nftables"\n')


def test_an_array_keeps_its_lines() -> None:
    text = TomlText(CONTAINERS_CONF)
    text.set(["containers", "default_ulimits"], ["a", "b"])
    assert 'default_ulimits = [\n  "a",\n  "b",\n]\n' in text.text


def test_dates_are_texts_and_arrays_of_tables_are_read() -> None:
    document = TomlText(
        "at = 2026-11-24T22:00:00Z\nday = 2026-11-24 \n[[r]]\nx = 1\n[[r]]\nx = 2\n[r.y]\nz = 1\n"
    )
    assert document.value == {
        "at": "2026-11-24T22:00:00+00:00",
        "day": "2026-11-24",
        "r": [{"x": 1}, {"x": 2, "y": {"z": 1}}],
    }
    document.set(["top"], 1)
    assert document.text.startswith("at = 2026-11-24T22:00:00Z\nday = 2026-11-24 \ntop = 1\n[[r]]")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("engine", 1, "a table stands here"),
        ("registry", [], "a table stands here"),
    ],
)
def test_a_table_is_not_replaced(path: str, value: Any, reason: str) -> None:
    text = TomlText(CONTAINERS_CONF)
    with pytest.raises(MergeError, match=reason):
        text.set(path.split("."), value)
    assert text.text == CONTAINERS_CONF


def test_an_array_of_tables_takes_no_element() -> None:
    with pytest.raises(MergeError, match=r"registry: it is written as \[\[tables\]\]"):
        TomlText(CONTAINERS_CONF).add_element(["registry"], {"location": "b"})


def test_null_is_refused() -> None:
    with pytest.raises(MergeError, match=r"a\.b: TOML has no way to write null"):
        TomlText.normalised(["a", "b"], [1, {"x": None}])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hunter2", r"it is not TOML \(at "),
        ("a = 1\na = 2", "it is not TOML"),
        ("a = 'hunter2", "it is not TOML"),
        ("\ufeffa = 1", "byte order mark"),
        ("a = " + "[" * 70 + "]" * 70, "nested deeper than 64"),
    ],
)
def test_what_is_no_toml_is_refused_without_quoting_it(text: str, reason: str) -> None:
    with pytest.raises(MergeError, match=reason) as caught:
        TomlText(text)
    assert "hunter2" not in str(caught.value)
