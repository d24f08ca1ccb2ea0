"""What the gateway and the provider adapters say to each other.

An adapter is pure: it turns a client's request into a provider's and the provider's answer into the client's, without
I/O. One `Exchange` is made for each attempt at a target; where client and provider speak the same format, bodies pass
as they are.

Each request makes these records. They have an `__init__` of their own because mypyc leaves a dataclass's to the
interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from omni.contracts.routes import Operation, Provider

Headers = tuple[tuple[bytes, bytes], ...]


class Untranslatable(Exception):
    """The request uses something that the provider's format cannot say; the text is public and names it."""


class BadAnswer(Exception):
    """The provider's answer cannot be read; the text is for the log."""


@dataclass(slots=True, init=False)
class ModelRequest:
    """A client's request for a model, parsed once. Not frozen, because that takes three times as long to make."""

    operation: Operation
    body: bytes
    """As it came in (JSON, or multipart for `image_edits`, `transcriptions`, `translations`)."""
    content_type: bytes
    fields: Mapping[str, Any]
    """The JSON object; for multipart the text fields."""
    model: str
    stream: bool
    max_output_tokens: int | None
    """Where it is lower than what the body asks for, it goes out instead: a ceiling that a budget or policy sets."""
    beta: bytes
    """The client's `anthropic-beta` header, for providers of that kind."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each member
        self, operation: Operation, body: bytes, content_type: bytes, fields: Mapping[str, Any], model: str,
        stream: bool, max_output_tokens: int | None = None, beta: bytes = b"",
    ) -> None:  # fmt: skip
        self.operation = operation
        self.body = body
        self.content_type = content_type
        self.fields = fields
        self.model = model
        self.stream = stream
        self.max_output_tokens = max_output_tokens
        self.beta = beta


@dataclass(slots=True, init=False)
class ProviderRequest:
    """What goes to the provider. `path` is relative to its base URL and starts with `/`."""

    method: bytes
    path: bytes
    headers: Headers
    """With content type and credential, without host, content-length and connection."""
    body: bytes

    def __init__(self, method: bytes, path: bytes, headers: Headers, body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


@dataclass(slots=True, init=False)
class Usage:
    """What a call used, by the meters of `omni.contracts.usage`: disjoint non-negative counts."""

    quantities: dict[str, int]
    final: bool
    """The provider has said all: at the end of a stream, or in a whole answer."""

    def __init__(self, quantities: dict[str, int] | None = None, final: bool = False) -> None:
        self.quantities = {} if quantities is None else quantities
        self.final = final


@dataclass(slots=True, init=False)
class Answer:
    """A whole answer for the client. `usage` is None when the provider gave none."""

    status: int
    content_type: bytes
    body: bytes
    usage: Usage | None

    def __init__(self, status: int, content_type: bytes, body: bytes, usage: Usage | None) -> None:
        self.status = status
        self.content_type = content_type
        self.body = body
        self.usage = usage


class StreamTranslator(Protocol):
    """Turns the bytes of a provider's stream into the client's, piece by piece, in memory that does not grow."""

    @property
    def usage(self) -> Usage | None:
        """What the provider has said of usage so far; counts only grow."""
        ...

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of generated content (text, reasoning, tool arguments) that passed so far."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stream's own end was seen (`[DONE]`, `message_stop`, a finish reason): else it was cut."""
        ...

    @property
    def failed(self) -> str | None:
        """The provider's error inside the stream, a short reason for the log. The client got it in its format."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes; may be empty. Raises BadAnswer."""
        ...

    def end(self) -> bytes:
        """What the client still gets when the provider has closed the stream cleanly."""
        ...

    def fail(self, code: str, message: str) -> bytes:
        """An error event in the client's format, and the end of the stream, for what happens on our side."""
        ...


class ProviderCall(Protocol):
    """One attempt: the request to send, and readers for what comes back."""

    request: ProviderRequest

    @property
    def content_type(self) -> bytes:
        """Of the client's stream, e.g. `text/event-stream`."""
        ...

    def answer(self, status: int, content_type: bytes, body: bytes) -> Answer:
        """The client's answer to a whole answer below 400. Raises BadAnswer."""
        ...

    def error(self, status: int, body: bytes) -> Answer:
        """The client's answer to an error of the provider (from 400 on): its own message in the client's shape."""
        ...

    def stream(self) -> StreamTranslator:
        """A reader for a streamed answer."""
        ...


class Adapter(Protocol):
    """The providers of one kind."""

    def supports(self, provider: Provider, operation: Operation) -> bool:
        """Whether a request of this operation can be served, as it is or translated."""
        ...

    def call(self, provider: Provider, key: str, upstream_model: str, request: ModelRequest) -> ProviderCall:
        """Raises Untranslatable."""
        ...
