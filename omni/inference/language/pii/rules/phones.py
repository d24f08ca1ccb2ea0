"""Telephone numbers by Google's metadata (`phonenumbers`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from phonenumbers import SUPPORTED_REGIONS, Leniency, PhoneNumberMatcher

from omni.inference.language.pii.matches import Match

# Digits, and the signs between them, in which a number may be: only these parts are read with the metadata, which is
# slow.
_CANDIDATE = re.compile(
    r"(?<![\w.])(?:[+＋(][ \u00a0]?)?[0-9](?:[0-9]|[ \u00a0()/.\-‐–]{1,2}(?=[0-9(])){6,22}(?![0-9])"
)

# Groups of digits that may follow a number and do not belong to it: `+386 1 478 40 00 2 times`.
_LAST_GROUP = re.compile(r"[^0-9]+[0-9]+$")
MOST_CUT, MIN_DIGITS, MAX_DIGITS = 2, 7, 15


def unknown_regions(regions: Sequence[str]) -> list[str]:
    """Those of which there are no numbers."""
    return sorted(set(regions) - set(SUPPORTED_REGIONS))


def phones(text: str, regions: Sequence[str], seconds_left: Callable[[], float]) -> Iterator[Match]:
    """Valid numbers: with a country's prefix anywhere, without one as the `regions` write them. Raises DeadlineExceeded
    from `seconds_left`.
    """
    for found in _CANDIDATE.finditer(text):
        seconds_left()
        part, tries = found.group(), 0
        while tries <= MOST_CUT and (digits := sum(map(str.isdigit, part))) >= MIN_DIGITS:
            if digits <= MAX_DIGITS:
                tries += 1
                matches = list(_valid(part, found.start(), regions))
                yield from matches
                if matches:
                    break
            shorter = _LAST_GROUP.sub("", part)
            if shorter == part:
                break
            part = shorter


def _valid(part: str, offset: int, regions: Sequence[str]) -> Iterator[Match]:
    """What is a number by the first region by which there is any."""
    for region in (None,) if part.lstrip("( ").startswith(("+", "＋")) else regions:
        matches = list(PhoneNumberMatcher(part, region, leniency=Leniency.VALID))
        for match in matches:
            rule = f"phone_{region.lower()}" if region else "phone_international"
            yield Match(offset + match.start, offset + match.end, "PHONE", rule, "medium" if region else "high")
        if matches:
            return
