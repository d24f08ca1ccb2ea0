"""The requests in a batch's file: one JSON object a line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from omni.kit.ids import derived_uuid7

MOST_LINES = 50_000
MOST_BYTES = 100 * 1024 * 1024  # of a file
MOST_LINE_BYTES = 1024 * 1024
MOST_ERRORS = 100
LONGEST_ID = 512
ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/moderations")


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `number` counts from 1, empty lines too."""

    number: int
    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a line is no request."""

    number: int | None
    code: str
    message: str
    param: str | None = None


def read_lines(data: bytes, endpoint: str) -> tuple[list[Line], list[LineError]]:
    """The requests of a file and what is wrong with it: at most MOST_ERRORS errors, any of which fails the batch."""
    lines: list[Line] = []
    errors: list[LineError] = []
    seen: set[str] = set()
    for number, raw in _raw_lines(data):
        if len(lines) + len(errors) >= MOST_LINES:
            errors.append(LineError(None, "too_many_requests", f"A batch has at most {MOST_LINES} requests. Split it."))
            break
        found = _read(number, raw, endpoint)
        if isinstance(found, Line):
            if found.custom_id in seen:
                found = LineError(
                    number, "duplicate_custom_id", "Another line has this custom_id. Give each its own.", "custom_id"
                )
            else:
                seen.add(found.custom_id)
                lines.append(found)
        if isinstance(found, LineError):
            errors.append(found)
            if len(errors) >= MOST_ERRORS:
                break
    if not lines and not errors:
        errors.append(LineError(None, "empty_file", "The file has no requests. Send one JSON object a line."))
    return lines, errors


def request_id(job_id: UUID, line: int) -> UUID:
    """The id of a line's request: the same however often it is asked, so that it is billed once."""
    return derived_id(job_id, f"{line} 0")


def derived_id(job_id: UUID, name: str) -> UUID:
    """An id with the job's time, the same for the same job and name."""
    return derived_uuid7(job_id.int >> 80, job_id.bytes + name.encode())


def _raw_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        raw = data[start:end].strip()
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if raw:
            yield number, raw
        start = end + 1


def _read(number: int, raw: bytes, endpoint: str) -> Line | LineError:
    if len(raw) > MOST_LINE_BYTES:
        return LineError(number, "line_too_long", f"A line has at most {MOST_LINE_BYTES} bytes.")
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return LineError(number, "invalid_json_line", f"This line is no JSON: {error}.")
    if not isinstance(row, dict):
        return LineError(number, "invalid_json_line", "This line is no JSON object.")
    custom_id, body = row.get("custom_id"), row.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        return LineError(
            number, "invalid_custom_id", f"custom_id is a text of 1 to {LONGEST_ID} characters.", "custom_id"
        )
    if row.get("method") != "POST":
        return LineError(number, "invalid_method", "method is POST.", "method")
    if row.get("url") != endpoint:
        return LineError(number, "invalid_url", f"url is the batch's endpoint, {endpoint}.", "url")
    if not isinstance(body, dict):
        return LineError(number, "invalid_body", "body is the request, a JSON object.", "body")
    if body.get("stream"):
        return LineError(
            number, "invalid_body", "Requests of a batch cannot stream: leave `stream` out.", "body.stream"
        )
    return Line(number, custom_id, body)
