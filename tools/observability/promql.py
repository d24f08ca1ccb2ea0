"""What a PromQL expression reads, found by its tokens: enough to lint queries and to add matchers, no evaluation.

Whether an expression is PromQL at all is for promtool to say. Grammar: prometheus.io/docs/prometheus/latest/querying.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<range>\[[^\]]*\])
    |(?P<matchers>\{(?:[^"'{}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*\})
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<number>[0-9.]+(?:e[+-]?[0-9]+)?[a-z]*)
    |(?P<other>.)""",
    re.VERBOSE,
)
_MATCHER = re.compile(r"""\s*(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*,?""")
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"})


@dataclass(frozen=True, slots=True)
class Selector:
    """One vector selector: where it is in the expression, and what stands around it."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value without its quotes."""
    range: str
    """Such as `5m`; empty for an instant vector."""
    function: str
    """The call that it is directly in; empty when there is none."""
    start: int
    end: int
    """Of name and matchers, without the range."""


def selectors(expression: str) -> list[Selector]:
    """Every vector selector of an expression, in order."""
    return list(_Reader(expression).read())


def grouping_labels(expression: str) -> set[str]:
    """The labels that the expression groups or joins by."""
    lists = "|".join(sorted(_LISTS))
    found = re.findall(rf"\b(?:{lists})\s*\(([^)]*)\)", expression)
    return {label.strip() for each in found for label in each.split(",") if label.strip()}


def with_matchers(expression: str, *matchers: str) -> str:
    """The expression with these matchers in front of each selector's own."""
    added = ", ".join(matchers)
    for selector in reversed(selectors(expression)):
        written = expression[selector.start : selector.end]
        own = written[len(selector.name) :].strip()[1:-1].strip()
        inside = f"{added}, {own}" if own else added
        expression = f"{expression[: selector.start]}{selector.name}{{{inside}}}{expression[selector.end :]}"
    return expression


class _Reader:
    """Walks over the tokens and knows in which call it is."""

    def __init__(self, expression: str) -> None:
        found = (match for match in _TOKEN.finditer(expression) if match.lastgroup != "space")
        self._tokens = [(match.lastgroup or "", match[0], match.start(), match.end()) for match in found]
        self._calls: list[str] = []

    def read(self) -> Iterator[Selector]:
        at = 0
        while at < len(self._tokens):
            kind, text, _, _ = self._tokens[at]
            following = self._text(at + 1)
            if kind == "name" and text in _LISTS and following == "(":
                at = self._after_list(at + 1)
                continue
            if text == "(":
                before = self._tokens[at - 1] if at else ("", "", 0, 0)
                self._calls.append(before[1] if before[0] == "name" and before[1] not in _WORDS else "")
            elif text == ")" and self._calls:
                self._calls.pop()
            elif kind == "matchers" or (kind == "name" and text.lower() not in _WORDS and not self._is_call(at)):
                selector, at = self._selector(at)
                yield selector
                continue
            at += 1

    def _is_call(self, at: int) -> bool:
        """Whether a name is a function's or an aggregation's, with its labels before or behind."""
        return self._text(at + 1) == "(" or self._text(at + 1) in ("by", "without")

    def _text(self, at: int) -> str:
        return self._tokens[at][1] if at < len(self._tokens) else ""

    def _after_list(self, at: int) -> int:
        while self._text(at) not in (")", ""):
            at += 1
        return at + 1

    def _selector(self, at: int) -> tuple[Selector, int]:
        kind, text, start, end = self._tokens[at]
        name, matchers = (text, "") if kind == "name" else ("", text)
        at += 1
        if kind == "name" and at < len(self._tokens) and self._tokens[at][0] == "matchers":
            _, matchers, _, end = self._tokens[at]
            at += 1
        range_ = ""
        if at < len(self._tokens) and self._tokens[at][0] == "range":
            range_ = self._tokens[at][1][1:-1].strip()
            at += 1
        pairs = tuple((label, operator, value[1:-1]) for label, operator, value in _MATCHER.findall(matchers[1:-1]))
        function = self._calls[-1] if self._calls else ""
        return Selector(name, pairs, range_, function, start, end), at
