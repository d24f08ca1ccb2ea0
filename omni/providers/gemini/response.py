"""What Gemini answers: as chat completions, as chunks, and as usage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from omni.contracts import usage as meters
from omni.contracts.wire import BadAnswer, Usage
from omni.kit.ids import uuid7
from omni.providers.formats import chat
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import SAID, read_row
from omni.providers.formats.sse import SseParser
from omni.providers.formats.usage import count, disjoint, to_openai

_FINISH_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length", "OTHER": "stop"}
_BROKEN = frozenset((
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
))  # fmt: skip
"""The model failed at the answer. What is in neither table is a filter's doing."""


def usage_of(row: object) -> Usage | None:
    """Usage of a whole answer; None when it says nothing."""
    if not isinstance(row, dict):
        return None
    read = count(row.get("promptTokenCount")) + count(row.get("toolUsePromptTokenCount"))
    written, thoughts = count(row.get("candidatesTokenCount")), count(row.get("thoughtsTokenCount"))
    if not read and not written and not thoughts:
        return None
    prompt, cached = _modalities(row, "promptTokensDetails"), _modalities(row, "cacheTokensDetails")
    answer = _modalities(row, "candidatesTokensDetails")
    quantities = disjoint(
        read,
        {
            meters.CACHED_INPUT_TOKENS: count(row.get("cachedContentTokenCount")),
            # what was read from the cache is among these counts, too
            meters.INPUT_AUDIO_TOKENS: max(0, prompt.get("AUDIO", 0) - cached.get("AUDIO", 0)),
            meters.INPUT_IMAGE_TOKENS: max(0, prompt.get("IMAGE", 0) - cached.get("IMAGE", 0)),
        },
        meters.INPUT_TOKENS,
    ) | disjoint(
        written,
        {
            meters.OUTPUT_AUDIO_TOKENS: answer.get("AUDIO", 0),
            meters.OUTPUT_IMAGE_TOKENS: answer.get("IMAGE", 0),
        },
        meters.OUTPUT_TOKENS,
    )
    if thoughts:
        quantities[meters.REASONING_TOKENS] = thoughts
    return Usage(quantities, final=True)


def _modalities(row: Mapping[str, Any], name: str) -> dict[str, int]:
    found = row.get(name)
    rows = found if isinstance(found, list) else []
    return {str(each.get("modality")): count(each.get("tokenCount")) for each in rows if isinstance(each, dict)}


def to_completion(answer: Json, model: str) -> Json:
    """A chat completion that says what an answer says. Raises BadAnswer."""
    candidates = SAID.objects(answer, "candidates")
    choices = [_choice(candidate, index) for index, candidate in enumerate(candidates)]
    if not choices:
        refused = {"role": "assistant", "content": None, "refusal": _blocked(answer)}
        choices = [{"index": 0, "message": refused, "logprobs": None, "finish_reason": "content_filter"}]
    return {
        "id": f"chatcmpl-{answer.get('responseId') or uuid7().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": to_openai(usage_of(answer.get("usageMetadata"))),
    }


def _blocked(answer: Json) -> str:
    """What to say of a prompt that a filter held back. Raises BadAnswer when that is not why there is no answer."""
    reason = SAID.text(SAID.object(answer, "promptFeedback"), "blockReason")
    if not reason:
        raise BadAnswer("no candidates in an answer")
    return f"The provider blocked the prompt: {reason}."


def _choice(candidate: Json, index: int) -> Json:
    text, thoughts, calls, images = "", "", [], []
    for part in SAID.objects(SAID.object(candidate, "content"), "parts"):
        if (call := _call(part)) is not None:
            calls.append(call)
        elif image := _image(part):
            images.append(image)
        elif part.get("thought") is True:
            thoughts += SAID.text(part, "text")
        else:
            text += SAID.text(part, "text")
    said: Json = {"role": "assistant", "content": text or None, "refusal": None}
    if thoughts:
        said["reasoning_content"] = thoughts
    if calls:
        said["tool_calls"] = calls
    if images:
        said["images"] = images
    reason = _reason(SAID.text(candidate, "finishReason"), calls=bool(calls))
    number = candidate.get("index")
    return {
        "index": number if type(number) is int else index,
        "message": said,
        "logprobs": None,
        "finish_reason": reason or "stop",
    }


def _reason(theirs: str, *, calls: bool) -> str | None:
    """A finish reason; None while there is none. Raises BadAnswer for an answer that the model failed at."""
    if not theirs or theirs == "FINISH_REASON_UNSPECIFIED":
        return None
    if theirs in _BROKEN:
        raise BadAnswer(f"the model failed: {theirs}")
    ours = _FINISH_REASONS.get(theirs, "content_filter")
    return "tool_calls" if calls and ours == "stop" else ours


def _call(part: Json) -> Json | None:
    if part.get("functionCall") is None:
        return None
    given = SAID.object(part, "functionCall")
    arguments = orjson.dumps(SAID.object(given, "args")).decode()
    call: Json = {
        "id": SAID.text(given, "id") or f"call_{uuid7().hex}",
        "type": "function",
        "function": {"name": SAID.name(given, "name"), "arguments": arguments},
    }
    if signature := SAID.text(part, "thoughtSignature"):
        call["extra_content"] = {"google": {"thought_signature": signature}}
    return call


def _image(part: Json) -> Json | None:
    if part.get("inlineData") is None or part.get("thought") is True:
        return None
    data = SAID.object(part, "inlineData")
    url = f"data:{SAID.name(data, 'mimeType')};base64,{SAID.name(data, 'data')}"
    return {"type": "image_url", "image_url": {"url": url}}


class GeminiReader:
    """Reads a stream of answers, each a piece, into chunks. The last piece has a finish reason; nothing follows it."""

    def __init__(self, model: str) -> None:
        self._parser = SseParser()
        self._base: Json = {"id": f"chatcmpl-{uuid7().hex}", "created": int(time.time()), "model": model}
        self._begun = False
        self._calls: dict[int, int] = {}
        self.usage: Usage | None = None
        self.finished = False
        self.failed: str | None = None

    def feed(self, data: bytes) -> list[Json]:
        chunks: list[Json] = []
        for event in self._parser.feed(data):
            chunks += self._read(read_row(event.data))
        return chunks

    def end(self) -> list[Json]:
        if not self.finished:
            return []
        if self.usage is not None:
            self.usage.final = True
        return [chat.usage_chunk(self._base, to_openai(self.usage))]

    def _read(self, row: Json) -> list[Json]:
        if row.get("error") is not None:
            self.failed = "error event"
            raise BadAnswer("an error inside the stream")
        if (usage := usage_of(row.get("usageMetadata"))) is not None:
            usage.final = False
            self.usage = usage
        chunks: list[Json] = []
        if not self._begun:
            self._begun = True
            if response_id := SAID.text(row, "responseId"):
                self._base["id"] = f"chatcmpl-{response_id}"
            chunks.append(chat.chunk_of(self._base, {"role": "assistant", "content": ""}))
        candidates = SAID.objects(row, "candidates")
        for candidate in candidates:
            chunks += self._candidate(candidate)
        if not candidates and SAID.object(row, "promptFeedback").get("blockReason"):
            self.finished = True
            chunks.append(chat.chunk_of(self._base, {"refusal": _blocked(row)}, "content_filter"))
        return chunks

    def _candidate(self, candidate: Json) -> list[Json]:
        number = candidate.get("index", 0)
        if type(number) is not int:
            raise BadAnswer("the index of a candidate is no number")
        deltas: list[Json] = []
        for part in SAID.objects(SAID.object(candidate, "content"), "parts"):
            if (call := _call(part)) is not None:
                at = self._calls.get(number, 0)
                self._calls[number] = at + 1
                deltas.append({"tool_calls": [{"index": at, **call}]})
            elif image := _image(part):
                deltas.append({"images": [image]})
            elif text := SAID.text(part, "text"):
                deltas.append({"reasoning_content" if part.get("thought") is True else "content": text})
        chunks = [chat.chunk_of(self._base, delta, index=number) for delta in deltas]
        reason = _reason(SAID.text(candidate, "finishReason"), calls=number in self._calls)
        if reason is not None:
            self.finished = True
            chunks.append(chat.chunk_of(self._base, {}, reason, number))
        return chunks


class GeminiSide:
    """How Gemini is read."""

    def check_error(self, status: int, body: bytes) -> None:
        if status == 400 and b"API_KEY_INVALID" in body:
            raise BadAnswer("the provider refuses the key")

    def completion(self, row: Json, model: str) -> tuple[Json, Usage | None]:
        return to_completion(row, model), usage_of(row.get("usageMetadata"))

    def reader(self, model: str) -> GeminiReader:
        return GeminiReader(model)
