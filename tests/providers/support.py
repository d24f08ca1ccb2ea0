"""What the tests of providers share: requests as the gateway hands them over, and streams cut anywhere."""

from __future__ import annotations

from typing import Any

import orjson

from omni.contracts.routes import Kind, Operation, Provider
from omni.contracts.wire import Adapter, Answer, ModelRequest, ProviderCall, StreamTranslator
from omni.gateway.routing.adapters import ADAPTERS

KEY = "a-provider-key-0123456789"
Json = dict[str, Any]

PROVIDERS: dict[Kind, Provider] = {
    "openai": Provider("openai", "openai", "https://api.openai.com/v1"),
    "anthropic": Provider("anthropic", "anthropic", "https://api.anthropic.com/v1"),
    "gemini": Provider("gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta"),
    "vertex": Provider(
        "vertex", "vertex", "https://europe-west1-aiplatform.googleapis.com/v1",
        settings={"project": "acme", "location": "europe-west1"},
    ),
}  # fmt: skip
MODELS: dict[Kind, str] = {
    "openai": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "vertex": "gemini-2.5-flash",
}


def adapter(kind: Kind) -> Adapter:
    return ADAPTERS[kind]


def asked(operation: Operation, fields: Json, most: int | None = None) -> ModelRequest:
    """A request for the public model `m`."""
    fields = {"model": "m", **fields}
    stream = fields.get("stream") is True
    return ModelRequest(operation, orjson.dumps(fields), b"application/json", fields, "m", stream, most)


def call(
    kind: Kind, operation: Operation, fields: Json, *, model: str | None = None, key: str = KEY, most: int | None = None
) -> ProviderCall:
    return adapter(kind).call(PROVIDERS[kind], key, model or MODELS[kind], asked(operation, fields, most))


def sent(kind: Kind, operation: Operation, fields: Json, **changes: Any) -> Json:
    """The body that goes to the provider."""
    body: Json = orjson.loads(call(kind, operation, fields, **changes).request.body)
    return body


def answer(made: ProviderCall, row: object) -> tuple[Json, Answer]:
    """The client's answer to a whole answer of the provider, parsed and as it is."""
    found = made.answer(200, b"application/json", orjson.dumps(row))
    return orjson.loads(found.body), found


def sse(*rows: object, named: bool = False, done: bool = False) -> bytes:
    """A provider's stream."""
    out = b""
    for row in rows:
        if named and isinstance(row, dict):
            out += f"event: {row['type']}\n".encode()
        out += b"data: %b\n\n" % orjson.dumps(row)
    return out + (b"data: [DONE]\n\n" if done else b"")


def streamed(made: ProviderCall, data: bytes, size: int = 7) -> tuple[list[Json], StreamTranslator]:
    """The events that the client gets when the stream comes in pieces of this many bytes."""
    translator = made.stream()
    out = b"".join(translator.feed(data[at : at + size]) for at in range(0, len(data), size)) + translator.end()
    return events(out), translator


def events(out: bytes) -> list[Json]:
    """The JSON of each event; `[DONE]` as an empty object."""
    lines = [line for block in out.split(b"\n\n") for line in block.split(b"\n") if line.startswith(b"data: ")]
    return [{} if line == b"data: [DONE]" else orjson.loads(line[6:]) for line in lines]
