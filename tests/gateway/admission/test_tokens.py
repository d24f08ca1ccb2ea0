"""Counting tokens of a text."""

from __future__ import annotations

import asyncio
import sys

from omni.gateway.admission.tokens import Counted, TokenCounter


async def test_the_vocabulary_counts() -> None:
    counter = TokenCounter()
    assert await counter.count("hello world") == Counted(2, "tokenizer")
    assert await counter.count("") == Counted(0, "tokenizer")
    assert await counter.count("<|endoftext|>") > Counted(1, "tokenizer"), "no text is a token of control"
    assert (await counter.count("broken \ud800 letter")).how == "tokenizer"


async def test_a_long_text_is_counted_in_slices() -> None:
    counter = TokenCounter()
    one = (await counter.count("The quick brown fox jumps. " * 1000)).tokens
    many = (await counter.count("The quick brown fox jumps. " * 10_000)).tokens
    assert abs(many - 10 * one) <= 20


async def test_many_wait_for_one_vocabulary() -> None:
    counter = TokenCounter()
    counts = await asyncio.gather(*(counter.count("hello world") for _ in range(20)))
    assert set(counts) == {Counted(2, "tokenizer")}


async def test_bytes_count_where_there_is_no_package() -> None:
    counter = TokenCounter("no_such_package")
    assert await counter.count("hello world") == Counted(3, "bytes")
    assert await counter.count("über") == Counted(2, "bytes")


def test_nothing_is_read_before_it_is_needed() -> None:
    before = "bpe_openai" in sys.modules
    TokenCounter()
    assert ("bpe_openai" in sys.modules) is before
