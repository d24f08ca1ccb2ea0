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


def unknown_regions(regions: Sequence[str]) -> list[str]:
    """Those of which there are no numbers."""
    return sorted(set(regions) - set(SUPPORTED_REGIONS))


def phones(text: str, regions: Sequence[str], seconds_left: Callable[[], float]) -> Iterator[Match]:
    """Valid numbers: with a country's prefix anywhere, without one as the `regions` write them. Raises DeadlineExceeded
    from `seconds_left`.
    """
    for found in _CANDIDATE.finditer(text):
        seconds_left()
        part = found.group()
        for region in (None,) if part.lstrip("( ").startswith(("+", "＋")) else regions:
            matches = list(PhoneNumberMatcher(part, region, leniency=Leniency.VALID))
            for match in matches:
                start = found.start() + match.start
                rule = f"phone_{region.lower()}" if region else "phone_international"
                yield Match(start, found.start() + match.end, "PHONE", rule, "medium" if region else "high")
            if matches:
                break
