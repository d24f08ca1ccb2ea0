"""OpenAI's chat format towards clients: chunks written, text measured, errors shaped."""

from __future__ import annotations

from typing import Any

import orjson

from omni.contracts.wire import Answer, BadAnswer
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import SAID
from omni.providers.formats.sse import sse_event

DONE = b"data: [DONE]\n\n"
JSON_TYPE = b"application/json"
EVENT_STREAM: bytes = b"text/event-stream; charset=utf-8"
_TYPES = {401: "invalid_request_error", 403: "permission_error", 429: "rate_limit_error"}


def text_bytes(chunk: Json) -> int:
    """UTF-8 bytes of what a chunk generates: text, reasoning, refusals, arguments of tools. Raises BadAnswer."""
    try:
        return _text_bytes(chunk)
    except (AttributeError, TypeError) as error:
        raise BadAnswer(f"a chunk of another shape: {error}") from None


def _text_bytes(chunk: Json) -> int:
    total = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta")
        if isinstance(delta, dict):
            if len(delta) == 1 and type(text := delta.get("content")) is str and text.isascii():
                total += len(text)  # as most are
                continue
            for name in ("content", "reasoning_content", "reasoning", "refusal"):
                value = delta.get(name)
                if value and isinstance(value, str):
                    total += len(value.encode("utf-8", "surrogatepass"))
            for call in delta.get("tool_calls") or ():
                arguments = (call.get("function") or {}).get("arguments")
                total += len(arguments) if isinstance(arguments, str) else 0
        elif isinstance(choice.get("text"), str):
            total += len(choice["text"].encode("utf-8", "surrogatepass"))
    return total


def chunk_of(base: Json, delta: Json, finish_reason: str | None = None, index: int = 0) -> Json:
    """A `chat.completion.chunk` with one choice; `base` has id, created and model."""
    return {
        **base,
        "object": "chat.completion.chunk",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}],
    }


def first_choice(completion: Json) -> Json:
    """The one choice that other formats have room for. Raises BadAnswer."""
    choices = SAID.objects(completion, "choices")
    if not choices:
        raise BadAnswer("no choices in an answer")
    return choices[0]


def checked(chunk: Json) -> Json:
    """A provider's chunk whose members have the types that writers rely on. Raises BadAnswer."""
    for choice in SAID.objects(chunk, "choices"):
        delta = SAID.object(choice, "delta")
        for name in ("content", "reasoning_content", "refusal"):
            SAID.text(delta, name)
        SAID.text(choice, "finish_reason")
        for call in SAID.objects(delta, "tool_calls"):
            function = SAID.object(call, "function")
            if type(call.get("index", 0)) is not int or not all(
                isinstance(text, str | None)
                for text in (call.get("id"), function.get("name"), function.get("arguments"))
            ):
                raise BadAnswer("a call of a tool of another shape")
    return chunk


def usage_chunk(base: Json, usage: Json) -> Json:
    """The chunk at the end of a stream that has only usage."""
    return {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage}


class ChatWriter:
    """Writes chunks as OpenAI does. The usage chunk passes only where the client asked for it."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage

    def write(self, chunk: Json) -> bytes:
        if not chunk["choices"] and not self._include_usage:
            return b""
        return sse_event(orjson.dumps(chunk))

    def end(self) -> bytes:
        return DONE

    def error(self, code: str, message: str) -> bytes:
        return error_event(code, message)


def error_event(code: str, message: str) -> bytes:
    """An error inside a stream, as OpenAI's clients read it, and the stream's end."""
    kind = "rate_limit_error" if code == "budget_exceeded" else "server_error"
    return sse_event(orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})) + DONE


def wants_usage(fields: Any) -> bool:
    """Whether a client asked for usage at the end of its stream."""
    options = fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def error_answer(status: int, body: bytes, key: str) -> Answer:
    """A provider's error for an OpenAI client: its own words where it has any, never the key, never HTML."""
    message, found = provider_message(body)
    error = {
        "message": redacted(message or f"The model's provider refused the request (status {status}).", key),
        "type": found.get("type") or _TYPES.get(status, "invalid_request_error"),
        "param": found.get("param"),
        "code": found.get("code"),
    }
    return Answer(status, JSON_TYPE, orjson.dumps({"error": error}), None)


def provider_message(body: bytes) -> tuple[str, Json]:
    """What an error body of OpenAI, Anthropic or Google says, and its error object."""
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", {}
    if isinstance(row, list) and row:
        row = row[0]
    error = row.get("error") if isinstance(row, dict) else None
    if isinstance(error, str):
        return error, {}
    if not isinstance(error, dict):
        message = row.get("message") if isinstance(row, dict) else None
        return (message if isinstance(message, str) else ""), {}
    message = error.get("message")
    plain = {name: value for name, value in error.items() if isinstance(value, str | None)}
    return (message if isinstance(message, str) else ""), plain


def redacted(message: str, key: str) -> str:
    """The message without the key."""
    return message.replace(key, "…") if len(key) >= 8 else message
