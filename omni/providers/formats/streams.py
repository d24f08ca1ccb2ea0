"""Streams on their way through: translated from one format into another, or passed on as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from omni.contracts.wire import Usage
from omni.providers.formats import chat
from omni.providers.formats.pivot import ChunkReader, ChunkWriter, Json
from omni.providers.formats.sse import SseParser, object_in, read_event, read_json


class TranslatedStream:
    """A provider's stream, read into chunks and written for the client."""

    def __init__(self, reader: ChunkReader, writer: ChunkWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.text_bytes = 0

    @property
    def usage(self) -> Usage | None:
        return self._reader.usage

    @property
    def finished(self) -> bool:
        return self._reader.finished

    @property
    def failed(self) -> str | None:
        return self._reader.failed

    def feed(self, data: bytes) -> bytes:
        return self._written(self._reader.feed(data))

    def end(self) -> bytes:
        out = self._written(self._reader.end())
        return out + self._writer.end() if self.finished else out

    def fail(self, code: str, message: str) -> bytes:
        return self._writer.error(code, message)

    def _written(self, chunks: list[Json]) -> bytes:
        for chunk in chunks:
            self.text_bytes += chat.text_bytes(chunk)
        return b"".join([self._writer.write(chunk) for chunk in chunks])


class Watcher(Protocol):
    """What a passed-on stream says, read along the way."""

    usage: Usage | None
    text_bytes: int
    finished: bool
    failed: str | None

    def see(self, name: bytes, row: Json) -> bool:
        """Is told an event's JSON; whether the client gets it."""
        ...

    def done(self) -> None:
        """`[DONE]` was seen."""
        ...


class BaseWatcher:
    """What watchers have in common."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.text_bytes = 0
        self.finished = False
        self.failed: str | None = None

    def done(self) -> None:
        self.finished = True


class PassedStream:
    """A stream whose events reach the client untouched, whole ones only, but for those that a watcher keeps back."""

    def __init__(self, watcher: Watcher, error_event: Callable[[str, str], bytes]) -> None:
        self._watcher = watcher
        self._error_event = error_event
        self._parser = SseParser()

    @property
    def usage(self) -> Usage | None:
        return self._watcher.usage

    @property
    def text_bytes(self) -> int:
        return self._watcher.text_bytes

    @property
    def finished(self) -> bool:
        return self._watcher.finished

    @property
    def failed(self) -> str | None:
        return self._watcher.failed

    def feed(self, data: bytes) -> bytes:
        row = self._parser.only_object(data)
        if row is not None:
            return data if self._watcher.see(b"", row) else b""
        return self._passed(self._parser.blocks(data))

    def end(self) -> bytes:
        rest = self._parser.end()
        return self._passed([rest + b"\n\n"]) if rest.strip() else b""

    def fail(self, code: str, message: str) -> bytes:
        return self._error_event(code, message)

    def _passed(self, blocks: list[bytes]) -> bytes:
        watcher = self._watcher
        passed = []
        for block in blocks:
            row: object = object_in(block)
            if row is not None:
                name = b""
            else:
                event = read_event(block)
                if event is None:
                    passed.append(block)
                    continue
                if event.data == b"[DONE]":
                    watcher.done()
                    passed.append(block)
                    continue
                name, row = event.name, read_json(event.data)
            if not isinstance(row, dict) or watcher.see(name, row):
                passed.append(block)
        return passed[0] if len(passed) == 1 else b"".join(passed)
