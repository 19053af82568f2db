# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readers of TOML and YAML for targets whose Python happens to have a parser: tomllib (3.11), PyYAML.

They give the values that the controller's own readers give (`_toml_text`, `_yaml_tree`). What only those
understand (aliases, a very long file) is not guessed at: `CannotTell`.
"""

from __future__ import annotations

import datetime
import importlib
import re
from collections.abc import Callable
from typing import Any, Optional

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.module_utils._yaml_scalars import plain_scalar

__all__ = ["CannotTell", "optional_parser"]

# A parser in Python takes seconds for more, and a user can make their file as long as they like.
LENGTH_LIMIT = 128 * 1024
_PLAIN = "plain"


class CannotTell(BulkheadError):
    """The text may be of its format, and is not read here."""


def optional_parser(format_name: str) -> Optional[Callable[[str], Any]]:
    """A function from a text to its values; None where this Python has no parser for the format.

    The function raises `ValueError` or `RecursionError` for a text that is not of the format, and
    `CannotTell` for one that it does not read.
    """
    try:
        if format_name == "toml":
            return _toml_reader(importlib.import_module("tomllib"))
        if format_name == "yaml":
            return _yaml_reader(importlib.import_module("yaml"))
    except ImportError:
        return None
    return None


def _refuse_long(text: str) -> None:
    if len(text) > LENGTH_LIMIT:
        raise CannotTell(f"it is longer than {LENGTH_LIMIT} characters")


def _toml_reader(tomllib: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        _refuse_long(text)
        return _without_dates(tomllib.loads(text))

    return read


def _without_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_dates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def _yaml_reader(yaml: Any) -> Callable[[str], Any]:
    class Loader(yaml.SafeLoader):  # type: ignore[misc] # not known before it is imported
        """Marks the scalars that the core schema has to resolve, and constructs nothing."""

        yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}  # noqa: RUF012 - PyYAML's own name

        def compose_node(self, parent: Any, index: Any) -> Any:
            # An alias can stand for so many values that showing them never ends.
            if self.check_event(yaml.AliasEvent):
                raise CannotTell("it holds an alias")
            return super().compose_node(parent, index)

    def value_of(node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return plain_scalar(node.value) if node.tag == _PLAIN else node.value
        if isinstance(node, yaml.SequenceNode):
            return [value_of(item) for item in node.value]
        return {_key(name): value_of(value) for name, value in node.value}

    def _key(node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ValueError("a key of it is no single value")
        return str(node.value)

    def read(text: str) -> Any:
        _refuse_long(text)
        try:
            node = yaml.compose(text, Loader=Loader)
        except yaml.YAMLError:
            # The parser's own sentence may quote the file.
            raise ValueError("it is not YAML") from None
        return {} if node is None else value_of(node)

    return read
