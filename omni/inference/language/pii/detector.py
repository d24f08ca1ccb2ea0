"""Runs all rules over a text. Heavy: the metadata of telephone numbers is loaded at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omni.inference.language.pii.matches import RANK, Certainty, EntityType, Match, resolved
from omni.inference.language.pii.rules import accounts, network, persons, secrets
from omni.inference.language.pii.rules.phones import phones, unknown_regions
from omni.kit.errors import InvalidInput

_FINDERS = (*accounts.FINDERS, *network.FINDERS, *persons.FINDERS, *secrets.FINDERS)


class Detector:
    """Finds personal data. Safe to use from several threads: it holds nothing."""

    def find(
        self,
        text: str,
        types: Sequence[EntityType] | None,
        least: Certainty,
        regions: Sequence[str],
        seconds_left: Callable[[], float],
    ) -> list[Match]:
        """Findings of the given types (None = all), at least so certain, in order, without overlaps: what is not asked
        for hides nothing.

        Raises InvalidInput `region_not_supported` and DeadlineExceeded from `seconds_left`.
        """
        unknown = unknown_regions(regions)
        if unknown:
            raise InvalidInput(
                "region_not_supported", f"There are no telephone numbers of {', '.join(unknown)}.", param="regions"
            )
        found: list[Match] = []
        for finder in _FINDERS:
            seconds_left()
            found.extend(finder(text))
        if types is None or "PHONE" in types:
            found.extend(phones(text, regions, seconds_left))
        wanted = [
            match for match in found if (types is None or match.type in types) and RANK[match.certainty] >= RANK[least]
        ]
        return resolved(wanted)
