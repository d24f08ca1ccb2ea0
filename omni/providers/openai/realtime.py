"""OpenAI's realtime API, which Azure has too: how a session is opened, and what its events say of usage.

Shapes of before and after the API's general availability are read alike; they differ in the names of events.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from omni.contracts import usage as meters
from omni.contracts.routes import Provider
from omni.contracts.wire import ProviderRequest
from omni.providers.formats.usage import count, disjoint, from_openai

KINDS = frozenset(("openai", "azure"))
_AZURE_VERSION = "2025-04-01-preview"
_BYTES_PER_TOKEN = 4
_AUDIO_BYTES_PER_TOKEN = {"pcm": 2400, "g711": 400}
"""Of generated sound: 50 ms a token, at 24 kHz in 16 bits or at 8 kHz in 8."""
_UNDER_WAY_MOST = 64
_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_NO_DETAILS: dict[str, Any] = {}


def supports_realtime(provider: Provider) -> bool:
    """Whether sessions can be opened there."""
    return provider.kind in KINDS and (provider.operations is None or "realtime" in provider.operations)


def opening(provider: Provider, key: str, upstream_model: str, *, beta: bool) -> ProviderRequest:
    """The request that opens a session; the WebSocket's own headers are added to it."""
    name = quote(upstream_model, safe="")
    path = f"/realtime?model={name}"
    if provider.kind == "azure":
        headers: tuple[tuple[bytes, bytes], ...] = ((b"api-key", key.encode("utf-8")),)
        if not provider.base_url.rstrip("/").endswith("/openai/v1"):
            version = quote(provider.settings.get("api_version", _AZURE_VERSION), safe="")
            path = f"/openai/realtime?api-version={version}&deployment={name}"
    else:
        headers = ((b"authorization", b"Bearer " + key.encode("utf-8")),) if key else ()
        if beta:
            headers += ((b"openai-beta", b"realtime=v1"),)
    return ProviderRequest(b"GET", path.encode("ascii"), headers, b"")


class _UnderWay:
    """A response that the provider is giving."""

    __slots__ = ("audio_bytes", "text_bytes")

    def __init__(self) -> None:
        self.text_bytes = 0
        self.audio_bytes = 0


class RealtimeMeter:
    """Adds up what the events of one session say of usage."""

    def __init__(self, likely_input_tokens: int) -> None:
        self.quantities: dict[str, int] = {}
        """What is certain, by meter: what the provider has said, and what had to be estimated where it did not."""
        self.reports = 0
        """How often the provider has said something of usage, or has not where it should have."""
        self.uncounted = False
        """Whether a response ended of which the provider said nothing."""
        self._last_input = {meters.INPUT_TOKENS: likely_input_tokens}
        self._under_way: dict[str, _UnderWay] = {}
        self._audio_bytes_per_token = _AUDIO_BYTES_PER_TOKEN["pcm"]

    @property
    def under_way(self) -> bool:
        """Whether a response has begun and not ended."""
        return bool(self._under_way)

    def read(self, message: bytes) -> None:
        """Takes an event of the provider; what is none is passed over."""
        try:
            event = orjson.loads(message)
        except orjson.JSONDecodeError:
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            return
        if kind == "response.done":
            self._done(_object(event.get("response")))
        elif kind == "response.created" and len(self._under_way) < _UNDER_WAY_MOST:
            self._under_way[str(_object(event.get("response")).get("id"))] = _UnderWay()
        elif kind.startswith("response.") and kind.endswith(".delta"):
            self._delta(kind, str(event.get("response_id")), event.get("delta"))
        elif kind == _TRANSCRIBED:
            usage = from_openai(event.get("usage"))
            if usage is not None:
                self.reports += 1
                self._add(usage.quantities)
        elif kind in ("session.created", "session.updated"):
            self._audio_bytes_per_token = _AUDIO_BYTES_PER_TOKEN[_sound(_object(event.get("session")))]

    def so_far(self) -> dict[str, int]:
        """The same with an estimate of the responses under way."""
        found = dict(self.quantities)
        for response in self._under_way.values():
            _add(found, self._estimate(response))
        return found

    def _done(self, response: dict[str, Any]) -> None:
        self.reports += 1
        began = self._under_way.pop(str(response.get("id")), None)
        said = of_response(response.get("usage"))
        if said is None:
            if began is not None and (began.text_bytes or began.audio_bytes):
                self.uncounted = True
                self._add(self._estimate(began))
            return
        read, written = said
        self._last_input = read
        self._add(read)
        self._add(written)

    def _delta(self, kind: str, response_id: str, delta: object) -> None:
        response = self._under_way.get(response_id)
        if response is None or not isinstance(delta, str):
            return
        if kind.endswith("audio.delta"):
            response.audio_bytes += len(delta) * 3 // 4
        else:
            response.text_bytes += len(delta.encode("utf-8", "replace"))

    def _estimate(self, response: _UnderWay) -> dict[str, int]:
        found = dict(self._last_input)
        for meter, size, per_token in (
            (meters.OUTPUT_TOKENS, response.text_bytes, _BYTES_PER_TOKEN),
            (meters.OUTPUT_AUDIO_TOKENS, response.audio_bytes, self._audio_bytes_per_token),
        ):
            if size:
                found[meter] = -(-size // per_token)
        return found

    def _add(self, more: dict[str, int]) -> None:
        _add(self.quantities, more)


def of_response(row: object) -> tuple[dict[str, int], dict[str, int]] | None:
    """What a response read and wrote, as disjoint counts by meter; None when it does not say."""
    if not isinstance(row, dict):
        return None
    into, out = _object(row.get("input_token_details")), _object(row.get("output_token_details"))
    cached = _object(into.get("cached_tokens_details"))
    read = disjoint(
        count(row.get("input_tokens")),
        {
            meters.CACHED_INPUT_TOKENS: count(into.get("cached_tokens")),
            meters.INPUT_AUDIO_TOKENS: _beyond(into, cached, "audio_tokens"),
            meters.INPUT_IMAGE_TOKENS: _beyond(into, cached, "image_tokens"),
        },
        meters.INPUT_TOKENS,
    )
    written = disjoint(
        count(row.get("output_tokens")),
        {meters.OUTPUT_AUDIO_TOKENS: count(out.get("audio_tokens"))},
        meters.OUTPUT_TOKENS,
    )
    return (read, written) if read or written else None


def _beyond(into: dict[str, Any], cached: dict[str, Any], name: str) -> int:
    """Tokens of one kind that were not read from the cache."""
    return max(0, count(into.get(name)) - count(cached.get(name)))


def _sound(session: dict[str, Any]) -> str:
    """The family of the format in which the provider speaks."""
    spoken = _object(_object(_object(session.get("audio")).get("output")).get("format")).get("type")
    name = str(spoken or session.get("output_audio_format"))
    return "g711" if name.startswith("g711") or name in ("audio/pcmu", "audio/pcma") else "pcm"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else _NO_DETAILS


def _add(found: dict[str, int], more: dict[str, int]) -> None:
    for meter, size in more.items():
        found[meter] = found.get(meter, 0) + size
