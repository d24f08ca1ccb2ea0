"""The unmodified `openai` client at models of Anthropic and Gemini."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.clients.conftest import Bill, Scripted
from tests.clients.providers import anthropic, gemini
from tests.clients.providers.http import fields_of
from tests.gateway.support import ControlPlane, Tenant

HI: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}}
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
ELSEWHERE = pytest.mark.parametrize(("model", "said"), [("claude", anthropic), ("gemini", gemini)])


class City(BaseModel):
    city: str
    degrees: int


def total(said: Any) -> int:
    return sum(count for meter, count in said.METERS.items() if meter != "requests")


@ELSEWHERE
async def test_a_chat(openai_client: AsyncOpenAI, bill: Bill, model: str, said: Any) -> None:
    found = await openai_client.chat.completions.create(model=model, messages=HI, max_completion_tokens=100, stop="x")
    assert found.choices[0].message.content == said.TEXT
    assert (found.choices[0].finish_reason, found.model) == ("stop", model)
    assert found.usage is not None
    assert found.usage.total_tokens == total(said)
    assert found.usage.completion_tokens_details is not None
    assert found.usage.completion_tokens_details.reasoning_tokens == said.METERS["reasoning_tokens"]
    assert found.usage.prompt_tokens_details is not None
    assert found.usage.prompt_tokens_details.cached_tokens == said.METERS["cached_input_tokens"]
    await bill.is_exactly(said.METERS)


@ELSEWHERE
@pytest.mark.parametrize("shown", [False, True])
async def test_a_stream(openai_client: AsyncOpenAI, bill: Bill, model: str, said: Any, shown: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if shown else {}
    stream = await openai_client.chat.completions.create(model=model, messages=HI, stream=True, **options)
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == said.TEXT
    usage = [chunk.usage.total_tokens for chunk in chunks if chunk.usage is not None]
    assert usage == ([total(said)] if shown else [])
    await bill.is_exactly(said.METERS)


@ELSEWHERE
@pytest.mark.parametrize("streams", [False, True])
async def test_parallel_tools_and_their_results(
    openai_client: AsyncOpenAI, model: str, said: Any, streams: bool, scripted: Scripted
) -> None:
    asked: Any = {"model": model, "messages": HI, "tools": [TOOL], "tool_choice": "required"}
    if streams:
        async with openai_client.chat.completions.stream(**asked) as stream:
            found: Any = await stream.get_final_completion()
    else:
        found = await openai_client.chat.completions.create(**asked)
    message = found.choices[0].message
    assert found.choices[0].finish_reason == "tool_calls"
    assert [call.function.arguments for call in message.tool_calls] == ['{"place":"Bonn"}', '{"place":"Rome"}']
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in message.tool_calls]
    history = [*HI, message.model_dump(exclude_none=True, exclude={"parsed"}), *results]
    again = await openai_client.chat.completions.create(**{**asked, "messages": history, "tool_choice": "auto"})
    assert again.choices[0].message.content.startswith("The tool said sun")
    if model == "gemini":
        assert "c2lnbmVk" in again.choices[0].message.content, "the signature of the thought came back"


@ELSEWHERE
async def test_parsed_output(openai_client: AsyncOpenAI, model: str, said: Any, scripted: Scripted) -> None:
    found = await openai_client.chat.completions.parse(model=model, messages=HI, response_format=City)
    assert found.choices[0].message.parsed == City(city="Bonn", degrees=21)
    body = fields_of(scripted.received[0])
    schema = (
        body["output_config"]["format"]["schema"]
        if model == "claude"
        else body["generationConfig"]["responseJsonSchema"]
    )
    assert schema["properties"]["degrees"]["type"] == "integer"


@ELSEWHERE
async def test_thoughts(openai_client: AsyncOpenAI, model: str, said: Any) -> None:
    found: Any = await openai_client.chat.completions.create(model=model, messages=HI, reasoning_effort="low")
    assert found.choices[0].message.reasoning_content == said.THOUGHTS
    assert found.choices[0].message.content == said.TEXT


@ELSEWHERE
async def test_responses(openai_client: AsyncOpenAI, bill: Bill, model: str, said: Any) -> None:
    found = await openai_client.responses.create(model=model, input="Hi", instructions="Be brief.")
    assert found.output_text == said.TEXT
    async with openai_client.responses.stream(model=model, input="Hi") as stream:
        pieces = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(pieces) == final.output_text == said.TEXT
    assert final.usage is not None
    assert final.usage.total_tokens == total(said)
    await bill.is_exactly(said.METERS, said.METERS)


@ELSEWHERE
async def test_tools_of_responses(openai_client: AsyncOpenAI, model: str, said: Any) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
    found: Any = await openai_client.responses.create(model=model, input="Hi", tools=[tool])
    calls = [item for item in found.output if item.type == "function_call"]
    assert [call.arguments for call in calls] == ['{"place":"Bonn"}', '{"place":"Rome"}']
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"} for call in calls]
    history: Any = [{"role": "user", "content": "Hi"}, *calls, *results]
    again: Any = await openai_client.responses.create(model=model, input=history, tools=[tool])
    assert again.output_text.startswith("The tool said sun")


@pytest.mark.parametrize("form", ["default", "float", "base64"])
async def test_embeddings_of_gemini(
    openai_client: AsyncOpenAI, control: ControlPlane, tenant: Tenant, form: str
) -> None:
    asked: Any = {} if form == "default" else {"encoding_format": form}
    found = await openai_client.embeddings.create(model="gemini-vectors", input=["a", "b"], dimensions=2, **asked)
    vectors: Any = [each.embedding for each in found.data]
    assert vectors == gemini.VECTORS or form == "base64"
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities["input_tokens"] >= 1
    assert "estimated" in event.attributes, "it says nothing of tokens"
