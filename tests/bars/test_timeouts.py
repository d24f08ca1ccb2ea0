"""R13: no call leaves the platform without a timeout. Found in the source, not by waiting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import omni

ROOT = Path(omni.__file__).parent
WITH_ARGUMENT = {
    "AsyncClient": ("timeout", "transport"),
    "Client": ("timeout", "transport"),
    "SMTP": ("timeout",),
    "SMTP_SSL": ("timeout",),
    "urlopen": ("timeout",),
    "asyncpg.connect": ("timeout",),
    "Redis.from_url": ("socket_timeout",),
    "Redis": ("socket_timeout",),
    "socket.create_connection": ("timeout",),
    "HTTPConnection": ("timeout",),
    "HTTPSConnection": ("timeout",),
}
"""What opens a connection, and the arguments of which one has to be given. A transport of our own stays in-process."""
INSIDE_TIMEOUT = frozenset(
    ("create_connection", "create_unix_connection", "open_connection", "open_unix_connection", "start_tls")
)
"""What has no such argument, and has to stand in `async with asyncio.timeout(…)`."""
SHORTCUTS = frozenset(
    f"httpx2.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "request", "stream")
)


def findings(path: str, source: str) -> Iterator[str]:
    yield from _visit(path, ast.parse(source, path), bounded=False)


def _visit(path: str, node: ast.AST, *, bounded: bool) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        bounded = False
    if isinstance(node, ast.AsyncWith):
        bounded = bounded or any(
            isinstance(item.context_expr, ast.Call) and _name(item.context_expr.func).startswith("asyncio.timeout")
            for item in node.items
        )
    if isinstance(node, ast.Call):
        name = _name(node.func)
        given = {keyword.arg for keyword in node.keywords}
        if not bounded and not _has_timeout(name, given):
            yield f"{path}:{node.lineno}: {name} without a timeout"
        bounded = bounded or name == "asyncio.wait_for"
    for child in ast.iter_child_nodes(node):
        yield from _visit(path, child, bounded=bounded)


def _has_timeout(name: str, given: set[str | None]) -> bool:
    last = name.rpartition(".")[2]
    if name in SHORTCUTS:
        return "timeout" in given
    wanted = next((wanted for call, wanted in WITH_ARGUMENT.items() if f".{name}".endswith(f".{call}")), None)
    if wanted is not None:
        return bool(given & {*wanted, None})
    return last not in INSIDE_TIMEOUT


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_every_outbound_call_has_a_timeout() -> None:
    found = [
        finding
        for file in sorted(ROOT.rglob("*.py"))
        for finding in findings(file.relative_to(ROOT.parent).as_posix(), file.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "client = httpx2.AsyncClient()",
        "httpx2.get('http://x')",
        "redis.asyncio.Redis.from_url(url)",
        "smtplib.SMTP('x')",
        "urllib.request.urlopen('http://x')",
        "asyncpg.connect(dsn)",
        "async def f():\n    await asyncio.open_connection('x', 1)",
        "async def f():\n    async with asyncio.timeout(1):\n        g = lambda: loop.create_connection(p, 'x', 1)",
    ],
)
def test_a_planted_call_is_found(planted: str) -> None:
    assert list(findings("planted.py", planted))


@pytest.mark.parametrize(
    "fine",
    [
        "httpx2.AsyncClient(timeout=5)",
        "async def f():\n    async with asyncio.timeout(1):\n        await asyncio.open_connection('x', 1)",
        "await_it = asyncio.wait_for(asyncio.open_connection('x', 1), 1)",
    ],
)
def test_a_bounded_call_passes(fine: str) -> None:
    assert not list(findings("fine.py", fine))
