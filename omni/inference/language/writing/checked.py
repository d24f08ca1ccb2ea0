"""Which words of a text are checked: no addresses, code, numbers, names or abbreviations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from omni.inference.language.sentences import sentences

_LEFT_OUT = re.compile(
    r"```[\s\S]*?(?:```|\Z)|`[^`\n]{1,500}`|<[^<>\n]{1,500}>|(?:https?://|www\.)\S{1,2000}|\S{1,200}@\S{1,200}"
    r"|(?<![\w/])(?:[\w.-]{1,100}/){1,30}[\w.-]{0,100}|[#@]\w{1,100}|\S{0,100}[\\_{}=]\S{0,100}"
)
# A word of letters; apostrophes and hyphens inside.
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class CheckedWord:
    """`text[start:end]`; `plain` is what is looked up: lower case, without a possessive ending."""

    start: int
    end: int
    plain: str


def checked_words(text: str, ignore: frozenset[str], ignore_capitalized: bool) -> Iterator[CheckedWord]:
    """The words that are looked up, in order. `ignore` is in lower case."""
    kept = _LEFT_OUT.sub(lambda found: " " * len(found[0]), text)
    firsts = {sentence.start for sentence in sentences(text)}
    for found in _WORD.finditer(kept):
        word, (start, end) = found.group(), found.span()
        if _is_part_of_number(kept, start, end) or (len(word) > 1 and not word[1:].islower()):
            continue
        plain = word.casefold().replace("’", "'")
        bare = plain.removesuffix("'s")
        if len(plain) < 2 or plain in ignore or bare in ignore:
            continue
        if ignore_capitalized and word[0].isupper() and not _begins(kept, start, firsts):
            continue
        yield CheckedWord(start, end, plain)


def _is_part_of_number(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()


def _begins(text: str, start: int, firsts: set[int]) -> bool:
    """Whether a sentence, a quotation or a line begins with it."""
    before = start
    while before and not text[before - 1].isalnum() and before not in firsts and text[before - 1] not in ":;,\n":
        before -= 1
    return before in firsts or before == 0 or text[before - 1] in ":\n"
