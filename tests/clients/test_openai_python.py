"""The unmodified `openai` client against the gateway, at a provider that speaks its API."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.clients.conftest import Bill, Scripted
from tests.clients.providers import openai as said
from tests.gateway.support import ControlPlane, Tenant

HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}},
}
PICTURE = "data:image/png;base64," + said.PNG


class City(BaseModel):
    city: str
    degrees: int


async def test_a_chat(openai_client: AsyncOpenAI, bill: Bill, scripted: Scripted) -> None:
    found = await openai_client.chat.completions.create(model="gpt", messages=HI, temperature=0.1)
    assert found.choices[0].message.content == said.TEXT
    assert found.choices[0].finish_reason == "stop"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (19, 10)
    assert scripted.received[0].headers["authorization"] == "Bearer key-of-openai-0123456789"
    await bill.is_exactly(said.METERS)


async def test_a_stream_without_usage(openai_client: AsyncOpenAI, bill: Bill) -> None:
    stream = await openai_client.chat.completions.create(model="gpt", messages=HI, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said.TEXT
    assert all(chunk.usage is None for chunk in chunks)
    await bill.is_exactly(said.METERS)


async def test_a_stream_with_usage(openai_client: AsyncOpenAI, bill: Bill) -> None:
    stream = await openai_client.chat.completions.create(
        model="gpt", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 29
    await bill.is_exactly(said.METERS)


async def test_the_stream_helper(openai_client: AsyncOpenAI, bill: Bill) -> None:
    async with openai_client.chat.completions.stream(model="gpt", messages=HI) as stream:
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == said.TEXT
    await bill.is_exactly(said.METERS)


async def test_parallel_tools_and_their_results(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.chat.completions.create(model="gpt", messages=HI, tools=[TOOL])
    message = found.choices[0].message
    calls: Any = message.tool_calls
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == said.CALLS
    history: Any = [*HI, message, *({"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in calls)]
    again = await openai_client.chat.completions.create(model="gpt", messages=history, tools=[TOOL])
    assert again.choices[0].message.content == "The tool said sun."
    await bill.is_exactly(said.METERS, said.METERS)


async def test_streamed_arguments_of_tools(openai_client: AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(model="gpt", messages=HI, tools=[TOOL], stream=True)
    arguments = {0: "", 1: ""}
    async for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.function is not None
            arguments[call.index] += call.function.arguments or ""
    assert list(arguments.values()) == [call[2] for call in said.CALLS]


async def test_parsed_output(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.chat.completions.parse(model="gpt", messages=HI, response_format=City)
    assert found.choices[0].message.parsed == City(city="Bonn", degrees=21)
    await bill.is_exactly(said.METERS)


async def test_a_picture_goes_in(openai_client: AsyncOpenAI) -> None:
    parts: Any = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    found = await openai_client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": parts}])
    assert found.choices[0].message.content == said.PICTURE_TEXT


async def test_pictures_come_out(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.images.generate(model="gpt", prompt="x")
    assert found.data is not None
    assert found.data[0].b64_json == said.PNG
    edited = await openai_client.images.edit(model="gpt", image=("a.png", base64.b64decode(said.PNG)), prompt="x")
    assert edited.data is not None
    assert edited.data[0].b64_json == said.PNG
    meters = {"requests": 1, "images": 1, "input_tokens": 10, "output_image_tokens": 100}
    await bill.is_exactly(meters, meters)


@pytest.mark.parametrize("form", ["default", "float", "base64"])
async def test_embeddings(openai_client: AsyncOpenAI, bill: Bill, form: str, scripted: Scripted) -> None:
    asked: Any = {} if form == "default" else {"encoding_format": form}
    found = await openai_client.embeddings.create(model="vectors", input=["a", "b"], **asked)
    vectors: Any = [each.embedding for each in found.data]
    if form == "base64":
        assert all(isinstance(vector, str) for vector in vectors)
    else:
        assert vectors == said.VECTORS
    assert found.usage.prompt_tokens == said.EMBEDDED_TOKENS
    await bill.is_exactly({"requests": 1, "input_tokens": said.EMBEDDED_TOKENS})


async def test_transcriptions(openai_client: AsyncOpenAI, bill: Bill, scripted: Scripted) -> None:
    found = await openai_client.audio.transcriptions.create(model="gpt", file=("a.mp3", said.AUDIO))
    assert found.text == said.TRANSCRIBED
    assert said.AUDIO in scripted.received[0].body
    with pytest.warns(DeprecationWarning, match="deprecated"):
        translated = await openai_client.audio.translations.create(model="gpt", file=("a.mp3", said.AUDIO))
    assert translated.text == said.TRANSCRIBED
    meters = {"requests": 1, "audio_ms": 2000}
    await bill.is_exactly(meters, meters)


async def test_a_streamed_transcription(openai_client: AsyncOpenAI, bill: Bill) -> None:
    stream: Any = await openai_client.audio.transcriptions.create(model="gpt", file=("a.mp3", said.AUDIO), stream=True)
    events = [event async for event in stream]
    assert events[-1].text == said.TRANSCRIBED
    await bill.is_exactly({"requests": 1, "input_tokens": 14, "output_tokens": 3})


async def test_speech(openai_client: AsyncOpenAI, control: ControlPlane, tenant: Tenant) -> None:
    found = await openai_client.audio.speech.create(model="gpt", voice="alloy", input="Good morning")
    assert found.content == said.AUDIO
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.quantities["characters"] == 12


async def test_moderations(openai_client: AsyncOpenAI) -> None:
    found = await openai_client.moderations.create(model="gpt", input="I kill processes")
    assert found.results[0].flagged


async def test_responses(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.responses.create(model="gpt", input="Hi")
    assert found.output_text == said.TEXT
    assert found.usage is not None
    assert found.usage.output_tokens_details.reasoning_tokens == 3
    await bill.is_exactly(said.METERS)


async def test_streamed_responses(openai_client: AsyncOpenAI, bill: Bill) -> None:
    stream = await openai_client.responses.create(model="gpt", input="Hi", stream=True)
    events = [event async for event in stream]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == said.TEXT
    last: Any = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == said.TEXT
    await bill.is_exactly(said.METERS)


async def test_tools_of_responses(openai_client: AsyncOpenAI) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    found: Any = await openai_client.responses.create(model="gpt", input="Hi", tools=[tool])
    call = found.output[0]
    assert (call.call_id, call.name, call.arguments) == said.CALLS[0]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"}]
    again = await openai_client.responses.create(model="gpt", input=[call, *results], tools=[tool])
    assert again.output_text == said.TEXT


async def test_parsed_responses(openai_client: AsyncOpenAI) -> None:
    found = await openai_client.responses.parse(model="gpt", input="Hi", text_format=City)
    assert found.output_parsed == City(city="Bonn", degrees=21)


async def test_responses_at_a_provider_that_has_only_chat(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.responses.create(model="llama", input="Hi", instructions="Be brief.")
    assert found.output_text == said.TEXT
    async with openai_client.responses.stream(model="llama", input="Hi") as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert final.output_text == said.TEXT
    await bill.is_exactly(said.METERS, said.METERS)


async def test_completions(openai_client: AsyncOpenAI, bill: Bill) -> None:
    found = await openai_client.completions.create(model="gpt", prompt="Hi")
    assert found.choices[0].text == said.TEXT
    stream = await openai_client.completions.create(model="gpt", prompt="Hi", stream=True)
    pieces = [chunk.choices[0].text async for chunk in stream]
    assert "".join(pieces) == said.TEXT
    await bill.is_exactly(said.METERS, said.METERS)


async def test_raw_responses_have_the_request_id(
    openai_client: AsyncOpenAI, control: ControlPlane, tenant: Tenant
) -> None:
    raw = await openai_client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.status_code == 200
    assert raw.parse().choices[0].message.content == said.TEXT
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert raw.request_id == str(event.event_id)


async def test_the_client_without_async(url: str, tenant: Tenant, bill: Bill) -> None:
    def use() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{url}/v1", api_key=tenant.secret, max_retries=0) as client:
            found = client.chat.completions.create(model="gpt", messages=HI)
            stream = client.chat.completions.create(model="gpt", messages=HI, stream=True)
            return found.choices[0].message.content, "".join(each.choices[0].delta.content or "" for each in stream)

    assert await asyncio.to_thread(use) == (said.TEXT, said.TEXT)
    await bill.is_exactly(said.METERS, said.METERS)


async def test_a_client_that_closes_a_stream_ends_the_providers(
    openai_client: AsyncOpenAI, scripted: Scripted, control: ControlPlane, tenant: Tenant
) -> None:
    stream = await openai_client.chat.completions.create(model="endless", messages=HI, stream=True)
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == 3:
            break
    began = time.monotonic()
    await stream.close()
    await asyncio.wait_for(scripted.closed.wait(), 5)
    assert time.monotonic() - began <= 0.2
    (event,) = await control.wait_events(tenant.key.tenant_id, 1)
    assert event.status == 499
    assert event.quantities["output_tokens"] >= 3
