"""The page of errors names every error code in the source with its status, and no other."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import omni
from omni.foundation.http import problems
from omni.gateway.edge import errors as gateway_errors
from omni.kit import errors as kit_errors
from omni.kit.errors import OmniError

SOURCE = Path(omni.__file__).parent
PAGE = SOURCE / "portal" / "docs" / "errors.md"
ENTRY = re.compile(r"^## (\S+)\n\n\*\*(\d{3})\.\*\* ", re.MULTILINE)

FRAMEWORK = {("bad_request", 400)}
"""What Starlette answers to a form that it cannot parse: its code is made from the status phrase."""


def error_classes() -> dict[str, type[OmniError]]:
    """The classes that take a code, by name."""
    return {
        name: value
        for module in (kit_errors, gateway_errors)
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, OmniError)
    }


CLASSES = error_classes()


def called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def takes_code(kind: type[OmniError]) -> bool:
    return "code" in inspect.signature(kind).parameters


def codes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Codes with their statuses, in calls of the error classes and of Problem, and in constructors of subclasses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            kind = CLASSES.get(called_name(node))
            if kind is not None and takes_code(kind):
                assert node.args, f"line {node.lineno}: an error without a code"
                yield literal(node.args[0]), kind.status
            elif called_name(node) == "Problem" and isinstance(node.args[2], ast.Constant):
                yield literal(node.args[2]), int(literal(node.args[0]))
        elif isinstance(node, ast.ClassDef) and node.name in CLASSES and not takes_code(CLASSES[node.name]):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and called_name(call) == "__init__":
                    yield literal(call.args[0]), CLASSES[node.name].status


def literal(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant), f"line {node.lineno}: a code that is no literal cannot be documented"
    return str(node.value)


def in_source() -> set[tuple[str, int]]:
    found = {(code, status) for status, code in problems._CODES_OF_STATUS.items()}
    for file in SOURCE.rglob("*.py"):
        found |= set(codes(ast.parse(file.read_text("utf-8"), str(file))))
    return found | FRAMEWORK


def in_page() -> list[tuple[str, int]]:
    return [(code, int(status)) for code, status in ENTRY.findall(PAGE.read_text("utf-8"))]


def test_every_code_is_documented_with_its_status_and_no_other() -> None:
    assert set(in_page()) == in_source()


def test_each_code_has_one_heading_in_order() -> None:
    documented = [code for code, _ in in_page()]
    assert documented == sorted(set(documented))
    assert len(documented) == PAGE.read_text("utf-8").count("\n## ")


def test_a_new_code_would_be_seen() -> None:
    planted = "raise NotFound('planted', 'x')\nraise errors.TooLarge('other', 'x')\nProblem(409, 'a', 'b', 'c', {}, {})"
    assert set(codes(ast.parse(planted))) == {("planted", 404), ("other", 413), ("b", 409)}
