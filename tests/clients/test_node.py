"""The unmodified `openai` client for Node: its cases are in node/cases.js, and run there in one process."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.conftest import Scripted
from tests.clients.providers import anthropic, gemini, openai
from tests.gateway.support import ControlPlane

FOLDER = Path(__file__).parent / "node"
MODELS = ("gpt", "claude", "gemini")
AT_EACH = ("chat", "stream", "tools", "structured output", "responses")
CASES = (
    *(f"{case} at {model}" for model in MODELS for case in AT_EACH),
    "embeddings", "pictures", "transcription and speech", "moderations", "raw response", "error classes", "timeout",
    "a stream that is left",
)  # fmt: skip
ADMITTED = 3 * 7 + 13
"""Requests: seven for each model, and those of the other cases that are admitted."""


@pytest_asyncio.fixture(scope="module")
async def results(gateway_url: str, control: ControlPlane, scripted_server: Scripted) -> dict[str, str | None]:
    """What became of each case: None, or the error."""
    node = shutil.which("node")
    assert node is not None, "These tests need Node.js 20 or newer on PATH."
    assert (FOLDER / "node_modules" / "openai").is_dir(), "Say `make test` once, or `npm ci` in tests/clients/node."
    scripted_server.begin()
    live, test = await control.tenant(), await control.tenant(key={"mode": "test"})
    environment = {"OMNI_URL": gateway_url, "OMNI_KEY": live.secret, "OMNI_TEST_KEY": test.secret}
    process = await asyncio.create_subprocess_exec(
        node, "run.js", cwd=FOLDER, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    found: dict[str, str | None] = json.loads(out)
    await asyncio.wait_for(scripted_server.closed.wait(), 5)
    events = await control.wait_events(live.key.tenant_id, ADMITTED)
    answered = [event.quantities for event in events if event.status == 200]
    for provider in (openai, anthropic, gemini):
        exact = [row for row in answered if provider.METERS.items() <= row.items()]
        assert len(exact) == (8 if provider is openai else 7), "each answer is billed what its provider counted"
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_client_for_node(results: dict[str, str | None], case: str) -> None:
    assert results[case] is None


def test_no_case_is_left_out(results: dict[str, str | None]) -> None:
    assert set(results) == set(CASES)
