"""A stream read along on its way to the client, as the whole answer that it says."""

from __future__ import annotations

import orjson

from omni.contracts.routes import Operation
from omni.contracts.wire import BadAnswer, StreamTranslator, Usage
from omni.gateway.cache.assembly import ASSEMBLIES, Assembly
from omni.providers.formats.sse import SseParser


class Capture:
    """Puts together the events that the client gets, up to a limit of bytes; beyond it there is no whole answer.

    What is kept grows with the text, not with the number of events.
    """

    def __init__(self, operation: Operation, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._parser = SseParser()
        self._assembly: Assembly | None = ASSEMBLIES[operation]()

    @property
    def given_up(self) -> bool:
        return self._assembly is None

    def feed(self, data: bytes) -> None:
        """Bytes for the client."""
        if self._assembly is None:
            return
        self._left -= len(data)
        if self._left < 0:
            self.give_up()
            return
        try:
            for event in self._parser.feed(data):
                if event.data != b"[DONE]":
                    self._assembly.add(orjson.loads(event.data))
        except (BadAnswer, orjson.JSONDecodeError, KeyError, TypeError, IndexError, AttributeError):
            self.give_up()

    def give_up(self) -> None:
        self._assembly = None

    def whole(self, usage: Usage | None) -> bytes | None:
        """The whole answer; None where there is none. `usage` is for a stream that did not say it."""
        if self._assembly is None:
            return None
        try:
            row = self._assembly.whole(usage)
        except (KeyError, TypeError, orjson.JSONDecodeError):
            return None
        return None if row is None else orjson.dumps(row)


class CapturedStream:
    """A translator whose output a capture reads along."""

    def __init__(self, inner: StreamTranslator, capture: Capture) -> None:
        self._inner = inner
        self._capture = capture

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def text_bytes(self) -> int:
        return self._inner.text_bytes

    @property
    def finished(self) -> bool:
        return self._inner.finished

    @property
    def failed(self) -> str | None:
        return self._inner.failed

    def feed(self, data: bytes) -> bytes:
        out = self._inner.feed(data)
        self._capture.feed(out)
        return out

    def end(self) -> bytes:
        out = self._inner.end()
        self._capture.feed(out)
        return out

    def fail(self, code: str, message: str) -> bytes:
        self._capture.give_up()
        return self._inner.fail(code, message)


def is_complete(operation: Operation, body: bytes) -> bool:
    """Whether a whole answer may be stored: it came to its own end, and no filter stopped it."""
    try:
        row = orjson.loads(body)
        if operation in ("chat", "completions"):
            return all(choice.get("finish_reason") not in (None, "content_filter") for choice in row["choices"])
        if operation == "messages":
            return row.get("stop_reason") not in (None, "refusal", "pause_turn")
        if operation == "responses":
            reason = (row.get("incomplete_details") or {}).get("reason")
            return row.get("status") == "completed" or (
                row.get("status") == "incomplete" and reason != "content_filter"
            )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False
    return True
