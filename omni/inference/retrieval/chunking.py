"""Chunks: runs of whole sentences of about 200 tokens that overlap a little and begin anew at headings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omni.inference.retrieval.sentences import Sentence, sentences

CHUNK_TOKENS = 200
OVERLAP_TOKENS = 40
CHUNK_CHARS = 2_000  # for text that tokens do not measure, like one endless word
HEADING_TOKENS = 60  # a heading begins a new chunk once this much is in the old one


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]`."""

    start: int
    end: int


def chunks(text: str, token_spans: Sequence[tuple[int, int]]) -> list[Span]:
    """Spans that together hold every sentence of `text`; `token_spans` are the places of its tokens, in order.

    A sentence that is longer than a chunk is cut between tokens.
    """
    starts = [start for start, _ in token_spans]
    found: list[Span] = []
    current: list[Sentence] = []
    for sentence in _short_sentences(text, starts):
        if current and not _goes_on(current, sentence, starts):
            found.append(Span(current[0].start, current[-1].end))
            current = [] if sentence.is_heading else _overlap(current, sentence, starts)
        current.append(sentence)
    if current:
        found.append(Span(current[0].start, current[-1].end))
    return found


def halves(text: str, span: Span) -> tuple[Span, Span]:
    """The span in two, cut at the white space nearest its middle, or there."""
    middle = (span.start + span.end) // 2
    gaps = [text.rfind(" ", span.start + 1, middle), text.find(" ", middle, span.end - 1)]
    cut = min((gap for gap in gaps if gap > 0), key=lambda gap: abs(gap - middle), default=middle)
    return Span(span.start, cut), Span(cut, span.end)


def _goes_on(current: Sequence[Sentence], sentence: Sentence, starts: Sequence[int]) -> bool:
    """Whether the sentence still belongs to the chunk."""
    start = current[0].start
    if sentence.is_heading and not current[-1].is_heading:
        return _tokens(start, current[-1].end, starts) < HEADING_TOKENS
    return _tokens(start, sentence.end, starts) <= CHUNK_TOKENS and sentence.end - start <= CHUNK_CHARS


def _overlap(current: Sequence[Sentence], following: Sentence, starts: Sequence[int]) -> list[Sentence]:
    """The last sentences of a chunk that the next one repeats."""
    kept: list[Sentence] = []
    for sentence in reversed(current[1:]):
        too_much = _tokens(sentence.start, current[-1].end, starts) > OVERLAP_TOKENS
        if too_much or _tokens(sentence.start, following.end, starts) > CHUNK_TOKENS:
            break
        if following.end - sentence.start > CHUNK_CHARS:
            break
        kept.insert(0, sentence)
    return kept


def _short_sentences(text: str, starts: Sequence[int]) -> Iterator[Sentence]:
    for sentence in sentences(text):
        start = sentence.start
        while _tokens(start, sentence.end, starts) > CHUNK_TOKENS or sentence.end - start > CHUNK_CHARS:
            after = bisect_left(starts, start) + CHUNK_TOKENS
            limit = starts[after] if after < len(starts) else sentence.end
            cut = min(limit, start + CHUNK_CHARS, sentence.end)
            yield Sentence(start, cut, is_heading=False)
            start = cut
        if start < sentence.end:
            yield Sentence(start, sentence.end, sentence.is_heading)


def _tokens(start: int, end: int, starts: Sequence[int]) -> int:
    return bisect_left(starts, end) - bisect_left(starts, start)
