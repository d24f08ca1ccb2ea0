"""Personal data replaced in streams, across the borders of their events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from omni.contracts.wire import BadAnswer, StreamTranslator, Usage
from omni.gateway.policies.redaction import Placeholders, TextRedactor
from omni.gateway.policies.texts import ANSWER_TEXTS, PIECES, Json, places
from omni.providers.formats.sse import SseParser, read_event, sse_event

_ANSWER_MEMBERS = (*ANSWER_TEXTS, "arguments", "refusal")


class RedactedStream:
    """A translator whose events leave without personal data.

    Each text of the stream (of a choice, a content block, an output item) holds back what may be the beginning of
    something; it comes with the next event, or before the event that ends the text.
    """

    def __init__(self, inner: StreamTranslator, placeholders: Placeholders) -> None:
        self._inner = inner
        self._placeholders = placeholders
        self._parser = SseParser()
        self._texts: dict[Any, TextRedactor] = {}
        self._last: Json = {}
        self._number = 0

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

    @property
    def held_chars(self) -> int:
        """What is held back of the text that holds back most."""
        return max((text.held_chars for text in self._texts.values()), default=0)

    def feed(self, data: bytes) -> bytes:
        return self._written(self._inner.feed(data))

    def end(self) -> bytes:
        out = self._written(self._inner.end())
        return out + self._parser.end()

    def fail(self, code: str, message: str) -> bytes:
        return self._inner.fail(code, message)

    def _written(self, data: bytes) -> bytes:
        return b"".join([self._event(block) for block in self._parser.blocks(data)]) if data else b""

    def _event(self, block: bytes) -> bytes:
        event = read_event(block)
        if event is None:
            return block
        if event.data == b"[DONE]":
            return self._encoded(self._chat_rests(None), b"") + block
        try:
            return self._row(orjson.loads(event.data), event.name, block)
        except (orjson.JSONDecodeError, TypeError, AttributeError, KeyError) as error:
            raise BadAnswer(f"an event that cannot be read: {error!r}") from None

    def _row(self, row: Any, name: bytes, block: bytes) -> bytes:
        if not isinstance(row, dict):
            return block
        if isinstance(row.get("choices"), list):
            rows = self._chat(row)
        elif str(row.get("type")).startswith(("message_", "content_block_")):
            rows = self._block(row)
        else:
            rows = self._typed(row)
        return self._encoded(rows, name)

    def _encoded(self, rows: Iterable[Json], name: bytes) -> bytes:
        out = []
        for row in rows:
            if "sequence_number" in row:
                row["sequence_number"] = self._number
                self._number += 1
            out.append(sse_event(orjson.dumps(row), str(row["type"]).encode() if name else b""))
        return b"".join(out)

    def _fed(self, key: Any, piece: str, *, is_json: bool = False) -> str:
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = TextRedactor(self._placeholders, is_json=is_json)
        return text.feed(piece)

    def _redact_whole(self, row: Json) -> None:
        for place in places(row, _ANSWER_MEMBERS):
            redactor = TextRedactor(self._placeholders, is_json=place.is_json)
            place.set(redactor.feed(place.text) + redactor.end())

    # --- chat, completions ---

    def _chat(self, row: Json) -> Iterator[Json]:
        self._last = {name: value for name, value in row.items() if name not in ("choices", "usage")}
        says = not row["choices"] or row.get("usage") is not None
        for choice in row["choices"]:
            index = choice.get("index", 0)
            choice["logprobs"] = None  # tokens spell out what was replaced
            delta = choice.get("delta")
            if isinstance(choice.get("text"), str):
                choice["text"] = self._fed((index, "text"), choice["text"])
                says |= bool(choice["text"])
            if isinstance(delta, dict):
                self._chat_delta(index, delta)
                says |= any(delta.values())
            if choice.get("finish_reason"):
                yield from self._chat_rests(index)
                says = True
        if says:
            yield row

    def _chat_delta(self, index: int, delta: Json) -> None:
        for name in PIECES:
            if isinstance(delta.get(name), str):
                delta[name] = self._fed((index, name), delta[name])
        for call in delta.get("tool_calls") or ():
            function = call.get("function")
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                key = (index, "tool", call.get("index", 0))
                function["arguments"] = self._fed(key, function["arguments"], is_json=True)

    def _chat_rests(self, index: int | None) -> Iterator[Json]:
        """What choices still hold back; None = all of them."""
        for key in [key for key in self._texts if index is None or key[0] == index]:
            rest = self._texts.pop(key).end()
            if not rest:
                continue
            choice: Json = {"index": key[0], "finish_reason": None}
            if key[1] == "text":
                choice["text"] = rest
            elif key[1] == "tool":
                choice["delta"] = {"tool_calls": [{"index": key[2], "function": {"arguments": rest}}]}
            else:
                choice["delta"] = {key[1]: rest}
            yield {**self._last, "choices": [choice]}

    # --- responses, transcriptions ---

    def _typed(self, row: Json) -> Iterator[Json]:
        kind, delta = str(row.get("type")), row.get("delta")
        where = (row.get("item_id"), row.get("content_index"), row.get("summary_index"))
        if isinstance(delta, str):
            if "audio.delta" not in kind:
                row["delta"] = self._fed((kind, where), delta, is_json="arguments" in kind)
                if "logprobs" in row:
                    row["logprobs"] = []
                self._last = row
            yield row
            return
        key = (kind.removesuffix(".done") + ".delta", where)
        text = self._texts.pop(key, None) if kind.endswith(".done") else None
        if text is not None and (rest := text.end()):
            same = ("item_id", "output_index", "content_index", "summary_index", "sequence_number")
            kept = {name: row[name] for name in same if name in row}
            yield {"type": key[0], **kept, "delta": rest} | ({"logprobs": []} if "logprobs" in row else {})
        self._redact_whole(row)
        drop_logprobs(row)
        yield row

    # --- messages ---

    def _block(self, row: Json) -> Iterator[Json]:
        delta, index = row.get("delta"), row.get("index")
        if row.get("type") == "content_block_delta" and isinstance(delta, dict):
            for name in PIECES:
                if isinstance(delta.get(name), str):
                    key = (index, str(delta.get("type")), name)
                    delta[name] = self._fed(key, delta[name], is_json=name == "partial_json")
                    if not delta[name]:
                        return
                    break
            else:
                self._redact_whole(row)
        elif row.get("type") == "content_block_stop":
            for key in [key for key in self._texts if key[0] == index]:
                if rest := self._texts.pop(key).end():
                    yield {"type": "content_block_delta", "index": index, "delta": {"type": key[1], key[2]: rest}}
        yield row


def drop_logprobs(row: Json) -> None:
    """Takes out what spells an answer token by token."""
    stack: list[Any] = [row]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if value.get("logprobs"):
                value["logprobs"] = [] if isinstance(value["logprobs"], list) else None
            stack += value.values()
        elif isinstance(value, list):
            stack += value
