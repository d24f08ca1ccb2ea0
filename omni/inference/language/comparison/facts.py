"""Numbers and negations of a sentence: what changes its meaning most and its vector least."""

from __future__ import annotations

import re
from collections import Counter

from omni.inference.language.words import words

_NUMBER = re.compile(r"[0-9]+(?:[.,'’\u00a0][0-9]+)*")
_THOUSANDS = re.compile(r"(?<=[0-9])[,.'’\u00a0](?=[0-9]{3}(?![0-9]))")
_WORDS = {
    word: str(number)
    for word, number in (
        ("two", 2), ("three", 3), ("four", 4), ("five", 5), ("six", 6), ("seven", 7), ("eight", 8), ("nine", 9),
        ("ten", 10), ("eleven", 11), ("twelve", 12), ("fifteen", 15), ("twenty", 20), ("thirty", 30), ("forty", 40),
        ("fifty", 50), ("sixty", 60), ("seventy", 70), ("eighty", 80), ("ninety", 90),
    )
}  # fmt: skip
_NEGATIONS = frozenset(
    {
        "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot",
        "nicht", "kein", "keine", "keinen", "keinem", "keiner", "keines", "nie", "niemals", "niemand", "nichts", "ohne",
        "ne", "ni", "nisem", "nisi", "nismo", "niste", "niso", "nima", "nimajo", "nikoli", "noben", "nobena", "brez",
    }
)  # fmt: skip


def numbers(sentence: str) -> Counter[str]:
    """Its numbers, in digits or as English words from two to ninety; separators of thousands left out."""
    digits = [_THOUSANDS.sub("", found) for found in _NUMBER.findall(sentence)]
    return Counter([*digits, *(_WORDS[word] for word in words(sentence) if word in _WORDS)])


def negations(sentence: str) -> int:
    """How many words of negation it has."""
    return sum(word in _NEGATIONS or word.endswith(("n't", "n’t")) for word in words(sentence))
