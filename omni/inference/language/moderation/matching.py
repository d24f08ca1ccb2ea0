"""Words and phrases found in a text, with what speaks against taking them at their word."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from omni.inference.language.moderation.categories import Category
from omni.inference.language.moderation.folding import Folded, Token, fold, readable, tokens
from omni.inference.language.moderation.lexicon import Entry, Lexicon
from omni.inference.language.moderation.phrases import PHRASES
from omni.inference.language.sentences import sentences

Caution = Literal["negated", "quoted", "reported"]
Kind = Literal["word", "phrase", "meaning"]

WEIGHTS: Mapping[Caution, float] = {"negated": 0.3, "quoted": 0.5, "reported": 0.6}
DIRECTED = 0.8
"""How bad an insult is that is said to somebody, at least."""
_TOKENS_BEFORE, _TOKENS_AFTER = 4, 2
_REPORT_CHARS = 60
_SHORTEST_PART, _LONGEST_WORD = 4, 14
_YOU = frozenset(("you", "u", "ya", "your", "youre", "ur", "yourself"))
_NEGATION = re.compile(r"\b(?:not|never|no|nobody|nor|without|isn't|aren't|wasn't|don't|dont|can't)(?:\s+\w+){0,2}\s+$")
_REPORT = re.compile(
    r"\b(?:said|says|told|wrote|calls|called|calling|the (?:words?|term|slur|insult)|accused|alleged|reported"
    r"|threatened|quoted?|condemn(?:s|ed)?|charged with|convicted of)\b"
)
_QUOTES = re.compile(
    r"\u201c[^\u201c\u201d]{1,300}\u201d|\u201e[^\u201e\u201c\u201d]{1,300}[\u201c\u201d]|\u00ab[^\u00ab\u00bb]{1,300}\u00bb"
    r"|\"[^\"\n]{1,300}\""
)
_SPACED = re.compile(r"(?<![a-z0-9])[a-z](?:[ .\-_*]{1,2}[a-z]){2,40}(?![a-z0-9])")


@dataclass(frozen=True, slots=True)
class Match:
    """`text[start:end]` speaks for a category, as much as `score` says (0 to 1)."""

    start: int
    end: int
    category: Category
    score: float
    kind: Kind
    rule: str
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A place in the folded text."""

    start: int
    end: int
    kind: Kind
    rule: str
    scores: Mapping[Category, float]
    insult: bool


class Matcher:
    """Finds words and phrases. Safe to use from several threads: it only reads."""

    def __init__(self) -> None:
        self._lexicon = Lexicon()

    def find(self, text: str, seconds_left: Callable[[], float]) -> list[Match]:
        """What speaks for each category, in no order. Raises DeadlineExceeded from `seconds_left`."""
        folded = fold(text)
        plain = readable(folded)
        quotes = [found.span() for found in _QUOTES.finditer(text)]
        sentence_starts = [0, *(each.start for each in sentences(text))]
        matches: list[Match] = []
        seconds_left()
        for found in [*self._words(folded), *self._spaced(folded), *_phrases(plain)]:
            start, end = folded.span(found.start, found.end)
            sentence_start = sentence_starts[bisect_right(sentence_starts, start) - 1]
            cautions = tuple(_cautions(text, (sentence_start, start, end), quotes, found))
            for category, score in found.scores.items():
                weight = 1.0
                for caution in cautions:
                    weight *= 1.0 if category == "profanity" else WEIGHTS[caution]
                matches.append(Match(start, end, category, score * weight, found.kind, found.rule, cautions))
        return matches

    def _words(self, folded: Folded) -> Iterator[_Found]:
        found = list(tokens(folded))
        for index, token in enumerate(found):
            entry = self._entry(token)
            if entry is not None and not _is_harmless(entry, folded.text, token):
                yield _word(entry, token.start, token.end, _is_directed(found, index))

    def _entry(self, token: Token) -> Entry | None:
        for reading in token.readings:
            entry = self._lexicon.find(reading)
            if entry is None and ("*" in reading or "#" in reading):
                entry = self._lexicon.find_masked(reading)
            if entry is not None:
                return entry
        return None

    def _spaced(self, folded: Folded) -> Iterator[_Found]:
        """Words whose letters stand apart, at the beginning or the end of a run of such letters."""
        for run in _SPACED.finditer(folded.text):
            places = [place for place in range(*run.span()) if folded.text[place].isalpha()]
            joined = "".join(folded.text[place] for place in places)
            for first, last in _parts(len(joined)):
                entry = self._lexicon.find(joined[first:last])
                if entry is not None:
                    yield _word(entry, places[first], places[last - 1] + 1, directed=False)
                    break


def _parts(length: int) -> Iterator[tuple[int, int]]:
    """The whole, then what it begins or ends with, the longest first, down to four letters."""
    yield 0, length
    for size in range(min(length - 1, _LONGEST_WORD), _SHORTEST_PART - 1, -1):
        yield 0, size
        yield length - size, length


def _word(entry: Entry, start: int, end: int, directed: bool) -> _Found:
    scores = dict(entry.scores)
    insult = "harassment" in scores
    if insult and directed:
        scores["harassment"] = max(scores["harassment"], DIRECTED)
    return _Found(start, end, "word", entry.word, scores, insult)


def _phrases(plain: str) -> Iterator[_Found]:
    for phrase in PHRASES:
        for found in phrase.pattern.finditer(plain):
            yield _Found(*found.span(), "phrase", phrase.name, phrase.scores, insult=False)


def _is_harmless(entry: Entry, folded: str, token: Token) -> bool:
    """Whether a word near it gives it another sense."""
    if entry.harmless_with is None:
        return False
    around = folded[max(0, token.start - 80) : token.start] + " " + folded[token.end : token.end + 80]
    return entry.harmless_with.search(around) is not None


def _is_directed(found: list[Token], index: int) -> bool:
    near = found[max(0, index - _TOKENS_BEFORE) : index] + found[index + 1 : index + 1 + _TOKENS_AFTER]
    return any(reading in _YOU for token in near for reading in token.readings)


def _cautions(
    text: str, place: tuple[int, int, int], quotes: list[tuple[int, int]], found: _Found
) -> Iterator[Caution]:
    sentence_start, start, end = place
    before = text[max(sentence_start, start - _REPORT_CHARS) : start].lower().replace("\u2019", "'")
    if found.insult and _NEGATION.search(before):
        yield "negated"
    if any(first <= start and end <= last for first, last in quotes):
        yield "quoted"
    if _REPORT.search(before):
        yield "reported"
