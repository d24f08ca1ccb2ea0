"""A batch's file: what is a request, what is wrong with a line, and the ids of requests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.batches import lines
from omni.inference.batches.lines import Line, derived_id, read_lines, request_id
from omni.kit.ids import uuid7, uuid7_time

URL = "/v1/embeddings"
GOOD = {"custom_id": "a", "method": "POST", "url": URL, "body": {"input": "x"}}


def codes(data: bytes) -> list[tuple[int | None, str]]:
    return [(error.number, error.code) for error in read_lines(data, URL)[1]]


def one(**changes: Any) -> bytes:
    return orjson.dumps({**GOOD, **changes})


def test_empty_lines_a_mark_and_windows_ends_are_let_pass() -> None:
    found, errors = read_lines(b"\xef\xbb\xbf" + one() + b"\r\n\r\n\n" + one(custom_id="b"), URL)
    assert errors == []
    assert found == [Line(1, "a", {"input": "x"}), Line(4, "b", {"input": "x"})]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(None, "empty_file")]),
        (b"\n \n", [(None, "empty_file")]),
        (b"\xff\xfe", [(1, "invalid_json_line")]),
        (b"[1]", [(1, "invalid_json_line")]),
        (one() + b"\n{", [(2, "invalid_json_line")]),
        (one(custom_id=7), [(1, "invalid_custom_id")]),
        (one(custom_id=""), [(1, "invalid_custom_id")]),
        (one(custom_id="x" * 513), [(1, "invalid_custom_id")]),
        (one() + b"\n" + one(), [(2, "duplicate_custom_id")]),
        (one(method="GET"), [(1, "invalid_method")]),
        (one(url="/v1/chat/completions"), [(1, "invalid_url")]),
        (one(url="https://example.com/v1/embeddings"), [(1, "invalid_url")]),
        (one(body="x"), [(1, "invalid_body")]),
        (one(body={"stream": True}), [(1, "invalid_body")]),
        (b'{"custom_id":"' + b"x" * lines.MOST_LINE_BYTES + b'"}', [(1, "line_too_long")]),
        (b"[" * 2_000, [(1, "invalid_json_line")]),
    ],
)
def test_what_is_no_request_is_said_with_its_line(data: bytes, expected: list[tuple[int | None, str]]) -> None:
    assert codes(data) == expected


def test_errors_and_requests_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(codes(b"{\n" * 1_000)) == lines.MOST_ERRORS
    monkeypatch.setattr(lines, "MOST_LINES", 2)
    assert codes(b"\n".join(one(custom_id=str(n)) for n in range(3))) == [(None, "too_many_requests")]


@given(st.integers(0, 50_000))
def test_the_id_of_a_request_is_a_version_7_of_the_jobs_time_and_always_the_same(line: int) -> None:
    job_id = uuid7()
    made = request_id(job_id, line)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert uuid7_time(made) == uuid7_time(job_id)
    assert made == request_id(UUID(str(job_id)), line)
    assert len({made, request_id(job_id, line + 1), job_id}) == 3
    assert derived_id(job_id, "output.jsonl") not in (made, derived_id(job_id, "error.jsonl"))
