"""What rules find, and which of several findings in one place counts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

EntityType = Literal[
    "EMAIL", "PHONE", "IBAN", "PAYMENT_CARD", "IP_ADDRESS", "MAC_ADDRESS", "URL_CREDENTIALS", "VAT_ID", "NATIONAL_ID",
    "DATE_OF_BIRTH", "CRYPTO_ADDRESS", "API_KEY",
]  # fmt: skip
Certainty = Literal["low", "medium", "high"]
RANK: dict[Certainty, int] = {"low": 0, "medium": 1, "high": 2}
CUE_REACH = 60  # characters before a finding in which a word may say what it is


@dataclass(frozen=True, slots=True)
class Match:
    """`text[start:end]` is of this type, by this rule."""

    start: int
    end: int
    type: EntityType
    rule: str
    certainty: Certainty


Finder = Callable[[str], Iterable[Match]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, a check of what it matches, and words before it that make it certain."""

    type: EntityType
    name: str
    pattern: re.Pattern[str]
    """Its group `value`, where it has one, is what is found. It has to be linear in the text."""
    check: Callable[[str], bool]
    certainty: Certainty
    """Without a cue."""
    cue: re.Pattern[str] | None = None
    needs_cue: bool = False

    def find(self, text: str) -> Iterator[Match]:
        """Every place where the pattern and the check agree."""
        group = "value" if "value" in self.pattern.groupindex else 0
        for found in self.pattern.finditer(text):
            start, end = found.span(group)
            if not self.check(text[start:end]):
                continue
            cued = self.cue is not None and self.cue.search(text, max(0, start - CUE_REACH), start) is not None
            if cued or not self.needs_cue:
                yield Match(start, end, self.type, self.name, "high" if cued else self.certainty)


def cue(*words: str) -> re.Pattern[str]:
    """Any of the words, whatever its case, as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def resolved(matches: Iterable[Match]) -> list[Match]:
    """Findings that do not overlap, in order: the most certain first, of equal ones the longest, then the first."""
    kept: list[Match] = []
    starts: list[int] = []
    for match in sorted(matches, key=lambda found: (-RANK[found.certainty], found.start - found.end, found.start)):
        place = bisect_left(starts, match.start)
        if place < len(kept) and kept[place].start < match.end:
            continue
        if place > 0 and kept[place - 1].end > match.start:
            continue
        kept.insert(place, match)
        starts.insert(place, match.start)
    return kept
