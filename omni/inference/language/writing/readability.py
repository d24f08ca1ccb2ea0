"""Formulas of readability, from counts of a text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from omni.inference.language.sentences import sentences
from omni.inference.language.words import word_spans
from omni.inference.language.writing.schemas import ReadabilityResponse, TextCounts
from omni.inference.language.writing.syllables import syllables
from omni.kit.errors import InvalidInput

MIN_SMOG_SENTENCES = 30
LONG_WORD_LETTERS = 6
_ENDING = re.compile("(?:es|ed|ing)$", re.IGNORECASE)


def counted(text: str, seconds_left: Callable[[], float]) -> TextCounts:
    """What the formulas need. Raises InvalidInput `input_empty` without a word, and DeadlineExceeded."""
    number = words = letters = total = polysyllables = complex_words = long_words = 0
    for sentence in sentences(text):
        seconds_left()
        part = text[sentence.start : sentence.end]
        found = [part[start:end] for start, end in word_spans(part)]
        number += bool(found)
        for place, word in enumerate(found):
            size, sounds = sum(map(str.isalnum, word)), syllables(word)
            words, letters, total = words + 1, letters + size, total + sounds
            long_words += size > LONG_WORD_LETTERS
            polysyllables += sounds >= 3
            complex_words += sounds >= 3 and _is_complex(word, is_first=place == 0)
    if not words:
        raise InvalidInput("input_empty", "text has no words. Send a text.", param="text")
    return TextCounts(
        sentences=number,
        words=words,
        letters=letters,
        syllables=total,
        polysyllables=polysyllables,
        complex_words=complex_words,
        long_words=long_words,
    )


def readability(counts: TextCounts) -> ReadabilityResponse:
    """All formulas, unrounded."""
    length = counts.words / counts.sentences
    letters = counts.letters / counts.words
    sounds = counts.syllables / counts.words
    smog = None
    if counts.sentences >= MIN_SMOG_SENTENCES:
        smog = 1.0430 * math.sqrt(30 * counts.polysyllables / counts.sentences) + 3.1291
    return ReadabilityResponse(
        flesch_reading_ease=206.835 - 1.015 * length - 84.6 * sounds,
        flesch_kincaid_grade=0.39 * length + 11.8 * sounds - 15.59,
        gunning_fog=0.4 * (length + 100 * counts.complex_words / counts.words),
        smog=smog,
        coleman_liau=5.88 * letters - 29.6 / length - 15.8,
        automated_readability=4.71 * letters + 0.5 * length - 21.43,
        lix=length + 100 * counts.long_words / counts.words,
        counts=counts,
    )


def _is_complex(word: str, is_first: bool) -> bool:
    """Gunning's: no proper noun, no compound of easy words, not only by its ending."""
    if "-" in word or (word[0].isupper() and not is_first):
        return False
    return syllables(_ENDING.sub("", word)) >= 3 if _ENDING.search(word) else True
