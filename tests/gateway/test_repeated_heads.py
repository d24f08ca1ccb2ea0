"""A head that was read before is known again only where every byte of it but the length is the same."""

from __future__ import annotations

import pytest

from omni.gateway.repeated_heads import RepeatedHead, around_length

BEFORE, AFTER = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ", b"\r\nx-a: b\r\n\r\n"
MOST = 1_000


def test_the_body_behind_a_known_head() -> None:
    parts = around_length(BEFORE + b"2" + AFTER + b"{}", 2)
    assert parts == (BEFORE, AFTER)
    head = RepeatedHead(*parts)
    for body in (b"", b"{}", b"x" * 12, b"y" * MOST):
        assert head.body_in(BEFORE + b"%d" % len(body) + AFTER + body, MOST) == body


@pytest.mark.parametrize(
    "data",
    [
        BEFORE + AFTER,
        BEFORE + b"" + AFTER + b"{}",
        BEFORE + b"3" + AFTER + b"{}",
        BEFORE + b"1" + AFTER + b"{}",
        BEFORE + b"+2" + AFTER + b"{}",
        BEFORE + b"-0" + AFTER,
        BEFORE + b" 2" + AFTER + b"{}",
        BEFORE + b"2 " + AFTER + b"{}",
        BEFORE + b"2, 2" + AFTER + b"{}",
        BEFORE + b"0x2" + AFTER + b"{}",
        BEFORE + "²".encode() + AFTER + b"{}",
        BEFORE + b"0" * 12 + b"2" + AFTER + b"{}",
        BEFORE + b"1001" + AFTER + b"x" * 1001,
        BEFORE + b"2" + AFTER.replace(b"b", b"c") + b"{}",
        BEFORE + b"2" + AFTER[:-1],
        BEFORE + b"2",
        BEFORE,
        BEFORE[:-1],
        BEFORE.replace(b"host: a", b"host: b") + b"2" + AFTER + b"{}",
        b"",
    ],
)
def test_what_else_comes_goes_to_the_parser(data: bytes) -> None:
    assert RepeatedHead(BEFORE, AFTER).body_in(data, MOST) is None
