# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The expression language of the control catalogue: Jinja2's grammar, and nothing of Jinja2's evaluation.

Jinja2 parses one expression. Each node of its tree has to be of a listed kind, and becomes a closure over
plain values. No template is rendered, no Python attribute is looked up and nothing is called, so a hostile
catalogue has nothing to escape from; a hostile posture is never parsed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.bulkhead.hardening.plugins.module_utils._errors import BulkheadError
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._expression_operations import (
    COMPARISONS,
    FILTERS,
    TESTS,
    FactError,
    NotApplicableFact,
    Operation,
    attribute,
    readable,
    truth,
)
from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

__all__ = [
    "Expression",
    "ExpressionError",
    "FactError",
    "NotApplicableFact",
    "compile_expression",
]

LONGEST = 1000

Facts = Mapping[str, Any]
_Evaluate = Callable[[Facts], Any]


class ExpressionError(BulkheadError):
    """An expression that is not of the language; nothing of it was evaluated."""


@dataclass(frozen=True)
class Expression:
    """A compiled expression.

    :ivar source: the text it was compiled from
    :ivar settings: the engine settings it reads: each ``X`` of which it takes ``X.value``
    """

    source: str
    settings: tuple[Expression, ...]
    _evaluate: _Evaluate

    def value(self, facts: Facts) -> Any:
        """What the expression gives for these facts.

        :raises FactError: a fact that it uses is missing, unreadable or of another type
        :raises NotApplicableFact: a fact that it uses says that it does not apply
        """
        return self._evaluate(facts)

    def verdict(self, facts: Facts) -> bool:
        """The same for an expression that decides; raises `FactError` for anything but true and false."""
        return truth(self._evaluate(facts), f"the result of '{self.source}'")


def compile_expression(source: str) -> Expression:
    """Compile ``source``.

    :raises ExpressionError: it is too long or too deep, no single expression, or uses what is not listed
    """
    if len(source) > LONGEST:
        raise ExpressionError(f"the expression has {len(source)} characters, accepted are {LONGEST}")
    try:
        tree = _parse(source)
        settings = tuple(
            Expression(_path(node), (), _compile(node))
            for node in {_path(n): n for n in _settings(tree)}.values()
        )
        return Expression(source, settings, _compile(tree))
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply") from None
    except TemplateSyntaxError as error:
        raise ExpressionError(f"'{source}' is no expression: {error.message}") from None


def _parse(source: str) -> nodes.Expr:
    parser = Parser(Environment(), source, state="variable")  # noqa: S701  # parses only: nothing is rendered
    tree = parser.parse_expression()
    if not parser.stream.eos:
        raise ExpressionError(f"'{source}' goes on after the end of its expression")
    return tree


def _settings(tree: nodes.Node) -> Iterator[nodes.Expr]:
    for node in [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem), tree]:
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and _key(node) == "value":
            yield node.node


def _key(node: nodes.Node) -> Any:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return node.arg.value
    return None


def _path(node: nodes.Node) -> str:
    """How a node is named in an error: as it is written, as far as it is a path."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_path(node.node)}['{_key(node)}']"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{_path(node.node)} | {node.name}"
    return "the value" if not isinstance(node, nodes.Const) else repr(node.value)


def _compile(node: nodes.Node) -> _Evaluate:
    rule = _RULES.get(type(node))
    if rule is None:
        raise ExpressionError(f"{type(node).__name__} is not part of the language; see docs/controls.md")
    return rule(node)


def _const(node: nodes.Const) -> _Evaluate:
    value = node.value
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise ExpressionError("a constant is a text, a number, true, false or none")
    return lambda facts: value


def _name(node: nodes.Name) -> _Evaluate:
    name = node.name

    def evaluate(facts: Facts) -> Any:
        if name not in facts:
            raise FactError(f"{name} is not there: the facts here are {', '.join(sorted(facts))}")
        return facts[name]

    return evaluate


def _lookup(node: nodes.Getattr | nodes.Getitem) -> _Evaluate:
    key, path, owner = _key(node), _path(node), _compile(node.node)
    if not isinstance(key, str):
        raise ExpressionError(f"{path}: a key is a text in quotes")
    return lambda facts: attribute(owner(facts), key, path)


def _literal(node: nodes.List | nodes.Tuple) -> _Evaluate:
    items = [_compile(item) for item in node.items]
    return lambda facts: [item(facts) for item in items]


def _compare(node: nodes.Compare) -> _Evaluate:
    if len(node.ops) != 1:
        raise ExpressionError("one comparison at a time: write 'a < b and b < c'")
    operand = node.ops[0]
    compare, path = COMPARISONS[operand.op], _path(node.expr)
    left, right, right_path = _compile(node.expr), _compile(operand.expr), _path(operand.expr)
    return lambda facts: compare(readable(left(facts), path), readable(right(facts), right_path), path)


def _both(node: nodes.And) -> _Evaluate:
    left, right = _decision(node.left), _decision(node.right)
    return lambda facts: left(facts) and right(facts)


def _either(node: nodes.Or) -> _Evaluate:
    left, right = _decision(node.left), _decision(node.right)
    return lambda facts: left(facts) or right(facts)


def _negation(node: nodes.Not) -> _Evaluate:
    decision = _decision(node.node)
    return lambda facts: not decision(facts)


def _decision(node: nodes.Node) -> Callable[[Facts], bool]:
    evaluate, path = _compile(node), _path(node)
    return lambda facts: truth(evaluate(facts), path)


def _filter(node: nodes.Filter) -> _Evaluate:
    if node.node is None:
        raise ExpressionError("a filter needs a value before it")
    operation, arguments = _operation(node, FILTERS, "filter")
    if node.name in ("select", "reject"):
        _require_known_test(arguments)
    elif node.name in ("selectattr", "rejectattr", "map"):
        _require_text(arguments[:1])
        _require_known_test(arguments[1:])
    return _apply(operation, node.node, arguments)


def _test(node: nodes.Test) -> _Evaluate:
    operation, arguments = _operation(node, TESTS, "test")
    return _apply(operation, node.node, arguments)


def _apply(operation: Operation, subject: nodes.Expr, arguments: list[nodes.Expr]) -> _Evaluate:
    value, path = _compile(subject), _path(subject)
    given = [_compile(argument) for argument in arguments]
    apply = operation.apply
    return lambda facts: apply(value(facts), path, *(argument(facts) for argument in given))


def _operation(
    node: nodes.Filter | nodes.Test, known: Mapping[str, Operation], kind: str
) -> tuple[Operation, list[nodes.Expr]]:
    operation = known.get(node.name)
    if operation is None:
        raise ExpressionError(f"no {kind} is called '{node.name}'; there are: {', '.join(sorted(known))}")
    arguments = list(node.args)
    for pair in node.kwargs:
        if node.name != "map" or pair.key != "attribute":
            raise ExpressionError(f"the {kind} '{node.name}' takes no '{pair.key}='")
        arguments.append(pair.value)
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ExpressionError(f"the {kind} '{node.name}' takes no '*' or '**'")
    if not operation.least <= len(arguments) <= operation.most:
        count = (
            f"{operation.least}"
            if operation.least == operation.most
            else f"{operation.least} to {operation.most}"
        )
        raise ExpressionError(f"the {kind} '{node.name}' takes {count} arguments, found {len(arguments)}")
    return operation, arguments


def _require_text(arguments: list[nodes.Expr]) -> None:
    for argument in arguments:
        if not isinstance(argument, nodes.Const) or not isinstance(argument.value, str):
            raise ExpressionError("an attribute is named by a text in quotes")


def _require_known_test(arguments: list[nodes.Expr]) -> None:
    if not arguments:
        return
    _require_text(arguments[:1])
    name = getattr(arguments[0], "value", "")
    test = TESTS.get(name)
    if test is None:
        raise ExpressionError(f"no test is called '{name}'; there are: {', '.join(sorted(TESTS))}")
    if not test.least <= len(arguments) - 1 <= test.most:
        raise ExpressionError(f"the test '{name}' takes {test.most} arguments, found {len(arguments) - 1}")


_RULES: Mapping[type[nodes.Node], Callable[[Any], _Evaluate]] = {
    nodes.And: _both,
    nodes.Compare: _compare,
    nodes.Const: _const,
    nodes.Filter: _filter,
    nodes.Getattr: _lookup,
    nodes.Getitem: _lookup,
    nodes.List: _literal,
    nodes.Name: _name,
    nodes.Not: _negation,
    nodes.Or: _either,
    nodes.Test: _test,
    nodes.Tuple: _literal,
}
