"""Embeddings of Gemini, asked for and answered as OpenAI does; and counts of tokens."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson

from omni.contracts import usage as meters
from omni.contracts.wire import (
    Answer,
    BadAnswer,
    ModelRequest,
    ProviderRequest,
    StreamTranslator,
    Untranslatable,
    Usage,
)
from omni.providers.formats import chat
from omni.providers.formats.calls import refused
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import ASKED, SAID, read_object
from omni.providers.formats.usage import count
from omni.providers.gemini.response import GeminiSide, usage_of


def batch_body(request: ModelRequest, model: str) -> bytes:
    """The body of `batchEmbedContents`. Raises Untranslatable."""
    dimensions = ASKED.positive(request.fields, "dimensions")
    size = {"outputDimensionality": dimensions} if dimensions else {}
    rows = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **size} for text in _texts(request)]
    return orjson.dumps({"requests": rows})


def vertex_batch_body(request: ModelRequest) -> bytes:
    """The body of `batchEmbedContents`, as Vertex AI has it for Gemini's models. Raises Untranslatable."""
    dimensions = ASKED.positive(request.fields, "dimensions")
    size = {"embedContentConfig": {"outputDimensionality": dimensions}} if dimensions else {}
    return orjson.dumps({"requests": [{"content": {"parts": [{"text": text}]}, **size} for text in _texts(request)]})


def predict_body(request: ModelRequest) -> bytes:
    """The body of `predict`, as Vertex AI has it for older models of text. Raises Untranslatable."""
    dimensions = ASKED.positive(request.fields, "dimensions")
    body: Json = {"instances": [{"content": text} for text in _texts(request)]}
    if dimensions:
        body["parameters"] = {"outputDimensionality": dimensions}
    return orjson.dumps(body)


def _texts(request: ModelRequest) -> list[str]:
    given = request.fields.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Untranslatable("This model embeds text: input must be a string or a list of strings.")
    if request.fields.get("encoding_format") not in (None, "float", "base64"):
        raise Untranslatable("encoding_format must be float or base64.")
    return texts


class EmbeddingsCall:
    """One call for embeddings, of either kind."""

    content_type = chat.JSON_TYPE

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self._asked = request
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        del status, content_type
        row = read_object(body)
        if "predictions" in row:
            found = [SAID.object(each, "embeddings") for each in SAID.objects(row, "predictions")]
            read = sum(count(SAID.object(each, "statistics").get("token_count")) for each in found)
            usage = Usage({meters.INPUT_TOKENS: read}, final=True) if read else None
        else:
            found = SAID.objects(row, "embeddings")
            usage = usage_of(row.get("usageMetadata"))
        in_base64 = self._asked.fields.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(each.get("values"), in_base64=in_base64)}
            for index, each in enumerate(found)
        ]
        given = self._asked.fields.get("input")
        if len(data) != (1 if isinstance(given, str) else len(given or ())):
            raise BadAnswer("not one embedding for each text")
        read = sum(usage.quantities.values()) if usage is not None else 0
        counts = {"prompt_tokens": read, "total_tokens": read}
        answer = {"object": "list", "data": data, "model": self._asked.model, "usage": counts}
        return Answer(200, chat.JSON_TYPE, orjson.dumps(answer), usage)

    def error(self, status: int, body: bytes) -> Answer:
        GeminiSide().check_error(status, body)
        return refused(self._asked, status, body, self._key)

    def stream(self) -> StreamTranslator:
        raise BadAnswer("embeddings do not stream")


def _vector(values: Any, *, in_base64: bool) -> Any:
    if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
        raise BadAnswer("an embedding that is no list of numbers")
    if not in_base64:
        return values
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode("ascii")
    except (OverflowError, struct.error):
        raise BadAnswer("an embedding with a number that is too large") from None


class CountCall:
    """One call for a count of tokens, for a client that speaks Messages."""

    content_type = chat.JSON_TYPE

    def __init__(self, sent: ProviderRequest, request: ModelRequest, key: str) -> None:
        self.request = sent
        self._asked = request
        self._key = key

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        del status, content_type
        total = read_object(body).get("totalTokens")
        if type(total) is not int:
            raise BadAnswer("no count")
        return Answer(200, chat.JSON_TYPE, orjson.dumps({"input_tokens": total}), None)

    def error(self, status: int, body: bytes) -> Answer:
        GeminiSide().check_error(status, body)
        return refused(self._asked, status, body, self._key)

    def stream(self) -> StreamTranslator:
        raise BadAnswer("counts do not stream")
