# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the expressions of the control catalogue can do with facts: compare, filter, test.

Every operation gets plain JSON values (the exact types that `json.loads` gives) and, for its error, the path
that its input came from. None of them converts silently: a comparison of a text with a number is
a mistake in the control, so it is an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError

__all__ = [
    "COMPARISONS",
    "FILTERS",
    "TESTS",
    "FactError",
    "NotApplicableFact",
    "Operation",
    "attribute",
    "readable",
    "refuse_marker",
    "truth",
]


class FactError(BulkheadError):
    """A fact that an expression needs is missing, unreadable or of another type: the result is ``error``."""


class NotApplicableFact(BulkheadError):
    """A fact that says itself that it does not apply here: the result is ``not_applicable``."""


class Operation(NamedTuple):
    """A filter or a test: ``apply(value, path, *arguments)`` and how many arguments it takes."""

    apply: Callable[..., Any]
    least: int
    most: int


_KINDS: Mapping[type, str] = MappingProxyType(
    {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a mapping",
    }
)


def kind_of(value: Any) -> str:
    """The JSON type of a value in the words of the error messages; a boolean is no number."""
    return _KINDS[type(value)]


def refuse_marker(value: Any, path: str) -> None:
    """Raise when ``value`` itself stands for a fact that could not be read or does not apply."""
    if not isinstance(value, dict):
        return
    if "unreadable" in value:
        raise FactError(f"{path} could not be read: {value['unreadable']}")
    if len(value) == 1 and "not_applicable" in value:
        raise NotApplicableFact(f"{path}: {value['not_applicable']}")


def readable(value: Any, path: str) -> Any:
    """``value``, if nothing in it at any depth is unreadable or not applicable."""
    if isinstance(value, (str, int, float)) or value is None:
        return value
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            refuse_marker(item, path)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


def attribute(value: Any, key: str, path: str) -> Any:
    """The value of a key of a mapping; ``path`` names the result."""
    refuse_marker(value, path)
    if not isinstance(value, dict):
        raise FactError(f"{path} is not there: it was looked up in {kind_of(value)}")
    if key not in value:
        raise FactError(f"{path} is not there")
    return value[key]


def truth(value: Any, path: str) -> bool:
    """``value``, which has to be a boolean: no other value stands for true or false."""
    refuse_marker(value, path)
    if not isinstance(value, bool):
        raise FactError(f"{path} is {kind_of(value)} where true or false is needed")
    return value


def _list(value: Any, path: str) -> list[Any]:
    refuse_marker(value, path)
    if not isinstance(value, list):
        raise FactError(f"{path} is {kind_of(value)} where a list is needed")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise FactError(f"{path} is {kind_of(value)} where a text is needed")
    return value


def _same(left: Any, right: Any, path: str) -> bool:
    kinds = {kind_of(left), kind_of(right)}
    if len(kinds) == 1:
        return bool(left == right)
    if "null" in kinds:
        return False
    raise FactError(f"{path} is {kind_of(left)} and is compared with {kind_of(right)}")


def _numbers(left: Any, right: Any, path: str) -> None:
    for value in (left, right):
        if kind_of(value) != "a number":
            raise FactError(f"{path} is compared by size, which needs two numbers; one is {kind_of(value)}")


def _less(left: Any, right: Any, path: str) -> bool:
    _numbers(left, right, path)
    return bool(left < right)


def _more(left: Any, right: Any, path: str) -> bool:
    _numbers(left, right, path)
    return bool(left > right)


def _contains(member: Any, container: Any, path: str) -> bool:
    if isinstance(container, str):
        return _text(member, path) in container
    if isinstance(container, dict):
        return _text(member, path) in container
    wanted = kind_of(member)
    kinds = {wanted} if member is None else set()
    for item in _list(container, path):
        kind = kind_of(item)
        if kind == wanted and item == member:
            return True
        kinds.add(kind)
    if kinds and not kinds & {wanted, "null"}:
        raise FactError(f"{path} is {wanted} and is looked for among values of another type")
    return False


COMPARISONS: Mapping[str, Callable[[Any, Any, str], bool]] = MappingProxyType(
    {
        "eq": _same,
        "ne": lambda left, right, path: not _same(left, right, path),
        "lt": _less,
        "gt": _more,
        "lteq": lambda left, right, path: not _more(left, right, path),
        "gteq": lambda left, right, path: not _less(left, right, path),
        "in": _contains,
        "notin": lambda left, right, path: not _contains(left, right, path),
    }
)


def _mode_within(value: Any, path: str, limit: str) -> bool:
    """Whether a mode has no permission bit that the limit lacks: a bit mask, not a comparison of numbers.

    0640 is a smaller number than 0700 and grants the group what 0700 does not.
    """
    modes = []
    for mode in (value, limit):
        if not isinstance(mode, str) or re.fullmatch(r"[0-7]{4}", mode) is None:
            raise FactError(f"{path}: a file mode is a text of four octal digits, found {kind_of(mode)}")
        modes.append(int(mode, 8))
    return modes[0] & ~modes[1] == 0


def _subset_of(value: Any, path: str, accepted: Any) -> bool:
    allowed = _list(accepted, path)
    return all(_contains(item, allowed, path) for item in _list(value, path))


def _loopback(value: Any, path: str) -> bool:
    try:
        address = ipaddress.ip_address(_text(value, path))
    except ValueError:
        raise FactError(f"{path} is a text that is no IP address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _shallow(test: Callable[..., bool]) -> Callable[..., bool]:
    def checked(value: Any, path: str, *arguments: Any) -> bool:
        refuse_marker(value, path)
        return test(value, path, *arguments)

    return checked


def _deep(test: Callable[..., bool]) -> Callable[..., bool]:
    def checked(value: Any, path: str, *arguments: Any) -> bool:
        return test(readable(value, path), path, *(readable(argument, path) for argument in arguments))

    return checked


TESTS: Mapping[str, Operation] = MappingProxyType(
    {
        "none": Operation(_shallow(lambda value, path: value is None), 0, 0),
        "true": Operation(truth, 0, 0),
        "false": Operation(lambda value, path: not truth(value, path), 0, 0),
        "equalto": Operation(_deep(lambda value, path, other: _same(value, other, path)), 1, 1),
        "in": Operation(_deep(lambda value, path, other: _contains(value, other, path)), 1, 1),
        "containing": Operation(_deep(lambda value, path, other: _contains(other, value, path)), 1, 1),
        "lt": Operation(_deep(lambda value, path, other: _less(value, other, path)), 1, 1),
        "gt": Operation(_deep(lambda value, path, other: _more(value, other, path)), 1, 1),
        "mode_within": Operation(_deep(_mode_within), 1, 1),
        "subset_of": Operation(_deep(_subset_of), 1, 1),
        "loopback": Operation(_deep(_loopback), 0, 0),
        "starting_with": Operation(
            _deep(lambda value, path, start: _text(value, path).startswith(_text(start, path))), 1, 1
        ),
        "ending_with": Operation(
            _deep(lambda value, path, end: _text(value, path).endswith(_text(end, path))), 1, 1
        ),
    }
)


def _follow(item: Any, dotted: str, path: str) -> Any:
    for key in dotted.split("."):
        path = f"{path}.{key}"
        item = attribute(item, key, path)
    return item


def _passes(item: Any, path: str, test: tuple[Any, ...]) -> bool:
    if not test:
        return truth(item, path)
    name, *arguments = test
    return bool(TESTS[name].apply(item, path, *arguments))


def _select(value: Any, path: str, *test: Any) -> list[Any]:
    return [item for item in _list(value, path) if _passes(item, path, test)]


def _reject(value: Any, path: str, *test: Any) -> list[Any]:
    return [item for item in _list(value, path) if not _passes(item, path, test)]


def _selectattr(value: Any, path: str, dotted: str, *test: Any) -> list[Any]:
    where = f"{path}[].{dotted}"
    return [item for item in _list(value, path) if _passes(_follow(item, dotted, path + "[]"), where, test)]


def _rejectattr(value: Any, path: str, dotted: str, *test: Any) -> list[Any]:
    where = f"{path}[].{dotted}"
    return [
        item for item in _list(value, path) if not _passes(_follow(item, dotted, path + "[]"), where, test)
    ]


def _map(value: Any, path: str, dotted: str) -> list[Any]:
    return [_follow(item, dotted, path + "[]") for item in _list(value, path)]


def _length(value: Any, path: str) -> int:
    refuse_marker(value, path)
    if not isinstance(value, (list, str, dict)):
        raise FactError(f"{path} is {kind_of(value)}, which has no length")
    return len(value)


def _integer(value: Any, path: str) -> int:
    refuse_marker(value, path)
    text = _text(value, path)
    if re.fullmatch(r"-?[0-9]{1,20}", text) is None:
        raise FactError(f"{path} is a text that is no whole number")
    return int(text)


def _truths(value: Any, path: str) -> list[bool]:
    """All members, looked at before one decides: an unreadable one behind a true one counts too."""
    return [truth(item, path) for item in _list(value, path)]


def _difference(value: Any, path: str, known: Any) -> list[Any]:
    removed = readable(_list(known, path), path)
    return [item for item in readable(_list(value, path), path) if not _contains(item, removed, path)]


FILTERS: Mapping[str, Operation] = MappingProxyType(
    {
        "length": Operation(_length, 0, 0),
        "list": Operation(_list, 0, 0),
        "int": Operation(_integer, 0, 0),
        "select": Operation(_select, 0, 3),
        "reject": Operation(_reject, 0, 3),
        "selectattr": Operation(_selectattr, 1, 4),
        "rejectattr": Operation(_rejectattr, 1, 4),
        "map": Operation(_map, 1, 1),
        "difference": Operation(_difference, 1, 1),
        "any": Operation(lambda value, path: any(_truths(value, path)), 0, 0),
        "all": Operation(lambda value, path: all(_truths(value, path)), 0, 0),
    }
)
