"""Phrases of a text that may be keywords."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omni.inference.language.words import STOP_WORDS, word_spans

MAX_CANDIDATES = 500
Places = list[tuple[int, int]]


def candidates(
    text: str, max_words: int, stop_words: Sequence[str], seconds_left: Callable[[], float]
) -> dict[str, Places]:
    """Phrases of 1 to `max_words` words that neither begin nor end with a stop word, a number or a single letter, and
    their places; the most frequent, then the first, 500 at most. Only white space is between the words of a phrase.

    Raises DeadlineExceeded from `seconds_left`.
    """
    stops = STOP_WORDS | {word.casefold() for word in stop_words}
    spans = list(word_spans(text))
    edges = [_may_be_edge(text[start:end], stops) for start, end in spans]
    found: dict[str, Places] = {}
    for first, (start, _) in enumerate(spans):
        if first % 1_000 == 0:
            seconds_left()
        if not edges[first]:
            continue
        for last in range(first, min(first + max_words, len(spans))):
            if last > first and not _joined(text[spans[last - 1][1] : spans[last][0]]):
                break
            end = spans[last][1]
            if edges[last]:
                found.setdefault(" ".join(text[start:end].casefold().split()), []).append((start, end))
    best = sorted(found, key=lambda phrase: (-len(found[phrase]), found[phrase][0]))[:MAX_CANDIDATES]
    return {phrase: found[phrase] for phrase in best}


def _may_be_edge(word: str, stops: frozenset[str] | set[str]) -> bool:
    return len(word) > 1 and word.casefold() not in stops and any(letter.isalpha() for letter in word)


def _joined(gap: str) -> bool:
    return gap.isspace() and gap.count("\n") < 2
