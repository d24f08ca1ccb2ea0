"""Chunks: parts of a text that are embedded and found as one, by the rules of their collection."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from omni.inference.language.sentences import Sentence, sentences

CHUNK_TOKENS = 200
OVERLAP_TOKENS = 40
CHARS_PER_TOKEN = 10  # most, for text that tokens do not measure, like one endless word
HEADING_SHARE = 0.3  # of a chunk: a heading begins a new one once this much is in the old one
WORD_CHARS = 40  # how far a window's end goes back so as not to cut a word

Strategy = Literal["sentences", "headings", "tokens"]


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """How a text is cut.

    `sentences`: runs of whole sentences that overlap a little; a heading begins a new one once the old one is not too
    small. `headings`: the same, but no chunk goes on over a heading. `tokens`: windows of a fixed size.
    """

    strategy: Strategy = "sentences"
    max_tokens: int = CHUNK_TOKENS
    overlap_tokens: int = OVERLAP_TOKENS

    @property
    def max_chars(self) -> int:
        return CHARS_PER_TOKEN * self.max_tokens


DEFAULT_RULES = ChunkRules()


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]`."""

    start: int
    end: int


def chunks(
    text: str,
    token_spans: Sequence[tuple[int, int]],
    rules: ChunkRules = DEFAULT_RULES,
    rows: Sequence[tuple[int, int]] | None = None,
) -> list[Span]:
    """Spans that together hold everything of `text` but white space; `token_spans` are the places of its tokens, in
    order.

    A sentence that is longer than a chunk is cut between tokens. `rows` are the places of a table's rows: its chunks
    are runs of whole rows without overlap, whatever the strategy.
    """
    starts = [start for start, _ in token_spans]
    if rows is not None:
        whole = [Sentence(start, end, is_heading=False) for start, end in rows]
        return _Runs(starts, ChunkRules("sentences", rules.max_tokens, 0)).of(whole)
    if rules.strategy == "tokens":
        return list(_windows(text, starts, rules))
    return _Runs(starts, rules).of(sentences(text))


def halves(text: str, span: Span) -> tuple[Span, Span]:
    """The span in two, cut at the white space nearest its middle, or there."""
    middle = (span.start + span.end) // 2
    gaps = [text.rfind(" ", span.start + 1, middle), text.find(" ", middle, span.end - 1)]
    cut = min((gap for gap in gaps if gap > 0), key=lambda gap: abs(gap - middle), default=middle)
    return Span(span.start, cut), Span(cut, span.end)


class _Runs:
    """Puts sentences together to chunks. `starts` are the first characters of the text's tokens."""

    def __init__(self, starts: Sequence[int], rules: ChunkRules) -> None:
        self._starts = starts
        self._rules = rules

    def of(self, parts: Iterator[Sentence] | Sequence[Sentence]) -> list[Span]:
        found: list[Span] = []
        current: list[Sentence] = []
        for sentence in self._short(parts):
            if current and not self._goes_on(current, sentence):
                found.append(Span(current[0].start, current[-1].end))
                current = [] if sentence.is_heading else self._overlap(current, sentence)
            current.append(sentence)
        if current:
            found.append(Span(current[0].start, current[-1].end))
        return found

    def _goes_on(self, current: Sequence[Sentence], sentence: Sentence) -> bool:
        """Whether the sentence still belongs to the chunk."""
        start, rules = current[0].start, self._rules
        if sentence.is_heading and not current[-1].is_heading:
            enough = 0 if rules.strategy == "headings" else HEADING_SHARE * rules.max_tokens
            return self._tokens(start, current[-1].end) < enough
        return self._fits(start, sentence.end)

    def _overlap(self, current: Sequence[Sentence], following: Sentence) -> list[Sentence]:
        """The last sentences of a chunk that the next one repeats."""
        kept: list[Sentence] = []
        for sentence in reversed(current[1:]):
            too_much = self._tokens(sentence.start, current[-1].end) > self._rules.overlap_tokens
            if too_much or not self._fits(sentence.start, following.end):
                break
            kept.insert(0, sentence)
        return kept

    def _short(self, parts: Iterator[Sentence] | Sequence[Sentence]) -> Iterator[Sentence]:
        """Sentences that are longer than a chunk, in pieces."""
        for sentence in parts:
            start = sentence.start
            while not self._fits(start, sentence.end):
                after = bisect_left(self._starts, start) + self._rules.max_tokens
                limit = self._starts[after] if after < len(self._starts) else sentence.end
                cut = min(limit, start + self._rules.max_chars, sentence.end)
                yield Sentence(start, cut, is_heading=False)
                start = cut
            if start < sentence.end:
                yield Sentence(start, sentence.end, sentence.is_heading)

    def _fits(self, start: int, end: int) -> bool:
        return self._tokens(start, end) <= self._rules.max_tokens and end - start <= self._rules.max_chars

    def _tokens(self, start: int, end: int) -> int:
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)


def _windows(text: str, starts: Sequence[int], rules: ChunkRules) -> Iterator[Span]:
    """Windows of `max_tokens`, each beginning `overlap_tokens` before the end of the one before; ends are between words
    where one is near.
    """
    begin = reached = 0
    while reached < len(text):
        after = bisect_left(starts, begin) + rules.max_tokens
        end = min(starts[after] if after < len(starts) else len(text), begin + rules.max_chars)
        end = _between_words(text, begin, end)
        if end <= reached:  # the overlap left no room to go on
            begin = reached
            continue
        reached = end
        first, last = _trimmed(text, begin, end)
        if first < last:
            yield Span(first, last)
        back = bisect_left(starts, end) - rules.overlap_tokens
        again = _between_words(text, begin, starts[back]) if rules.overlap_tokens and back > 0 else end
        begin = again if first < again < end else end


def _between_words(text: str, begin: int, end: int) -> int:
    """The nearest place at or before `end` that cuts no word; `end` where there is none near."""
    if end >= len(text):
        return end
    for at in range(end, max(begin + 1, end - WORD_CHARS) - 1, -1):
        if text[at - 1].isspace() or text[at].isspace():
            return at
    return end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
