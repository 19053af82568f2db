"""registries.conf without a TOML library: read right, or not at all."""

from __future__ import annotations

import pytest
from ansible_collections.bulkhead.hardening.plugins.module_utils._ports import PortError
from ansible_collections.bulkhead.hardening.plugins.module_utils._registries_conf import merge_registries
from hypothesis import given
from hypothesis import strategies as st

MAIN = """\
# A comment with "quotes" and [brackets]
unqualified-search-registries = ["docker.io", 'quay.io']  # trailing
short-name-mode = "enforcing"

[[registry]]
prefix = "lab.example/team"
insecure = true
location = "lab.example:5000"

[[registry.mirror]]
location = "mirror.example#1"
insecure = true

[[registry]]
location = "safe.example"
insecure = false

[aliases]
"alpine" = "docker.io/library/alpine"
"""


def test_the_forms_that_such_files_use() -> None:
    registries = merge_registries([("main", MAIN)])
    assert registries.unqualified_search == ["docker.io", "quay.io"]
    assert registries.insecure == ["lab.example:5000", "mirror.example#1"]


def test_an_array_over_several_lines() -> None:
    text = 'unqualified-search-registries = [\n  "a",  # first\n\n  "b",\n]\n'
    assert merge_registries([("main", text)]).unqualified_search == ["a", "b"]


def test_inline_tables_as_owned_config_writes_them() -> None:
    text = (
        'registry = [{ prefix = "a.example", location = "a.example", blocked = true }, '
        '{ prefix = "b", location = "b.example", insecure = true, '
        'mirror = [{ location = "m", insecure = true }] }]\n'
    )
    assert merge_registries([("main", text)]).insecure == ["b.example", "m"]
    later = 'registry = [\n  { prefix = "b", location = "b.example" },\n]\n'
    assert merge_registries([("main", text), ("later", later)]).insecure == []


def test_a_later_file_replaces() -> None:
    later = 'unqualified-search-registries = []\n[[registry]]\nprefix = "lab.example/team"\nlocation = "x"\n'
    registries = merge_registries([("main", MAIN), ("later", later)])
    assert registries.unqualified_search == []
    assert registries.insecure == []


def test_the_first_version_of_the_format() -> None:
    text = (
        "[registries.search]\nregistries = ['docker.io']\n[registries.insecure]\nregistries = ['old:5000']\n"
    )
    registries = merge_registries([("main", text)])
    assert (registries.unqualified_search, registries.insecure) == (["docker.io"], ["old:5000"])


@pytest.mark.parametrize(
    "text",
    [
        "unqualified-search-registries = 5",
        'unqualified-search-registries = ["a"',
        'unqualified-search-registries = ["a\\u0041"]',
        'unqualified-search-registries = """a"""',
        "unqualified-search-registries = [1]",
        'registry = [{location = "x", insecure = true]',
        'registry = [{location = "x" insecure = true}]',
        'registry = [{location = "x", location = "y"}]',
        'registry = [{location "x"}]',
        "registry = [5]",
        "registry = [" * 20,
        'unqualified-search-registries = ["a" "b"]',
        "[[registry]]\nlocation = 'a'\nlocation = 'b'",
        "nonsense",
        '"unterminated',
    ],
)
def test_anything_else_is_unreadable_and_not_guessed(text: str) -> None:
    with pytest.raises(PortError, match="main"):
        merge_registries([("main", text)])


@given(st.text(alphabet="ab\"'[]=#,\n -.{}\\"))
def test_every_text_is_read_or_refused(text: str) -> None:
    try:
        merge_registries([("main", text)])
    except PortError as error:
        assert "main" in str(error)
