"""What OpenAI's streams say: chat chunks, and the typed events of responses."""

from __future__ import annotations

from omni.contracts import usage as meters
from omni.contracts.wire import BadAnswer, Usage
from omni.providers.formats.chat import checked, text_bytes
from omni.providers.formats.pivot import Json
from omni.providers.formats.shapes import read_row
from omni.providers.formats.sse import SseParser
from omni.providers.formats.streams import BaseWatcher
from omni.providers.formats.usage import from_openai


class ChatWatcher(BaseWatcher):
    """Reads along with chat completions and completions."""

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__()
        self._strip_usage = strip_usage

    def see(self, name: bytes, row: Json) -> bool:
        del name
        found = row.get("usage")
        if found is not None:
            self.usage = from_openai(found) or self.usage
        choices = row.get("choices")
        if choices:
            self.text_bytes += text_bytes(row)
            return True
        if row.get("error") is not None:
            self.failed = "error event"
            return True
        return not (self._strip_usage and found is not None)


class ResponsesWatcher(BaseWatcher):
    """Reads along with responses."""

    def see(self, name: bytes, row: Json) -> bool:
        del name
        kind = row.get("type")
        if isinstance(kind, str):
            if kind.endswith(".delta"):
                delta = row.get("delta")
                self.text_bytes += len(delta.encode("utf-8", "surrogatepass")) if isinstance(delta, str) else 0
            elif kind in ("response.completed", "response.incomplete", "response.failed"):
                self.finished = True
                response = row.get("response")
                if isinstance(response, dict):
                    self.usage = from_openai(response.get("usage")) or self.usage
                if kind == "response.failed":
                    self.failed = "response.failed"
            elif kind == "error":
                self.finished, self.failed = True, "error event"
        return True


class EventsWatcher(BaseWatcher):
    """Reads along with transcriptions and images, whose last event says `…done` or `…completed` and the usage."""

    def __init__(self, *, images: bool) -> None:
        super().__init__()
        self._images = images
        self._completed = 0

    def see(self, name: bytes, row: Json) -> bool:
        del name
        kind = row.get("type")
        if row.get("error") is not None or kind == "error":
            self.finished, self.failed = True, "error event"
        elif isinstance(kind, str):
            delta = row.get("delta")
            if isinstance(delta, str):
                self.text_bytes += len(delta.encode("utf-8", "surrogatepass"))
            elif kind.endswith(("text.done", ".completed")):
                self.finished = True
                self._completed += 1
                usage = from_openai(row.get("usage")) or self.usage
                self.usage = of_images(usage, self._completed) if self._images else usage
        return True


def of_images(usage: Usage | None, images: int) -> Usage:
    """Usage of a request for images: their number, and their tokens where these are not told apart from text."""
    quantities = dict(usage.quantities) if usage is not None else {}
    if meters.OUTPUT_IMAGE_TOKENS not in quantities and meters.OUTPUT_TOKENS in quantities:
        quantities[meters.OUTPUT_IMAGE_TOKENS] = quantities.pop(meters.OUTPUT_TOKENS)
    return Usage({**quantities, meters.IMAGES: images}, final=True)


class ChatReader:
    """Reads chat completions into the pivot, which they are."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self.usage: Usage | None = None
        self.finished = False
        self.failed: str | None = None

    def feed(self, data: bytes) -> list[Json]:
        chunks = []
        for event in self._parser.feed(data):
            if event.data == b"[DONE]":
                self.finished = True
                continue
            row = read_row(event.data)
            if row.get("error") is not None or "choices" not in row:
                self.failed = "error event"
                raise BadAnswer("an error inside the stream")
            if row.get("usage") is not None:
                self.usage = from_openai(row["usage"]) or self.usage
            chunks.append(checked(row))
        return chunks

    def end(self) -> list[Json]:
        return []
