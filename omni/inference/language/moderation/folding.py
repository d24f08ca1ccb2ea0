"""Texts without disguise: accents, look-alike letters, invisible characters and digits in the place of letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Letters of other alphabets that look like Latin ones (Unicode TR 39, confusables), in lower case.
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u04bb\u051b\u051d\u043a\u043c\u0442\u043d\u0432"
    "\u03b1\u03b5\u03bf\u03c1\u03c5\u03c7\u03b9\u03ba\u03bd\u03c4\u0131\u0261\u026a\u0269",
    "aeopcyxisjdhqwkmthbaeopuxikvtigii",
)
_LEET = str.maketrans("01345789@$!|+\u20ac", "oieastbgasiite")
_OTHER_LEET = str.maketrans("1!|", "lll")
_TOKEN = re.compile(r"[a-z0-9@$!|+*#\u20ac]+")
_DIGIT = re.compile(r"[0-9@$!|+\u20ac]")
_NUMBERED = re.compile(r"[0-9]+[a-z]{1,2}|[a-z]{1,3}[0-9]+")
"""4th, 5pm, mp3: digits that are digits."""
EDGES = "!|+*#@$"
"""What may be no part of a word that it stands beside."""


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` in lower case without disguise; its character i stands for character `places[i]` of what was folded."""

    text: str
    places: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place of `text[start:end]` (not empty) in what was folded."""
        return self.places[start], self.places[end - 1] + 1


@dataclass(frozen=True, slots=True)
class Token:
    """`Folded.text[start:end]` with the words that it may be, the likeliest first."""

    start: int
    end: int
    readings: tuple[str, ...]


def fold(text: str) -> Folded:
    """The text without case, accents, look-alikes and invisible characters."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        if letter < "\x80":
            letters.append(letter.lower())
            places.append(place)
            continue
        for part in unicodedata.normalize("NFKD", letter).casefold().translate(_LOOK_ALIKES):
            if unicodedata.category(part) not in ("Mn", "Cf", "Me"):
                letters.append("'" if part == "\u2019" else part)
                places.append(place)
    return Folded("".join(letters), places)


def tokens(folded: Folded) -> Iterator[Token]:
    """The words in order. Those with digits or signs among their letters are read as letters, too."""
    for found in _TOKEN.finditer(folded.text):
        start, end = found.span()
        whole = found.group()
        if whole.isalpha():
            yield Token(start, end, (whole,))
            continue
        bare = whole.strip(EDGES)
        inner_start = start + (len(whole) - len(whole.lstrip(EDGES)))
        readings = dict.fromkeys([bare, *_letters(bare), *_letters(whole.rstrip(EDGES)), *_letters(whole)])
        yield Token(inner_start if bare else start, end, tuple(reading for reading in readings if reading))


def readable(folded: Folded) -> str:
    """The text with digits and signs read as letters, of the same length: what phrases are looked for in."""
    text = folded.text
    if not _DIGIT.search(text):
        return text

    def letters(found: re.Match[str]) -> str:
        whole = found.group()
        bare = whole.rstrip(EDGES)
        return (next(iter(_letters(bare)), bare) + whole[len(bare) :]) if bare else whole

    return _TOKEN.sub(letters, text)


def _letters(token: str) -> Iterator[str]:
    """How a token that is letters enough reads when its digits and signs are letters."""
    count = sum(letter.isalpha() for letter in token)
    most = 2 * count >= len(token) if len(token) < 5 else 5 * count >= 2 * len(token)
    if count and most and count < len(token) and not _NUMBERED.fullmatch(token):
        yield token.translate(_LEET)
        yield token.translate(_OTHER_LEET).translate(_LEET)
