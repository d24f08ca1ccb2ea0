"""The words that moderation knows, in every form that they come in."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from omni.inference.language.moderation.categories import CATEGORIES, Category

_STEM_ENDINGS = ("s", "ed", "er", "ers", "in", "ing", "y", "ier", "iest", "head", "heads", "face", "wit")
_CODED = "~"


@dataclass(frozen=True, slots=True)
class Entry:
    """A word and how bad it is by itself, 0 to 1 in each category that it has."""

    word: str
    scores: Mapping[Category, float]
    harmless_with: re.Pattern[str] | None
    """Words of its sentence that give it another sense."""


class Lexicon:
    """Looks words up in the form in which they come."""

    def __init__(self) -> None:
        self.forms: dict[str, Entry] = {}
        self._alike: dict[tuple[int, str], list[str]] = defaultdict(list)
        for line in files(__package__).joinpath("lexicon_en.txt").read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                self._add(*line.split("\t"))

    def find(self, word: str) -> Entry | None:
        """The entry of a word, also of one with letters drawn out."""
        return self.forms.get(word) or next(
            (self.forms[short] for short in _shortened(word) if short in self.forms), None
        )

    def find_masked(self, word: str) -> Entry | None:
        """The entry of a word with `*` or `#` for some of its letters: two of them, and half, have to be there."""
        hidden = word.count("*") + word.count("#")
        if not word[:1].isalpha() or hidden > len(word) - 2 or 2 * hidden > len(word):
            return None
        for form in self._alike.get((len(word), word[0]), ()):
            if all(there in ("*", "#", letter) for there, letter in zip(word, form, strict=True)):
                return self.forms[form]
        return None

    def _add(self, word: str, scores: str, inflection: str, harmless_with: str) -> None:
        if word.startswith(_CODED):
            word = codecs.decode(word[1:], "rot13")
        given = {name: float(score) for name, score in (pair.split("=") for pair in scores.split(","))}
        if not given.keys() <= set(CATEGORIES):
            raise ValueError(f"lexicon_en.txt: {word}")
        pattern = None if harmless_with == "-" else re.compile(rf"\b(?:{harmless_with})\b")
        entry = Entry(word, cast("Mapping[Category, float]", given), pattern)
        for form in _forms(word, inflection):
            if form not in self.forms:
                self.forms[form] = entry
                self._alike[len(form), form[0]].append(form)


def _forms(word: str, inflection: str) -> Iterator[str]:
    yield word
    if inflection == "s":
        yield word + ("es" if word.endswith(("s", "ch", "sh", "x")) else "s")
    elif inflection == "stem":
        for ending in _STEM_ENDINGS:
            yield word + ending
            if word[-1] == "t" and ending[0] in "eiy":
                yield word + word[-1] + ending


def _shortened(word: str) -> Iterator[str]:
    """The word with each run of three or more equal letters made one, then two."""
    if re.search(r"(.)\1\1", word):
        yield re.sub(r"(.)\1\1+", r"\1", word)
        yield re.sub(r"(.)\1\1+", r"\1\1", word)
