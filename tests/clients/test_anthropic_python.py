"""The unmodified `anthropic` client against the gateway, at Anthropic and at providers that speak something else."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.clients.conftest import Bill, Scripted
from tests.clients.providers import anthropic as said
from tests.clients.providers import gemini, openai
from tests.gateway.support import ControlPlane, Tenant, stranger

HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"name": "weather", "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}}}
PICTURE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": openai.PNG}}
THINKING: Any = {"type": "enabled", "budget_tokens": 2000}
ELSEWHERE = [
    ("claude", said.TEXT, said.METERS), ("gpt", openai.TEXT, openai.METERS), ("gemini", gemini.TEXT, gemini.METERS),
]  # fmt: skip


@pytest.mark.parametrize(("model", "text", "meters"), ELSEWHERE)
async def test_a_message(
    anthropic_client: AsyncAnthropic, bill: Bill, model: str, text: str, meters: dict[str, int]
) -> None:
    found = await anthropic_client.messages.create(model=model, max_tokens=100, messages=HI, system="Be brief.")
    assert (found.role, found.stop_reason) == ("assistant", "end_turn")
    assert [block.type for block in found.content] == ["text"]
    assert found.content[0].text == text  # type: ignore[union-attr]
    usage = found.usage
    assert usage.input_tokens == meters["input_tokens"]
    assert usage.cache_read_input_tokens == meters["cached_input_tokens"]
    assert usage.output_tokens == meters["output_tokens"] + meters["reasoning_tokens"]
    await bill.is_exactly(meters)


@pytest.mark.parametrize(("model", "text", "meters"), ELSEWHERE)
async def test_the_stream_helper(
    anthropic_client: AsyncAnthropic, bill: Bill, model: str, text: str, meters: dict[str, int]
) -> None:
    async with anthropic_client.messages.stream(model=model, max_tokens=100, messages=HI) as stream:
        pieces = [piece async for piece in stream.text_stream]
        final = await stream.get_final_message()
    assert "".join(pieces) == text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == meters["output_tokens"] + meters["reasoning_tokens"]
    await bill.is_exactly(meters)


async def test_raw_events(anthropic_client: AsyncAnthropic) -> None:
    stream = await anthropic_client.messages.create(model="claude", max_tokens=100, messages=HI, stream=True)
    kinds = [event.type async for event in stream]
    assert kinds == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["claude", "gpt", "gemini"])
@pytest.mark.parametrize("streams", [False, True])
async def test_tools_and_their_results(anthropic_client: AsyncAnthropic, model: str, streams: bool) -> None:
    asked: Any = {"model": model, "max_tokens": 100, "messages": HI, "tools": [TOOL]}
    if streams:
        async with anthropic_client.messages.stream(**asked) as stream:
            found = await stream.get_final_message()
    else:
        found = await anthropic_client.messages.create(**asked)
    assert found.stop_reason == "tool_use"
    uses = [block for block in found.content if block.type == "tool_use"]
    assert [(use.name, use.input) for use in uses] == [("weather", {"place": "Bonn"}), ("weather", {"place": "Rome"})]
    assert len({use.id for use in uses}) == 2
    results: Any = [
        {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "sun"}]} for use in uses
    ]
    history: Any = [*HI, {"role": "assistant", "content": found.content}, {"role": "user", "content": results}]
    again = await anthropic_client.messages.create(**{**asked, "messages": history})
    assert again.content[0].text.startswith("The tool said sun")


@pytest.mark.parametrize(
    ("model", "thoughts"), [("claude", said.THOUGHTS), ("gemini", gemini.THOUGHTS), ("gpt", "Thinking about it.")]
)
@pytest.mark.parametrize("streams", [False, True])
async def test_thinking(anthropic_client: AsyncAnthropic, model: str, thoughts: str, streams: bool) -> None:
    asked: Any = {"model": model, "max_tokens": 4000, "messages": HI, "thinking": THINKING}
    if streams:
        async with anthropic_client.messages.stream(**asked) as stream:
            found = await stream.get_final_message()
    else:
        found = await anthropic_client.messages.create(**asked)
    assert [block.type for block in found.content] == ["thinking", "text"]
    assert found.content[0].thinking == thoughts  # type: ignore[union-attr]


@pytest.mark.parametrize(("model", "text"), [("claude", said.PICTURE_TEXT), ("gpt", openai.PICTURE_TEXT)])
async def test_a_picture_goes_in(anthropic_client: AsyncAnthropic, model: str, text: str) -> None:
    content: Any = [PICTURE, {"type": "text", "text": "What?"}]
    found = await anthropic_client.messages.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    assert found.content[0].text == text  # type: ignore[union-attr]


@pytest.mark.parametrize(("model", "counted"), [("claude", said.COUNTED), ("gemini", gemini.COUNTED)])
async def test_counts_of_tokens(anthropic_client: AsyncAnthropic, bill: Bill, model: str, counted: int) -> None:
    found = await anthropic_client.messages.count_tokens(model=model, messages=HI, system="Be brief.")
    assert found.input_tokens == counted
    await bill.is_exactly({"requests": 1})


async def test_counts_of_tokens_where_the_provider_has_none(
    anthropic_client: AsyncAnthropic, control: ControlPlane, tenant: Tenant, scripted: Scripted
) -> None:
    content: Any = [PICTURE, {"type": "text", "text": "hello world"}]
    found = await anthropic_client.messages.count_tokens(
        model="gpt", messages=[{"role": "user", "content": content}], system="hello world"
    )
    assert found.input_tokens == 5 + 1600, "two texts on a line each, and a picture"
    assert not scripted.received
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities["requests"] == 1
    assert "input_tokens" not in event.quantities
    assert event.attributes["estimated"] == "no_usage/tokenizer"


async def test_what_is_cached_keeps_its_mark(anthropic_client: AsyncAnthropic, scripted: Scripted) -> None:
    system: Any = [{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}]
    await anthropic_client.messages.create(model="claude", max_tokens=100, messages=HI, system=system)
    assert b'"cache_control":{"type":"ephemeral"}' in scripted.received[0].body


async def refusal(client: AsyncAnthropic, model: str, **fields: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model=model, max_tokens=100, messages=fields.pop("messages", HI), **fields)
    return caught.value


async def test_400_of_the_provider(anthropic_client: AsyncAnthropic) -> None:
    error = await refusal(anthropic_client, "claude-fails")
    assert type(error) is anthropic.BadRequestError
    assert "max_tokens: too large" in str(error)
    error = await refusal(anthropic_client, "fails-400")
    assert type(error) is anthropic.BadRequestError
    assert "The provider says 400." in str(error)


async def test_400_for_what_a_model_cannot(anthropic_client: AsyncAnthropic) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    error = await refusal(anthropic_client, "gpt", tools=[search])
    assert type(error) is anthropic.BadRequestError
    assert "web_search_20250305" in str(error)
    for messages in (5, [5], [{"role": "user", "content": {"a": 1}}], [{"role": "user", "content": [None]}]):
        assert type(await refusal(anthropic_client, "gpt", messages=messages)) is anthropic.BadRequestError


async def test_401_and_404(url: str, anthropic_client: AsyncAnthropic) -> None:
    async with AsyncAnthropic(base_url=url, api_key=stranger(), max_retries=0) as client:
        error = await refusal(client, "claude")
    assert type(error) is anthropic.AuthenticationError
    error = await refusal(anthropic_client, "claude-99")
    assert type(error) is anthropic.NotFoundError
    assert error.response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("model", "kind"),
    [("fails-429", anthropic.RateLimitError), ("fails-500", anthropic.InternalServerError)],
)
async def test_what_fails_elsewhere(
    anthropic_client: AsyncAnthropic, model: str, kind: type[anthropic.APIStatusError]
) -> None:
    error = await refusal(anthropic_client, model)
    assert isinstance(error, kind)
    assert error.body["type"] == "error"  # type: ignore[index]


async def test_the_client_without_async(url: str, tenant: Tenant, bill: Bill) -> None:
    def use() -> tuple[Any, str]:
        with Anthropic(base_url=url, api_key=tenant.secret, max_retries=0) as client:
            found: Any = client.messages.create(model="claude", max_tokens=100, messages=HI)
            with client.messages.stream(model="gpt", max_tokens=100, messages=HI) as stream:
                return found.content[0].text, "".join(stream.text_stream)

    assert await asyncio.to_thread(use) == (said.TEXT, openai.TEXT)
    await bill.is_exactly(said.METERS, openai.METERS)


async def test_a_client_that_leaves_a_stream(
    anthropic_client: AsyncAnthropic, scripted: Scripted, control: ControlPlane, tenant: Tenant
) -> None:
    async with anthropic_client.messages.stream(model="endless", max_tokens=100, messages=HI) as stream:
        async for _ in stream.text_stream:
            break
    await asyncio.wait_for(scripted.closed.wait(), 0.2)
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 499
