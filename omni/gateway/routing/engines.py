"""The platform's own engines as a target of a model: the same request, at the backend."""

from __future__ import annotations

import orjson

from omni.contracts.openai_errors import openai_error
from omni.contracts.routes import Operation, Provider
from omni.contracts.wire import Answer, BadAnswer, ModelRequest, ProviderCall, ProviderRequest, StreamTranslator
from omni.providers.formats.chat import JSON_TYPE
from omni.providers.formats.usage import from_openai

_PATHS = {"embeddings": b"/v1/embeddings", "moderations": b"/v1/moderations"}


class EngineAdapter:
    """Kind `backend`."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        del provider
        return operation in _PATHS

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        del provider, key
        body = request.body
        if upstream_model != request.model:
            body = orjson.dumps({**request.fields, "model": upstream_model})
        headers = ((b"content-type", request.content_type or JSON_TYPE),)
        return EngineCall(ProviderRequest(b"POST", _PATHS[request.operation], headers, body))


class EngineCall:
    """One call to the backend, whose `omni-usage` header goes before the usage in the body."""

    content_type = b""

    def __init__(self, sent: ProviderRequest) -> None:
        self.request = sent

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        try:
            usage = from_openai(orjson.loads(body).get("usage"))
        except (orjson.JSONDecodeError, AttributeError) as error:
            raise BadAnswer(f"an answer that is no JSON object: {error}") from None
        return Answer(status, content_type, body, usage)

    def error(self, status: int, body: bytes) -> Answer:
        if body.startswith(b"{"):
            return Answer(status, JSON_TYPE, body, None)
        error = openai_error(status, "backend_failed", "The request failed.", param=None, request_id="", doc_url="")
        return Answer(status, JSON_TYPE, orjson.dumps(error), None)

    def stream(self) -> StreamTranslator:
        raise BadAnswer("the platform's own engines do not stream")
