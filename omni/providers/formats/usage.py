"""Usage in OpenAI's shapes, as disjoint counts by meter. What a provider says is not trusted to be consistent."""

from __future__ import annotations

from typing import Any, Final

from omni.contracts import usage as meters
from omni.contracts.wire import Usage

_LARGEST: Final = 2**40


def count(value: object) -> int:
    """A count as it can be billed: 0 for what is no non-negative integer."""
    return value if type(value) is int and 0 <= value <= _LARGEST else 0


def disjoint(total: int, parts: dict[str, int], rest: str) -> dict[str, int]:
    """`parts` of `total` by meter, none beyond what is left of it, and what remains as `rest`."""
    found: dict[str, int] = {}
    left = total
    for meter, size in parts.items():
        taken = min(size, left)
        if taken:
            found[meter] = taken
            left -= taken
    if left:
        found[rest] = left
    return found


def from_openai(row: object) -> Usage | None:
    """Usage of a completion, response, embedding, image or transcription; None when it says nothing."""
    if not isinstance(row, dict):
        return None
    if row.get("type") == "duration":
        return _of_duration(row.get("seconds"))
    get = row.get
    read, written = get("prompt_tokens"), get("completion_tokens")
    if type(read) is not int or not 0 < read <= _LARGEST:
        read = count(get("input_tokens"))
    if type(written) is not int or not 0 < written <= _LARGEST:
        written = count(get("output_tokens"))
    if not read and not written:
        return None
    quantities: dict[str, int] = {}
    into = get("prompt_tokens_details")
    if not isinstance(into, dict):
        into = _details(row, "input_tokens_details", "input_token_details")
    if _says_more(into):
        read = _apart(quantities, into, read, _INPUT_DETAILS)
    if read:
        quantities[meters.INPUT_TOKENS] = read
    out = get("completion_tokens_details")
    if not isinstance(out, dict):
        out = _details(row, "output_tokens_details")
    if _says_more(out):
        written = _apart(quantities, out, written, _OUTPUT_DETAILS)
    if written:
        quantities[meters.OUTPUT_TOKENS] = written
    return Usage(quantities, final=True)


def to_openai(usage: Usage | None) -> dict[str, Any]:
    """The usage object of a chat completion."""
    found = usage.quantities if usage is not None else {}
    cached = found.get(meters.CACHED_INPUT_TOKENS, 0)
    reasoning = found.get(meters.REASONING_TOKENS, 0)
    read = sum(size for meter, size in found.items() if meter in _INPUT)
    written = sum(size for meter, size in found.items() if meter in _OUTPUT)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": found.get(meters.CACHE_WRITE_TOKENS, 0),
            "audio_tokens": found.get(meters.INPUT_AUDIO_TOKENS, 0),
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": found.get(meters.OUTPUT_AUDIO_TOKENS, 0),
        },
    }


_INPUT: Final = frozenset(
    (
        meters.INPUT_TOKENS,
        meters.CACHED_INPUT_TOKENS,
        meters.CACHE_WRITE_TOKENS,
        meters.INPUT_AUDIO_TOKENS,
        meters.INPUT_IMAGE_TOKENS,
    )
)
_OUTPUT: Final = frozenset(
    (meters.OUTPUT_TOKENS, meters.REASONING_TOKENS, meters.OUTPUT_AUDIO_TOKENS, meters.OUTPUT_IMAGE_TOKENS)
)


_INPUT_DETAILS: Final = (
    ("cached_tokens", meters.CACHED_INPUT_TOKENS),
    ("cache_write_tokens", meters.CACHE_WRITE_TOKENS),
    ("audio_tokens", meters.INPUT_AUDIO_TOKENS),
    ("image_tokens", meters.INPUT_IMAGE_TOKENS),
)
_OUTPUT_DETAILS: Final = (
    ("reasoning_tokens", meters.REASONING_TOKENS),
    ("audio_tokens", meters.OUTPUT_AUDIO_TOKENS),
    ("image_tokens", meters.OUTPUT_IMAGE_TOKENS),
)
_NO_DETAILS: Final[dict[str, Any]] = {}


def _of_duration(seconds: object) -> Usage:
    millis = int(seconds * 1000) if isinstance(seconds, int | float) and 0 <= seconds < 10**7 else 0
    return Usage({meters.AUDIO_MS: millis}, final=True)


def _apart(quantities: dict[str, int], details: dict[str, Any], left: int, names: tuple[tuple[str, str], ...]) -> int:
    """Adds the parts of a count that have meters of their own; what is left of it."""
    for name, meter in names:
        if details.get(name) and (size := min(count(details[name]), left)):
            quantities[meter] = size
            left -= size
    return left


def _says_more(details: dict[str, Any]) -> bool:
    for value in details.values():  # noqa: SIM110 - any() takes twice as long, compiled or not
        if value:
            return True
    return False


def _details(row: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        found = row.get(name)
        if isinstance(found, dict):
            return found
    return _NO_DETAILS
