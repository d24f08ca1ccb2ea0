"""How the unmodified `openai` client understands refusals, and when it tries again."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import openai
import pytest
from openai import AsyncOpenAI

from omni.contracts.money import Budget
from tests.clients.conftest import Bill, Scripted
from tests.clients.providers import openai as said
from tests.gateway.providers import budget
from tests.gateway.support import ControlPlane, Tenant, stranger

HI: Any = [{"role": "user", "content": "Hi"}]


async def refusal(client: AsyncOpenAI, model: str = "gpt", **fields: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model=model, messages=fields.pop("messages", HI), **fields)
    assert caught.value.request_id is not None
    assert UUID(caught.value.request_id).version == 7
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (409, openai.ConflictError), (422, openai.UnprocessableEntityError)],
)
async def test_what_the_provider_refuses(
    openai_client: AsyncOpenAI, bill: Bill, status: int, kind: type[openai.APIStatusError]
) -> None:
    error = await refusal(openai_client, f"fails-{status}")
    assert type(error) is kind
    assert (error.status_code, error.code, error.param) == (status, "c", "x")
    assert f"The provider says {status}." in error.message
    await bill.is_exactly({"requests": 1})


async def test_400_for_what_a_model_cannot(openai_client: AsyncOpenAI) -> None:
    error = await refusal(openai_client, "claude", n=2)
    assert type(error) is openai.BadRequestError
    assert error.code == "not_supported_by_model"


async def test_400_for_a_body_that_is_wrong(openai_client: AsyncOpenAI) -> None:
    for messages in (5, "x", [5], [{"role": "user", "content": {"a": 1}}], [{"role": "tool"}], [None]):
        error = await refusal(openai_client, "claude", messages=messages)
        assert type(error) is openai.BadRequestError


async def test_401(url: str) -> None:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=stranger(), max_retries=0) as client:
        error = await refusal(client)
    assert type(error) is openai.AuthenticationError
    assert error.code == "invalid_api_key"


async def test_403(url: str, control: ControlPlane) -> None:
    tenant = await control.tenant(key={"mode": "test"})
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=tenant.secret, max_retries=0) as client:
        error = await refusal(client)
    assert type(error) is openai.PermissionDeniedError
    assert error.code == "test_key_not_allowed"


async def test_404(openai_client: AsyncOpenAI) -> None:
    error = await refusal(openai_client, "gpt-99")
    assert type(error) is openai.NotFoundError
    assert (error.code, error.param) == ("model_not_found", "model")


async def test_429_of_the_provider(openai_client: AsyncOpenAI) -> None:
    error = await refusal(openai_client, "fails-429")
    assert type(error) is openai.RateLimitError
    assert int(error.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_provider_that_fails(
    openai_client: AsyncOpenAI, control: ControlPlane, tenant: Tenant, status: int
) -> None:
    error = await refusal(openai_client, f"fails-{status}")
    assert type(error) is openai.InternalServerError
    assert error.status_code >= 500
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities == {}


async def test_an_error_inside_a_stream(openai_client: AsyncOpenAI, scripted: Scripted) -> None:
    async def cut(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        event = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
        writer.close()

    scripted.server.handler = cut
    stream = await openai_client.chat.completions.create(model="gpt", messages=HI, stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in stream:
            pass


async def test_it_tries_again_after_retry_after(url: str, tenant: Tenant, scripted: Scripted, bill: Bill) -> None:
    calls: list[float] = []
    answer = scripted.answer

    async def once_limited(request: Any, writer: asyncio.StreamWriter) -> None:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) == 1:
            writer.write(b"HTTP/1.1 429 X\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}")
        else:
            await answer(request, writer)

    scripted.server.handler = once_limited
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=tenant.secret, max_retries=3) as client:
        found = await client.chat.completions.create(model="gpt", messages=HI)
    assert found.choices[0].message.content == said.TEXT
    assert len(calls) == 2
    assert calls[1] - calls[0] >= 0.9


async def test_it_does_not_try_again_where_that_is_of_no_use(
    url: str, control: ControlPlane, tenant: Tenant, scripted: Scripted
) -> None:
    await budget(control, tenant, Budget("tenant", tenant.key.tenant_id, "month", 0, hard=True))
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=tenant.secret, max_retries=3) as client:
        error = await refusal(client)
    assert type(error) is openai.RateLimitError
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.request.headers["x-stainless-retry-count"] == "0"
    assert not scripted.received


async def test_its_timeout(openai_client: AsyncOpenAI, control: ControlPlane, tenant: Tenant) -> None:
    with pytest.raises(openai.APITimeoutError):
        await openai_client.with_options(timeout=0.2).chat.completions.create(model="slow", messages=HI)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 499
