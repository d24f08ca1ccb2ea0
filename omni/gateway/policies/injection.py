"""Signs of prompt injection in what users and tools say: patterns with weights, and a threshold.

This finds the attacks that are copied around, in a few languages, not those that are written for it. The test has
texts of both kinds and states the rates; a model that was trained for it does better and costs a call.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files

THRESHOLD = 10
_PIECE_CHARS = 4 * 1024
_OVERLAP_CHARS = 256
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
_SPACES = re.compile(r"[\s*_`#>|~]+")
_TAGS = re.compile("[\U000e0000-\U000e007f]")


class InjectionPatterns:
    """The patterns, compiled once."""

    def __init__(self) -> None:
        names: dict[str, str] = {}
        self._patterns: list[tuple[int, re.Pattern[str]]] = []
        for line in files(__package__).joinpath("injection.txt").read_text("utf-8").splitlines():
            name, equals, value = line.partition(" = ")
            if line.startswith("#"):
                continue
            if equals and name.isupper():
                names[name] = value
                continue
            weight, _, pattern = line.partition(" ")
            for known, stands_for in names.items():
                pattern = pattern.replace(f"<{known}>", stands_for)
            self._patterns.append((int(weight), re.compile(pattern)))

    def score(self, part: str) -> int:
        """The sum of the weights of the patterns that a part of a text has, each counted once."""
        return sum(weight for weight, pattern in self._patterns if pattern.search(part) is not None)


def parts(text: str) -> Iterator[str]:
    """A text as the patterns read it, in parts that overlap, so that no single search takes long."""
    for piece in _cut(text):
        yield from _cut(_normal(piece))  # a sign can stand for many


def _cut(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text) - _OVERLAP_CHARS), _PIECE_CHARS - _OVERLAP_CHARS):
        yield text[start : start + _PIECE_CHARS]


def _normal(text: str) -> str:
    """Without what is only there to hide: compatibility forms, invisible signs, tags, markup, runs of blanks."""
    plain = unicodedata.normalize("NFKC", text)
    plain = _TAGS.sub(lambda match: chr(ord(match[0]) - 0xE0000), plain)
    plain = _INVISIBLE.sub("", plain).replace("’", "'")
    return _SPACES.sub(" ", plain).casefold()
