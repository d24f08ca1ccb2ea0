"""Dictionaries of known words with their frequency, and the known words near an unknown one. Heavy: a dictionary takes
one to three seconds and 20 to 70 MB, at its first use.

The words are those of `pyspellchecker`; its search is not used: it makes every string within two edits, which takes
seconds for a long word. Here the distance to every word of nearly the same length and letters is computed at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
from spellchecker import SpellChecker

from omni.inference.language.writing.checked import CheckedWord

MAX_DISTANCE = 2
MAX_WORD_LETTERS = 40  # longer ones are known or not, but nothing is suggested
KEPT_DICTIONARIES = 3


class Dictionary:
    """Known words of one language, in lower case."""

    def __init__(self, frequencies: dict[str, int]) -> None:
        self._frequencies = frequencies
        by_length: dict[int, list[str]] = {}
        for word in frequencies:
            if len(word) <= MAX_WORD_LETTERS:
                by_length.setdefault(len(word), []).append(word)
        self._words = by_length
        self._letters = {length: _letters(words, length) for length, words in by_length.items()}
        self._masks = {length: _masks(letters) for length, letters in self._letters.items()}

    def knows(self, word: str) -> bool:
        """Whether the word, in lower case, is in the dictionary."""
        return word in self._frequencies

    def near(self, word: str, count: int) -> list[tuple[str, int]]:
        """At most `count` known words within two edits and their distance: nearest first, then the most frequent."""
        if not count or len(word) > MAX_WORD_LETTERS:
            return []
        wanted = _letters([word], len(word))
        found: list[tuple[str, int]] = []
        for length in range(max(1, len(word) - MAX_DISTANCE), len(word) + MAX_DISTANCE + 1):
            if length not in self._words:
                continue
            # An edit changes at most two letters of a word's set.
            apart = np.bitwise_count(self._masks[length] ^ _masks(wanted)[0])
            places = np.flatnonzero(apart <= 2 * MAX_DISTANCE)
            distances = edit_distances(wanted[0], self._letters[length][places])
            near = distances <= MAX_DISTANCE
            words = self._words[length]
            found.extend(zip((words[i] for i in places[near].tolist()), distances[near].tolist(), strict=True))
        found.sort(key=lambda item: (item[1], -self._frequencies[item[0]], item[0]))
        return found[:count]

    def unknown(
        self, words: Sequence[CheckedWord], count: int, seconds_left: Callable[[], float]
    ) -> list[tuple[CheckedWord, list[tuple[str, int]]]]:
        """The words that are not known, nor the parts of a compound with hyphens, and what is near them. Raises
        DeadlineExceeded from `seconds_left`.
        """
        near: dict[str, list[tuple[str, int]]] = {}
        found = []
        for word in words:
            bare = word.plain.removesuffix("'s")
            if self.knows(word.plain) or self.knows(bare) or all(map(self.knows, bare.split("-"))):
                continue
            if bare not in near:
                seconds_left()
                near[bare] = self.near(bare, count)
            found.append((word, near[bare]))
        return found


class Dictionaries:
    """The dictionaries, each loaded when it is first needed; the last three are kept."""

    def __init__(self) -> None:
        self.name = f"pyspellchecker-{version('pyspellchecker')}"
        self._loaded: OrderedDict[str, Dictionary] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, language: str) -> Dictionary:
        """The dictionary of an ISO 639-1 code."""
        with self._lock:
            found = self._loaded.get(language)
            if found is None:
                frequencies = SpellChecker(language=language).word_frequency.dictionary
                found = self._loaded[language] = Dictionary(dict(frequencies))
            self._loaded.move_to_end(language)
            while len(self._loaded) > KEPT_DICTIONARIES:
                self._loaded.popitem(last=False)
            return found


def edit_distances(word: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Optimal string alignment distance (Levenshtein's edits and swaps of neighbours) of a word [letters] to each of
    `others` [words, letters]: int [words].
    """
    rows, length = others.shape
    before = np.zeros((length + 1, rows), np.int16)
    above = np.repeat(np.arange(length + 1, dtype=np.int16)[:, None], rows, axis=1)
    for i, letter in enumerate(word):
        row = np.empty_like(above)
        row[0] = i + 1
        for j in range(length):
            differs = others[:, j] != letter
            best = np.minimum(above[j] + differs, np.minimum(above[j + 1], row[j]) + 1)
            if i and j:
                swapped = (others[:, j] == word[i - 1]) & (others[:, j - 1] == letter)
                best = np.where(swapped, np.minimum(best, before[j - 1] + 1), best)
            row[j + 1] = best
        before, above = above, row
    return above[length]


def _letters(words: Sequence[str], length: int) -> np.ndarray:
    """uint32 [words, length]: code points."""
    joined = "".join(words).encode("utf-32-le")
    return np.frombuffer(joined, np.uint32).reshape(len(words), length)


def _masks(letters: np.ndarray) -> np.ndarray:
    """uint64 [words]: a bit a letter, by its code point modulo 64."""
    bits = np.left_shift(np.uint64(1), (letters % 64).astype(np.uint64))
    return np.asarray(np.bitwise_or.reduce(bits, axis=1))
