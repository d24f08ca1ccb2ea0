"""Sentences and chunks: exact places, nothing lost."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.chunking import DEFAULT_RULES, Span, chunks, halves
from omni.inference.language.sentences import sentences


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def parts(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in sentences(text)]


def test_sentences_end_at_stops_and_empty_lines() -> None:
    text = 'He said "Stop." Then, e.g. at 3.5 p.m., Mr. Novak\nleft! Why?\n\nNobody knows'
    assert parts(text) == ['He said "Stop."', "Then, e.g. at 3.5 p.m., Mr. Novak\nleft!", "Why?", "Nobody knows"]


@pytest.mark.parametrize(
    "text", ["." * 300_000, "e.g. " * 60_000, '."' * 150_000, "." + " " * 300_000, "\n " * 150_000]
)
def test_long_runs_are_read_once(text: str) -> None:
    """Backtracking would take minutes, and meet the suite's time limit."""
    assert len(parts(text)) <= 1


def test_headings_stand_alone() -> None:
    text = "# Title\nBody begins. It ends.\n\nTerms and Conditions\n\nMore body text here."
    headings = [text[s.start : s.end] for s in sentences(text) if s.is_heading]
    assert headings == ["# Title", "Terms and Conditions"]


def test_numbers_of_clauses_stay_with_them() -> None:
    assert parts("1. Definitions come first. 2. Grants come next.") == [
        "1. Definitions come first.",
        "2. Grants come next.",
    ]


texts = st.text(st.sampled_from("aB1 .!?\n#,š東"), max_size=400) | st.text(max_size=200)


@given(texts)
def test_every_character_is_in_a_sentence(text: str) -> None:
    found = list(sentences(text))
    covered = {index for sentence in found for index in range(sentence.start, sentence.end)}
    assert all(char.isspace() for index, char in enumerate(text) if index not in covered)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(text[s.start : s.end] == text[s.start : s.end].strip() != "" for s in found)


@given(texts.map(lambda text: text * 12))
def test_chunks_lose_nothing_and_stay_small(text: str) -> None:
    spans = chunks(text, words(text))
    covered = {index for span in spans for index in range(span.start, span.end)}
    assert all(char.isspace() for index, char in enumerate(text) if index not in covered)
    for span in spans:
        assert 0 < span.end - span.start <= DEFAULT_RULES.max_chars
        assert len([start for start, _ in words(text) if span.start <= start < span.end]) <= DEFAULT_RULES.max_tokens
    assert [span.start for span in spans] == sorted({span.start for span in spans})


def test_neighbours_share_their_edge() -> None:
    text = " ".join(f"Sentence number {number} says something short." for number in range(100))
    spans = chunks(text, words(text))
    assert len(spans) > 2
    for before, after in pairwise(spans):
        assert before.start < after.start < before.end


def test_a_heading_begins_a_chunk() -> None:
    body = "This sentence fills the chunk a little. " * 12
    text = f"{body}\n\nSecond Part\n\n{body}"
    assert text.index("Second Part") in [span.start for span in chunks(text, words(text))]


def test_halves_cut_at_a_gap() -> None:
    assert halves("aaa bbb ccc", Span(0, 11)) == (Span(0, 3), Span(3, 11))
    assert halves("aaaa", Span(0, 4)) == (Span(0, 2), Span(2, 4))
