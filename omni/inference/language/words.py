"""Words of a text, and which of them say nothing about its subject."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files

# A word may hold apostrophes, points and hyphens inside: don't, e-mail, 3.5, ERR-2042.
WORD = re.compile(r"[^\W_]+(?:['’.\-_/][^\W_]+)*")
STOP_WORDS = frozenset(files(__package__).joinpath("stop_words_en.txt").read_text("utf-8").split())
"""English function words."""
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "edly", "ed", "es", "ly", "s")


def words(text: str) -> list[str]:
    """The words of a text in lower case, compatibility forms made equal (NFKC)."""
    return [match.group() for match in WORD.finditer(unicodedata.normalize("NFKC", text).casefold())]


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each word, in order."""
    for match in WORD.finditer(text):
        yield match.span()


def stem(word: str) -> str:
    """The word without a common English ending, so that `limits` meets `limited`. Words with digits stay whole."""
    if not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def terms(text: str) -> list[str]:
    """What lexical search compares: stems of the words that carry meaning; every word where none does.

    A compound is found by its parts, too: `ERR-2042` also gives `err` and `2042`.
    """
    found = words(text)
    carrying = [word for word in found if word not in STOP_WORDS] or found
    given: list[str] = []
    for word in carrying:
        given.append(stem(word))
        parts = re.split(r"['’.\-_/]", word)
        if len(parts) > 1:
            given.extend(stem(part) for part in parts)
    return given
