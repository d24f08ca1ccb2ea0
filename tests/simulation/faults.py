"""What a seed may suffer, and the bugs that a test may plant."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances for each call to Redis, and how often a minute the rest happens."""

    lost: float
    """The call never arrives."""
    unheard: float
    """It is carried out, its reply never arrives."""
    late: float
    """It is carried out after its gateway has given up."""
    crashes: float
    jumps: float
    """Of Redis' clock, by up to some minutes."""
    outages: float
    rewinds: bool
    """Whether Redis may come back without its last second."""
    flushes: bool
    """Whether it may come back empty."""

    @classmethod
    def draw(cls, random: Random) -> Faults:
        kind = random.randrange(8)
        rough = random.choice((0.0, 0.005, 0.03))
        return cls(
            lost=rough,
            unheard=rough,
            late=random.choice((0.0, 0.0, 0.004)),
            crashes=random.choice((0.0, 3.0, 8.0)),
            jumps=random.choice((0.0, 0.0, 3.0)),
            outages=random.choice((0.0, 2.0, 5.0)),
            rewinds=kind in (5, 7),
            flushes=kind in (6, 7),
        )

    def fate(self, random: Random) -> str:
        """What befalls one call: lost, unheard, late, or nothing."""
        drawn = random.random()
        for name, chance in (("lost", self.lost), ("unheard", self.unheard), ("late", self.late)):
            if drawn < chance:
                return name
            drawn -= chance
        return ""


class Plant:
    """No bug. A test plants one by other script text or by patching."""

    name = "nothing"

    def source(self, script: str, source: bytes) -> bytes:
        """The script as it is to be run: admit, settle, extend, renew, reap or raise."""
        return source

    def patched(self) -> AbstractContextManager[object]:
        """What else is changed while a seed runs."""
        return nullcontext()
