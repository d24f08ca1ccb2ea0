"""Texts cut into chunks with exact places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omni.inference.language.chunking import ChunkRules, Span, chunks, halves
from omni.inference.language.sentences import Sentence, sentences

Spans = Sequence[tuple[int, int]]


def by_tokens(text: str, tokens: Spans, most: int, overlap: int) -> list[Span]:
    """Runs of `most` tokens of which the first `overlap` are the last of the run before."""
    found: list[Span] = []
    first = 0
    while first < len(tokens):
        last = min(first + most, len(tokens))
        found.extend(_trimmed(text, tokens[first][0], tokens[last - 1][1]))
        if last == len(tokens):
            break
        first = last - overlap
    return found


def by_sentences(text: str, tokens: Spans, most: int, overlap: int) -> list[Span]:
    """Runs of whole sentences."""
    return chunks(text, tokens, ChunkRules("headings", most, overlap))


def by_headings(text: str, tokens: Spans, most: int, overlap: int) -> list[Span]:
    """Sections from one heading to the next; headings without text between them go together. Those that are too long
    are cut into runs of whole sentences.
    """
    found: list[Span] = []
    for start, end in _sections(text):
        inside = [(begin - start, stop - start) for begin, stop in tokens if start <= begin < end]
        if len(inside) <= most:
            found.extend(_trimmed(text, start, end))
            continue
        parts = chunks(text[start:end], inside, ChunkRules("headings", most, overlap))
        found.extend(Span(start + part.start, start + part.end) for part in parts)
    return found


def fitting(text: str, spans: Sequence[Span], most: int, count: Callable[[str], int]) -> list[tuple[Span, int]]:
    """The spans with the tokens that each has by itself. What has more than `most` is halved until it fits: a cut word
    reads differently alone.
    """
    found: list[tuple[Span, int]] = []
    waiting = list(reversed(spans))
    while waiting:
        span = waiting.pop()
        tokens = count(text[span.start : span.end])
        if tokens <= most or span.end - span.start < 2:
            found.append((span, tokens))
        else:
            waiting.extend(
                part for half in reversed(halves(text, span)) for part in _trimmed(text, half.start, half.end)
            )
    return sorted(found, key=lambda cut: (cut[0].start, cut[0].end))


def headings(text: str) -> list[Sentence]:
    """The headings of the text, in order."""
    return [sentence for sentence in sentences(text) if sentence.is_heading]


def _sections(text: str) -> list[tuple[int, int]]:
    starts = [0]
    after_heading = False
    for sentence in sentences(text):
        if sentence.is_heading and not after_heading and sentence.start > 0:
            starts.append(sentence.start)
        after_heading = sentence.is_heading
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    """The span without white space around it; none where there is nothing else."""
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip())
    return [Span(begin, start + len(part.rstrip()))] if part.strip() else []
