"""A corpus of requests that are no good HTTP, or odd: what is refused reaches nobody, what is read is read one way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import orjson
import pytest

from tests.gateway.conftest import StartGateway
from tests.gateway.support import (
    Client,
    ControlPlane,
    FakeBackend,
    Received,
    RedisServer,
    Tenant,
    answer,
    eventually,
)

# Every request has a valid key: what is not refused would be forwarded.
_REST = b" HTTP/1.1\r\nhost: a\r\nauthorization: Bearer KEY\r\n"
POST = b"POST /v1/forecasts" + _REST
GET = b"GET /v1/models" + _REST
CHUNKED = POST + b"transfer-encoding: chunked\r\n"
SMUGGLED = b"POST /v1/anomalies/detect" + _REST + b"content-length: 2\r\n\r\n{}"


def refused_400() -> Iterator[tuple[str, bytes]]:
    """What is answered with 400; the connection ends."""
    yield from _lengths()
    yield from _codings()
    yield from _chunks()
    yield from _heads()
    yield from _lines()


def _lengths() -> Iterator[tuple[str, bytes]]:
    for name, length in {
        "empty": b"",
        "negative": b"-1",
        "plus": b"+1",
        "hexadecimal": b"0x1",
        "two numbers": b"1 1",
        "list": b"1,1",
        "fraction": b"1.0",
        "too large a number": b"9" * 30,
        "letters": b"1a",
        "full-width digit": b"\xef\xbc\x91",
        "underscore": b"1_0",
    }.items():
        yield f"length: {name}", POST + b"content-length: %b\r\n\r\na" % length
    yield "length: twice, other", POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"
    yield "length: twice, same", POST + b"content-length: 1\r\ncontent-length: 1\r\n\r\na"
    yield "length: twice, other case", POST + b"Content-Length: 1\r\nCONTENT-LENGTH: 1\r\n\r\na"
    yield "length, then chunks", POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "chunks, then length", CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n"
    yield "chunks, then length 0", CHUNKED + b"content-length: 0\r\n\r\n0\r\n\r\n"


def _codings() -> Iterator[tuple[str, bytes]]:
    for name, coding in {
        "empty": b"",
        "identity": b"identity",
        "unknown": b"xchunked",
        "quoted": b'"chunked"',
        "parameter": b"chunked;q=1",
        "gzip first": b"gzip, chunked",
        "gzip last": b"chunked, gzip",
        "twice in one": b"chunked, chunked",
        "vertical tab": b"\x0bchunked",
        "form feed": b"chunked\x0c",
        "no-break space": b"chunked\xa0",
        "NUL": b"chunked\0",
        "empty member": b", chunked",
    }.items():
        yield f"coding: {name}", POST + b"transfer-encoding: %b\r\n\r\n0\r\n\r\n" % coding
    yield "coding: two lines", CHUNKED + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    yield "coding: two lines, one identity", CHUNKED + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n"
    yield "coding: in 1.0", CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n0\r\n\r\n"
    yield "coding: folded", POST + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
    yield "coding: space before colon", POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n"


def _chunks() -> Iterator[tuple[str, bytes]]:
    for name, body in {
        "no size": b"\r\na\r\n",
        "not a number": b"zz\r\na\r\n",
        "negative": b"-1\r\na\r\n",
        "prefix": b"0x1\r\na\r\n",
        "space before": b" 1\r\na\r\n",
        "space behind": b"1 \r\na\r\n",
        "overflow": b"f" * 17 + b"\r\na",
        "bare LF behind size": b"1\na\r\n",
        "bare CR behind size": b"1\ra\r\n",
        "longer than said": b"1\r\nabc\r\n",
        "shorter than said": b"3\r\na\r\n0\r\n\r\n",
        "bare LF behind data": b"1\r\na\n0\r\n\r\n",
        "LF in extension": b"1;x\na\r\n",
        "LF in quoted extension": b'1;x="\n"\r\na\r\n',
        "NUL in extension": b"1;\0\r\na\r\n",
        "length in trailer": b"0\r\ncontent-length: 5\r\n\r\n",
        "coding in trailer": b"0\r\ntransfer-encoding: gzip\r\n\r\n",
        "no name in trailer": b"0\r\n: x\r\n\r\n",
        "fold in trailer": b"0\r\nx: y\r\n z\r\n\r\n",
    }.items():
        yield f"chunk: {name}", CHUNKED + b"\r\n" + body


def _heads() -> Iterator[tuple[str, bytes]]:
    for name, line in {
        "no colon": b"xyz\r\n",
        "no name": b": x\r\n",
        "space in name": b"x y: z\r\n",
        "space before colon": b"x : y\r\n",
        "tab before colon": b"x\t: y\r\n",
        "NUL in name": b"x\0: y\r\n",
        "NUL in value": b"x: \0\r\n",
        "control in value": b"x: \x01\r\n",
        "delete in value": b"x: \x7f\r\n",
        "bare CR in value": b"x: a\rb\r\n",
        "bare LF": b"x: a\ny: b\r\n",
        "bare LF at the end": b"x: a\n",
        "fold": b"x: a\r\n b\r\n",
        "fold by tab": b"x: a\r\n\tb\r\n",
        "UTF-8 in name": b"\xc3\xa4: x\r\n",
        "bracket in name": b"x(y): z\r\n",
        "slash in name": b"x/y: z\r\n",
        "second host": b"host: b\r\n",
        "second key": b"authorization: Bearer x\r\n",
        "CR CR LF": b"x: y\r\r\n",
        "second content type": b"content-type: a/b\r\ncontent-type: c/d\r\n",
    }.items():
        yield f"head: {name}", GET + line + b"\r\n"
    yield "head: space first", GET.replace(b"\r\nhost", b"\r\n host") + b"\r\n"
    yield "head: no host", GET.replace(b"host: a\r\n", b"") + b"\r\n"
    yield "head: bare LF throughout", GET.replace(b"\r\n", b"\n") + b"\n"


def _lines() -> Iterator[tuple[str, bytes]]:
    for name, line in {
        "authority": b"GET a:80 HTTP/1.1",
        "asterisk": b"GET * HTTP/1.1",
        "no slash": b"GET v1/models HTTP/1.1",
        "backslash": b"GET \\v1\\models HTTP/1.1",
        "fragment": b"GET /v1/models#x HTTP/1.1",
        "UTF-8": b"GET /v1/mod\xc3\xa9ls HTTP/1.1",
        "NUL": b"GET /v1/models\0 HTTP/1.1",
        "tab": b"GET /v1/models\tHTTP/1.1",
        "other scheme": b"GET ftp://a/v1/models HTTP/1.1",
        "no path": b"GET http://a HTTP/1.1",
        "CONNECT": b"CONNECT a:80 HTTP/1.1",
        "HTTP/0.9": b"GET /v1/models HTTP/0.9",
        "HTTP/1.2": b"GET /v1/models HTTP/1.2",
        "HTTP/2.0": b"GET /v1/models HTTP/2.0",
        "HTTP/3.0": b"GET /v1/models HTTP/3.0",
        "HTTP/11": b"GET /v1/models HTTP/11",
        "small http": b"GET /v1/models http/1.1",
        "space behind version": b"GET /v1/models HTTP/1.1 ",
        "no version": b"GET /v1/models",
        "preface of HTTP/2": b"PRI * HTTP/2.0",
        "space in target": b"GET /v1/ models HTTP/1.1",
    }.items():
        yield f"line: {name}", line + _REST.removeprefix(b" HTTP/1.1") + b"\r\n"


REFUSED = dict(refused_400())


async def exchange_of(port: int, tenant: Tenant, data: bytes) -> list[int]:
    """The statuses of all answers to these bytes, until the gateway closes."""
    client = await Client.connect(port)
    client.send(data.replace(b"KEY", tenant.secret.encode()))
    statuses: list[int] = []
    async with asyncio.timeout(5):
        try:
            while True:
                statuses.append((await client.reply()).status)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
    client.close()
    return statuses


def test_the_corpus_is_large() -> None:
    assert len(REFUSED) >= 90


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_requests_are_refused_alone(
    port: int, control: ControlPlane, backend: FakeBackend, name: str
) -> None:
    tenant = await control.tenant()
    statuses = await exchange_of(port, tenant, REFUSED[name] + SMUGGLED)
    assert statuses == [400], "and what hides behind it is not read"
    assert not backend.received
    assert await control.events(tenant.key.tenant_id) == []


@pytest.mark.parametrize("cut", [1, 7])
async def test_they_are_refused_in_pieces_too(port: int, control: ControlPlane, backend: FakeBackend, cut: int) -> None:
    tenant = await control.tenant()
    for name in list(REFUSED)[::6]:
        client = await Client.connect(port)
        data = (REFUSED[name] + SMUGGLED).replace(b"KEY", tenant.secret.encode())
        for start in range(0, len(data), cut):
            client.send(data[start : start + cut])
            if start % 70 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert (await client.reply()).status == 400, name
            await client.at_end()
        client.close()
    assert not backend.received


ODD = {
    "capitals": (CHUNKED.replace(b"chunked", b"CHUNKED") + b"\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
    "tab before coding": (POST + b"transfer-encoding:\tchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
    "extension": (CHUNKED + b'\r\n2;a=b;c="d"\r\n{}\r\n0\r\n\r\n', b"{}"),
    "trailer": (CHUNKED + b"\r\n2\r\n{}\r\n0\r\nx: y\r\nauthorization: Bearer z\r\n\r\n", b"{}"),
    "trailer with a principal": (CHUNKED + b"\r\n2\r\n{}\r\n0\r\nomni-principal: forged\r\n\r\n", b"{}"),
    "leading zeros": (POST + b"content-length: 0000000002\r\n\r\n{}", b"{}"),
    "chunk size with zeros": (CHUNKED + b"\r\n00000002\r\n{}\r\n000\r\n\r\n", b"{}"),
    "line ends first": (b"\r\n\r\n" + POST + b"content-length: 2\r\n\r\n{}", b"{}"),
    "bytes above ASCII": (POST + b"x: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
    "whole URL": (POST.replace(b"/v1", b"http://b/v1") + b"content-length: 2\r\n\r\n{}", b"{}"),
    "underscores": (POST + b"content_length: 9\r\ntransfer_encoding: chunked\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
    "another protocol's name, which the parser takes for ours": (
        POST.replace(b"HTTP/", b"RTSP/") + b"content-length: 2\r\n\r\n{}",
        b"{}",
    ),
    "hop by hop": (POST + b"connection: content-length, authorization\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_requests_are_read_one_way(port: int, control: ControlPlane, backend: FakeBackend, name: str) -> None:
    tenant = await control.tenant()
    data, body = ODD[name]
    last = GET + b"connection: close\r\n\r\n"
    assert await exchange_of(port, tenant, data + last) == [200, 200]
    first, second = backend.received
    assert (first.target, first.body, first.headers["content-length"]) == ("/v1/forecasts", body, str(len(body)))
    assert not first.headers.keys() & {"transfer-encoding", "x", "authorization", "connection"}
    assert first.headers["omni-principal"] != "forged"
    assert (second.method, second.target, second.body) == ("GET", "/v1/models", b"")


async def test_nothing_of_a_request_is_in_the_next(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    keyless = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"
    rich = POST + b"idempotency-key: once\r\ncontent-type: a/b\r\naccept: c/d\r\ncontent-length: 2\r\n\r\n{}"
    plain = GET + b"connection: close\r\n\r\n"
    assert await exchange_of(port, tenant, rich + keyless + plain) == [200, 401, 200]
    assert [each.target for each in backend.received] == ["/v1/forecasts", "/v1/models"]
    assert not backend.received[1].headers.keys() & {"idempotency-key", "content-type", "accept", "content-length"}
    principals = {each.headers["omni-principal"] for each in backend.received}
    assert len(principals) == 2


async def test_what_follows_a_refused_request_is_not_answered(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    tenant = await control.tenant()

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(answer())

    backend.handler = slow
    good = POST + b"content-length: 2\r\n\r\n{}"
    bad = POST + b"content-length: x\r\n\r\n"
    assert await exchange_of(port, tenant, good + good + bad + good) == [200, 200, 400]
    assert len(backend.received) == 2
    closing = POST + b"connection: close\r\ncontent-length: 2\r\n\r\n{}"
    assert await exchange_of(port, tenant, closing + SMUGGLED) == [200]
    assert [each.target for each in backend.received] == ["/v1/forecasts"] * 3


async def test_slow_and_endless_heads_end(
    shared_redis: RedisServer, control: ControlPlane, backend: FakeBackend, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(shared_redis.url, header_timeout_seconds=0.2, body_idle_timeout_seconds=0.2)
    tenant = await control.tenant()
    slow = {
        "one header after the other": (GET, b"x: y\r\n"),
        "one letter after the other": (GET + b"x: ", b"y"),
        "one letter of the name": (GET, b"x"),
        "one letter of the target": (b"GET /", b"x"),
    }
    for start, more in slow.values():
        client = await Client.connect(gateway.ports.public)
        client.send(start.replace(b"KEY", tenant.secret.encode()))

        async def trickle(client: Client = client, more: bytes = more) -> None:
            while True:
                client.send(more)
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(3):
            assert (await client.reply()).status == 408
            await client.at_end()
        trickling.cancel()
        client.close()
    for stopped in (POST + b"content-length: 9\r\n\r\n{", CHUNKED + b"\r\n5\r\n{", CHUNKED + b"\r\n5"):
        assert await exchange_of(gateway.ports.public, tenant, stopped) == [408]
    assert not backend.received


@pytest.mark.parametrize(
    "data",
    [
        GET + b"".join(b"x-%d: y\r\n" % number for number in range(5000)) + b"\r\n",
        GET + b"".join(b"x: y\r\n" for _ in range(5000)) + b"\r\n",
        GET + b"x" * 20_000 + b": y\r\n\r\n",
        GET + b"x: " + b"\xff" * 20_000 + b"\r\n\r\n",
        b"GET /v1/models?" + b"x" * 20_000 + _REST + b"\r\n",
    ],
)
async def test_large_heads_are_refused(port: int, control: ControlPlane, backend: FakeBackend, data: bytes) -> None:
    assert await exchange_of(port, await control.tenant(), data + SMUGGLED) == [431]
    assert not backend.received


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"\xff"}',
        b'{"model":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b'{"model":"gpt",}',
        b'{"a":NaN}',
        b'{"a":1e999}x',
        '{"model":"gpt"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"model":"gpt","messages":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"model":{"a":1}}',
        b'{"model":""}',
        b"\0" * 100,
        b'{"model":"' + b"x" * 201 + b'"}',
    ],
)
async def test_bodies_that_no_reader_agrees_on(
    port: int, control: ControlPlane, backend: FakeBackend, body: bytes
) -> None:
    tenant = await control.tenant()
    for path in (b"/v1/chat/completions", b"/v1/messages", b"/v1/responses"):
        post = b"POST %b" % path + _REST + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        last = GET + b"connection: close\r\n\r\n"
        assert await exchange_of(port, tenant, post % (len(body), body) + last) == [400, 200], path
    assert {each.target for each in backend.received} == {"/v1/models"}


@pytest.mark.parametrize("key", [b"\xff\xfe", b"omni_live_\xc3\xa4", b"", b"a" * 9000, b"KEY\xa0", b"KEY KEY"])
async def test_keys_of_odd_bytes_are_no_keys(
    port: int, control: ControlPlane, backend: FakeBackend, key: bytes
) -> None:
    tenant = await control.tenant()
    data = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer %b\r\n\r\n" % key
    assert await exchange_of(port, tenant, data) == [401]
    assert not backend.received


async def test_the_answer_to_a_refusal_names_nothing_of_the_request(port: int, control: ControlPlane) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    client.send(GET.replace(b"KEY", tenant.secret.encode()) + b"x-private: secret\0\r\n\r\n")
    reply = await client.reply()
    problem = orjson.loads(reply.body)
    assert (problem["code"], reply.headers["connection"]) == ("malformed_request", "close")
    assert b"secret" not in reply.body
    assert tenant.secret.encode() not in reply.body

    async def closed() -> bool:
        return await client.at_end()

    assert await eventually(closed)
    client.close()


@pytest.mark.parametrize("more", [b"x: " + b"y" * 60_000, b"x: y\r\n" * 10_000, b"y" * 60_000])
async def test_endless_trailers_are_refused(
    port: int, control: ControlPlane, backend: FakeBackend, more: bytes
) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    client.send((CHUNKED + b"\r\n2\r\n{}\r\n0\r\n").replace(b"KEY", tenant.secret.encode()))
    for start in range(0, len(more), 1000):
        client.send(more[start : start + 1000])
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert (await client.reply()).status == 431
        assert await client.at_end()
    client.close()
    assert not backend.received


async def test_a_long_body_in_small_chunks_is_read(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    tenant = await control.tenant()
    client = await Client.connect(port)
    client.send((CHUNKED + b"connection: close\r\n\r\n").replace(b"KEY", tenant.secret.encode()))
    for _ in range(2_000):
        client.send(b"0000000001;extension=" + b"x" * 20 + b"\r\n")
        await asyncio.sleep(0)
        client.send(b"a\r\n")
        await asyncio.sleep(0)
    client.send(b"0\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await client.reply()).status == 200
    client.close()
    assert backend.received[0].body == b"a" * 2_000
