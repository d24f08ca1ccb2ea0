"""The house rules that no ready-made linter holds: sizes, where the environment is read, no float near money, nothing
that unpickles in the server, nothing that waits while it handles an exception in what is compiled.

Prints one line a finding and exits 1 when there is any.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from omni.apps import compiled

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("omni", "tests", "bench", "tools")
FILE_LINES, TEST_FILE_LINES, FUNCTION_LINES = 400, 800, 60
MONEY = ("omni/kit/money.py", "omni/domains/pricing/", "omni/domains/billing/", "omni/domains/sla/")
ENVIRONMENT_READERS = ("omni/apps/", "tests/", "bench/", "tools/")
UNPICKLERS = frozenset(("pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"))
"""Modules whose readers run what a file says."""
COMPILED = frozenset(
    compiled.source(name).relative_to(compiled.PACKAGE.parent).as_posix() for name in compiled.HOT_MODULES
)
GENERATED = ("omni/foundation/db/migrations/versions/",)


def findings(path: str, source: str) -> Iterator[str]:
    """What a file breaks; `path` is relative to the root, with slashes."""
    tree = ast.parse(source, path)
    limit = TEST_FILE_LINES if path.startswith("tests/") else FILE_LINES
    lines = source.count("\n")
    generated = path.startswith(GENERATED)
    if lines > limit and not generated:
        yield f"{path}: {lines} lines; the ceiling is {limit}: split it by use case"
    if path.startswith("omni/") and not path.endswith("__init__.py") and ast.get_docstring(tree) is None:
        yield f"{path}: has no docstring that says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not generated:
            yield from _function(path, node)
        if not path.startswith(ENVIRONMENT_READERS):
            yield from _environment(path, node)
        if path.startswith(MONEY):
            yield from _float(path, node)
        if path.startswith("omni/"):
            yield from _unpickling(path, node)
        if path in COMPILED and isinstance(node, ast.Try):
            yield from _waiting(path, node)


def _function(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > FUNCTION_LINES and not _holds_routes(node):
        yield f"{path}:{node.lineno}: {node.name} has {lines} lines; the ceiling is {FUNCTION_LINES}"


def _holds_routes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A function that only declares route handlers is as long as the handlers; each of them is measured by itself."""
    nested = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = sum((child.end_lineno or 0) - child.lineno + 1 + len(child.decorator_list) for child in nested)
    own = (node.end_lineno or node.lineno) - node.lineno + 1 - inside
    return bool(nested) and own <= FUNCTION_LINES


def _environment(path: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
        yield f"{path}:{node.lineno}: reads the environment; only omni/apps may"


def _float(path: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield f"{path}:{node.lineno}: a float near money"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield f"{path}:{node.lineno}: true division makes a float; use kit.money"
    if isinstance(node, ast.Name) and node.id in ("float", "round"):
        yield f"{path}:{node.lineno}: {node.id} near money"


def _unpickling(path: str, node: ast.AST) -> Iterator[str]:
    never = "nothing that comes from outside is ever unpickled"
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            if name.partition(".")[0] in UNPICKLERS:
                yield f"{path}:{node.lineno}: imports {name}; {never}"
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not _is_false(node.value):
        yield f"{path}:{node.lineno}: allow_pickle; {never}"
    if isinstance(node, ast.Attribute) and node.attr == "read_pickle":
        yield f"{path}:{node.lineno}: read_pickle; {never}"


def _waiting(path: str, node: ast.Try) -> Iterator[str]:
    # mypyc keeps the exception that is handled by thread, not by coroutine: what runs meanwhile takes it for its own.
    for part in (*node.handlers, *node.finalbody):
        for inside in ast.walk(part):
            if isinstance(inside, ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncFor | ast.AsyncWith):
                yield f"{path}:{inside.lineno}: waits in an except or finally; keep the exception and wait after it"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def main() -> int:
    found = [
        finding
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for finding in findings(file.relative_to(ROOT).as_posix(), file.read_text("utf-8"))
    ]
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
