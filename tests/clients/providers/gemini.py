"""A provider that answers as the Gemini API does (ai.google.dev/api), with fixed words and counts."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.clients.providers.http import Json, fields_of, stream, whole
from tests.gateway.support import Received

TEXT = "Hello from Gemini."
CITY = '{"city":"Bonn","degrees":21}'
THOUGHTS = "Pondering."
USAGE: Json = {
    "promptTokenCount": 40, "cachedContentTokenCount": 10, "candidatesTokenCount": 8, "thoughtsTokenCount": 5,
    "totalTokenCount": 53, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
}  # fmt: skip
METERS = {"requests": 1, "cached_input_tokens": 10, "input_tokens": 30, "output_tokens": 8, "reasoning_tokens": 5}
CALLS: list[tuple[str, Json]] = [("weather", {"place": "Bonn"}), ("weather", {"place": "Rome"})]
VECTORS = [[0.5, 0.25], [-1.0, 8.0]]
COUNTED = 17


async def answer(request: Received, path: str, writer: asyncio.StreamWriter) -> None:
    """Answers a request below `/v1beta`."""
    fields = fields_of(request)
    if "x-goog-api-key" not in request.headers:
        error = {"code": 403, "message": "Method doesn't allow unregistered callers", "status": "PERMISSION_DENIED"}
        writer.write(whole({"error": error}, 403))
    elif path.endswith(":countTokens"):
        writer.write(whole({"totalTokens": COUNTED}))
    elif path.endswith(":batchEmbedContents"):
        rows = [{"values": VECTORS[index]} for index in range(len(fields["requests"]))]
        writer.write(whole({"embeddings": rows}))
    elif path.endswith(":streamGenerateContent?alt=sse"):
        parts = _parts(fields)
        rows = [_piece([part], None) for part in parts]
        await stream(writer, *rows, _piece([{"text": ""}], "STOP"))
    else:
        writer.write(whole(_piece(_parts(fields), "STOP")))


def _piece(parts: list[Json], reason: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage = {"promptTokenCount": 40, "totalTokenCount": 40} if reason is None else USAGE
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro", "responseId": "gem1"}


def _parts(fields: Json) -> list[Json]:
    last: Any = fields["contents"][-1]["parts"]
    config = fields.get("generationConfig", {})
    parts: list[Json] = []
    if config.get("thinkingConfig", {}).get("includeThoughts"):
        parts.append({"text": THOUGHTS, "thought": True})
    if fields.get("tools") and "functionResponse" not in last[0]:
        signed = {"thoughtSignature": "c2lnbmVk"}
        calls = [{"functionCall": {"name": name, "args": args}} for name, args in CALLS]
        return [*parts, {**calls[0], **signed}, *calls[1:]]
    if "functionResponse" in last[0]:
        signature = fields["contents"][-2]["parts"][0]["thoughtSignature"]
        said = last[0]["functionResponse"]["response"]["output"]
        return [*parts, {"text": f"The tool said {said} ({signature})."}]
    if config.get("responseJsonSchema"):
        return [*parts, {"text": CITY}]
    return [*parts, {"text": TEXT[:6]}, {"text": TEXT[6:]}]
