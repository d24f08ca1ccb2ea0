"""Heads of answers that a provider repeats: what is made of them at once must be what is made of them anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from omni.gateway.upstream.pools import Backend
from omni.kit.errors import OmniError
from tests.gateway.conftest import make_config
from tests.gateway.upstream.scripted import ScriptedProvider, asked

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nserver: one\r\n\r\n%b"


class Provider(ScriptedProvider):
    """Answers each request with the next of its scripted answers, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[bytes, ...]] = []

    async def say(self, writer: asyncio.StreamWriter) -> bool:
        for piece in self.answers.pop(0):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        return True


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    started = Provider()
    yield started
    started.stop()


@pytest_asyncio.fixture
async def backend(provider: Provider, tmp_path: Path) -> AsyncIterator[Backend]:
    config = make_config("redis://127.0.0.1", "http://127.0.0.1:1", tmp_path, buffered_answer_limit_bytes=1_000)
    opened = Backend(await provider.start(), config, ours=False)
    yield opened
    opened.close()


def answer(body: bytes) -> bytes:
    return HEAD % (len(body), body)


async def test_bodies_of_any_length_come_as_they_are(backend: Backend, provider: Provider) -> None:
    bodies = [b"", b"{}", b'{"a": "%b"}' % (b"x" * 700), b"{}", b"0123456789"]
    provider.answers = [(answer(body),) for body in bodies]
    for body in bodies:
        got = await asked(backend)
        assert (got.status, got.body, got.content_length) == (200, body, len(body))
        assert (got.content_type, got.header(b"server")) == (b"application/json", b"one")
    assert provider.connections == 1


async def test_another_head_is_read_for_what_it_says(backend: Backend, provider: Provider) -> None:
    refused = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}"
    other = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nserver: two\r\n\r\nhi"
    provider.answers = [(answer(b"{}"),), (refused,), (answer(b"{}"),), (other,), (other,)]
    assert (await asked(backend)).status == 200
    got = await asked(backend)
    assert (got.status, got.header(b"retry-after")) == (429, b"7")
    assert (await asked(backend)).header(b"server") == b"one"
    for _ in range(2):
        got = await asked(backend)
        assert (got.content_type, got.header(b"server"), got.body) == (b"text/plain", b"two", b"hi")


@pytest.mark.parametrize("cut", [10, 60, 90, 95])
async def test_an_answer_in_pieces_is_put_together(backend: Backend, provider: Provider, cut: int) -> None:
    whole = answer(b'{"a": 12345}')
    provider.answers = [(whole,), (whole[:cut], whole[cut:]), (whole,)]
    for _ in range(3):
        assert (await asked(backend)).body == b'{"a": 12345}'
    assert provider.connections == 1


async def test_more_than_was_asked_ends_the_connection(backend: Backend, provider: Provider) -> None:
    provider.answers = [(answer(b"{}"),), (answer(b"{}") + answer(b'{"of": "another"}'),), (answer(b"[]"),)]
    assert [(await asked(backend)).body for _ in range(3)] == [b"{}", b"{}", b"[]"]
    assert provider.connections == 2


@pytest.mark.parametrize("length", [b"-2", b"+2", b"0x2", b"2 2", b"", b"9" * 20])
async def test_a_length_that_is_none_is_no_answer(backend: Backend, provider: Provider, length: bytes) -> None:
    broken = answer(b"{}").replace(b"length: 2", b"length: " + length)
    provider.answers = [(answer(b"{}"),), (broken,)]
    await asked(backend)
    with pytest.raises(OmniError):
        await asked(backend)


async def test_what_is_too_long_to_be_kept_is_read_as_a_stream(backend: Backend, provider: Provider) -> None:
    long = b"x" * 5_000
    provider.answers = [(answer(b"{}"),), (answer(long),), (answer(b"{}"),)]
    assert (await asked(backend)).body == b"{}"
    got = await asked(backend)
    assert got.body is None
    assert await got.read_whole(10_000) == long
    assert (await asked(backend)).body == b"{}"


async def test_the_last_answer_of_a_connection_is_heard(backend: Backend, provider: Provider) -> None:
    last = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
    provider.answers = [(last,), (last,)]
    for connections in (1, 2):
        assert (await asked(backend)).body == b"{}"
        assert provider.connections == connections


async def test_heads_that_differ_each_time_are_read_each_time(backend: Backend, provider: Provider) -> None:
    unlike = [answer(b"{}").replace(b"one", b"%d" % number) for number in range(40)]
    provider.answers = [(unlike[number],) for number in (*range(40), 31, 39)]
    for number in (*range(40), 31, 39):
        assert (await asked(backend)).header(b"server") == b"%d" % number
