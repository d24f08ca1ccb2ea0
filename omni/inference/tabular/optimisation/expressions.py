"""Arithmetic that a caller writes, read by an allow-list and worked out over arrays. Nothing is ever executed as code.

The text is first split into tokens of its own (numbers, ASCII names, operators, brackets, commas): quotes, dots,
colons, square brackets and letters outside ASCII never reach Python's parser. What the parser makes of the rest is
walked node by node; a node that is not on the list is refused with its place.

Comparisons and `and`, `or`, `not` give 1 and 0; every number but 0 counts as true. A comparison with what is not a
number (0/0, sqrt(-1)) is false.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

MAX_CHARACTERS = 2_000
MAX_NODES = 500
MAX_DEPTH = 100
MAX_BRACKETS = 40
MAX_EXPONENT = 64
MAX_ARGUMENTS = 16
CONSTANTS = {"pi": math.pi}

Evaluate = Callable[[np.ndarray], np.ndarray]
"""From the variables' values, float64 [variables, points], to float64 [points] or a scalar."""

_WORDS = frozenset({"and", "or", "not", "if", "else"})
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<operator>\*\*|<=|>=|==|!=|[-+*/<>(),])"
)
_ONE_ARGUMENT: dict[str, Evaluate] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "tanh": np.tanh,
    "floor": np.floor,
}
_TWO_OR_MORE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"min": np.minimum, "max": np.maximum}
_BINARY: dict[type[ast.operator], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARE: dict[type[ast.cmpop], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
FUNCTIONS = frozenset({*_ONE_ARGUMENT, *_TWO_OR_MORE, "pow"})


class BadExpression(Exception):
    """The text is no expression that is allowed. `position` is the place of the problem, characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Expression:
    """`evaluate` gives one value a point; `nodes` is what it costs."""

    evaluate: Evaluate
    nodes: int


def is_free_name(name: str) -> bool:
    """Whether a variable may be called so."""
    return name not in FUNCTIONS and name not in CONSTANTS and not keyword.iskeyword(name)


def parse(text: str, variables: Sequence[str]) -> Expression:
    """The expression over `variables`, in the order of the rows that `evaluate` gets. Raises BadExpression."""
    compiler = _Compiler(variables)
    return Expression(compiler.compile(_tree(text), 0), compiler.nodes)


def parse_inequality(text: str, variables: Sequence[str]) -> Expression:
    """How far `left <= right` (or >=, <, >) is from holding: at most 0 where it holds. Strict ones count as the others.

    Raises BadExpression, also for what is no single inequality.
    """
    node = _tree(text)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise BadExpression("write a constraint as one inequality, e.g. x + y <= 10", _place(node))
    operator = node.ops[0]
    if isinstance(operator, ast.Eq | ast.NotEq):
        raise BadExpression("write an equation as two inequalities with a tolerance", _place(node))
    compiler = _Compiler(variables)
    left, right = compiler.compile(node.left, 1), compiler.compile(node.comparators[0], 1)
    if isinstance(operator, ast.Lt | ast.LtE):
        return Expression(lambda columns: left(columns) - right(columns), compiler.nodes)
    return Expression(lambda columns: right(columns) - left(columns), compiler.nodes)


def _tree(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise BadExpression(f"an expression has at most {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    _check_tokens(text)
    in_one_line = text.translate(dict.fromkeys(map(ord, "\t\r\n"), " "))
    try:
        return ast.parse(f"({in_one_line})", mode="eval").body
    except SyntaxError as error:
        place = min(max(0, (error.offset or 2) - 2), len(text))
        raise BadExpression("this is not an expression", place) from None
    except (RecursionError, MemoryError):
        raise BadExpression("the expression is nested too deeply", 0) from None


def _check_tokens(text: str) -> None:
    place, brackets = 0, 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise BadExpression("this character or number is not allowed here", place)
        if token.lastgroup == "name" and keyword.iskeyword(token[0]) and token[0] not in _WORDS:
            raise BadExpression("this word is not allowed", place)
        brackets += {"(": 1, ")": -1}.get(token[0], 0)
        if brackets < 0:
            raise BadExpression("this bracket closes nothing", place)
        if brackets > MAX_BRACKETS:
            raise BadExpression(f"brackets are nested at most {MAX_BRACKETS} deep", place)
        place = token.end()
    if brackets:
        raise BadExpression("a bracket is not closed", len(text))


def _place(node: ast.expr) -> int:
    return max(0, node.col_offset - 1)


class _Compiler:
    """Makes functions of nodes, and counts them."""

    def __init__(self, variables: Sequence[str]) -> None:
        self._rows = {name: row for row, name in enumerate(variables)}
        self.nodes = 0

    def compile(self, node: ast.expr, depth: int) -> Evaluate:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadExpression(f"an expression has at most {MAX_NODES} parts", _place(node))
        if depth > MAX_DEPTH:
            raise BadExpression(f"an expression is nested at most {MAX_DEPTH} deep", _place(node))
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return _constant(_finite(value, node))
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.UnaryOp(op=operator, operand=operand):
                return _unary(operator, self.compile(operand, depth + 1))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                return self._binary((left, operator, right), depth)
            case ast.BoolOp(op=operator, values=values):
                parts = [self.compile(value, depth + 1) for value in values]
                return _all(parts) if isinstance(operator, ast.And) else _any(parts)
            case ast.Compare(left=left, ops=operators, comparators=rest) if all(
                type(op) in _COMPARE for op in operators
            ):
                parts = [self.compile(part, depth + 1) for part in (left, *rest)]
                return _chain([_COMPARE[type(operator)] for operator in operators], parts)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                parts = [self.compile(part, depth + 1) for part in (test, body, otherwise)]
                return _choice(*parts)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments, node, depth)
        raise BadExpression("this is not allowed in an expression", _place(node))

    def _name(self, name: str, node: ast.expr) -> Evaluate:
        if name in CONSTANTS:
            return _constant(CONSTANTS[name])
        row = self._rows.get(name)
        if row is None:
            raise BadExpression("there is no variable of this name", _place(node))
        return lambda columns: np.asarray(columns[row])

    def _binary(self, parts: tuple[ast.expr, ast.operator, ast.expr], depth: int) -> Evaluate:
        left, operator, right = parts
        first, second = self.compile(left, depth + 1), self.compile(right, depth + 1)
        if isinstance(operator, ast.Pow):
            self._check_exponent(right, second)
        return _applied(_BINARY[type(operator)], first, second)

    def _call(self, name: str, arguments: list[ast.expr], node: ast.expr, depth: int) -> Evaluate:
        least, most = {"pow": (2, 2), **dict.fromkeys(_TWO_OR_MORE, (2, MAX_ARGUMENTS))}.get(name, (1, 1))
        if name not in FUNCTIONS:
            raise BadExpression("there is no function of this name", _place(node))
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise BadExpression(f"{name} takes {wanted} arguments", _place(node))
        parts = [self.compile(argument, depth + 1) for argument in arguments]
        if name == "pow":
            self._check_exponent(arguments[1], parts[1])
            return _applied(np.power, *parts)
        if name in _TWO_OR_MORE:
            return reduce(lambda first, second: _applied(_TWO_OR_MORE[name], first, second), parts)
        function, (only,) = _ONE_ARGUMENT[name], parts
        return lambda columns: function(only(columns))

    def _check_exponent(self, node: ast.expr, exponent: Evaluate) -> None:
        """An exponent without variables is bounded; with variables, what overflows is not a finite number."""
        if any(isinstance(part, ast.Name) and part.id in self._rows for part in ast.walk(node)):
            return
        with np.errstate(all="ignore"):
            value = float(exponent(np.empty((0, 0))))
        if not abs(value) <= MAX_EXPONENT:
            raise BadExpression(f"an exponent is at most {MAX_EXPONENT} in size", _place(node))


def _finite(value: float, node: ast.expr) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadExpression("this number is too large", _place(node))
    return number


def _constant(value: float) -> Evaluate:
    number = np.asarray(value)
    return lambda _: number


def _unary(operator: ast.unaryop, inside: Evaluate) -> Evaluate:
    if isinstance(operator, ast.USub):
        return lambda columns: -inside(columns)
    if isinstance(operator, ast.UAdd):
        return inside
    return lambda columns: np.equal(inside(columns), 0).astype(np.float64)


def _applied(function: Callable[[np.ndarray, np.ndarray], np.ndarray], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda columns: function(left(columns), right(columns))


def _all(parts: list[Evaluate]) -> Evaluate:
    return lambda columns: reduce(np.logical_and, (part(columns) for part in parts)).astype(np.float64)


def _any(parts: list[Evaluate]) -> Evaluate:
    return lambda columns: reduce(np.logical_or, (part(columns) for part in parts)).astype(np.float64)


def _chain(tests: list[Callable[[np.ndarray, np.ndarray], np.ndarray]], parts: list[Evaluate]) -> Evaluate:
    def evaluate(columns: np.ndarray) -> np.ndarray:
        values = [part(columns) for part in parts]
        held = [test(values[index], values[index + 1]) for index, test in enumerate(tests)]
        return np.asarray(reduce(np.logical_and, held)).astype(np.float64)

    return evaluate


def _choice(test: Evaluate, body: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda columns: np.where(test(columns) != 0, body(columns), otherwise(columns))
