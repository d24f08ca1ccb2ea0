"""A client's request for a model, read once: what it asks for, and how large it can become."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import orjson
from python_multipart.multipart import MultipartParser, parse_options_header

from omni.contracts.routes import ModelRoute, Operation
from omni.contracts.usage import (
    AUDIO_MS,
    CHARACTERS,
    IMAGES,
    INPUT_AUDIO_TOKENS,
    INPUT_TOKENS,
    OUTPUT_AUDIO_TOKENS,
    OUTPUT_TOKENS,
    REQUESTS,
)
from omni.contracts.wire import ModelRequest
from omni.gateway.admission.estimates import Estimates
from omni.gateway.edge.errors import upgrade_required
from omni.kit.errors import InvalidInput

_MULTIPART: Final = frozenset(("image_edits", "transcriptions", "translations"))
NOT_JSON: Final = _MULTIPART | {"realtime"}
"""Operations that are not asked for by a JSON object."""
_GENERATES: Final = frozenset(("chat", "completions", "responses", "messages"))
_STREAMS: Final = _GENERATES | {"transcriptions", "speech", "images"}
_CEILINGS: Final = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}
_READS_TEXT: Final = _GENERATES | {"embeddings", "moderations"}
IMAGE_TOKENS: Final = 1_600
"""About what providers count for a large image; the bytes of one say nothing of its tokens."""
_AUDIO_BYTES_PER_MS: Final = 4
"""Of compressed speech at 32 kbit/s."""
_FIELD_LIMIT_BYTES: Final = 64 * 1024
_FIELDS_LIMIT: Final = 100
_CHOICES_LIMIT: Final = 128

BETA_HEADER: Final = b"anthropic-beta"
_BETAS: Final = re.compile(rb"[A-Za-z0-9._-]+(?:[ \t]*,[ \t]*[A-Za-z0-9._-]+)*")
_BETAS_LIMIT_BYTES: Final = 1024
_WITH_BETAS: Final = frozenset(("messages", "count_tokens"))

MODEL_METERS: Final = {
    "chat": frozenset((INPUT_TOKENS, OUTPUT_TOKENS)),
    "completions": frozenset((INPUT_TOKENS, OUTPUT_TOKENS)),
    "responses": frozenset((INPUT_TOKENS, OUTPUT_TOKENS)),
    "messages": frozenset((INPUT_TOKENS, OUTPUT_TOKENS)),
    "embeddings": frozenset((INPUT_TOKENS,)),
    "images": frozenset((IMAGES,)),
    "image_edits": frozenset((IMAGES,)),
    "transcriptions": frozenset((AUDIO_MS,)),
    "translations": frozenset((AUDIO_MS,)),
    "speech": frozenset((CHARACTERS,)),
    "realtime": frozenset((INPUT_TOKENS, OUTPUT_TOKENS, INPUT_AUDIO_TOKENS, OUTPUT_AUDIO_TOKENS)),
}
"""The meters that have to have a price for an operation to count as priced."""


@dataclass(slots=True, init=False)
class Asked:
    """A request with its size."""

    request: ModelRequest
    text_bytes: int
    """Bytes of what the model reads as text."""
    images: int
    ceiling: int
    """Most output tokens that it allows, over all choices."""
    user: str

    def __init__(self, request: ModelRequest, text_bytes: int, images: int, ceiling: int, user: str) -> None:
        self.request = request
        self.text_bytes = text_bytes
        self.images = images
        self.ceiling = ceiling
        self.user = user


def read_request(operation: Operation, content_type: bytes, body: bytes) -> Asked:
    """Raises InvalidInput for what no provider could read, UpgradeRequired for what is asked over a WebSocket."""
    if operation in NOT_JSON:
        if operation not in _MULTIPART:
            raise upgrade_required()
        fields: dict[str, Any] = _multipart_fields(content_type, body)
        text_bytes, images = 0, 0
    else:
        try:
            parsed: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidInput("invalid_json", f"The body is not valid JSON: {error}.") from None
        if not isinstance(parsed, dict):
            raise InvalidInput("invalid_json", "The body must be a JSON object.")
        fields = parsed
        text_bytes, images = _text_size(body, fields) if b"image" in body else (len(body), 0)
    model = fields.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= 200:
        raise InvalidInput("model_required", "Name the model in `model`. GET /v1/models lists them.", param="model")
    stream = fields.get("stream") in (True, "true") and operation in _STREAMS
    request = ModelRequest(operation, body, content_type, fields, model, stream)
    user = fields.get("user")
    return Asked(request, text_bytes, images, _ceiling(operation, fields), user if isinstance(user, str) else "")


def with_beta(asked: Asked, betas: bytes) -> Asked:
    """The same request with the features that its `anthropic-beta` header names. Raises InvalidInput."""
    if asked.request.operation not in _WITH_BETAS:
        return asked
    if len(betas) > _BETAS_LIMIT_BYTES or _BETAS.fullmatch(betas) is None:
        raise InvalidInput("invalid_anthropic_beta", "anthropic-beta must be a list of names, of 1 KiB at most.")
    return replace(asked, request=replace(asked.request, beta=betas))


def expect(quantities: dict[str, int], asked: Asked, model: ModelRoute, estimates: Estimates) -> int:
    """Adds what the request will probably use at most, by meter; returns its output tokens in the worst case."""
    request, fields = asked.request, asked.request.fields
    operation = request.operation
    quantities[REQUESTS] = 1
    if operation in _READS_TEXT:
        ceiling = asked.ceiling or model.max_output_tokens
        read, written = estimates.likely(model.name, asked.text_bytes, ceiling)
        quantities[INPUT_TOKENS] = read + IMAGE_TOKENS * asked.images
        if operation in _GENERATES:
            choices = _count(fields["n"], 1) if "n" in fields else 1
            quantities[OUTPUT_TOKENS] = written * choices
            return ceiling * choices
    elif operation in ("images", "image_edits"):
        quantities[IMAGES] = _count(fields.get("n"), 1)
    elif operation == "speech":
        spoken = fields.get("input")
        quantities[CHARACTERS] = len(spoken) if isinstance(spoken, str) else 0
    elif operation in _MULTIPART:
        quantities[AUDIO_MS] = len(request.body) // _AUDIO_BYTES_PER_MS
    return 0


def _ceiling(operation: str, fields: dict[str, Any]) -> int:
    for name in _CEILINGS.get(operation, ()):
        if fields.get(name) is not None:
            asked = fields[name]
            if type(asked) is not int or asked < 1:
                raise InvalidInput("invalid_request", f"{name} must be a positive integer.", param=name)
            return asked
    return 0


def _count(value: object, default: int) -> int:
    if value is None:
        return default
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 4 else value
    if type(number) is not int or not 1 <= number <= _CHOICES_LIMIT:
        raise InvalidInput("invalid_request", f"n must be an integer from 1 to {_CHOICES_LIMIT}.", param="n")
    return number


def _text_size(body: bytes, fields: dict[str, Any]) -> tuple[int, int]:
    """Bytes of text, and how many images there are: the bytes of a picture in the body are not read as text."""
    sizes = [0, 0]
    try:
        _measure(fields, sizes)
    except (RecursionError, orjson.JSONEncodeError):
        raise InvalidInput("invalid_json", "The body is nested too deeply.") from None
    return len(body) - sizes[0], sizes[1]


def _measure(value: object, sizes: list[int]) -> None:
    if isinstance(value, dict):
        kind = value.get("type")
        if kind in ("image_url", "input_image", "image"):
            sizes[0] += len(orjson.dumps(value))
            sizes[1] += 1
            return
        for member in value.values():
            _measure(member, sizes)
    elif isinstance(value, list):
        for member in value:
            _measure(member, sizes)


class _Fields:
    """Collects the text parts of a multipart body; files are passed over."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._name = b""
        self._value = bytearray()
        self._header = [bytearray(), bytearray()]
        self._disposition = b""

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._name, self._value, self._disposition = b"", bytearray(), b""

    def _header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = [bytearray(), bytearray()]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = b"" if b"filename" in options else options.get(b"name", b"")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name:
            self._value += data[start:end]
            if len(self._value) > _FIELD_LIMIT_BYTES or len(self.found) > _FIELDS_LIMIT:
                raise InvalidInput("invalid_multipart", "A text field is too large, or there are too many.")

    def _end(self) -> None:
        if self._name:
            self.found[self._name.decode("utf-8", "replace")] = self._value.decode("utf-8", "replace")


def _multipart_fields(content_type: bytes, body: bytes) -> dict[str, Any]:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput("invalid_multipart", "This route reads multipart/form-data with a boundary.")
    fields = _Fields()
    parser = MultipartParser(boundary, cast(Any, fields.callbacks()))
    try:
        parser.write(body)
        parser.finalize()
    except ValueError as error:
        raise InvalidInput("invalid_multipart", "The body is not well-formed multipart/form-data.") from error
    return fields.found
