"""What spans and metrics of calls to models are named: OpenTelemetry's GenAI conventions, pinned here and nowhere else.

They are in development: the names are those of this schema. Tokens follow them too: totals hold all kinds of tokens,
while the platform's meters are disjoint. One family of metrics is for all operations, embeddings too; which it was is a
label.
"""

from __future__ import annotations

from collections.abc import Mapping

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

CALL_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name")
CALL_DURATION = "gen_ai_client_inference_duration_seconds"
TIME_TO_FIRST_CHUNK = "gen_ai_client_inference_time_to_first_chunk_seconds"
INPUT_TOKENS = "gen_ai_client_inference_usage_input_tokens"
OUTPUT_TOKENS = "gen_ai_client_inference_usage_output_tokens"
SECONDS_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_USAGE: Mapping[str, tuple[str, str | None]] = {
    "input_tokens": (_INPUT, None),
    "cached_input_tokens": (_INPUT, "gen_ai.usage.cache_read.input_tokens"),
    "cache_write_tokens": (_INPUT, "gen_ai.usage.cache_write.input_tokens"),
    "input_audio_tokens": (_INPUT, "gen_ai.usage.audio.input_tokens"),
    "input_image_tokens": (_INPUT, "gen_ai.usage.image.input_tokens"),
    "output_tokens": (_OUTPUT, None),
    "reasoning_tokens": (_OUTPUT, "gen_ai.usage.reasoning.output_tokens"),
    "output_audio_tokens": (_OUTPUT, "gen_ai.usage.audio.output_tokens"),
    "output_image_tokens": (_OUTPUT, "gen_ai.usage.image.output_tokens"),
}
"""By meter: the total that it belongs to, and the attribute of its own."""
INPUT_METERS = frozenset(meter for meter, (total, _) in _USAGE.items() if total == _INPUT)
OUTPUT_METERS = frozenset(meter for meter, (total, _) in _USAGE.items() if total == _OUTPUT)

_OPERATIONS: Mapping[str, str] = {
    "chat": "chat", "messages": "chat", "responses": "chat", "completions": "text_completion",
    "embeddings": "embeddings", "images": "generate_content", "image_edits": "generate_content",
}  # fmt: skip
_PROVIDER_KINDS: Mapping[str, str] = {
    "anthropic": "anthropic", "azure": "azure.ai.openai", "gemini": "gcp.gemini", "vertex": "gcp.vertex_ai",
    "backend": "omni",
}  # fmt: skip
_PROVIDER_CODES: Mapping[str, str] = {
    "bedrock": "aws.bedrock", "mistral": "mistral_ai", "moonshot": "moonshot_ai", "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}  # fmt: skip


def operation_name(operation: str) -> str:
    """The conventions' name of an operation; its own where they have none."""
    return _OPERATIONS.get(operation, operation)


def provider_name(kind: str, code: str) -> str:
    """The conventions' name of a provider; the operator's code where they have none."""
    return _PROVIDER_KINDS.get(kind) or _PROVIDER_CODES.get(code, code)


def usage_attributes(quantities: Mapping[str, int]) -> dict[str, int]:
    """The attributes that tell of tokens, from quantities by meter."""
    found: dict[str, int] = {}
    for meter, (total, own) in _USAGE.items():
        if meter in quantities:
            found[total] = found.get(total, 0) + quantities[meter]
            if own is not None:
                found[own] = quantities[meter]
    return found
