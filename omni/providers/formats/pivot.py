"""The pivot: between two formats that differ, everything passes through OpenAI's chat format, as plain dicts.

A request is a `chat.completions` request body; an answer a `chat.completion`; a stream a run of
`chat.completion.chunk` objects, the last of which carries `usage`. A provider's side *reads* into it, a client's side
*writes* from it.
"""

from __future__ import annotations

from typing import Any, Protocol

from omni.contracts.wire import Usage

Json = dict[str, Any]


class ChunkReader(Protocol):
    """Reads a provider's stream. Holds no more than one unfinished event."""

    @property
    def usage(self) -> Usage | None:
        """As of StreamTranslator."""
        ...

    @property
    def finished(self) -> bool:
        """As of StreamTranslator."""
        ...

    @property
    def failed(self) -> str | None:
        """As of StreamTranslator."""
        ...

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that these bytes complete. Raises BadAnswer."""
        ...

    def end(self) -> list[Json]:
        """What is still to be said when the provider has closed the stream cleanly."""
        ...


class ChunkWriter(Protocol):
    """Writes a client's stream."""

    def write(self, chunk: Json) -> bytes:
        """What the client gets for one chunk; may be empty."""
        ...

    def end(self) -> bytes:
        """The end of a stream that is complete."""
        ...

    def error(self, code: str, message: str) -> bytes:
        """An error event and the end of the stream."""
        ...
