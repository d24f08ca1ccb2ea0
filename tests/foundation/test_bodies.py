"""The ceiling for bodies, announced and chunked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from omni.foundation.http.bodies import BodyLimit
from omni.foundation.http.problems import install_problem_handlers


class Body(BaseModel):
    text: str


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=100)

    @app.post("/echo")
    async def echo(body: Body) -> int:
        return len(body.text)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as made:
        yield made


async def chunks(count: int) -> AsyncIterator[bytes]:
    yield b'{"text": "'
    for _ in range(count):
        yield b"x" * 10
    yield b'"}'


async def test_what_fits_passes(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    assert (await client.post("/echo", json={"text": "x" * 80})).json() == 80
    assert (await client.post("/echo", content=chunks(8), headers=headers)).json() == 80


@pytest.mark.parametrize("way", ["announced", "chunked"])
async def test_what_does_not_is_too_large(client: httpx2.AsyncClient, way: str) -> None:
    content = b"x" * 101 if way == "announced" else chunks(50)
    answer = await client.post("/echo", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
